//! Sessions end when they are ended, and stay so.

use chrono::Duration;
use rstest::rstest;
use sea_orm::ConnectionTrait as _;
use signet::domain::{id::SessionId, session::SessionState};

use super::support::{Engine, TestStore, now, project};

#[rstest]
#[tokio::test]
async fn a_session_is_ended_once(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(test) = TestStore::start(engine).await else { return };
    let session = test.session(test.user("ada").await);
    let tx = test.store.begin().await.unwrap();
    tx.sessions().insert(&session).await.unwrap();
    let later = now() + Duration::seconds(1);
    assert!(!tx.sessions().revoke(project().id, session.id, now()).await.unwrap(), "another project cannot");
    assert!(tx.sessions().revoke(test.project.id, session.id, now()).await.unwrap());
    assert!(!tx.sessions().revoke(test.project.id, session.id, later).await.unwrap());
    tx.commit().await.unwrap();
    let found = test.store.view().sessions().find(test.project.id, session.id).await.unwrap().unwrap();
    assert_eq!(found.state, SessionState::Revoked { revoked_at: now() });
    assert!(test.store.view().sessions().find(project().id, session.id).await.unwrap().is_none());
}

#[rstest]
#[tokio::test]
async fn all_of_a_users_sessions_end_but_the_one_that_is_named(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(test) = TestStore::start(engine).await else { return };
    let (ada, grace) = (test.user("ada").await, test.user("grace").await);
    let [kept, ended, before, mut over, of_grace] = [ada, ada, ada, ada, grace].map(|user| test.session(user));
    let later = now() + Duration::seconds(1);
    over.state = SessionState::Active { idle_expires_at: later, expires_at: later + Duration::days(1) };
    let tx = test.store.begin().await.unwrap();
    for session in [&kept, &ended, &before, &over, &of_grace] {
        tx.sessions().insert(session).await.unwrap();
    }
    tx.sessions().revoke(test.project.id, before.id, now()).await.unwrap();
    let told = tx.sessions().revoke_all(ada, Some(kept.id), later).await.unwrap();
    assert_eq!(told, [ended.id], "what was over is not news");
    tx.commit().await.unwrap();

    let state = async |id| test.store.view().sessions().find(test.project.id, id).await.unwrap().unwrap().state;
    assert_eq!(state(kept.id).await, kept.state);
    assert_eq!(state(of_grace.id).await, of_grace.state);
    assert_eq!(state(ended.id).await, SessionState::Revoked { revoked_at: later });
    assert_eq!(state(over.id).await, SessionState::Revoked { revoked_at: later }, "clocks may differ");
    assert_eq!(state(before.id).await, SessionState::Revoked { revoked_at: now() }, "it had ended before");
}

/// More than a statement may have parameters, on either engine. A machine that signs in every minute has that many in seven
/// weeks, and its user must still be possible to disable.
#[rstest]
#[tokio::test]
async fn seventy_thousand_sessions_end_together(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(test) = TestStore::start(engine).await else { return };
    let session = test.session(test.user("ada").await);
    let tx = test.store.begin().await.unwrap();
    tx.sessions().insert(&session).await.unwrap();
    tx.commit().await.unwrap();

    let id = match engine {
        Engine::Postgres => "gen_random_uuid()",
        Engine::Sqlite => "randomblob(16)",
    };
    let copies = format!(
        "WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 69999)
         INSERT INTO sessions
         SELECT {id}, project_id, user_id, client_id, methods, authenticated_at, ip_address, user_agent, custom_claims,
                resource, refresh_generation, created_at, idle_expires_at, expires_at, revoked_at,
                refresh_token_format, rotated_at
         FROM sessions CROSS JOIN number"
    );
    test.raw().await.execute_unprepared(&copies).await.unwrap();
    assert_eq!(test.rows("sessions WHERE revoked_at IS NULL").await, 70_000);

    let tx = test.store.begin().await.unwrap();
    let ended: Vec<SessionId> = tx.sessions().revoke_all(session.user_id, None, now()).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(ended.len(), 70_000);
    assert_eq!(test.rows("sessions WHERE revoked_at IS NULL").await, 0);
}
