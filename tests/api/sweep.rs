//! Housekeeping: what is cleared away, and what is not yet.

use chrono::Duration;
use rstest::rstest;
use sea_orm::{ConnectionTrait as _, Statement};
use signet::{
    proto::{DeleteUserRequest, DisableUserRequest, SendEmailVerificationRequest},
    usecase::sweep::{ENDED_SESSION_KEPT, FINISHED_MAIL_KEPT, Swept, sweep},
};

use crate::{
    sign_in::{email, try_password},
    support::{Engine, PASSWORD, TestApp},
};

async fn rows(app: &TestApp, table: &str) -> i64 {
    let database = app.database().await;
    let select = Statement::from_string(database.get_database_backend(), format!("SELECT count(*) FROM {table}"));
    database.query_one_raw(select).await.unwrap().unwrap().try_get_by_index(0).unwrap()
}

async fn send_code_to_grace(app: &TestApp) {
    let request = SendEmailVerificationRequest { user_id: app.fixture.grace.to_string(), ..Default::default() };
    app.back_end().users.send_email_verification(request).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn finished_mails_are_kept_for_a_week(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    send_code_to_grace(&app).await;
    app.last_mail_to("grace@example.com").await;
    app.clock.advance(FINISHED_MAIL_KEPT - Duration::seconds(1));
    send_code_to_grace(&app).await;
    sweep(&app.services).await.unwrap();
    assert_eq!(rows(&app, "outbox").await, 2);
    app.clock.advance(Duration::seconds(1));
    sweep(&app.services).await.unwrap();
    assert_eq!((rows(&app, "outbox").await, app.mails_waiting().await), (1, 1), "what waits is not touched");
}

#[rstest]
#[tokio::test]
async fn ended_sessions_are_kept_for_a_month(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    // Idle for two weeks they end, but what counts here is the absolute end, after four.
    let absolute = Duration::days(28);
    try_password(&app.back_end(), email("ada@example.com"), PASSWORD).await.unwrap();
    app.clock.advance(Duration::days(1));
    try_password(&app.back_end(), email("ada@example.com"), PASSWORD).await.unwrap();
    assert_eq!(rows(&app, "sessions").await, 2);
    app.clock.advance(absolute + ENDED_SESSION_KEPT - Duration::days(1) - Duration::seconds(1));
    sweep(&app.services).await.unwrap();
    assert_eq!(rows(&app, "sessions").await, 2);
    app.clock.advance(Duration::seconds(1));
    assert_eq!(sweep(&app.services).await.unwrap(), Swept { rows: 1, more: false });
    assert_eq!(rows(&app, "sessions").await, 1);
    app.clock.advance(Duration::days(1));
    sweep(&app.services).await.unwrap();
    assert_eq!(rows(&app, "sessions").await, 0);
}

#[rstest]
#[tokio::test]
async fn a_session_that_was_ended_is_kept_for_a_month_from_then(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    try_password(&app.back_end(), email("ada@example.com"), PASSWORD).await.unwrap();
    app.clock.advance(Duration::days(1));
    let request = DisableUserRequest { user_id: app.fixture.ada.to_string() };
    app.back_end().users.disable_user(request).await.unwrap();
    app.clock.advance(ENDED_SESSION_KEPT - Duration::seconds(1));
    sweep(&app.services).await.unwrap();
    assert_eq!(rows(&app, "sessions").await, 1);
    app.clock.advance(Duration::seconds(1));
    sweep(&app.services).await.unwrap();
    assert_eq!(rows(&app, "sessions").await, 0);
}

#[rstest]
#[tokio::test]
async fn more_than_a_batch_is_cleared_away_at_once(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    send_code_to_grace(&app).await;
    app.last_mail_to("grace@example.com").await;
    let id = if engine == Engine::Postgres { "gen_random_uuid()" } else { "randomblob(16)" };
    let columns = "project_id, user_id, recipient, attempts, expires_at, created_at, sent_at";
    let numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200)";
    let insert = format!("INSERT INTO outbox (id, {columns}) {numbers} SELECT {id}, {columns} FROM outbox, n");
    app.database().await.execute_unprepared(&insert).await.unwrap();
    assert_eq!(rows(&app, "outbox").await, 1201);
    app.clock.advance(FINISHED_MAIL_KEPT);
    sweep(&app.services).await.unwrap();
    assert_eq!(rows(&app, "outbox").await, 0);
}

#[rstest]
#[tokio::test]
async fn the_mail_of_a_deleted_user_goes_with_them(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    send_code_to_grace(&app).await;
    assert_eq!(app.mails_waiting().await, 1);
    let request = DeleteUserRequest { user_id: app.fixture.grace.to_string() };
    app.back_end().users.delete_user(request).await.unwrap();
    assert_eq!((rows(&app, "outbox").await, app.mails_waiting().await), (0, 0), "nor is the address kept");
}

#[rstest]
#[tokio::test]
async fn counters_are_kept_until_they_hold_nothing(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    try_password(&app.back_end(), email("ada@example.com"), "wrong password").await.unwrap_err();
    let subject = if engine == Engine::Postgres { "int4send(i)" } else { "CAST(i AS BLOB)" };
    let columns = "failures, last_failure_at, in_flight";
    let numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200)";
    let insert = format!(
        "INSERT INTO throttles (project_id, kind, subject, {columns}) \
         {numbers} SELECT project_id, kind, {subject}, {columns} FROM throttles, n"
    );
    app.database().await.execute_unprepared(&insert).await.unwrap();
    app.clock.advance(app.services.limits.memory - Duration::seconds(1));
    sweep(&app.services).await.unwrap();
    assert_eq!(rows(&app, "throttles").await, 1201);
    app.clock.advance(Duration::seconds(1));
    sweep(&app.services).await.unwrap();
    assert_eq!(rows(&app, "throttles").await, 0);
}

/// What a version that knew no places left behind: a round does a part of it, and says that there is more.
#[rstest]
#[tokio::test]
async fn a_long_backlog_of_events_takes_several_rounds(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    while sweep(&app.services).await.unwrap().more {}
    try_password(&app.back_end(), email("ada@example.com"), "wrong password").await.unwrap_err();
    let id = if engine == Engine::Postgres { "gen_random_uuid()" } else { "randomblob(16)" };
    let columns = "project_id, kind, created_at";
    let numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 22000)";
    let one = "SELECT project_id, kind, created_at FROM events ORDER BY id DESC LIMIT 1";
    let insert = format!("INSERT INTO events (id, {columns}) {numbers} SELECT {id}, {columns} FROM ({one}) AS one, n");
    app.database().await.execute_unprepared(&insert).await.unwrap();
    let before = rows(&app, "events").await;
    app.clock.advance(app.services.limits.event_retention.unwrap() + Duration::seconds(1));

    let first = sweep(&app.services).await.unwrap();
    assert_eq!(rows(&app, "events WHERE position IS NULL").await, 2001, "the rest has to wait");
    assert!(first.more && (5000..15_000).contains(&first.rows), "{first:?}");
    assert!(rows(&app, "events").await > before - 15_000);
    for _ in 0..3 {
        sweep(&app.services).await.unwrap();
    }
    assert_eq!(rows(&app, "events").await, 1, "the newest stays");
    assert!(!sweep(&app.services).await.unwrap().more);
}
