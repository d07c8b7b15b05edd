//! Bringing the schema up to date: once, whoever asks and however many at a time.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use rstest::rstest;
use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection, DbBackend, Statement, TransactionTrait as _};
use signet::store::Store;
use signet_migrations::{Migrator, MigratorTrait as _, lock_table};
use signet_test_support::TestDatabase;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::support::{Engine, at_once, project, settings};

fn names() -> Vec<String> {
    Migrator::migrations().iter().map(|migration| migration.name().to_owned()).collect()
}

async fn empty_database(engine: Engine) -> Option<TestDatabase> {
    TestDatabase::from_template(engine, async |_| {}).await
}

#[test]
fn each_migration_is_called_like_its_file_and_they_come_in_order() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/src");
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let stems: BTreeSet<_> = files.filter_map(|file| Some(file.strip_suffix(".rs")?.to_owned())).collect();
    let migrations: Vec<_> = stems.into_iter().filter(|stem| stem != "lib").collect();
    assert!(!migrations.is_empty());
    assert_eq!(names(), migrations);
}

#[rstest]
#[tokio::test]
async fn an_empty_database_lacks_them_all_until_it_is_migrated_once(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(database) = empty_database(engine).await else { return };
    let store = Store::connect(&settings(database.url())).await.unwrap();
    assert_eq!(store.pending_migrations().await.unwrap(), names());
    assert_eq!(store.pending_migrations().await.unwrap(), names(), "asking changes nothing");

    assert_eq!(Store::migrate(&settings(database.url())).await.unwrap(), names());
    assert_eq!(store.pending_migrations().await.unwrap(), [] as [&str; 0]);
    assert_eq!(Store::migrate(&settings(database.url())).await.unwrap(), [] as [&str; 0]);
    assert_works(&store).await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_several_who_migrate_at_once_one_does(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(database) = empty_database(engine).await else { return };
    let url = database.url().to_owned();
    let results = at_once(4, |_| {
        let url = url.clone();
        async move { Store::migrate(&settings(&url)).await }
    })
    .await;
    let mut applied: Vec<_> = results.into_iter().map(Result::unwrap).filter(|applied| !applied.is_empty()).collect();
    assert_eq!(applied.pop(), Some(names()));
    assert_eq!(applied, [] as [Vec<String>; 0], "the others find nothing to do");
    assert_works(&Store::connect(&settings(database.url())).await.unwrap()).await;
}

/// A new file becomes one with a write-ahead log when nobody else uses it; for those who do SQLite itself does not wait.
#[tokio::test]
async fn a_new_file_that_somebody_uses_is_waited_for() {
    let Some(database) = empty_database(Engine::Sqlite).await else { return };
    let other = Database::connect(database.url()).await.unwrap();
    let using = other.begin().await.unwrap();
    using.execute_unprepared("CREATE TABLE other (id INTEGER)").await.unwrap();
    let url = database.url().to_owned();
    let migrating = tokio::spawn(async move { Store::migrate(&settings(&url)).await });
    sleep(Duration::from_millis(300)).await;
    assert!(!migrating.is_finished(), "waits");
    using.commit().await.unwrap();
    assert_eq!(migrating.await.unwrap().unwrap(), names());
}

async fn assert_works(store: &Store) {
    let project = project();
    let tx = store.begin().await.unwrap();
    tx.projects().insert(&project).await.unwrap();
    tx.commit().await.unwrap();
    assert!(store.view().projects().find(project.id).await.unwrap().is_some());
}

/// Events of the version before: an operator stood where the client stands, and none had a place. That version goes on beside this one.
#[rstest]
#[tokio::test]
async fn events_of_the_version_before_name_their_operator_and_get_a_place(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(database) = empty_database(engine).await else { return };
    let raw = Database::connect(database.url()).await.unwrap();
    Migrator::up(&raw, Some(3)).await.unwrap();
    let id = |number: u8| match engine {
        Engine::Sqlite => format!("x'{number:032x}'"),
        Engine::Postgres => format!("'{}'", Uuid::from_u128(number.into())),
    };
    let now = "'2027-01-15 08:00:00+00:00'";
    let secret = if engine == Engine::Sqlite { "x'00'" } else { "'\\x00'" };
    let operator =
        format!("INSERT INTO operators (id, name, secret_hash, created_at) VALUES ({}, 'Ops', {secret}, {now})", id(9));
    raw.execute_unprepared(&operator).await.unwrap();
    let event = |number: u8, client: u8| {
        let values = format!("{}, {}, 'client.created', {}, {now}", id(number), id(1), id(client));
        format!("INSERT INTO events (id, project_id, kind, client_id, created_at) VALUES ({values})")
    };
    raw.execute_unprepared(&event(2, 9)).await.unwrap();
    raw.execute_unprepared(&event(3, 8)).await.unwrap();
    Store::migrate(&settings(database.url())).await.unwrap();
    raw.execute_unprepared(&event(4, 7)).await.unwrap();
    raw.execute_unprepared(&event(5, 9)).await.unwrap();

    let store = Store::connect(&settings(database.url())).await.unwrap();
    let tx = store.begin().await.unwrap();
    assert_eq!(tx.event_stream().number(10).await.unwrap(), 4);
    tx.commit().await.unwrap();
    let events = store.view().event_stream().behind(None, 0, 10).await.unwrap();
    let client = |number: u128| Some(Uuid::from_u128(number).into());
    let seen: Vec<_> = events.iter().map(|event| (event.position, event.client_id, event.operator_id)).collect();
    let expected = [
        (Some(1), None, client(9)),
        (Some(2), client(8), None),
        (Some(3), client(7), None),
        (Some(4), None, client(9)),
    ];
    assert_eq!(seen, expected);
}

/// Far longer than a migration lets anybody wait, and bound of everything here that waits.
const LONG: Duration = Duration::from_secs(30);
/// How many of the migrations come before the one that makes the indexes.
const BEFORE_INDEXES: u32 = 5;

async fn one<T: sea_orm::TryGetable>(raw: &DatabaseConnection, query: &str) -> T {
    let row = raw.query_one_raw(Statement::from_string(DbBackend::Postgres, query)).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}

/// Waits until somebody waits for a lock, with such a statement.
async fn until_one_waits(raw: &DatabaseConnection, statement: &str) {
    let waiting = format!(
        "SELECT count(*) FROM pg_stat_activity
         WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '{statement}%'"
    );
    let looks = async {
        while one::<i64>(raw, &waiting).await == 0 {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(LONG, looks).await.expect("the migration gets so far");
}

/// What the running service does meanwhile; the place is `NULL` or a number.
fn event(position: &str) -> String {
    let values = format!("gen_random_uuid(), gen_random_uuid(), 'x', now(), {position}::bigint");
    format!("INSERT INTO events (id, project_id, kind, created_at, position) VALUES ({values})")
}

async fn record_in_time(raw: &DatabaseConnection) {
    let event = "INSERT INTO events (id, project_id, kind, created_at)
                 VALUES (gen_random_uuid(), gen_random_uuid(), 'x', now())";
    timeout(LONG, raw.execute_unprepared(event)).await.expect("the service goes on").unwrap();
}

#[tokio::test]
async fn a_dump_keeps_the_migration_waiting_but_not_the_service() {
    let Some(database) = empty_database(Engine::Postgres).await else { return };
    let raw = Database::connect(database.url()).await.unwrap();
    Migrator::up(&raw, Some(3)).await.unwrap();
    let dump = raw.begin().await.unwrap();
    dump.execute_unprepared("LOCK TABLE events IN ACCESS SHARE MODE").await.unwrap();
    let url = database.url().to_owned();
    let migration = tokio::spawn(async move { Store::migrate(&settings(&url)).await });
    for _ in 0..2 {
        until_one_waits(&raw, "LOCK TABLE events").await;
        record_in_time(&raw).await;
    }
    let tx = raw.begin().await.unwrap();
    let error = lock_table(&tx, "events", 1).await.unwrap_err().to_string();
    assert!(error.contains("`events` is in use") && error.contains("migrate again"), "{error}");
    tx.rollback().await.unwrap();

    dump.rollback().await.unwrap();
    let applied = timeout(LONG, migration).await.expect("it has its turn").unwrap().unwrap();
    assert_eq!(applied, names()[3..]);
    assert_eq!(one::<i64>(&raw, "SELECT count(*) FROM events").await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_service_goes_on_while_indexes_are_made_by_one_of_two() {
    let Some(database) = empty_database(Engine::Postgres).await else { return };
    let raw = Database::connect(database.url()).await.unwrap();
    Migrator::up(&raw, Some(BEFORE_INDEXES)).await.unwrap();
    let open = raw.begin().await.unwrap();
    open.execute_unprepared(&event("NULL")).await.unwrap();
    let url = database.url().to_owned();
    let migrations = tokio::spawn(at_once(2, move |_| {
        let url = url.clone();
        async move { Store::migrate(&settings(&url)).await.unwrap().len() }
    }));
    until_one_waits(&raw, "CREATE").await;
    record_in_time(&raw).await;
    open.commit().await.unwrap();
    let mut applied = timeout(LONG, migrations).await.expect("neither waits for the other for ever").unwrap();
    applied.sort_unstable();
    assert_eq!(applied, [0, names().len() - usize::try_from(BEFORE_INDEXES).unwrap()]);
    assert_eq!(one::<i64>(&raw, "SELECT count(*) FROM events").await, 2);
}

#[tokio::test]
async fn half_an_index_that_a_broken_run_left_behind_is_made_anew() {
    let Some(database) = empty_database(Engine::Postgres).await else { return };
    let raw = Database::connect(database.url()).await.unwrap();
    Migrator::up(&raw, Some(BEFORE_INDEXES)).await.unwrap();
    for _ in 0..2 {
        raw.execute_unprepared(&event("7")).await.unwrap();
    }
    raw.execute_unprepared("CREATE INDEX ix_events_request_id ON events (request_id)").await.unwrap();
    let create = "CREATE UNIQUE INDEX CONCURRENTLY ix_events_position ON events (position) WHERE position IS NOT NULL";
    raw.execute_unprepared(create).await.unwrap_err();
    let valid = "SELECT count(*) FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
                 WHERE indisvalid AND relname IN
                 ('ix_events_unnumbered', 'ix_events_position', 'ix_events_project_position', 'ix_events_request_id')";
    assert_eq!(one::<i64>(&raw, valid).await, 1);

    Store::migrate(&settings(database.url())).await.unwrap_err();
    assert_eq!(one::<i64>(&raw, valid).await, 2, "it is broken again, but what came before is there");
    raw.execute_unprepared("UPDATE events SET position = 8 WHERE id = (SELECT id FROM events LIMIT 1)").await.unwrap();
    Store::migrate(&settings(database.url())).await.unwrap();
    assert_eq!(one::<i64>(&raw, valid).await, 4);
}
