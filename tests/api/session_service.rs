//! `SessionService`, and what else ends sessions: who sees them, what ends them, and what the audit trail says.

use chrono::Duration;
use rstest::rstest;
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use signet::{
    domain::id::SessionId,
    proto::{
        DeleteUserRequest, GetSessionRequest, ListSessionsRequest, ListSessionsResponse, RevokeAllSessionsRequest,
        RevokeSessionRequest, Session, SetPasswordRequest, authenticate_session_request::Credential,
    },
};
use tonic::Status;

use crate::{
    guessing::said,
    sessions::refusal,
    sign_in::{email, try_password},
    support::{Caller, Engine, PASSWORD, TestApp, reason},
};

const NEVER: &str = "session_01K0000000000000000000000Z";

/// Signs Ada in so many times, a minute apart.
async fn sign_in(app: &TestApp, count: usize) -> Vec<Session> {
    let mut sessions = Vec::new();
    for _ in 0..count {
        app.clock.advance(Duration::minutes(1));
        let answer = try_password(&app.back_end(), email("ada@example.com"), PASSWORD).await.unwrap();
        sessions.push(answer.session.unwrap());
    }
    sessions
}

pub(crate) async fn get(caller: &Caller, session_id: &str) -> Result<Session, Status> {
    let request = GetSessionRequest { session_id: session_id.into() };
    let answer = caller.sessions.clone().get_session(request).await?;
    Ok(answer.into_inner().session.unwrap())
}

async fn list(caller: &Caller, user_id: &str, size: i32, token: &str) -> Result<ListSessionsResponse, Status> {
    let request = ListSessionsRequest {
        user_id: user_id.into(),
        page_size: size,
        page_token: token.into(),
        ..Default::default()
    };
    caller.sessions.clone().list_sessions(request).await.map(tonic::Response::into_inner)
}

pub(crate) async fn revoke(caller: &Caller, session_id: &str) -> Result<Session, Status> {
    let request = RevokeSessionRequest { session_id: session_id.into() };
    let answer = caller.sessions.clone().revoke_session(request).await?;
    Ok(answer.into_inner().session.unwrap())
}

async fn revoke_all(caller: &Caller, user_id: &str, except: &str) -> Result<i32, Status> {
    let request = RevokeAllSessionsRequest { user_id: user_id.into(), except_session_id: except.into() };
    Ok(caller.sessions.clone().revoke_all_sessions(request).await?.into_inner().revoked_sessions)
}

async fn set_password(app: &TestApp, password: &str, except: &str) -> Result<(), Status> {
    let request = SetPasswordRequest {
        user_id: app.fixture.ada.to_string(),
        password: password.into(),
        except_session_id: except.into(),
        ..Default::default()
    };
    app.back_end().users.set_password(request).await.map(drop)
}

fn why<T: std::fmt::Debug>(answer: Result<T, Status>) -> String {
    reason(&answer.unwrap_err())
}

async fn is_live(app: &TestApp, session: &Session) -> bool {
    refusal(&app.back_end(), Credential::SessionId(session.session_id.clone())).await.is_empty()
}

#[rstest]
#[tokio::test]
async fn a_session_is_read_as_long_as_it_is_kept(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (caller, sessions) = (app.back_end(), sign_in(&app, 2).await);
    for session in &sessions {
        assert_eq!(get(&caller, &session.session_id).await.unwrap(), *session);
    }
    revoke(&caller, &sessions[0].session_id).await.unwrap();
    app.clock.advance(Duration::days(15));
    let [revoked, idle] = [&sessions[0], &sessions[1]];
    assert!(get(&caller, &revoked.session_id).await.unwrap().revoked_at.is_some());
    assert_eq!(get(&caller, &idle.session_id).await.unwrap(), *idle, "over, but nobody has ended it");
    assert!(!is_live(&app, idle).await);

    for id in [NEVER, &idle.session_id] {
        assert_eq!(why(get(&app.stranger(), id).await), "SESSION_NOT_FOUND");
    }
    assert_eq!(why(get(&caller, NEVER).await), "SESSION_NOT_FOUND");
    caller.users.clone().delete_user(DeleteUserRequest { user_id: idle.user_id.clone() }).await.unwrap();
    assert_eq!(why(get(&caller, &idle.session_id).await), "SESSION_NOT_FOUND");
}

#[rstest]
#[tokio::test]
async fn pages_hold_every_live_session_once_oldest_first(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (caller, ada) = (app.back_end(), app.fixture.ada.to_string());
    assert_eq!(list(&caller, &ada, 0, "").await.unwrap(), ListSessionsResponse::default(), "none yet");
    let mut sessions = sign_in(&app, 8).await;
    // One that was ended, and one that has idled away while the others were used.
    revoke(&caller, &sessions.remove(4).session_id).await.unwrap();
    let whole = list(&caller, &ada, 0, "").await.unwrap();
    assert_eq!((&whole.sessions, whole.next_page_token.as_str()), (&sessions, ""));

    let (mut seen, mut token) = (Vec::new(), String::new());
    for round in 0.. {
        let page = list(&caller, &ada, 3, &token).await.unwrap();
        assert!(page.sessions.len() <= 3);
        seen.extend(page.sessions);
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
        if round == 0 {
            // The session that the next page starts after ends meanwhile, and a new one is opened.
            revoke(&caller, &sessions[2].session_id).await.unwrap();
            sessions.extend(sign_in(&app, 1).await);
        }
    }
    assert_eq!(seen, sessions);

    app.clock.advance(Duration::days(14) - Duration::minutes(1));
    let left = list(&caller, &ada, 100, "").await.unwrap().sessions;
    assert_eq!(left, sessions[sessions.len() - 1..], "what has idled away is not live");
    let nobody = "user_01K0000000000000000000000Z";
    assert_eq!(why(list(&caller, nobody, 0, "").await), "USER_NOT_FOUND");
    assert_eq!(why(list(&app.stranger(), &ada, 0, "").await), "USER_NOT_FOUND");
}

#[rstest]
#[tokio::test]
async fn ending_a_session_twice_is_no_error_and_no_news(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (caller, sessions) = (app.back_end(), sign_in(&app, 3).await);
    let id = &sessions[0].session_id;
    let revoked = revoke(&caller, id).await.unwrap();
    assert_eq!(revoked.revoked_at.unwrap().seconds, app.services.clock.now().timestamp());
    assert_eq!(
        Session { revoked_at: None, ..revoked.clone() },
        Session { idle_expires_at: revoked.revoked_at, expires_at: revoked.revoked_at, ..sessions[0].clone() }
    );
    app.clock.advance(Duration::seconds(1));
    assert_eq!(revoke(&caller, id).await.unwrap(), revoked, "it has ended when it did");
    assert_eq!(get(&caller, id).await.unwrap(), revoked);
    assert_eq!(said(&app, "session.revoked (revoked)").await, 1);

    // One that has idled away has ended, too.
    app.clock.advance(Duration::days(14));
    revoke(&caller, &sessions[1].session_id).await.unwrap();
    assert_eq!(said(&app, "session.revoked (revoked)").await, 1);

    let before = get(&caller, &sessions[2].session_id).await.unwrap();
    assert_eq!(why(revoke(&caller, NEVER).await), "SESSION_NOT_FOUND");
    assert_eq!(why(revoke(&app.stranger(), &sessions[2].session_id).await), "SESSION_NOT_FOUND");
    assert_eq!(get(&caller, &sessions[2].session_id).await.unwrap(), before);
}

#[rstest]
#[tokio::test]
async fn all_sessions_of_a_user_end_but_the_one_that_is_named(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (caller, ada) = (app.back_end(), app.fixture.ada.to_string());
    let sessions = sign_in(&app, 4).await;
    revoke(&caller, &sessions[0].session_id).await.unwrap();
    assert_eq!(revoke_all(&caller, &ada, &sessions[2].session_id).await.unwrap(), 2);
    assert!(is_live(&app, &sessions[2]).await);
    for session in [&sessions[0], &sessions[1], &sessions[3]] {
        assert!(!is_live(&app, session).await);
    }
    assert_eq!(revoke_all(&caller, &ada, "").await.unwrap(), 1);
    assert_eq!(revoke_all(&caller, &ada, "").await.unwrap(), 0, "there is none left");
    assert!(!is_live(&app, &sessions[2]).await);
    assert_eq!(said(&app, "session.revoked (all_revoked)").await, 3);
    let nobody = "user_01K0000000000000000000000Z";
    assert_eq!(why(revoke_all(&caller, nobody, "").await), "USER_NOT_FOUND");
}

/// Ids that name no live session of Ada's: never made, ended, idled away, another user's.
async fn no_live_sessions_of_hers(app: &TestApp) -> Vec<String> {
    let sessions = sign_in(app, 2).await;
    revoke(&app.back_end(), &sessions[1].session_id).await.unwrap();
    app.clock.advance(Duration::days(14));
    let request = SetPasswordRequest {
        user_id: app.fixture.mute.to_string(),
        password: PASSWORD.into(),
        ..SetPasswordRequest::default()
    };
    app.back_end().users.set_password(request).await.unwrap();
    let username = signet::proto::authenticate_password_request::Identifier::Username("mute".into());
    let of_mute = try_password(&app.back_end(), username, PASSWORD).await.unwrap().session.unwrap();
    let mut ids: Vec<_> = sessions.into_iter().map(|session| session.session_id).collect();
    ids.extend([NEVER.to_owned(), of_mute.session_id]);
    ids
}

#[rstest]
#[tokio::test]
async fn nothing_ends_if_the_session_that_shall_go_on_is_no_live_one_of_the_user(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (caller, ada) = (app.back_end(), app.fixture.ada.to_string());
    let wrong = no_live_sessions_of_hers(&app).await;
    let live = sign_in(&app, 2).await;
    let before = app.events().await;
    for except in &wrong {
        assert_eq!(why(revoke_all(&caller, &ada, except).await), "SESSION_NOT_FOUND");
        assert_eq!(why(set_password(&app, "another long one", except).await), "SESSION_NOT_FOUND");
    }
    assert_eq!(why(revoke_all(&app.stranger(), &ada, &live[0].session_id).await), "USER_NOT_FOUND");
    assert_eq!(app.events().await, before);
    assert_eq!(list(&caller, &ada, 0, "").await.unwrap().sessions, live);
    try_password(&caller, email("ada@example.com"), PASSWORD).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn a_password_is_changed_from_a_session_that_goes_on(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let sessions = sign_in(&app, 3).await;
    set_password(&app, "another long one", &sessions[1].session_id).await.unwrap();
    assert!(is_live(&app, &sessions[1]).await);
    assert!(!is_live(&app, &sessions[0]).await && !is_live(&app, &sessions[2]).await);
    assert_eq!(get(&app.back_end(), &sessions[1].session_id).await.unwrap(), sessions[1]);
    assert_eq!(said(&app, "session.revoked (password_set)").await, 2);
    try_password(&app.back_end(), email("ada@example.com"), PASSWORD).await.unwrap_err();
    try_password(&app.back_end(), email("ada@example.com"), "another long one").await.unwrap();
}

#[rstest]
#[tokio::test]
async fn of_a_deleted_user_the_audit_trail_keeps_that_the_sessions_ended(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let sessions = sign_in(&app, 3).await;
    revoke(&app.back_end(), &sessions[0].session_id).await.unwrap();
    let request = DeleteUserRequest { user_id: app.fixture.ada.to_string() };
    app.back_end().users.delete_user(request.clone()).await.unwrap();
    let again = app.back_end().users.delete_user(request).await;
    assert_eq!(why(again), "USER_NOT_FOUND");
    assert_eq!((said(&app, "session.revoked (user_deleted)").await, said(&app, "user.deleted").await), (2, 1));
}

/// A sign-in has opened its session, and commits while somebody ends all sessions of the user.
#[rstest]
#[tokio::test]
async fn a_sign_in_that_is_just_being_completed_is_not_missed(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (store, random) = (app.services.store.clone(), &app.services.random);
    let (project_id, ada) = (app.fixture.project_id, app.fixture.ada);
    let known = SessionId::parse(&sign_in(&app, 1).await[0].session_id).unwrap();
    let mut session = store.view().sessions().find(project_id, known).await.unwrap().unwrap();
    session.id = SessionId::generate(app.services.clock.now(), random);

    let tx = store.begin().await.unwrap();
    tx.users().lock(project_id, ada).await.unwrap().unwrap();
    tx.sessions().insert(&session).await.unwrap();
    let caller = app.back_end();
    let ending = tokio::spawn(async move { revoke_all(&caller, &ada.to_string(), "").await.unwrap() });
    // SQLite has one writer, for which the other waits in any case.
    while engine == Engine::Postgres && !ending.is_finished() && !somebody_waits_for_a_lock(&app).await {
        tokio::task::yield_now().await;
    }
    tx.commit().await.unwrap();
    assert_eq!(ending.await.unwrap(), 2);
    let found = get(&app.back_end(), &session.id.to_string()).await.unwrap();
    assert!(found.revoked_at.is_some());
}

pub(crate) async fn somebody_waits_for_a_lock(app: &TestApp) -> bool {
    let waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let database = app.database().await;
    let row = database.query_one_raw(Statement::from_string(DbBackend::Postgres, waiting)).await.unwrap();
    database.close().await.unwrap();
    row.is_some()
}
