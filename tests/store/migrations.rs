//! Bringing the schema up to date: once, whoever asks and however many at a time.

use std::{collections::BTreeSet, fs, path::Path};

use rstest::rstest;
use sea_orm::{ConnectionTrait as _, Database};
use signet::store::Store;
use signet_migrations::{Migrator, MigratorTrait as _};
use signet_test_support::TestDatabase;
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

    let store = Store::connect(&settings(database.url())).await.unwrap();
    let tx = store.begin().await.unwrap();
    assert_eq!(tx.event_stream().number(10).await.unwrap(), 3);
    tx.commit().await.unwrap();
    let events = store.view().event_stream().behind(None, 0, 10).await.unwrap();
    let client = |number: u128| Some(Uuid::from_u128(number).into());
    let seen: Vec<_> = events.iter().map(|event| (event.position, event.client_id, event.operator_id)).collect();
    assert_eq!(seen, [(Some(1), None, client(9)), (Some(2), client(8), None), (Some(3), client(7), None)]);
}
