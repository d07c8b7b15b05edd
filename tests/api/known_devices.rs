//! What a device token is worth, and that it is worth nothing in other hands.

use chrono::Duration;
use rstest::rstest;
use signet::proto::{
    AuthenticateEmailVerificationRequest, AuthenticateSessionRequest, CreateUserRequest, SignInRequest,
    authenticate_session_request::Credential,
};

use crate::{
    email_verification::pending,
    guessing::{WRONG, context, guess, said, try_from},
    password_reset::{complete, start_by_code},
    sign_in::{email, try_password},
    support::{ADA, Caller, Engine, GRACE, PASSWORD, TestApp, reason},
};

/// Signs ada in; gives the token of her device.
pub(crate) async fn device_of_ada(app: &TestApp) -> String {
    try_password(&app.back_end(), email(ADA), PASSWORD).await.unwrap().device_token
}

async fn ada_from(caller: &Caller, password: &str, device: &str) -> Result<String, String> {
    let answer = try_from(caller, email(ADA), password, ("192.0.2.1", device)).await;
    answer.map(|answer| answer.device_token).map_err(|status| reason(&status))
}

#[rstest]
#[tokio::test]
async fn a_stranger_who_guesses_after_each_pause_never_keeps_a_known_device_out(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let device = device_of_ada(&app).await;
    guess(&app, 11, "192.0.2.1").await;
    for _ in 0..12 {
        app.clock.advance(Duration::minutes(15));
        guess(&app, 11, "192.0.2.1").await;
        ada_from(&app.back_end(), "not what she meant", &device).await.unwrap_err();
        ada_from(&app.back_end(), PASSWORD, &device).await.unwrap();
        ada_from(&app.back_end(), PASSWORD, "").await.unwrap_err();
    }
}

#[rstest]
#[tokio::test]
async fn a_known_device_is_slowed_down_by_its_own_failures_only(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (device, other) = (device_of_ada(&app).await, device_of_ada(&app).await);
    for _ in 0..11 {
        ada_from(&app.back_end(), WRONG, &device).await.unwrap_err();
    }
    ada_from(&app.back_end(), PASSWORD, &device).await.unwrap_err();
    assert_eq!(said(&app, "throttle.tripped (authenticate_password_device)").await, 1);
    ada_from(&app.back_end(), PASSWORD, &other).await.unwrap();
    ada_from(&app.back_end(), PASSWORD, "").await.unwrap();
    app.clock.advance(Duration::seconds(30));
    ada_from(&app.back_end(), PASSWORD, &device).await.unwrap();
    for _ in 0..10 {
        ada_from(&app.back_end(), WRONG, &device).await.unwrap_err();
    }
    ada_from(&app.back_end(), PASSWORD, &device).await.unwrap();
}

/// True if the token opens the door that strangers have shut.
async fn is_known(app: &TestApp, device: &str) -> bool {
    ada_from(&app.back_end(), PASSWORD, device).await.is_ok()
}

#[rstest]
#[tokio::test]
async fn a_token_that_is_not_the_users_own_and_whole_counts_as_none(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let device = device_of_ada(&app).await;
    let refresh_token =
        try_password(&app.back_end(), email(ADA), PASSWORD).await.unwrap().tokens.unwrap().refresh_token;
    let new_user = |name: &str| CreateUserRequest {
        username: Some(name.into()),
        password: Some(PASSWORD.into()),
        ..CreateUserRequest::default()
    };
    let other_user = {
        app.back_end().users.create_user(new_user("eve")).await.unwrap();
        let eve = signet::proto::authenticate_password_request::Identifier::Username("eve".into());
        try_password(&app.back_end(), eve, PASSWORD).await.unwrap().device_token
    };
    let other_project = {
        app.stranger().users.create_user(new_user("mallory")).await.unwrap();
        let mallory = signet::proto::authenticate_password_request::Identifier::Username("mallory".into());
        try_password(&app.stranger(), mallory, PASSWORD).await.unwrap().device_token
    };
    guess(&app, 11, "").await;
    assert!(is_known(&app, &device).await);
    for foreign in [&other_user, &other_project, &refresh_token, &refresh_token.replace("_rt_", "_dt_")] {
        assert!(!is_known(&app, foreign).await);
    }
    for cut in (0..device.len()).step_by(7) {
        assert!(!is_known(&app, &device[..cut]).await, "cut at {cut}");
    }
    assert!(!is_known(&app, &device.repeat(3)).await, "too long is none, and no error");
    assert!(is_known(&app, &device).await);
}

#[rstest]
#[tokio::test]
async fn a_device_is_known_for_a_year_after_its_last_sign_in(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let first = device_of_ada(&app).await;
    let lifetime = app.services.limits.device_lifetime;
    app.clock.advance(lifetime - Duration::seconds(1));
    guess(&app, 11, "").await;
    let second = ada_from(&app.back_end(), PASSWORD, &first).await.unwrap();
    assert_ne!(first, second);
    app.clock.advance(Duration::seconds(1));
    assert!(!is_known(&app, &first).await);
    assert!(is_known(&app, &second).await);

    // It is the same device: its failures are counted on, by whichever of its tokens.
    for _ in 0..11 {
        ada_from(&app.back_end(), WRONG, &second).await.unwrap_err();
    }
    assert!(!is_known(&app, &second).await);
}

#[rstest]
#[tokio::test]
async fn a_new_password_makes_every_device_unknown_until_it_signs_in_again(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let mut devices = Vec::new();
    for _ in 0..5 {
        devices.push(device_of_ada(&app).await);
    }
    let (token, code) = start_by_code(&app, ADA).await;
    let new = "a lamp, a horse";
    complete(&app.back_end(), &token, &code, new).await.unwrap();

    // Whoever had the old password and stocked tokens: all of their guesses are counted together, on the user.
    for device in &devices {
        for _ in 0..10 {
            ada_from(&app.back_end(), WRONG, device).await.unwrap_err();
        }
    }
    assert_eq!(said(&app, "password.failed (wrong_password)").await, 11);
    assert_eq!(said(&app, "throttle.tripped (authenticate_password)").await, 1);
    assert_eq!(said(&app, "throttle.tripped (authenticate_password_device)").await, 0);

    app.clock.advance(Duration::seconds(30));
    let known = ada_from(&app.back_end(), new, &devices[0]).await.unwrap();
    guess(&app, 11, "").await;
    ada_from(&app.back_end(), new, "").await.unwrap_err();
    ada_from(&app.back_end(), new, &known).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn an_application_gets_a_token_too_and_no_session_keeps_it(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let login = |device: &str| SignInRequest {
        login_id: ADA.into(),
        password: PASSWORD.into(),
        client_context: Some(context("192.0.2.1", device)),
        ..SignInRequest::default()
    };
    let device = app.public().auth.sign_in(login("")).await.unwrap().into_inner().device_token;
    let answer = app.public().auth.sign_in(login(&device)).await.unwrap().into_inner();
    assert!(answer.device_token.starts_with("signet_dt_"));
    let session = answer.session.unwrap();
    assert_eq!(session.client_context, Some(context("192.0.2.1", "")));
    let credential = Some(Credential::SessionId(session.session_id));
    let by_id = AuthenticateSessionRequest { credential, ..Default::default() };
    let live = app.back_end().auth.authenticate_session(by_id).await.unwrap().into_inner();
    assert_eq!(live.session.unwrap().client_context, Some(context("192.0.2.1", "")));
    guess(&app, 11, "").await;
    assert!(is_known(&app, &device).await, "one device, however it signed in");
}

/// Begins a sign-in of grace's on a device; gives the pending token.
pub(crate) async fn begin_on(app: &TestApp, device: &str) -> String {
    let status = try_from(&app.back_end(), email(GRACE), PASSWORD, ("192.0.2.1", device)).await.unwrap_err();
    pending(&status).pending_authentication_token
}

pub(crate) async fn redeem_on(
    app: &TestApp,
    token: &str,
    code: &str,
    (ip, device): (&str, &str),
) -> Result<String, String> {
    let request = AuthenticateEmailVerificationRequest {
        pending_authentication_token: token.into(),
        code: code.into(),
        client_context: Some(context(ip, device)),
    };
    let answer = app.back_end().auth.authenticate_email_verification(request).await;
    answer.map(|answer| answer.into_inner().device_token).map_err(|status| reason(&status))
}

/// Gives grace a device by letting her sign in once, then an address that has to be verified anew.
pub(crate) async fn known_but_unverified(app: &TestApp) -> String {
    let token = begin_on(app, "").await;
    let code = app.last_code_to(GRACE).await;
    let device = redeem_on(app, &token, &code, ("", "")).await.unwrap();
    let request = signet::proto::UpdateUserRequest {
        user_id: app.fixture.grace.to_string(),
        user: Some(signet::proto::UserUpdate { email: Some("hopper@example.com".into()), ..Default::default() }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["email".into()] }),
    };
    app.back_end().users.update_user(request.clone()).await.unwrap();
    let user = signet::proto::UserUpdate { email: Some(GRACE.into()), ..Default::default() };
    app.back_end().users.update_user(signet::proto::UpdateUserRequest { user: Some(user), ..request }).await.unwrap();
    app.clock.advance(Duration::minutes(1));
    device
}

#[rstest]
#[tokio::test]
async fn the_second_step_looks_at_the_counter_of_the_first(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let device = known_but_unverified(&app).await;
    let (known, unknown) = (begin_on(&app, &device).await, begin_on(&app, "").await);
    let code = app.last_code_to(GRACE).await;
    for _ in 0..11 {
        try_from(&app.back_end(), email(GRACE), WRONG, ("192.0.2.9", "")).await.unwrap_err();
    }
    assert_eq!(redeem_on(&app, &unknown, &code, ("", "")).await.unwrap_err(), "PENDING_AUTHENTICATION_INVALID");
    redeem_on(&app, &known, &code, ("", "")).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn a_known_device_that_is_slowed_down_cannot_take_the_second_step(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let device = known_but_unverified(&app).await;
    let token = begin_on(&app, &device).await;
    let code = app.last_code_to(GRACE).await;
    for _ in 0..11 {
        try_from(&app.back_end(), email(GRACE), WRONG, ("", &device)).await.unwrap_err();
    }
    assert_eq!(redeem_on(&app, &token, &code, ("", &device)).await.unwrap_err(), "PENDING_AUTHENTICATION_INVALID");
}
