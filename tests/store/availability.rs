//! What a caller is told when the database does not answer: that it may try again, not that something is broken.

use std::time::{Duration, Instant};

use rstest::rstest;
use sea_orm::{ConnectionTrait as _, SqliteTransactionMode, TransactionOptions, TransactionTrait as _};
use signet::{
    clock::Clock,
    store::{DatabaseSettings, Store, StoreError},
};

use super::support::{Engine, TestStore};

#[rstest]
#[case::nobody_listens("postgres://signet@127.0.0.1:1/signet")]
#[case::no_such_directory("sqlite:///nonexistent/signet.db?mode=rwc")]
#[tokio::test]
async fn a_database_that_is_not_there_is_unavailable(#[case] url: &str) {
    let settings =
        DatabaseSettings { url: url.into(), connections_max: 1, acquire_timeout: Duration::from_millis(300) };
    let started = Instant::now();
    assert_unavailable(&Store::connect(&settings).await);
    assert!(started.elapsed() < Duration::from_secs(5), "it gives up in time");
}

#[rstest]
#[tokio::test]
async fn no_free_connection_is_unavailable_until_one_is_free(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(test) = TestStore::start(engine).await else { return };
    let settings =
        DatabaseSettings { connections_max: 1, acquire_timeout: Duration::from_millis(300), ..test.settings() };
    let store = Store::connect(&settings).await.unwrap();
    let held = store.begin().await.unwrap();
    assert_unavailable(&store.begin().await);
    held.commit().await.unwrap();
    store.begin().await.unwrap().commit().await.unwrap();
}

/// One that is lost to a database which has fallen silent never comes back.
#[tokio::test]
async fn closing_does_not_wait_for_a_connection_that_does_not_come_back() {
    let Some(test) = TestStore::start(Engine::Postgres).await else { return };
    let store = Store::connect(&test.settings()).await.unwrap();
    let held = store.begin().await.unwrap();
    let closing = tokio::time::timeout(Duration::from_secs(20), store.close());
    closing.await.expect("it gives up in time").unwrap();
    drop(held);
}

/// Takes as long as SQLite waits for another process before it gives up.
#[tokio::test]
async fn sqlite_locked_by_another_process_is_unavailable_until_it_is_let_go() {
    let Some(test) = TestStore::start(Engine::Sqlite).await else { return };
    let other = test.raw().await;
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    let lock = other.begin_with_options(options).await.unwrap();
    assert_unavailable(&test.store.begin().await);
    // Readers do not notice.
    assert!(test.store.view().projects().find(test.project.id).await.unwrap().is_some());
    lock.rollback().await.unwrap();
    test.user("ada").await;
}

#[tokio::test]
async fn a_row_lock_that_is_not_had_in_time_is_unavailable() {
    let Some(test) = TestStore::start(Engine::Postgres).await else { return };
    let ada = test.user("ada").await;
    let raw = test.raw().await;
    let impatient =
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET lock_timeout = 100', current_database()); END $$";
    raw.execute_unprepared(impatient).await.unwrap();
    let store = Store::connect(&test.settings()).await.unwrap();
    let (first, second) = (store.begin().await.unwrap(), store.begin().await.unwrap());
    first.users().lock(test.project.id, ada).await.unwrap().unwrap();
    assert_unavailable(&second.users().lock(test.project.id, ada).await);
}

/// Two units of work that wait for each other: PostgreSQL ends one, whose caller may try again.
#[tokio::test]
async fn a_deadlock_is_unavailable_for_one_and_nothing_for_the_other() {
    let Some(test) = TestStore::start(Engine::Postgres).await else { return };
    let (ada, grace) = (test.user("ada").await, test.user("grace").await);
    let (first, second) = (test.store.begin().await.unwrap(), test.store.begin().await.unwrap());
    first.users().lock(test.project.id, ada).await.unwrap();
    second.users().lock(test.project.id, grace).await.unwrap();
    // Whichever is ended has to be dropped for the other to go on.
    let cross = async |tx: signet::store::Tx, id| tx.users().lock(test.project.id, id).await.map(drop);
    let (left, right) = tokio::join!(cross(first, grace), cross(second, ada));
    let (ended, fine) = if left.is_err() { (left, right) } else { (right, left) };
    assert_unavailable(&ended);
    fine.unwrap();
}

fn assert_unavailable<T: std::fmt::Debug>(result: &Result<T, StoreError>) {
    assert!(matches!(result, Err(StoreError::Unavailable(_))), "{result:?}");
}

#[rstest]
#[tokio::test]
async fn the_time_of_the_database_is_that_of_its_machine(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(test) = TestStore::start(engine).await else { return };
    let theirs = test.store.time().await.unwrap();
    // This machine is theirs, too.
    let is_close = theirs.map(|theirs| (Clock::System.now() - theirs).num_seconds().abs() < 10);
    assert_eq!(is_close, (engine == Engine::Postgres).then_some(true));
}
