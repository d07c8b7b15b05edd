//! SQLite under load: one writer at a time, none of whom fails, and readers who do not notice.
//! How the connections are set up is tested beside the code that does it.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use signet::store::{DatabaseSettings, Store, StoreError};
use tokio::{task::JoinSet, time::timeout};

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

/// Writers of each kind ask while another one writes; says in what order they are done.
async fn order_of<const N: usize>(asked: [&'static str; N]) -> Vec<&'static str> {
    let test = TestStore::start(Engine::Sqlite).await.unwrap();
    let (store, project_id, order) = (test.store.clone(), test.project.id, Arc::new(Mutex::new(Vec::new())));
    let held = store.begin().await.unwrap();
    let mut writers = JoinSet::new();
    for kind in asked {
        let (store, order) = (store.clone(), Arc::clone(&order));
        writers.spawn(async move {
            match kind {
                UNIT => {
                    let tx = store.begin().await.unwrap();
                    tx.projects().find(project_id).await.unwrap();
                    tx.commit().await.unwrap();
                }
                ALONE => drop(store.alone().await.unwrap().projects().find(project_id).await.unwrap()),
                _ => drop(store.alone_in_order().await.unwrap().projects().find(project_id).await.unwrap()),
            }
            order.lock().unwrap().push(kind);
        });
        // On one thread: the one before waits by now.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    held.commit().await.unwrap();
    timeout(Duration::from_secs(10), writers.join_all()).await.unwrap();
    let order = order.lock().unwrap();
    order.clone()
}

const UNIT: &str = "a unit of work";
const ALONE: &str = "a statement";
const IN_ORDER: &str = "a statement in order";

/// So whoever needs one statement has one unit of work before them, however many sign-ins there are.
#[tokio::test]
async fn a_single_statement_goes_ahead_of_units_of_work_that_wait() {
    assert_eq!(order_of([UNIT, IN_ORDER, UNIT, ALONE]).await, [ALONE, UNIT, IN_ORDER, UNIT]);
}

#[tokio::test]
async fn many_single_statements_do_not_keep_units_of_work_out() {
    let asked = [UNIT, ALONE, ALONE, ALONE, ALONE, ALONE, UNIT, ALONE];
    assert_eq!(order_of(asked).await, [ALONE, ALONE, ALONE, ALONE, UNIT, ALONE, UNIT, ALONE]);
}

#[tokio::test]
async fn who_waits_to_write_is_told_in_time_that_it_is_in_vain() {
    let Some(test) = TestStore::start(Engine::Sqlite).await else { return };
    let settings = DatabaseSettings { acquire_timeout: Duration::from_millis(200), ..test.settings() };
    let store = Store::connect(&settings).await.unwrap();
    let held = store.begin().await.unwrap();
    let in_time = async {
        assert!(matches!(store.begin().await.unwrap_err(), StoreError::Unavailable(_)));
        assert!(matches!(store.alone_in_order().await.unwrap_err(), StoreError::Unavailable(_)));
    };
    timeout(Duration::from_secs(2), in_time).await.unwrap();
    held.commit().await.unwrap();
    store.begin().await.unwrap().commit().await.unwrap();
}
