//! Changing a password from a session that is signed in.

use chrono::Duration;
use rstest::rstest;
use signet::proto::{
    ChangePasswordRequest, ChangePasswordResponse, DisableUserRequest, SessionOptions, SignInRequest, TokenProfile,
    session_options::ExistingSession,
};
use tonic::Status;

use crate::{
    change_required::make_temporary,
    email_changes::start,
    email_verification::{begin, redeem},
    password_reset::{NEW, count, signs_in},
    refresh::{first_token, jwt_app, successor},
    session_options::application,
    session_service::revoke,
    sessions::sign_in,
    sign_in::{claims_of, session_is_live},
    support::{ADA, Caller, Engine, GRACE, PASSWORD, TestApp, field_violations, reason},
};

fn request(refresh_token: &str) -> ChangePasswordRequest {
    ChangePasswordRequest { refresh_token: refresh_token.into(), new_password: NEW.into(), ..Default::default() }
}

async fn change(caller: &Caller, request: ChangePasswordRequest) -> Result<ChangePasswordResponse, Status> {
    caller.auth.clone().change_password(request).await.map(tonic::Response::into_inner)
}

async fn refusal(caller: &Caller, request: ChangePasswordRequest) -> String {
    change(caller, request).await.err().map(|status| reason(&status)).unwrap_or_default()
}

#[rstest]
#[tokio::test]
async fn the_session_it_is_changed_from_goes_on_and_the_others_end(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (kept, other) = (sign_in(&app).await.tokens.unwrap(), sign_in(&app).await.tokens.unwrap());
    app.clock.advance(Duration::seconds(60));
    let before = app.hashes();
    let user = change(&app.public(), request(&kept.refresh_token)).await.unwrap().user.unwrap();
    assert_eq!(app.hashes() - before, 1, "the password of today is not asked for");
    assert_eq!(user.user_id, app.fixture.ada.to_string());
    assert_eq!(user.password_updated_at.unwrap().seconds, app.services.clock.now().timestamp());
    assert!(session_is_live(&app.back_end(), &kept.access_token).await);
    assert!(!session_is_live(&app.back_end(), &other.access_token).await);
    assert!(!signs_in(&app, ADA, PASSWORD).await && signs_in(&app, ADA, NEW).await);
    successor(&app.public(), &kept.refresh_token).await;
    let events = app.events().await;
    assert_eq!(count(&events, "password.set (changed)"), 1);
    assert_eq!(count(&events, "session.revoked (password_changed)"), 1);
}

#[rstest]
#[tokio::test]
async fn the_token_may_be_a_jwt_or_shown_by_a_back_end_and_the_password_temporary(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let jwt = jwt_app(&app).await;
    change(&jwt, request(&first_token(&jwt).await)).await.unwrap();
    let login = SignInRequest { login_id: "ada".into(), password: NEW.into(), ..Default::default() };
    let token = app.public().auth.sign_in(login).await.unwrap().into_inner().tokens.unwrap().refresh_token;
    make_temporary(&app, app.fixture.ada).await;
    let user = change(&app.back_end(), request(&token)).await.unwrap().user.unwrap();
    assert!(!user.password_must_change);
}

#[rstest]
#[tokio::test]
async fn the_token_is_the_current_one_or_the_one_before_for_a_while(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let old = first_token(&app.public()).await;
    let new = successor(&app.public(), &old).await;
    app.clock.advance(Duration::seconds(29));
    assert_eq!(refusal(&app.public(), request(&old)).await, "");
    app.clock.advance(Duration::seconds(1));
    assert_eq!(refusal(&app.public(), request(&old)).await, "TOKEN_INVALID");
    assert_eq!(refusal(&app.public(), request(&new)).await, "", "the session was not ended by that");
}

#[rstest]
#[tokio::test]
async fn without_a_good_token_nothing_is_hashed(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let signed_in = sign_in(&app).await;
    let (session, tokens) = (signed_in.session.unwrap(), signed_in.tokens.unwrap());
    let good = tokens.refresh_token.clone();
    let before = app.hashes();
    let other = application(&app, TokenProfile::Standard).await;
    for token in ["x", "signet_rt_x", &tokens.access_token, tokens.session_token.as_ref().unwrap()] {
        assert_eq!(refusal(&app.public(), request(token)).await, "TOKEN_INVALID");
    }
    assert_eq!(refusal(&other, request(&good)).await, "TOKEN_INVALID", "of another application");
    for login_id in ["grace@example.com", "nobody", "+12025550199"] {
        let named = ChangePasswordRequest { login_id: login_id.into(), ..request(&good) };
        assert_eq!(refusal(&app.public(), named).await, "TOKEN_INVALID");
    }
    let weak = ChangePasswordRequest { new_password: "ada@example.com1".into(), ..request(&good) };
    let status = change(&app.public(), weak).await.unwrap_err();
    assert_eq!(
        (reason(&status).as_str(), field_violations(&status)),
        ("PASSWORD_REJECTED", vec!["new_password".into()])
    );
    for (request, field) in [
        (request(""), "refresh_token"),
        (ChangePasswordRequest { new_password: String::new(), ..request(&good) }, "new_password"),
        (ChangePasswordRequest { login_id: "@".into(), ..request(&good) }, "login_id"),
    ] {
        let status = change(&app.public(), request).await.unwrap_err();
        assert_eq!((reason(&status).as_str(), field_violations(&status)), ("INVALID_FIELD", vec![field.into()]));
    }
    assert_eq!(app.hashes(), before);
    assert_eq!(count(&app.events().await, "password.set (changed)"), 0);
    let named = ChangePasswordRequest { login_id: " Ada@EXAMPLE.com".into(), ..request(&good) };
    assert_eq!(refusal(&app.public(), named).await, "", "by any of their names");
    revoke(&app.back_end(), &session.session_id).await.unwrap();
    assert_eq!(refusal(&app.public(), request(&good)).await, "SESSION_NOT_ACTIVE");
}

#[rstest]
#[tokio::test]
async fn a_disabled_user_changes_nothing_and_what_was_begun_dies_with_the_password(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let begun = begin(&app.back_end()).await;
    let code = app.last_code_to(GRACE).await;
    // Of an application that is not stopped by an unverified address.
    let caller = application(&app, TokenProfile::Transmit).await;
    let login = SignInRequest { login_id: GRACE.into(), password: PASSWORD.into(), ..Default::default() };
    let login = SignInRequest { session_options: Some(SessionOptions::default()), ..login };
    let tokens = caller.auth.clone().sign_in(login).await.unwrap().into_inner().tokens.unwrap();
    assert_eq!(claims_of(tokens.session_token.as_ref().unwrap())["sub"], app.fixture.grace.to_string());
    assert_eq!(refusal(&caller, request(&tokens.refresh_token)).await, "");
    let status = redeem(&app.back_end(), &begun, &code).await.unwrap_err();
    assert_eq!(reason(&status), "PENDING_AUTHENTICATION_INVALID");
    let disabled = DisableUserRequest { user_id: app.fixture.grace.to_string() };
    app.back_end().users.disable_user(disabled).await.unwrap();
    assert_eq!(refusal(&caller, request(&tokens.refresh_token)).await, "SESSION_NOT_ACTIVE");
}

/// A stolen token is not enough to take the account for good.
#[rstest]
#[tokio::test]
async fn a_sign_in_long_ago_is_not_enough(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let token = first_token(&app.public()).await;
    let login = SignInRequest { login_id: "ada".into(), password: PASSWORD.into(), ..Default::default() };
    app.clock.advance(Duration::minutes(10));
    let token = successor(&app.public(), &token).await;
    let before = app.hashes();
    assert_eq!(refusal(&app.public(), request(&token)).await, "AUTHENTICATION_TOO_OLD");
    assert_eq!(refusal(&app.back_end(), request(&token)).await, "AUTHENTICATION_TOO_OLD");
    assert_eq!(app.hashes(), before);
    let status = start(&app.public(), &token, "new@example.com").await.unwrap_err();
    assert_eq!(reason(&status), "AUTHENTICATION_TOO_OLD");
    // Who signs in again may.
    let again = SessionOptions { existing_session: Some(ExistingSession::RefreshToken(token)), ..Default::default() };
    let login = SignInRequest { session_options: Some(again), ..login };
    let token = app.public().auth.sign_in(login).await.unwrap().into_inner().tokens.unwrap().refresh_token;
    app.clock.advance(Duration::seconds(599));
    assert_eq!(refusal(&app.public(), request(&token)).await, "");
}
