//! Passwords that have to be changed before they sign anybody in.

use chrono::Duration;
use rstest::rstest;
use sea_orm::{ConnectionTrait as _, Statement};
use signet::{
    domain::id::UserId,
    proto::{
        CompletePasswordResetRequest, CompletePasswordResetResponse, CreateUserRequest, GetUserRequest,
        PendingAuthentication, PendingStep, SessionOptions, SignInRequest, User,
        authenticate_password_request::Identifier,
    },
};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::{
    email_verification::{begin, pending, redeem},
    password_reset::{INVALID, NEW, complete, count, refusal},
    session_options::without,
    sessions::sign_in,
    sign_in::{email, session_is_live, try_password},
    support::{ADA, Caller, Engine, GRACE, PASSWORD, Refused, TestApp, reason},
};

pub(crate) const REQUIRED: &str = "PASSWORD_CHANGE_REQUIRED";

/// Makes the user's password one that has to be changed, without touching anything else.
pub(crate) async fn make_temporary(app: &TestApp, user: UserId) {
    let database = app.database().await;
    let backend = database.get_database_backend();
    let changed = format!(
        "UPDATE credentials SET must_change = TRUE WHERE user_id = {}",
        match backend {
            sea_orm::DbBackend::Sqlite => format!("X'{}'", Uuid::from(user).simple()),
            _ => format!("'{}'", Uuid::from(user)),
        }
    );
    let result = database.execute_raw(Statement::from_string(backend, changed)).await.unwrap();
    assert_eq!(result.rows_affected(), 1);
    database.close().await.unwrap();
}

async fn login(caller: &Caller, login_id: &str, password: &str) -> Result<(), Status> {
    let request = SignInRequest { login_id: login_id.into(), password: password.into(), ..Default::default() };
    caller.auth.clone().sign_in(request).await.map(drop)
}

async fn user(app: &TestApp, id: UserId) -> User {
    let request = GetUserRequest { user_id: id.to_string() };
    app.back_end().users.get_user(request).await.unwrap().into_inner().user.unwrap()
}

/// What a right password that has to be changed is answered with.
pub(crate) fn required(status: &Status) -> PendingAuthentication {
    assert_eq!((status.code(), reason(status).as_str()), (Code::FailedPrecondition, REQUIRED));
    let pending = pending(status);
    assert_eq!(pending.missing_step(), PendingStep::PasswordChange);
    pending
}

async fn completed(
    app: &TestApp,
    token: &str,
    options: SessionOptions,
) -> Result<CompletePasswordResetResponse, Status> {
    let request = CompletePasswordResetRequest {
        password_reset_token: token.into(),
        new_password: NEW.into(),
        session_options: Some(options),
        ..Default::default()
    };
    app.public().auth.complete_password_reset(request).await.map(tonic::Response::into_inner)
}

#[rstest]
#[tokio::test]
async fn it_opens_nothing_but_its_own_change(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    make_temporary(&app, app.fixture.ada).await;
    assert!(user(&app, app.fixture.ada).await.password_must_change);
    let told = required(&try_password(&app.back_end(), email(ADA), PASSWORD).await.unwrap_err());
    assert_eq!(told.expires_at.unwrap().seconds, (app.services.clock.now() + Duration::minutes(5)).timestamp());
    let who = told.user.unwrap();
    assert_eq!((who.user_id.as_str(), who.email.as_str()), (app.fixture.ada.to_string().as_str(), ""));
    required(&login(&app.public(), "ada", PASSWORD).await.unwrap_err());
    assert_eq!(app.mails_waiting().await, 0, "nothing is mailed");
    let events = app.events().await;
    assert_eq!(count(&events, "pending_authentication.started (password_change)"), 2);
    assert_eq!(count(&events, "user.signed_in"), 0, "no session before every step is done");

    let token = told.pending_authentication_token;
    let changed = complete(&app.public(), &token, "", NEW).await.unwrap();
    assert!(!changed.user.unwrap().password_must_change);
    assert_eq!((changed.session, changed.tokens), (None, None), "not asked for");
    assert_eq!(refusal(&app.public(), &token, "").await, INVALID, "it works once");
    try_password(&app.back_end(), email(ADA), PASSWORD).await.unwrap_err();
    try_password(&app.back_end(), email(ADA), NEW).await.unwrap();
    assert_eq!(count(&app.events().await, "password.set (change_required)"), 1);
}

#[rstest]
#[tokio::test]
async fn that_it_has_to_be_changed_is_told_to_nobody_who_does_not_know_it(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    make_temporary(&app, app.fixture.ada).await;
    let mut answers = Vec::new();
    for (identifier, password) in [(email(ADA), "wrong password"), (email("nobody@example.com"), PASSWORD)] {
        let before = app.hashes();
        let status = try_password(&app.back_end(), identifier, password).await.unwrap_err();
        answers.push((Refused::from(&status), app.hashes() - before));
    }
    assert_eq!(answers[0], answers[1]);
    // The right one is counted as such: it forgets the failures, and wrong ones begin a delay that it does not get through.
    for _ in 0..2 {
        for _ in 0..9 {
            try_password(&app.back_end(), email(ADA), "wrong password").await.unwrap_err();
        }
        required(&try_password(&app.back_end(), email(ADA), PASSWORD).await.unwrap_err());
    }
    for _ in 0..11 {
        try_password(&app.back_end(), email(ADA), "wrong password").await.unwrap_err();
    }
    let status = try_password(&app.back_end(), email(ADA), PASSWORD).await.unwrap_err();
    assert_eq!(reason(&status), "INVALID_CREDENTIALS");
}

#[rstest]
#[tokio::test]
async fn its_token_is_short_lived_and_dies_with_the_password(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    make_temporary(&app, app.fixture.ada).await;
    let token = async || {
        let status = try_password(&app.back_end(), email(ADA), PASSWORD).await.unwrap_err();
        required(&status).pending_authentication_token
    };
    let late = token().await;
    app.clock.advance(Duration::minutes(5));
    assert_eq!(refusal(&app.public(), &late, "").await, INVALID);
    let (one, other) = (token().await, token().await);
    assert_eq!(refusal(&app.public(), &one, "12345678").await, INVALID, "it has no code");
    complete(&app.public(), &one, "", NEW).await.unwrap();
    assert_eq!(refusal(&app.public(), &other, "").await, INVALID);
}

#[rstest]
#[tokio::test]
async fn a_user_without_an_address_changes_it_too_and_is_signed_in_if_asked_for(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let new = CreateUserRequest { username: Some("eve".into()), password: Some(PASSWORD.into()), ..Default::default() };
    let eve = app.back_end().users.create_user(new).await.unwrap().into_inner().user.unwrap();
    make_temporary(&app, UserId::parse(&eve.user_id).unwrap()).await;
    let status = try_password(&app.back_end(), Identifier::Username("eve".into()), PASSWORD).await.unwrap_err();
    let done =
        completed(&app, &required(&status).pending_authentication_token, SessionOptions::default()).await.unwrap();
    assert_eq!(done.user.unwrap().user_id, eve.user_id);
    assert!(session_is_live(&app.back_end(), &done.tokens.unwrap().access_token).await);
    assert!(done.session.is_some() && !done.device_token.is_empty() && done.refresh_token_cookie.is_some());
}

#[rstest]
#[tokio::test]
async fn it_verifies_no_address_and_comes_before_the_verification(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    // What was begun before cannot be finished either.
    let begun = begin(&app.back_end()).await;
    let code = app.last_code_to(GRACE).await;
    make_temporary(&app, app.fixture.grace).await;
    let status = redeem(&app.back_end(), &begun, &code).await.unwrap_err();
    assert_eq!(reason(&status), "PENDING_AUTHENTICATION_INVALID");

    let told = required(&try_password(&app.back_end(), email(GRACE), PASSWORD).await.unwrap_err());
    assert_eq!(told.user.unwrap().email, "", "nothing was mailed");
    app.clock.advance(Duration::minutes(1));
    let status = completed(&app, &told.pending_authentication_token, SessionOptions::default()).await.unwrap_err();
    assert_eq!(reason(&status), "EMAIL_VERIFICATION_REQUIRED");
    let next = pending(&status).pending_authentication_token;
    let grace = user(&app, app.fixture.grace).await;
    assert!(!grace.email_verified && !grace.password_must_change, "the new password is set all the same");
    let code = app.last_code_to(GRACE).await;
    let done = redeem(&app.public(), &next, &code).await.unwrap();
    assert!(done.user.unwrap().email_verified && done.tokens.is_some());
}

#[rstest]
#[tokio::test]
async fn a_new_password_goes_before_a_session_to_join_or_none_at_all(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let session = sign_in(&app).await.session.unwrap();
    make_temporary(&app, app.fixture.ada).await;
    let joins = signet::proto::session_options::ExistingSession::SessionId(session.session_id);
    let unknown = signet::proto::session_options::ExistingSession::SessionToken("x".into());
    for options in [without(), crate::session_options::joining(joins), crate::session_options::joining(unknown)] {
        let request = SignInRequest {
            login_id: "ada".into(),
            password: PASSWORD.into(),
            session_options: Some(options),
            ..Default::default()
        };
        required(&app.back_end().auth.sign_in(request).await.unwrap_err());
    }
}
