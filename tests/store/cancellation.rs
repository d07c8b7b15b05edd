//! A caller may go away at any moment: the deadline drops its future where it stands. Nothing may stay behind.

use std::{future::poll_fn, pin::pin, task::Poll, time::Duration};

use rstest::rstest;
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use signet::store::StoreError;
use tokio::time::timeout;

use super::support::{Engine, TestStore, insert_user, settings};

/// Polls a future so many times, with a moment for the database in between, then drops it. True if it was not finished.
async fn dropped_after<F: Future>(polls: usize, future: F) -> bool {
    let mut future = pin!(future);
    for _ in 0..polls {
        if poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready())).await {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    true
}

#[rstest]
#[tokio::test]
async fn a_unit_of_work_dropped_while_it_begins_holds_nothing(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(test) = TestStore::start(engine).await else { return };
    let mut dropped = 0;
    for polls in 0..8 {
        for _ in 0..4 {
            dropped += usize::from(dropped_after(polls, test.store.begin()).await);
        }
        assert_eq!(open_transactions(engine, &test).await, 0, "dropped after {polls} polls");
    }
    assert!(dropped > 4, "some were dropped half-way");
    // SQLite's one writer is free.
    let tx = timeout(Duration::from_secs(10), test.store.begin()).await.unwrap().unwrap();
    insert_user(&tx, test.project.id, "ada").await.unwrap();
    tx.commit().await.unwrap();
}

#[rstest]
#[tokio::test]
async fn a_unit_of_work_dropped_in_a_query_or_in_its_commit_is_whole_or_not_there(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(test) = TestStore::start(engine).await else { return };
    for number in 0..40 {
        let work = async {
            let tx = test.store.begin().await?;
            insert_user(&tx, test.project.id, &format!("user{number}")).await?;
            tx.outbox().push(test.mail()).await?;
            tx.commit().await
        };
        dropped_after(number, work).await;
    }
    assert_eq!(open_transactions(engine, &test).await, 0);
    let users = test.rows("users").await;
    assert_eq!(users, test.rows("identifiers").await);
    assert_eq!(users, test.rows("outbox").await);
    test.user("ada").await;
}

#[tokio::test]
async fn a_connection_that_the_server_ended_heals() {
    let Some(test) = TestStore::start(Engine::Postgres).await else { return };
    let raw = test.raw().await;
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    raw.execute_unprepared(end).await.unwrap();
    // At most one call for each connection that was open learns of it, and is told that trying again will help.
    let mut failures = 0;
    while let Err(error) = test.store.view().projects().find(test.project.id).await {
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        failures += 1;
        assert!(failures <= settings("").connections_max, "it does not heal");
    }
    test.user("ada").await;
}

/// Transactions that are open although nobody works on them. SQLite has no such list; there the next writer would wait.
async fn open_transactions(engine: Engine, test: &TestStore) -> i64 {
    if engine == Engine::Sqlite {
        return 0;
    }
    let raw = test.raw().await;
    let count = "SELECT count(*) FROM pg_stat_activity
                 WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
    // Rolling back goes on after the drop, for a moment.
    for _ in 0..50 {
        let row = raw.query_one_raw(Statement::from_string(DbBackend::Postgres, count)).await.unwrap().unwrap();
        if row.try_get_by_index::<i64>(0).unwrap() == 0 {
            return 0;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let row = raw.query_one_raw(Statement::from_string(DbBackend::Postgres, count)).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}
