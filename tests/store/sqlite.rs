//! SQLite under load: one writer at a time, none of whom fails, and readers who do not notice.
//! How the connections are set up is tested beside the code that does it.

use std::{sync::Mutex, time::Duration};

use signet::store::Store;
use tokio::time::timeout;

use super::support::{Engine, TestStore, at_once, insert_user};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_writers_at_once_all_succeed() {
    let Some(test) = TestStore::start(Engine::Sqlite).await else { return };
    let project_id = test.project.id;
    let results = at_once(50, |number| {
        let store = test.store.clone();
        async move {
            let tx = store.begin().await?;
            // Reads before it writes: with a deferred transaction the write would fail with SQLITE_BUSY_SNAPSHOT.
            tx.projects().find(project_id).await?;
            insert_user(&tx, project_id, &format!("user{number}")).await?;
            tx.commit().await
        }
    })
    .await;
    for result in results {
        result.unwrap();
    }
    assert_eq!(test.rows("users").await, 50);
}

/// Two processes on one file, as with `signet user create` beside `signet serve`.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_of_two_stores_on_one_file_all_succeed() {
    let Some(test) = TestStore::start(Engine::Sqlite).await else { return };
    let (project_id, other) = (test.project.id, Store::connect(&test.settings()).await.unwrap());
    let results = at_once(40, |number| {
        let store = if number % 2 == 0 { test.store.clone() } else { other.clone() };
        async move {
            let tx = store.begin().await?;
            tx.projects().find(project_id).await?;
            insert_user(&tx, project_id, &format!("user{number}")).await?;
            tx.commit().await
        }
    })
    .await;
    for result in results {
        result.unwrap();
    }
    assert_eq!(test.rows("users").await, 40);
}

#[tokio::test]
async fn a_reader_does_not_wait_for_a_writer() {
    let Some(test) = TestStore::start(Engine::Sqlite).await else { return };
    let tx = test.store.begin().await.unwrap();
    let ada = insert_user(&tx, test.project.id, "ada").await.unwrap();
    let seen = timeout(Duration::from_secs(2), test.store.view().users().find(test.project.id, ada)).await.unwrap();
    assert!(seen.unwrap().is_none(), "what is not committed is not seen");
    tx.commit().await.unwrap();
    assert!(test.store.view().users().find(test.project.id, ada).await.unwrap().is_some());
}

/// So whoever needs one statement has one unit of work before them, however many sign-ins there are.
#[tokio::test]
async fn a_single_statement_goes_before_units_of_work_that_wait() {
    let Some(test) = TestStore::start(Engine::Sqlite).await else { return };
    let (store, project_id) = (&test.store, test.project.id);
    let held = store.begin().await.unwrap();
    let order = Mutex::new(Vec::new());
    let note = |who| order.lock().unwrap().push(who);
    let a_unit = async {
        let tx = store.begin().await.unwrap();
        tx.projects().find(project_id).await.unwrap();
        tx.commit().await.unwrap();
        note("a unit of work");
    };
    let in_line = async {
        store.alone_in_line().await.unwrap().projects().find(project_id).await.unwrap();
        note("a statement in line");
    };
    let alone = async {
        store.alone().projects().find(project_id).await.unwrap();
        note("a statement");
    };
    // They are asked in this order, and each waits by then.
    let all = async { tokio::join!(biased; a_unit, in_line, alone) };
    let release = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        held.commit().await.unwrap();
    };
    timeout(Duration::from_secs(10), async { tokio::join!(all, release) }).await.unwrap();
    assert_eq!(*order.lock().unwrap(), ["a statement", "a unit of work", "a statement in line"]);
}
