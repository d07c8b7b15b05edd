//! Sessions that are shown by a refresh token, given other claims, and gone on with by a back end.

use chrono::Duration;
use rstest::rstest;
use serde_json::{Value, json};
use signet::proto::{
    AuthenticateSessionRequest, AuthenticateSessionResponse, ClientContext, DisableUserRequest, ProjectSettings,
    ResumeSessionRequest, ResumeSessionResponse, TokenOptions, authenticate_session_request::Credential,
};
use tonic::Status;

use crate::{
    refresh::{self, first_token, jwt_app, seconds, set, successor},
    session_service::{get, revoke},
    sessions::{refusal, sign_in},
    sign_in::{claims_of, session_is_live},
    support::{Caller, Engine, TestApp, field_violations, object, reason},
};

fn shown(token: &str) -> Credential {
    Credential::RefreshToken(token.to_owned())
}

async fn claim(caller: &Caller, credential: Credential, claims: Value) -> Result<AuthenticateSessionResponse, Status> {
    let request = AuthenticateSessionRequest {
        credential: Some(credential),
        custom_claims: Some(object(claims.as_object().unwrap())),
        renew_session_token: true,
        ..Default::default()
    };
    caller.auth.clone().authenticate_session(request).await.map(tonic::Response::into_inner)
}

pub(crate) async fn resume(caller: &Caller, session_id: &str) -> Result<ResumeSessionResponse, Status> {
    let request = ResumeSessionRequest { session_id: session_id.into(), ..Default::default() };
    caller.auth.clone().resume_session(request).await.map(tonic::Response::into_inner)
}

#[rstest]
#[tokio::test]
async fn a_refresh_token_that_is_shown_stays_what_it_is(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
    #[values(false, true)] is_jwt: bool,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let caller = if is_jwt { jwt_app(&app).await } else { app.public() };
    let first = first_token(&caller).await;
    app.clock.advance(Duration::hours(1));
    let request = AuthenticateSessionRequest { credential: Some(shown(&first)), ..Default::default() };
    let answer = caller.auth.clone().authenticate_session(request).await.unwrap().into_inner();
    let session = answer.session.unwrap();
    assert_eq!(answer.token_expires_in.unwrap().seconds, 14 * 86_400 - 3600, "as long as the session");
    assert_eq!(session.last_used_at, session.created_at, "to be looked at is no use");
    let second = successor(&caller, &first).await;
    for token in [&first, &second] {
        assert_eq!(refusal(&caller, shown(token)).await, "", "the one before is good for a while");
    }
    app.clock.advance(Duration::seconds(30));
    assert_eq!(refusal(&caller, shown(&first)).await, "TOKEN_INVALID");
    assert_eq!(refusal(&caller, shown(&second)).await, "", "and its being shown late ends nothing");
    let third = successor(&caller, &second).await;
    assert_eq!(refusal(&caller, shown(&first)).await, "TOKEN_INVALID", "older than the one before");
    assert_eq!(refresh::refusal(&caller, &third).await, "");
}

#[rstest]
#[tokio::test]
async fn a_refresh_token_is_shown_by_its_own_client_or_a_back_end(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let other_app = jwt_app(&app).await;
    let token = first_token(&app.public()).await;
    assert_eq!(refusal(&other_app, shown(&token)).await, "TOKEN_INVALID");
    assert_eq!(refusal(&app.stranger(), shown(&token)).await, "TOKEN_INVALID");
    assert_eq!(refusal(&app.back_end(), shown(&token)).await, "");
    let session = sign_in(&app).await.session.unwrap();
    let named = Credential::SessionId(session.session_id.clone());
    assert_eq!(refusal(&app.public(), named.clone()).await, "CALLER_NOT_PERMITTED", "an id is no secret");
    assert_eq!(refusal(&app.back_end(), named).await, "");
}

#[rstest]
#[tokio::test]
async fn claims_are_merged_into_the_sessions_and_stand_in_its_tokens(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let signed_in = sign_in(&app).await;
    let token = signed_in.tokens.unwrap().refresh_token;
    claim(&app.public(), shown(&token), json!({"a": {"b": 1, "c": 2}, "d": "x"})).await.unwrap();
    app.clock.advance(Duration::minutes(1));
    let answer = claim(&app.public(), shown(&token), json!({"a": {"b": null, "e": 3}, "d": null})).await.unwrap();
    let expected = json!({"a": {"c": 2, "e": 3}});
    assert_eq!(claims_of(&answer.session_token.unwrap())["custom_claims"], expected);
    let session = answer.session.unwrap();
    assert_eq!(session.expires_at, signed_in.session.as_ref().unwrap().expires_at, "nothing else has changed");
    assert_eq!(get(&app.back_end(), &session.session_id).await.unwrap(), session);
    let next = refresh::refresh(&app.public(), &token).await.unwrap().tokens.unwrap();
    assert_eq!(claims_of(&next.access_token)["custom_claims"], expected);

    let large = json!({"f": "x".repeat(4080)});
    let status = claim(&app.public(), shown(&next.refresh_token), large).await.unwrap_err();
    assert_eq!(field_violations(&status), ["custom_claims"], "each is within the bounds, but not both together");
    revoke(&app.back_end(), &session.session_id).await.unwrap();
    let status = claim(&app.public(), shown(&next.refresh_token), json!({"g": 1})).await.unwrap_err();
    assert_eq!(reason(&status), "SESSION_NOT_ACTIVE");
}

#[rstest]
#[tokio::test]
async fn of_changes_that_come_together_none_is_lost(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let session = sign_in(&app).await.session.unwrap();
    let mut changes = tokio::task::JoinSet::new();
    for number in 0..8 {
        let (caller, id) = (app.back_end(), session.session_id.clone());
        let name = format!("n{number}");
        changes.spawn(async move { claim(&caller, Credential::SessionId(id), json!({name: number})).await.unwrap() });
    }
    changes.join_all().await;
    let claims = get(&app.back_end(), &session.session_id).await.unwrap().custom_claims.unwrap();
    assert_eq!(claims.fields.len(), 8);
}

#[rstest]
#[tokio::test]
async fn a_resumed_session_has_new_tokens_and_its_old_refresh_token(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let signed_in = sign_in(&app).await;
    let (before, tokens) = (signed_in.session.unwrap(), signed_in.tokens.unwrap());
    let second = successor(&app.public(), &tokens.refresh_token).await;
    app.clock.advance(Duration::days(2));
    let request = ResumeSessionRequest {
        session_id: before.session_id.clone(),
        token_options: Some(TokenOptions { include_id_token: true, ..Default::default() }),
        include_session_token: true,
        client_context: Some(ClientContext { ip_address: "192.0.2.1".into(), ..Default::default() }),
    };
    let answer = app.back_end().auth.resume_session(request).await.unwrap().into_inner();
    let (after, new) = (answer.session.unwrap(), answer.tokens.unwrap());
    assert_eq!(new.refresh_token, second, "whoever holds it is not signed out");
    assert!(new.id_token.is_some() && new.session_token.is_some());
    assert!(session_is_live(&app.back_end(), &new.access_token).await);
    assert_eq!(answer.user.unwrap().user_id, app.fixture.ada.to_string());
    assert_eq!((after.authenticated_at, after.expires_at), (before.authenticated_at, before.expires_at));
    assert_eq!(after.idle_expires_at.unwrap().seconds - before.idle_expires_at.unwrap().seconds, 2 * 86_400);
    assert_eq!(after.last_used_at.unwrap().seconds, app.services.clock.now().timestamp());
    assert_eq!(get(&app.back_end(), &before.session_id).await.unwrap(), after);
    successor(&app.public(), &second).await;
    assert!(app.events().await.contains(&"session.resumed".to_owned()));
}

#[rstest]
#[tokio::test]
async fn only_a_live_session_of_the_callers_project_is_resumed(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let refused = async |caller: &Caller, id: &str| reason(&resume(caller, id).await.unwrap_err());
    let [one, two] = [sign_in(&app).await, sign_in(&app).await].map(|answer| answer.session.unwrap().session_id);
    assert_eq!(refused(&app.public(), &one).await, "CALLER_NOT_PERMITTED");
    assert_eq!(refused(&app.stranger(), &one).await, "SESSION_NOT_ACTIVE");
    revoke(&app.back_end(), &one).await.unwrap();
    assert_eq!(refused(&app.back_end(), &one).await, "SESSION_NOT_ACTIVE");
    resume(&app.back_end(), &two).await.unwrap();

    let request = ResumeSessionRequest {
        session_id: two.clone(),
        token_options: Some(TokenOptions { resource: "https://elsewhere.example/".into(), ..Default::default() }),
        ..Default::default()
    };
    let status = app.back_end().auth.resume_session(request).await.unwrap_err();
    assert_eq!(reason(&status), "RESOURCE_NOT_ALLOWED");
    let user_id = app.fixture.ada.to_string();
    app.back_end().users.disable_user(DisableUserRequest { user_id }).await.unwrap();
    assert_eq!(refused(&app.back_end(), &two).await, "SESSION_NOT_ACTIVE");
}

#[rstest]
#[tokio::test]
async fn without_rotation_the_one_token_is_shown_for_ever(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let off = ProjectSettings { rotate_refresh_tokens: Some(false), ..Default::default() };
    set(&app, &["rotate_refresh_tokens"], off).await;
    let token = first_token(&app.public()).await;
    app.clock.advance(Duration::days(13));
    let request = AuthenticateSessionRequest {
        credential: Some(shown(&token)),
        session_duration: Some(seconds(3600)),
        ..Default::default()
    };
    let answer = app.public().auth.authenticate_session(request).await.unwrap().into_inner();
    assert_eq!(answer.token_expires_in.unwrap().seconds, 3600);
    let session = answer.session.unwrap();
    assert_eq!(session.last_used_at.unwrap().seconds, app.services.clock.now().timestamp());
    assert_eq!(successor(&app.public(), &token).await, token);
}
