//! Refresh tokens: repeated, raced, lost and stolen.

use std::collections::BTreeSet;

use chrono::Duration;
use rstest::rstest;
use signet::{
    domain::{id::SessionId, signing_key::KeyPurpose},
    proto::{
        AuthenticateSessionRequest, DisableUserRequest, ProjectSettings, RefreshTokensRequest, RefreshTokensResponse,
        SignInRequest, SignInResponse, SignOutRequest, TokenOptions, UpdateProjectRequest,
        authenticate_session_request::Credential, sign_out_request,
    },
    usecase::signing_keys::{Activation, rotate_signing_key},
};
use tokio::task::JoinSet;
use tonic::Status;

use crate::{
    session_service::somebody_waits_for_a_lock,
    sign_in::{claims_of, session_is_live},
    support::{Caller, Engine, PASSWORD, TestApp, basic, operator_call, reason},
};

const GRACE: i64 = 30;

pub(crate) async fn sign_in(caller: &Caller) -> SignInResponse {
    let request = SignInRequest { login_id: "ada".into(), password: PASSWORD.into(), ..Default::default() };
    caller.auth.clone().sign_in(request).await.unwrap().into_inner()
}

/// The first refresh token of a new session.
pub(crate) async fn first_token(caller: &Caller) -> String {
    sign_in(caller).await.tokens.unwrap().refresh_token
}

pub(crate) async fn refresh(caller: &Caller, token: &str) -> Result<RefreshTokensResponse, Status> {
    let request = RefreshTokensRequest { refresh_token: token.into(), ..Default::default() };
    caller.auth.clone().refresh_tokens(request).await.map(tonic::Response::into_inner)
}

/// The refresh token that follows.
pub(crate) async fn successor(caller: &Caller, token: &str) -> String {
    refresh(caller, token).await.unwrap().tokens.unwrap().refresh_token
}

/// Why a refresh is refused; empty if it is not.
pub(crate) async fn refusal(caller: &Caller, token: &str) -> String {
    refresh(caller, token).await.err().map(|status| reason(&status)).unwrap_or_default()
}

/// Changes the settings of the project that the mask names.
pub(crate) async fn set(app: &TestApp, mask: &[&str], settings: ProjectSettings) {
    let request = UpdateProjectRequest {
        project_id: app.fixture.project_id.to_string(),
        settings: Some(settings),
        update_mask: Some(prost_types::FieldMask {
            paths: mask.iter().map(|name| format!("settings.{name}")).collect(),
        }),
        ..Default::default()
    };
    app.operator().projects.update_project(request).await.unwrap();
}

pub(crate) fn seconds(seconds: i64) -> prost_types::Duration {
    prost_types::Duration { seconds, nanos: 0 }
}

#[rstest]
#[tokio::test]
async fn a_refresh_gives_new_tokens_of_the_same_session(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let signed_in = sign_in(&app.public()).await;
    let (before, tokens) = (signed_in.session.unwrap(), signed_in.tokens.unwrap());
    app.clock.advance(Duration::hours(2));
    assert!(!session_is_live(&app.back_end(), &tokens.access_token).await, "the access token has expired");

    let request = RefreshTokensRequest {
        refresh_token: tokens.refresh_token.clone(),
        token_options: Some(TokenOptions { include_id_token: true, ..Default::default() }),
        include_session_token: true,
    };
    let answer = app.public().auth.refresh_tokens(request).await.unwrap().into_inner();
    let (after, new) = (answer.session.unwrap(), answer.tokens.unwrap());
    assert_eq!(answer.user.unwrap().user_id, app.fixture.ada.to_string());
    assert!(session_is_live(&app.back_end(), &new.access_token).await);
    assert_ne!(new.refresh_token, tokens.refresh_token);
    assert!(new.id_token.is_some() && new.session_token.is_some());
    assert_eq!(after.expires_at, before.expires_at, "the end in any case does not move");
    let moved = |session: &signet::proto::Session| session.idle_expires_at.unwrap().seconds;
    assert_eq!(moved(&after) - moved(&before), 7200, "the idle end does");
    let mut same = before.clone();
    same.idle_expires_at = after.idle_expires_at;
    same.last_used_at = Some(prost_types::Timestamp { seconds: app.services.clock.now().timestamp(), nanos: 0 });
    assert_eq!(after, same, "and nothing else");
    let claims = claims_of(&new.access_token);
    assert_eq!(claims["sid"], before.session_id.as_str());
    assert_eq!(claims["auth_time"], before.authenticated_at.unwrap().seconds, "nobody has proved anything since");
    assert_eq!(answer.refresh_token_cookie.unwrap().max_age_seconds, new.refresh_expires_in_seconds);
}

#[rstest]
#[case::opaque(false)]
#[case::jwt(true)]
#[tokio::test]
async fn within_the_grace_period_the_same_token_gets_the_same_successor(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
    #[case] jwt: bool,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let caller = if jwt { jwt_app(&app).await } else { app.public() };
    let token = first_token(&caller).await;
    let next = successor(&caller, &token).await;
    app.clock.advance(Duration::seconds(GRACE) - Duration::microseconds(1));
    assert_eq!(successor(&caller, &token).await, next, "to the byte");
    assert_eq!(app.events().await.last().unwrap(), "refresh.repeated");
    // The repetition has not moved the window: it is counted from the first.
    app.clock.advance(Duration::microseconds(1));
    assert_eq!(refusal(&caller, &token).await, "REFRESH_TOKEN_REUSED");
}

#[rstest]
#[case::opaque(false)]
#[case::jwt(true)]
#[tokio::test]
async fn after_the_grace_period_a_token_that_comes_again_ends_the_session_on_every_replica(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
    #[case] jwt: bool,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let caller = if jwt { jwt_app(&app).await } else { app.public() };
    let other_replica = Caller::new(app.replica().await, Some(&app.fixture.confidential));
    let other_session = first_token(&caller).await;
    let stolen = first_token(&caller).await;
    let current = refresh(&caller, &stolen).await.unwrap().tokens.unwrap();
    app.clock.advance(Duration::seconds(GRACE));
    assert!(session_is_live(&other_replica, &current.access_token).await);

    assert_eq!(refusal(&caller, &stolen).await, "REFRESH_TOKEN_REUSED");
    assert!(!session_is_live(&other_replica, &current.access_token).await);
    for token in [&stolen, &current.refresh_token] {
        assert_eq!(refusal(&other_replica, token).await, "SESSION_NOT_ACTIVE", "for the owner and the thief");
    }
    let events = app.events().await;
    for event in ["refresh.reused", "session.revoked (refresh_token_reuse)"] {
        assert_eq!(events.iter().filter(|known| *known == event).count(), 1, "{event}");
    }
    successor(&caller, &other_session).await;
}

#[rstest]
#[tokio::test]
async fn a_token_older_than_the_last_is_a_copy_at_once(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let first = first_token(&app.public()).await;
    let second = successor(&app.public(), &first).await;
    // Whoever holds the third has had the second, and has no use for the first.
    successor(&app.public(), &second).await;
    assert_eq!(refusal(&app.public(), &first).await, "REFRESH_TOKEN_REUSED");
}

/// Two tabs, two pods, and all the others.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_refreshes_of_one_token_over_three_replicas_give_one_successor(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let replicas = [app.routes(), app.replica().await, app.replica().await];
    let callers = replicas.map(|routes| Caller::new(routes, Some(&app.fixture.public)));
    let mut token = first_token(&callers[0]).await;
    for round in 2..5 {
        let mut calls = JoinSet::new();
        for number in 0..100 {
            let (caller, token) = (callers[number % 3].clone(), token.clone());
            calls.spawn(async move { successor(&caller, &token).await });
        }
        let successors: BTreeSet<String> = calls.join_all().await.into_iter().collect();
        assert_eq!(successors.len(), 1, "round {round}");
        let next = successors.into_iter().next().unwrap();
        assert_ne!(next, token);
        token = next;
        let answer = refresh(&callers[1], &token).await.unwrap();
        token = answer.tokens.unwrap().refresh_token;
    }
    assert!(!app.events().await.iter().any(|event| event.starts_with("session.revoked")));
}

#[rstest]
#[case::opaque(false)]
#[case::jwt(true)]
#[tokio::test]
async fn with_rotation_off_the_same_token_stays_good_as_long_as_the_session_lives(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
    #[case] jwt: bool,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let off = ProjectSettings { rotate_refresh_tokens: Some(false), ..Default::default() };
    set(&app, &["rotate_refresh_tokens"], off).await;
    let caller = if jwt { jwt_app(&app).await } else { app.public() };
    let token = first_token(&caller).await;
    for _ in 0..2 {
        app.clock.advance(Duration::days(13));
        let next = successor(&caller, &token).await;
        if jwt {
            // It says when the session ends, which moves on. The one of before says less, and is as good.
            assert_eq!(claims_of(&next)["refresh_generation"], 1);
            assert!(claims_of(&next)["exp"].as_i64() > claims_of(&token)["exp"].as_i64());
        } else {
            assert_eq!(next, token);
        }
    }
    app.clock.advance(Duration::days(2));
    assert_eq!(refusal(&caller, &token).await, "SESSION_NOT_ACTIVE", "28 days are the end in any case");
}

/// The end that a JWT tells is the one of the day it was made.
#[rstest]
#[case::opaque(false)]
#[case::jwt(true)]
#[tokio::test]
async fn a_session_that_was_extended_is_refreshed_with_the_token_of_before(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
    #[case] jwt: bool,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let caller = if jwt { jwt_app(&app).await } else { app.public() };
    let signed_in = sign_in(&caller).await;
    let token = signed_in.tokens.unwrap().refresh_token;
    let request = AuthenticateSessionRequest {
        credential: Some(Credential::SessionId(signed_in.session.unwrap().session_id)),
        session_duration: Some(seconds(100 * 86_400)),
        ..Default::default()
    };
    app.back_end().auth.authenticate_session(request).await.unwrap();
    app.clock.advance(Duration::days(99));
    let next = successor(&caller, &token).await;
    app.clock.advance(Duration::days(1));
    assert_eq!(refusal(&caller, &next).await, "SESSION_NOT_ACTIVE");
}

#[rstest]
#[case::opaque(false)]
#[case::jwt(true)]
#[tokio::test]
async fn a_rotated_key_disturbs_no_refresh(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
    #[case] jwt: bool,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let authorization = if jwt { jwt_authorization(&app).await } else { app.fixture.public.clone() };
    let replica = Caller::new(app.replica().await, Some(&authorization));
    let caller = app.caller(Some(&authorization));
    let (first, older) = (first_token(&caller).await, first_token(&caller).await);
    let next = successor(&caller, &first).await;
    app.clock.advance(Duration::seconds(1));
    for purpose in KeyPurpose::ALL {
        let id = app.fixture.project_id;
        rotate_signing_key(&app.services, &operator_call(), id, purpose, Activation::Now).await.unwrap();
    }
    for at in [&caller, &replica] {
        assert_eq!(successor(at, &first).await, next, "made with the key of then");
        app.clock.advance(Duration::seconds(6));
    }
    // What the old keys made is good for as long as its session.
    let newest = successor(&replica, &next).await;
    successor(&caller, &newest).await;
    app.clock.advance(Duration::days(13));
    successor(&replica, &older).await;
}

#[rstest]
#[tokio::test]
async fn a_session_that_is_not_refreshed_ends_and_so_does_one_that_always_is(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (idle, mut busy) = (first_token(&app.public()).await, first_token(&app.public()).await);
    for _ in 0..2 {
        app.clock.advance(Duration::days(13));
        busy = successor(&app.public(), &busy).await;
    }
    assert_eq!(refusal(&app.public(), &idle).await, "SESSION_NOT_ACTIVE");
    app.clock.advance(Duration::days(2) - Duration::microseconds(1));
    busy = successor(&app.public(), &busy).await;
    app.clock.advance(Duration::microseconds(1));
    assert_eq!(refusal(&app.public(), &busy).await, "SESSION_NOT_ACTIVE");
}

#[rstest]
#[tokio::test]
async fn lifetimes_and_the_grace_period_are_the_projects(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let mask = ["access_token_lifetime", "refresh_grace_period", "session_idle_lifetime", "session_absolute_lifetime"];
    let settings = ProjectSettings {
        access_token_lifetime: Some(seconds(90)),
        refresh_grace_period: Some(seconds(5)),
        session_idle_lifetime: Some(seconds(600)),
        session_absolute_lifetime: Some(seconds(900)),
        ..Default::default()
    };
    set(&app, &mask, settings).await;
    let token = first_token(&app.public()).await;
    app.clock.advance(Duration::seconds(599));
    let next = refresh(&app.public(), &token).await.unwrap().tokens.unwrap();
    assert_eq!((next.expires_in_seconds, next.refresh_expires_in_seconds), (90, 301), "no further than the session");
    app.clock.advance(Duration::seconds(4));
    assert_eq!(successor(&app.public(), &token).await, next.refresh_token);
    app.clock.advance(Duration::seconds(1));
    assert_eq!(refusal(&app.public(), &token).await, "REFRESH_TOKEN_REUSED");

    let none = ProjectSettings { refresh_grace_period: Some(seconds(0)), ..Default::default() };
    set(&app, &["refresh_grace_period"], none).await;
    let token = first_token(&app.public()).await;
    successor(&app.public(), &token).await;
    assert_eq!(refusal(&app.public(), &token).await, "REFRESH_TOKEN_REUSED", "no second answer");
}

#[rstest]
#[case::signed_out("signed out")]
#[case::disabled("disabled")]
#[case::signed_out_by_an_old_token("old token")]
#[tokio::test]
async fn an_ended_session_gets_no_tokens_on_any_replica(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
    #[case] how: &str,
) {
    use sign_out_request::Credential as Ending;
    let Some(app) = TestApp::start(engine).await else { return };
    let replica = Caller::new(app.replica().await, Some(&app.fixture.public));
    let first = first_token(&app.public()).await;
    let token = successor(&replica, &first).await;
    let sign_out = |credential| SignOutRequest { credential: Some(credential), ..Default::default() };
    match how {
        "signed out" => drop(app.public().auth.sign_out(sign_out(Ending::RefreshToken(token.clone()))).await.unwrap()),
        "old token" => {
            app.clock.advance(Duration::hours(1));
            app.public().auth.sign_out(sign_out(Ending::RefreshToken(first))).await.unwrap();
        }
        _ => {
            let request = DisableUserRequest { user_id: app.fixture.ada.to_string() };
            app.back_end().users.disable_user(request).await.unwrap();
        }
    }
    for caller in [&replica, &app.public()] {
        assert_eq!(refusal(caller, &token).await, "SESSION_NOT_ACTIVE");
    }
}

#[rstest]
#[tokio::test]
async fn a_refresh_token_belongs_to_the_client_it_was_issued_to(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let token = first_token(&app.public()).await;
    let other_app = jwt_app(&app).await;
    assert_eq!(refusal(&other_app, &token).await, "TOKEN_INVALID", "another application");
    assert_eq!(refusal(&app.stranger(), &token).await, "TOKEN_INVALID", "another project");
    let next = successor(&app.back_end(), &token).await;
    successor(&app.public(), &next).await;
}

#[rstest]
#[tokio::test]
async fn an_access_token_can_be_for_another_resource_but_for_no_resource_that_was_given_up(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let token = first_token(&app.public()).await;
    let with = |refresh_token: &str, resource: &str| RefreshTokensRequest {
        refresh_token: refresh_token.into(),
        token_options: Some(TokenOptions { resource: resource.into(), ..Default::default() }),
        ..Default::default()
    };
    let wrong = app.public().auth.refresh_tokens(with(&token, "https://other.example/")).await.unwrap_err();
    assert_eq!(reason(&wrong), "RESOURCE_NOT_ALLOWED");
    let request = with(&token, "https://api.example/");
    let tokens = app.public().auth.refresh_tokens(request).await.unwrap().into_inner().tokens.unwrap();
    assert_eq!(claims_of(&tokens.access_token)["aud"], "https://api.example/");
    let next = refresh(&app.public(), &tokens.refresh_token).await.unwrap().tokens.unwrap();
    assert_eq!(claims_of(&next.access_token)["aud"], app.fixture.project_id.to_string());

    set(&app, &["allowed_resources"], ProjectSettings::default()).await;
    let request = with(&next.refresh_token, "https://api.example/");
    assert_eq!(reason(&app.public().auth.refresh_tokens(request).await.unwrap_err()), "RESOURCE_NOT_ALLOWED");
    successor(&app.public(), &next.refresh_token).await;
}

/// The grace period begins when the session moves on, not when the call came in: a refresh that had to wait would else open one
/// that is over already.
#[tokio::test]
async fn a_refresh_that_waited_long_for_the_database_can_be_repeated() {
    let Some(app) = TestApp::start(Engine::Postgres).await else { return };
    let signed_in = sign_in(&app.public()).await;
    let token = signed_in.tokens.unwrap().refresh_token;
    let id = SessionId::parse(&signed_in.session.unwrap().session_id).unwrap();
    let holder = app.services.store.begin().await.unwrap();
    holder.sessions().lock(app.fixture.project_id, id).await.unwrap();
    let waiting = tokio::spawn({
        let (caller, token) = (app.public(), token.clone());
        async move { successor(&caller, &token).await }
    });
    while !somebody_waits_for_a_lock(&app).await {
        tokio::task::yield_now().await;
    }
    app.clock.advance(Duration::seconds(GRACE) * 2);
    drop(holder);
    let next = waiting.await.unwrap();
    assert_eq!(successor(&app.public(), &token).await, next);
}

/// A failover to a copy of the database that lacks the last moments must not sign out whoever refreshed in them.
#[rstest]
#[tokio::test]
async fn a_token_that_the_database_has_forgotten_is_taken_on(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let first = first_token(&app.public()).await;
    let second = successor(&app.public(), &first).await;
    let third = successor(&app.public(), &second).await;
    let database = app.database().await;
    let set_back = "UPDATE sessions SET refresh_generation = 1, rotated_at = NULL";
    sea_orm::ConnectionTrait::execute_unprepared(&database, set_back).await.unwrap();
    let fourth = successor(&app.public(), &third).await;
    assert_eq!(successor(&app.public(), &third).await, fourth);
    assert_eq!(refusal(&app.public(), &second).await, "REFRESH_TOKEN_REUSED", "from there on all is as before");
}

#[rstest]
#[tokio::test]
async fn a_refresh_token_in_the_form_of_a_jwt_says_whose_it_is_and_how_long_it_lasts(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let caller = jwt_app(&app).await;
    let signed_in = sign_in(&caller).await;
    let (session, tokens) = (signed_in.session.unwrap(), signed_in.tokens.unwrap());
    let claims = claims_of(&tokens.refresh_token);
    assert_eq!(claims["sub"], app.fixture.ada.to_string());
    assert_eq!(claims["sid"], session.session_id.as_str());
    assert_eq!(claims["exp"], session.idle_expires_at.unwrap().seconds);
    assert_eq!((&claims["token_kind"], &claims["refresh_generation"]), (&"refresh".into(), &1.into()));

    // It opens nothing but the next refresh, and nothing else opens that.
    let authenticate = |credential| AuthenticateSessionRequest { credential: Some(credential), ..Default::default() };
    for credential in [Credential::AccessToken, Credential::SessionToken] {
        let request = authenticate(credential(tokens.refresh_token.clone()));
        let status = app.back_end().auth.authenticate_session(request).await.unwrap_err();
        assert_eq!(reason(&status), "TOKEN_INVALID");
    }
    for other in [&tokens.access_token, tokens.session_token.as_ref().unwrap()] {
        assert_eq!(refusal(&caller, other).await, "TOKEN_INVALID");
    }
    let next = successor(&caller, &tokens.refresh_token).await;
    assert_eq!(claims_of(&next)["refresh_generation"], 2);
}

#[rstest]
#[case::opaque(false)]
#[case::jwt(true)]
#[tokio::test]
async fn a_token_cut_or_changed_anywhere_is_refused_and_harms_nobody(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
    #[case] jwt: bool,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let caller = if jwt { jwt_app(&app).await } else { app.public() };
    let token = first_token(&caller).await;
    // No database is asked for a forged token: elsewhere than here every seventh place will do.
    let step = if engine == Engine::Sqlite { 1 } else { 7 };
    for at in (1..token.len()).step_by(step) {
        assert_eq!(refusal(&caller, &token[..at]).await, "TOKEN_INVALID", "cut at {at}");
        let mut bytes = token.clone().into_bytes();
        bytes[at] ^= 1 << (at % 7);
        let changed = String::from_utf8(bytes).unwrap();
        assert_eq!(refusal(&caller, &changed).await, "TOKEN_INVALID", "changed at {at}");
    }
    successor(&caller, &token).await;
}

/// An application whose refresh tokens are JWTs.
pub(crate) async fn jwt_app(app: &TestApp) -> Caller {
    app.caller(Some(&jwt_authorization(app).await))
}

async fn jwt_authorization(app: &TestApp) -> String {
    use signet::proto::{ClientType, CreateClientRequest, RefreshTokenFormat};
    let request = CreateClientRequest {
        project_id: app.fixture.project_id.to_string(),
        name: "jwt".into(),
        client_type: ClientType::Public.into(),
        refresh_token_format: RefreshTokenFormat::Jwt.into(),
        ..Default::default()
    };
    let client = app.operator().projects.create_client(request).await.unwrap().into_inner().client.unwrap();
    basic(&client.client_id, &String::new().into())
}
