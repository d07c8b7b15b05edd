//! Sessions end when they are ended, and stay so.

use chrono::Duration;
use rstest::rstest;
use sea_orm::ConnectionTrait as _;
use signet::domain::{
    claims::CustomClaims,
    id::SessionId,
    page::Page,
    refresh::RefreshState,
    session::{AuthenticationMethod, NotLive, Session, SessionDuration, SessionState},
    user::{User, UserStatus},
};

use super::support::{Engine, TestStore, at_once, now, project};

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

/// Without any lock: of refreshes that were decided on the same generation one is written, and none on a session that has ended.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_refresh_is_written_once_and_only_on_what_it_was_decided_on(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(test) = TestStore::start(engine).await else { return };
    let mut session = test.session(test.user("ada").await);
    let tx = test.store.begin().await.unwrap();
    tx.sessions().insert(&session).await.unwrap();
    tx.commit().await.unwrap();

    session.refresh = RefreshState { generation: 2, rotated_at: Some(now()) };
    let written = at_once(8, |_| {
        let (store, session) = (test.store.clone(), session.clone());
        async move {
            let tx = store.begin().await.unwrap();
            let written = tx.sessions().refreshed(&session, 1).await.unwrap();
            tx.commit().await.unwrap();
            written
        }
    })
    .await;
    assert_eq!(written.into_iter().filter(|written| *written).count(), 1);
    let found = test.store.view().sessions().find(test.project.id, session.id).await.unwrap().unwrap();
    assert_eq!(found.refresh, session.refresh);

    let tx = test.store.begin().await.unwrap();
    session.refresh.generation = 3;
    let elsewhere = Session { project_id: project().id, ..session.clone() };
    assert!(!tx.sessions().refreshed(&elsewhere, 2).await.unwrap(), "another project's");
    tx.sessions().revoke(test.project.id, session.id, now()).await.unwrap();
    assert!(!tx.sessions().refreshed(&session, 2).await.unwrap(), "an ended one");
}

/// What is read without a lock may be something else when it is written.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_refresh_is_written_in_one_statement_only_on_what_was_read(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(test) = TestStore::start(engine).await else { return };
    let (project_id, user_id) = (test.project.id, test.user("ada").await);
    let read = test.session(user_id);
    let SessionState::Active { idle_expires_at, expires_at } = read.state else { panic!("it is live") };
    let tx = test.store.begin().await.unwrap();
    tx.sessions().insert(&read).await.unwrap();
    tx.commit().await.unwrap();
    let second = Duration::seconds(1);
    let later =
        |idle, end| SessionState::Active { idle_expires_at: idle_expires_at + idle, expires_at: expires_at + end };
    let refresh = RefreshState { generation: 2, rotated_at: Some(now()) };
    let next = Session { refresh, last_used_at: now(), state: later(-second, Duration::zero()), ..read.clone() };
    let write = async |next: &Session, read: &Session| {
        test.store.alone().await.unwrap().sessions().refreshed_as_read(next, read).await.unwrap()
    };
    let set_status = async |status| {
        let tx = test.store.begin().await.unwrap();
        let user = tx.users().find(project_id, user_id).await.unwrap().unwrap();
        tx.users().update(&User { status, ..user }).await.unwrap();
        tx.commit().await.unwrap();
    };

    let idled = Session { state: later(second, Duration::zero()), ..read.clone() };
    assert!(!write(&next, &idled).await, "another idle end");
    let prolonged = Session { state: later(Duration::zero(), second), ..read.clone() };
    assert!(!write(&next, &prolonged).await, "another end");
    assert!(!write(&next, &Session { refresh, ..read.clone() }).await, "another generation");
    let elsewhere = project().id;
    assert!(!write(&Session { project_id: elsewhere, ..next.clone() }, &read).await, "another project's");
    set_status(UserStatus::Disabled).await;
    assert!(!write(&next, &read).await, "a disabled user's");
    set_status(UserStatus::Active).await;
    if engine == Engine::Postgres {
        let holder = test.store.begin().await.unwrap();
        holder.sessions().lock(project_id, read.id).await.unwrap();
        let written = tokio::time::timeout(std::time::Duration::from_secs(10), write(&next, &read)).await;
        assert!(!written.expect("it does not wait"), "a row that is held");
    }

    let written = at_once(8, |_| {
        let (store, next, read) = (test.store.clone(), next.clone(), read.clone());
        async move { store.alone().await.unwrap().sessions().refreshed_as_read(&next, &read).await.unwrap() }
    })
    .await;
    assert_eq!(written.into_iter().filter(|written| *written).count(), 1);
    let found = async || test.store.view().sessions().find(project_id, read.id).await.unwrap().unwrap();
    let there = found().await;
    assert_eq!((there.refresh, there.state, there.last_used_at), (next.refresh, next.state, next.last_used_at));
    let tx = test.store.begin().await.unwrap();
    tx.sessions().revoke(project_id, read.id, now()).await.unwrap();
    tx.commit().await.unwrap();
    let third = Session { refresh: RefreshState { generation: 3, ..refresh }, ..next.clone() };
    assert!(!write(&third, &next).await, "an ended one");
    assert_eq!(found().await.refresh, refresh);
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
                refresh_token_format, rotated_at, token_profile, last_used_at
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

fn an_hour() -> SessionDuration {
    SessionDuration::parse(3600, 0).unwrap()
}

#[rstest]
#[tokio::test]
async fn only_a_live_session_of_the_project_is_extended(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(test) = TestStore::start(engine).await else { return };
    let ada = test.user("ada").await;
    let [mut live, mut revoked, mut idle, never] = [ada, ada, ada, ada].map(|user| test.session(user));
    let later = now() + Duration::minutes(10);
    idle.state = SessionState::Active { idle_expires_at: later, expires_at: later + Duration::days(1) };
    let tx = test.store.begin().await.unwrap();
    for session in [&live, &revoked, &idle] {
        tx.sessions().insert(session).await.unwrap();
    }
    assert!(tx.sessions().revoke(test.project.id, revoked.id, now()).await.unwrap());
    // As it was read before it was ended.
    revoked.state = revoked.extended(now(), an_hour()).unwrap();
    assert!(!tx.sessions().extend(&revoked, later).await.unwrap());
    idle.state = idle.extended(now(), an_hour()).unwrap();
    assert!(!tx.sessions().extend(&idle, later).await.unwrap(), "it has idled away meanwhile");
    assert!(!tx.sessions().extend(&never, later).await.unwrap());
    live.state = live.extended(later, an_hour()).unwrap();
    let mut elsewhere = live.clone();
    elsewhere.project_id = project().id;
    assert!(!tx.sessions().extend(&elsewhere, later).await.unwrap());
    assert!(tx.sessions().extend(&live, later).await.unwrap());
    tx.commit().await.unwrap();

    let find = async |id| test.store.view().sessions().find(test.project.id, id).await.unwrap().unwrap();
    let end = later + Duration::hours(1);
    assert_eq!(find(live.id).await.state, SessionState::Active { idle_expires_at: end, expires_at: end });
    assert_eq!(find(revoked.id).await.state, SessionState::Revoked { revoked_at: now() });
    assert_eq!(find(revoked.id).await.extended(now(), an_hour()), Err(NotLive));
    assert!(!find(idle.id).await.is_live_at(later));
}

/// Whichever comes first, the session is over in the end.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_session_that_is_ended_and_extended_together_is_never_revived(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(test) = TestStore::start(engine).await else { return };
    let (ada, project_id) = (test.user("ada").await, test.project.id);
    for _ in 0..20 {
        let mut session = test.session(ada);
        let tx = test.store.begin().await.unwrap();
        tx.sessions().insert(&session).await.unwrap();
        tx.commit().await.unwrap();
        session.state = session.extended(now(), an_hour()).unwrap();
        let calls = at_once(6, |number| {
            let (store, session) = (test.store.clone(), session.clone());
            async move {
                let tx = store.begin().await.unwrap();
                let done = if number % 2 == 0 {
                    tx.sessions().extend(&session, now()).await.unwrap();
                    false
                } else {
                    tx.sessions().revoke(project_id, session.id, now()).await.unwrap()
                };
                tx.commit().await.unwrap();
                done
            }
        });
        assert_eq!(calls.await.into_iter().filter(|ended| *ended).count(), 1, "ended once");
        let found = test.store.view().sessions().find(project_id, session.id).await.unwrap().unwrap();
        assert_eq!(found.state, SessionState::Revoked { revoked_at: now() });
    }
    let tx = test.store.begin().await.unwrap();
    assert_eq!(tx.sessions().delete_ended(now(), 100).await.unwrap(), 20, "no end was moved after that");
    tx.commit().await.unwrap();
}

/// An extension that waits for the end of the session looks again.
#[tokio::test]
async fn on_postgres_an_extension_that_waits_for_a_revocation_comes_too_late() {
    let Some(test) = TestStore::start(Engine::Postgres).await else { return };
    let mut session = test.session(test.user("ada").await);
    let tx = test.store.begin().await.unwrap();
    tx.sessions().insert(&session).await.unwrap();
    tx.commit().await.unwrap();

    let revoke = test.store.begin().await.unwrap();
    assert!(revoke.sessions().revoke(test.project.id, session.id, now()).await.unwrap());
    let extend = test.store.begin().await.unwrap();
    session.state = session.extended(now(), an_hour()).unwrap();
    let id = session.id;
    let extended = tokio::spawn(async move {
        let extended = extend.sessions().extend(&session, now()).await.unwrap();
        extend.commit().await.unwrap();
        extended
    });
    while test.waiting_for_locks().await == 0 {
        tokio::task::yield_now().await;
    }
    revoke.commit().await.unwrap();
    assert!(!extended.await.unwrap());
    let found = test.store.view().sessions().find(test.project.id, id).await.unwrap().unwrap();
    assert_eq!(found.state, SessionState::Revoked { revoked_at: now() });
}

#[rstest]
#[tokio::test]
async fn a_list_holds_the_live_sessions_of_one_user_of_the_project(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(test) = TestStore::start(engine).await else { return };
    let (ada, grace) = (test.user("ada").await, test.user("grace").await);
    let [live, revoked, mut idle, of_grace] = [ada, ada, ada, grace].map(|user| test.session(user));
    idle.state = SessionState::Active { idle_expires_at: now(), expires_at: now() + Duration::days(1) };
    let tx = test.store.begin().await.unwrap();
    for session in [&live, &revoked, &idle, &of_grace] {
        tx.sessions().insert(session).await.unwrap();
    }
    tx.sessions().revoke(test.project.id, revoked.id, now()).await.unwrap();
    tx.commit().await.unwrap();
    let page = Page { size: 100, after: None };
    let list = async |project_id| {
        let view = test.store.view();
        let listed = view.sessions().list_live(project_id, ada, page, now()).await.unwrap().items;
        listed.into_iter().map(|session| session.id).collect::<Vec<_>>()
    };
    assert_eq!(list(test.project.id).await, [live.id]);
    assert_eq!(list(project().id).await, []);
}

#[rstest]
#[tokio::test]
async fn what_is_cleared_away_is_found_by_the_last_possible_end_alone(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(test) = TestStore::start(engine).await else { return };
    let ada = test.user("ada").await;
    let day = |number| now() + Duration::days(number);
    let [mut revoked, mut over, mut over_before] = [ada, ada, ada].map(|user| test.session(user));
    for (session, end) in [(&mut revoked, 20), (&mut over, 20), (&mut over_before, 1)] {
        session.state = SessionState::Active { idle_expires_at: day(1), expires_at: day(end) };
    }
    let tx = test.store.begin().await.unwrap();
    for session in [&revoked, &over, &over_before] {
        tx.sessions().insert(session).await.unwrap();
    }
    // One that is live, and one that is over, which keeps its end.
    assert!(tx.sessions().revoke(test.project.id, revoked.id, day(0)).await.unwrap());
    assert!(!tx.sessions().revoke(test.project.id, over_before.id, day(9)).await.unwrap());
    for (at, rows) in [(day(0) - Duration::microseconds(1), 0), (day(0), 1), (day(1), 1), (day(19), 0), (day(20), 1)] {
        assert_eq!(tx.sessions().delete_ended(at, 10).await.unwrap(), rows, "{at}");
    }
    tx.commit().await.unwrap();
}

#[rstest]
#[tokio::test]
async fn what_a_sign_in_adds_is_written_to_a_session_that_has_not_been_ended(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(test) = TestStore::start(engine).await else { return };
    let mut session = test.session(test.user("ada").await);
    let later = now() + Duration::seconds(7);
    let tx = test.store.begin().await.unwrap();
    tx.sessions().insert(&session).await.unwrap();
    session.proved_again(&[AuthenticationMethod::EmailCode, AuthenticationMethod::Password], later);
    let claims = serde_json::json!({"plan": "pro"});
    session.custom_claims = CustomClaims::parse(claims.as_object().unwrap().clone()).unwrap();
    session.last_used_at = later;
    session.state = session.extended(later, SessionDuration::parse(600, 0).unwrap()).unwrap();
    assert!(tx.sessions().joined(&session).await.unwrap());
    let elsewhere = Session { project_id: project().id, ..session.clone() };
    assert!(!tx.sessions().joined(&elsewhere).await.unwrap());
    tx.commit().await.unwrap();
    let read = test.store.view().sessions().find(test.project.id, session.id).await.unwrap().unwrap();
    assert_eq!(format!("{read:?}"), format!("{session:?}"), "all of it, and nothing else");

    let tx = test.store.begin().await.unwrap();
    tx.sessions().revoke(test.project.id, session.id, later).await.unwrap();
    assert!(!tx.sessions().joined(&session).await.unwrap(), "what was ended stays so");
    tx.commit().await.unwrap();
}
