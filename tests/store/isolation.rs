//! The foundation of every other test here: a test's database is its own, and begins as the template.

use std::sync::atomic::{AtomicU32, Ordering};

use rstest::rstest;
use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection, Statement};
use signet_test_support::{Engine, TestDatabase};

static PREPARED_ON_POSTGRES: AtomicU32 = AtomicU32::new(0);
static PREPARED_ON_SQLITE: AtomicU32 = AtomicU32::new(0);

#[rstest]
#[tokio::test]
async fn two_databases_of_one_template_start_equal_and_stay_apart(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(first) = database(engine).await else { return };
    let second = database(engine).await.expect("the engine was there a moment ago");
    assert_ne!(first.url(), second.url());

    let (first, second) = (connect(&first).await, connect(&second).await);
    assert_eq!(notes(&first).await, ["from the template"]);
    assert_eq!(notes(&second).await, ["from the template"]);

    first.execute_unprepared("INSERT INTO note (text) VALUES ('only in the first')").await.unwrap();
    second.execute_unprepared("DELETE FROM note").await.unwrap();

    assert_eq!(notes(&first).await, ["from the template", "only in the first"]);
    assert!(notes(&second).await.is_empty());
}

#[rstest]
#[tokio::test]
async fn what_a_test_writes_is_not_in_the_database_of_the_next(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
    #[values(1, 2, 3, 4)] round: u32,
) {
    let Some(database) = database(engine).await else { return };
    let connection = connect(&database).await;
    assert_eq!(notes(&connection).await, ["from the template"]);
    connection.execute_unprepared(&format!("INSERT INTO note (text) VALUES ('from round {round}')")).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn the_template_is_prepared_once(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    for _ in 0..2 {
        let Some(_database) = database(engine).await else { return };
    }
    assert_eq!(prepared_on(engine).load(Ordering::SeqCst), 1);
}

#[rstest]
#[tokio::test]
async fn a_dropped_database_is_gone_though_a_connection_is_open(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(database) = database(engine).await else { return };
    let url = database.url().replace("mode=rwc", "mode=rw");
    let _connection = connect(&database).await;
    drop(database);
    assert!(Database::connect(url).await.is_err());
}

async fn database(engine: Engine) -> Option<TestDatabase> {
    TestDatabase::from_template(engine, async move |url| {
        prepared_on(engine).fetch_add(1, Ordering::SeqCst);
        let connection = Database::connect(url).await.unwrap();
        if engine == Engine::Sqlite {
            connection.execute_unprepared("PRAGMA journal_mode = WAL").await.unwrap();
        }
        connection.execute_unprepared("CREATE TABLE note (text TEXT NOT NULL)").await.unwrap();
        connection.execute_unprepared("INSERT INTO note (text) VALUES ('from the template')").await.unwrap();
        connection.close().await.unwrap();
    })
    .await
}

fn prepared_on(engine: Engine) -> &'static AtomicU32 {
    match engine {
        Engine::Postgres => &PREPARED_ON_POSTGRES,
        Engine::Sqlite => &PREPARED_ON_SQLITE,
    }
}

async fn connect(database: &TestDatabase) -> DatabaseConnection {
    Database::connect(database.url()).await.unwrap()
}

async fn notes(connection: &DatabaseConnection) -> Vec<String> {
    let select = Statement::from_string(connection.get_database_backend(), "SELECT text FROM note ORDER BY text");
    let rows = connection.query_all_raw(select).await.unwrap();
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}
