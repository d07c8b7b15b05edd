//! A password reset that also signs in.

use chrono::Duration;
use rstest::rstest;
use serde_json::json;
use signet::proto::{
    CompletePasswordResetRequest, CompletePasswordResetResponse, SessionOptions, TokenOptions,
    session_options::ExistingSession,
};
use tonic::Status;

use crate::{
    guessing::context,
    password_reset::{NEW, count, signs_in, start_by_code},
    session_options::{claims, joining, lasting, without},
    sessions::sign_in,
    sign_in::{claims_of, session_is_live},
    support::{ADA, Engine, GRACE, PASSWORD, TestApp, field_violations, reason},
};

async fn complete(
    app: &TestApp,
    (token, code): (&str, &str),
    request: CompletePasswordResetRequest,
) -> Result<CompletePasswordResetResponse, Status> {
    let request = CompletePasswordResetRequest {
        password_reset_token: token.into(),
        code: code.into(),
        new_password: NEW.into(),
        ..request
    };
    app.public().auth.complete_password_reset(request).await.map(tonic::Response::into_inner)
}

#[rstest]
#[tokio::test]
async fn every_session_ends_but_the_one_that_it_opens(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let before = sign_in(&app).await.tokens.unwrap();
    let (token, code) = start_by_code(&app, ADA).await;
    let wanted = CompletePasswordResetRequest {
        client_context: Some(context("192.0.2.7", "")),
        session_options: Some(lasting(900)),
        token_options: Some(TokenOptions {
            include_id_token: true,
            resource: "https://api.example/".into(),
            ..Default::default()
        }),
        custom_claims: Some(claims(&json!({"plan": "pro"}))),
        ..Default::default()
    };
    let answer = complete(&app, (&token, &code), wanted).await.unwrap();
    let (session, tokens) = (answer.session.unwrap(), answer.tokens.unwrap());
    assert_eq!(session.client_context.unwrap().ip_address, "192.0.2.7");
    assert_eq!(tokens.refresh_expires_in_seconds, 900);
    let access = claims_of(&tokens.access_token);
    assert_eq!((&access["aud"], &access["custom_claims"]), (&json!("https://api.example/"), &json!({"plan": "pro"})));
    assert!(tokens.id_token.is_some() && tokens.session_token.is_some());
    assert_eq!(answer.refresh_token_cookie.unwrap().max_age_seconds, 900);
    assert!(!answer.device_token.is_empty());
    assert!(session_is_live(&app.back_end(), &tokens.access_token).await);
    assert!(!session_is_live(&app.back_end(), &before.access_token).await);
    let events = app.events().await;
    assert_eq!(count(&events, "password.set (reset)"), 1);
    assert_eq!(count(&events, "session.revoked (password_reset)"), 1);
    assert!(signs_in(&app, ADA, NEW).await);
}

#[rstest]
#[tokio::test]
async fn the_mail_verifies_the_address_so_nothing_stops_the_sign_in(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (token, code) = start_by_code(&app, GRACE).await;
    let wanted =
        CompletePasswordResetRequest { session_options: Some(SessionOptions::default()), ..Default::default() };
    let answer = complete(&app, (&token, &code), wanted).await.unwrap();
    assert!(answer.user.unwrap().email_verified && answer.session.is_some());
    app.clock.advance(Duration::minutes(1));
    let (token, code) = start_by_code(&app, GRACE).await;
    let wanted = CompletePasswordResetRequest { session_options: Some(without()), ..Default::default() };
    let answer = complete(&app, (&token, &code), wanted).await.unwrap();
    assert_eq!((answer.session, answer.tokens, answer.refresh_token_cookie), (None, None, None));
    assert!(answer.user.is_some());
    assert_eq!(count(&app.events().await, "user.signed_in (without_session)"), 1);
}

#[rstest]
#[tokio::test]
async fn wishes_that_cannot_be_are_refused_and_the_reset_is_still_good(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (token, code) = start_by_code(&app, ADA).await;
    let request =
        |options: SessionOptions| CompletePasswordResetRequest { session_options: Some(options), ..Default::default() };
    let elsewhere = TokenOptions { resource: "https://elsewhere.example/".into(), ..Default::default() };
    let joined = joining(ExistingSession::RefreshToken("x".into()));
    for (request, expected, field) in [
        (request(joined), "INVALID_FIELD", "session_options.refresh_token"),
        (request(lasting(1)), "INVALID_FIELD", "session_options.duration"),
        (
            CompletePasswordResetRequest {
                custom_claims: Some(claims(&json!({"": 1}))),
                ..request(SessionOptions::default())
            },
            "INVALID_FIELD",
            "custom_claims",
        ),
        (
            CompletePasswordResetRequest { token_options: Some(elsewhere), ..request(SessionOptions::default()) },
            "RESOURCE_NOT_ALLOWED",
            "token_options.resource",
        ),
    ] {
        let status = complete(&app, (&token, &code), request).await.unwrap_err();
        assert_eq!((reason(&status).as_str(), field_violations(&status)), (expected, vec![field.into()]));
    }
    assert!(signs_in(&app, ADA, PASSWORD).await);
    crate::password_reset::complete(&app.public(), &token, &code, NEW).await.unwrap();
}
