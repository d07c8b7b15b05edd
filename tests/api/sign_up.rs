//! Signing up.

use rstest::rstest;
use serde_json::json;
use signet::proto::{
    ClientContext, CreateUserRequest, ListUsersRequest, ProjectSettings, SessionOptions, SignInOptions, SignUpRequest,
    SignUpResponse, TokenOptions, session_options::ExistingSession,
};
use tonic::{Code, Status};

use crate::{
    email_verification::{pending, redeem},
    password_reset::count,
    refresh::set,
    session_options::{claims, joining, lasting, without},
    sign_in::{claims_of, email, session_is_live, try_password},
    support::{Caller, Engine, PASSWORD, TestApp, field_violations, reason},
};

const EVE: &str = "eve@example.com";

fn eve() -> CreateUserRequest {
    CreateUserRequest {
        email: Some(EVE.into()),
        password: Some(PASSWORD.into()),
        given_name: Some("Eve".into()),
        ..Default::default()
    }
}

fn verified() -> CreateUserRequest {
    CreateUserRequest { email_verified: true, ..eve() }
}

fn request(user: CreateUserRequest) -> SignUpRequest {
    SignUpRequest { user: Some(user), ..Default::default() }
}

async fn sign_up(caller: &Caller, request: SignUpRequest) -> Result<SignUpResponse, Status> {
    caller.auth.clone().sign_up(request).await.map(tonic::Response::into_inner)
}

async fn allow(app: &TestApp, require_email_verification: bool) {
    let settings = ProjectSettings {
        allow_sign_up: Some(true),
        require_email_verification: Some(require_email_verification),
        ..Default::default()
    };
    set(app, &["allow_sign_up", "require_email_verification"], settings).await;
}

async fn users(app: &TestApp) -> usize {
    let request = ListUsersRequest { page_size: 100, ..Default::default() };
    app.back_end().users.list_users(request).await.unwrap().into_inner().users.len()
}

#[rstest]
#[tokio::test]
async fn whoever_signs_up_is_signed_in(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    allow(&app, false).await;
    let context = ClientContext { ip_address: "192.0.2.1".into(), user_agent: "B/1".into(), ..Default::default() };
    let request = SignUpRequest {
        options: Some(SignInOptions { custom_claims: Some(claims(&json!({"plan": "pro"}))), ..Default::default() }),
        client_context: Some(context.clone()),
        session_options: Some(lasting(900)),
        token_options: Some(TokenOptions { include_id_token: true, ..Default::default() }),
        ..request(eve())
    };
    let before = app.hashes();
    let answer = sign_up(&app.public(), request).await.unwrap();
    assert_eq!(app.hashes() - before, 1);
    let (user, session, tokens) = (answer.user.unwrap(), answer.session.unwrap(), answer.tokens.unwrap());
    assert_eq!((user.email.as_deref(), user.given_name.as_deref()), (Some(EVE), Some("Eve")));
    assert!(!user.email_verified && user.has_password && user.last_signed_in_at.is_some());
    assert_eq!((session.user_id, session.client_context), (user.user_id.clone(), Some(context)));
    assert_eq!(tokens.refresh_expires_in_seconds, 900);
    assert_eq!(claims_of(tokens.session_token.as_ref().unwrap())["custom_claims"], json!({"plan": "pro"}));
    assert!(tokens.id_token.is_some() && answer.refresh_token_cookie.is_some() && !answer.device_token.is_empty());
    assert!(session_is_live(&app.back_end(), &tokens.access_token).await);
    let events = app.events().await;
    assert_eq!((count(&events, "user.created"), count(&events, "user.signed_in")), (4, 1), "three users were there");

    let again = try_password(&app.back_end(), email(EVE), PASSWORD).await.unwrap();
    assert!(!again.first_seen, "the sign-up was the first sign-in");
}

#[rstest]
#[tokio::test]
async fn an_address_that_has_to_be_verified_stops_it_but_the_user_is_there(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    allow(&app, true).await;
    let status = sign_up(&app.public(), request(eve())).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "EMAIL_VERIFICATION_REQUIRED"));
    let pending = pending(&status);
    assert_eq!(pending.user.unwrap().email, EVE);
    assert!(pending.email_verification_id.starts_with("email_verification_"));
    assert_eq!(count(&app.events().await, "user.signed_in"), 0);
    let code = app.last_code_to(EVE).await;
    let answer = redeem(&app.public(), &pending.pending_authentication_token, &code).await.unwrap();
    assert!(answer.first_seen && answer.user.unwrap().email_verified);
    assert!(answer.tokens.unwrap().session_token.is_some());
    // A back end that vouches for the address is not stopped.
    let other = CreateUserRequest { email: Some("mallory@example.com".into()), ..verified() };
    assert!(sign_up(&app.back_end(), request(other)).await.unwrap().tokens.is_some());
}

#[rstest]
#[tokio::test]
async fn without_a_session_there_is_a_user_and_no_more(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let wanted = SignUpRequest { session_options: Some(without()), ..request(verified()) };
    let answer = sign_up(&app.back_end(), wanted).await.unwrap();
    assert_eq!((answer.session, answer.tokens, answer.refresh_token_cookie), (None, None, None));
    try_password(&app.back_end(), email(EVE), PASSWORD).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn applications_may_only_where_the_project_lets_them(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let before = users(&app).await;
    let status = sign_up(&app.public(), request(eve())).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::PermissionDenied, "SIGN_UP_NOT_ALLOWED"));
    assert_eq!((users(&app).await, app.hashes()), (before, 0));
    sign_up(&app.back_end(), request(verified())).await.expect("a back end may in any case");
}

#[rstest]
#[case::an_address(CreateUserRequest { email_verified: true, ..eve() }, &["user.email_verified"])]
#[case::a_number(
    CreateUserRequest { phone_number: Some("+12025550111".into()), phone_number_verified: true, ..eve() },
    &["user.phone_number_verified"]
)]
#[case::data(CreateUserRequest { metadata: Some(claims(&json!({"admin": true}))), ..eve() }, &["user.metadata"])]
#[case::a_password_for_somebody_else(
    CreateUserRequest { password_must_change: true, ..eve() },
    &["user.password_must_change"]
)]
#[case::no_password(CreateUserRequest { password: None, ..eve() }, &["user.password"])]
#[case::no_name(CreateUserRequest { email: None, ..eve() }, &["user.email"])]
#[case::a_wrong_name(CreateUserRequest { email: Some("eve".into()), ..eve() }, &["user.email"])]
#[case::an_address_that_is_missing(CreateUserRequest { email: None, ..verified() }, &["user.email_verified"])]
#[tokio::test]
async fn what_an_application_cannot_say_of_a_user_is_named(#[case] user: CreateUserRequest, #[case] fields: &[&str]) {
    let Some(app) = TestApp::start(Engine::Sqlite).await else { return };
    allow(&app, false).await;
    let before = users(&app).await;
    let status = sign_up(&app.public(), request(user)).await.unwrap_err();
    assert_eq!(reason(&status), "INVALID_FIELD");
    assert_eq!(field_violations(&status), fields);
    assert_eq!((users(&app).await, app.hashes()), (before, 0));
}

#[rstest]
#[tokio::test]
async fn nothing_is_left_of_a_sign_up_that_is_refused(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (before, events) = (users(&app).await, app.events().await);
    let weak = CreateUserRequest { password: Some("password1".into()), ..verified() };
    let taken = CreateUserRequest { username: Some("ada".into()), ..verified() };
    let elsewhere = TokenOptions { resource: "https://elsewhere.example/".into(), ..Default::default() };
    let stepped = SignInOptions { step_up: true, ..Default::default() };
    let joined = joining(ExistingSession::SessionToken("x".into()));
    let cases: Vec<(SignUpRequest, &str, &str)> = vec![
        (request(weak), "PASSWORD_REJECTED", "user.password"),
        (request(taken), "IDENTIFIER_TAKEN", "user.username"),
        (
            SignUpRequest { token_options: Some(elsewhere), ..request(verified()) },
            "RESOURCE_NOT_ALLOWED",
            "token_options.resource",
        ),
        (SignUpRequest { options: Some(stepped), ..request(verified()) }, "NOT_SUPPORTED", "options.step_up"),
        (
            SignUpRequest { session_options: Some(joined), ..request(verified()) },
            "INVALID_FIELD",
            "session_options.session_token",
        ),
        (SignUpRequest::default(), "INVALID_FIELD", "user.password"),
    ];
    for (request, expected, field) in cases {
        let status = sign_up(&app.back_end(), request).await.unwrap_err();
        assert_eq!(reason(&status), expected);
        assert_eq!(field_violations(&status), [field]);
    }
    assert_eq!((users(&app).await, app.events().await), (before, events));
    sign_up(&app.back_end(), SignUpRequest { session_options: Some(SessionOptions::default()), ..request(verified()) })
        .await
        .unwrap();
}

#[rstest]
#[tokio::test]
async fn of_two_who_sign_up_with_one_name_together_one_gets_it(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (one, other) = (app.back_end(), app.back_end());
    let (one, other) = tokio::join!(sign_up(&one, request(verified())), sign_up(&other, request(verified())));
    let refused = [&one, &other].into_iter().filter_map(|answer| answer.as_ref().err()).map(reason).collect::<Vec<_>>();
    assert_eq!(refused, ["IDENTIFIER_TAKEN"]);
}
