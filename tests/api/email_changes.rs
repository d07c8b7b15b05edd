//! Codes for an address that a signed-in user gives as theirs.

use chrono::Duration;
use rstest::rstest;
use signet::{
    proto::{
        AuthenticateEmailCodeRequest, AuthenticateEmailCodeResponse, AuthenticationMethod, CreateUserRequest,
        DisableUserRequest, EnableUserRequest, GetEmailVerificationRequest, ProjectSettings, SetPasswordRequest,
        SignInOptions, StartEmailVerificationRequest, StartEmailVerificationResponse,
    },
    usecase::sweep::sweep,
};
use tonic::Status;

use crate::{
    change_required::make_temporary,
    refresh::{first_token, jwt_app, set, successor},
    session_service::revoke,
    sessions::sign_in,
    sign_in::{email, session_is_live, try_password},
    support::{ADA, Caller, Engine, GRACE, PASSWORD, Refused, TestApp, field_violations, reason},
};

pub(crate) const NEW: &str = "new@example.com";

pub(crate) async fn start(
    caller: &Caller,
    token: &str,
    address: &str,
) -> Result<StartEmailVerificationResponse, Status> {
    let request =
        StartEmailVerificationRequest { refresh_token: token.into(), email: address.into(), ..Default::default() };
    caller.auth.clone().start_email_verification(request).await.map(tonic::Response::into_inner)
}

pub(crate) async fn redeem(
    caller: &Caller,
    login_id: &str,
    code: &str,
) -> Result<AuthenticateEmailCodeResponse, Status> {
    let request = AuthenticateEmailCodeRequest { login_id: login_id.into(), code: code.into(), ..Default::default() };
    caller.auth.clone().authenticate_email_code(request).await.map(tonic::Response::into_inner)
}

async fn refused(app: &TestApp, login_id: &str, code: &str) -> String {
    redeem(&app.public(), login_id, code).await.err().map(|status| reason(&status)).unwrap_or_default()
}

fn wrong(code: &str) -> String {
    if code == "000000" { "000001".into() } else { "000000".into() }
}

#[rstest]
#[case::by_the_username("ada")]
#[case::by_the_old_address(ADA)]
#[case::by_the_new_address(" New@EXAMPLE.com")]
#[tokio::test]
async fn a_code_makes_the_address_the_users_and_signs_them_in(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
    #[case] login_id: &str,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let token = first_token(&app.public()).await;
    let started = start(&app.public(), &token, "New@Example.com ").await.unwrap();
    assert_eq!((started.email.as_str(), started.attempts_left), (NEW, 5));
    let code = app.last_code_to(NEW).await;
    let request = AuthenticateEmailCodeRequest {
        login_id: login_id.into(),
        code: format!("{} {}", &code[..3], &code[3..]),
        options: Some(SignInOptions { revoke_other_sessions: true, ..Default::default() }),
        ..Default::default()
    };
    let answer = app.public().auth.authenticate_email_code(request).await.unwrap().into_inner();
    let user = answer.user.unwrap();
    assert_eq!((user.email.as_deref(), user.email_verified), (Some(NEW), true));
    assert_eq!(user.user_id, app.fixture.ada.to_string());
    let session = answer.session.unwrap();
    assert_eq!(session.authentication_methods, [i32::from(AuthenticationMethod::EmailCode)]);
    assert!(session_is_live(&app.back_end(), &answer.tokens.unwrap().access_token).await);
    assert_eq!(reason(&start(&app.public(), &token, NEW).await.unwrap_err()), "SESSION_NOT_ACTIVE", "it was ended");
    try_password(&app.back_end(), email(NEW), PASSWORD).await.unwrap();
    try_password(&app.back_end(), email(ADA), PASSWORD).await.unwrap_err();
    assert_eq!(refused(&app, "ada", &code).await, "CODE_INCORRECT", "it works once");
    let events = app.events().await;
    for event in ["email_code.sent", "user.updated", "email.verified"] {
        assert!(events.iter().any(|told| told == event), "{event}");
    }
}

#[rstest]
#[tokio::test]
async fn an_address_of_somebody_else_is_not_given_away(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let token = first_token(&app.public()).await;
    let status = start(&app.public(), &token, GRACE).await.unwrap_err();
    assert_eq!((reason(&status).as_str(), field_violations(&status)), ("IDENTIFIER_TAKEN", vec!["email".to_owned()]));
    start(&app.public(), &token, NEW).await.unwrap();
    let code = app.last_code_to(NEW).await;
    // Somebody else comes first.
    let new = CreateUserRequest { email: Some(NEW.into()), ..Default::default() };
    app.back_end().users.create_user(new).await.unwrap();
    assert_eq!(refused(&app, "ada", &code).await, "IDENTIFIER_TAKEN");
    try_password(&app.back_end(), email(ADA), PASSWORD).await.expect("nothing has changed");
}

#[rstest]
#[case::its_session_ended("session")]
#[case::password_set("password")]
#[case::password_to_be_changed("temporary")]
#[case::user_disabled_and_enabled("user")]
#[case::expired("time")]
#[case::another_code_was_sent("resend")]
#[tokio::test]
async fn a_code_is_worthless_once_what_it_hangs_on_has_gone(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
    #[case] how: &str,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let signed_in = sign_in(&app).await;
    let (session, token) = (signed_in.session.unwrap(), signed_in.tokens.unwrap().refresh_token);
    start(&app.public(), &token, NEW).await.unwrap();
    let (code, user_id) = (app.last_code_to(NEW).await, app.fixture.ada.to_string());
    let mut users = app.back_end().users;
    let expected = match how {
        "session" => {
            revoke(&app.back_end(), &session.session_id).await.unwrap();
            "CODE_EXPIRED"
        }
        "time" => {
            app.clock.advance(Duration::minutes(10));
            "CODE_EXPIRED"
        }
        "temporary" => {
            make_temporary(&app, app.fixture.ada).await;
            "CODE_EXPIRED"
        }
        "password" => {
            let request = SetPasswordRequest { user_id, password: PASSWORD.into(), ..Default::default() };
            users.set_password(request).await.unwrap();
            "CODE_INCORRECT"
        }
        "user" => {
            users.disable_user(DisableUserRequest { user_id: user_id.clone() }).await.unwrap();
            users.enable_user(EnableUserRequest { user_id }).await.unwrap();
            "CODE_INCORRECT"
        }
        _ => {
            app.clock.advance(Duration::seconds(30));
            start(&app.public(), &token, "other@example.com").await.unwrap();
            "CODE_INCORRECT"
        }
    };
    for login_id in ["ada", NEW] {
        assert_eq!(
            refused(&app, login_id, &code).await,
            if login_id == NEW && (how == "resend" || how == "time") { "CODE_INCORRECT" } else { expected }
        );
    }
    assert!(!app.events().await.contains(&"email.verified".to_owned()));
}

/// Whether there is such a user, whether a code is on its way, and whether tries at it are left: all look the same.
#[rstest]
#[tokio::test]
async fn a_wrong_code_tells_nothing(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let token = first_token(&app.public()).await;
    start(&app.public(), &token, NEW).await.unwrap();
    let code = app.last_code_to(NEW).await;
    let typed = wrong(&code);
    for number in 0..13 {
        let mut answers = Vec::new();
        for login_id in ["ada", GRACE, "nobody", "nobody@example.com"] {
            answers.push(Refused::from(&redeem(&app.public(), login_id, &typed).await.unwrap_err()));
        }
        assert_eq!(answers[0].reason, "CODE_INCORRECT", "{number}");
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{number}: {answers:?}");
    }
    app.clock.advance(Duration::seconds(31));
    assert_eq!(refused(&app, "ada", &code).await, "CODE_INCORRECT", "its five tries are used up");
    try_password(&app.back_end(), email(ADA), PASSWORD).await.expect("other paths have counters of their own");
}

#[rstest]
#[tokio::test]
async fn a_start_needs_the_token_of_a_live_session_and_rests_in_between(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let token = first_token(&app.public()).await;
    let refused = async |caller: &Caller, token: &str| reason(&start(caller, token, NEW).await.unwrap_err());
    assert_eq!(refused(&jwt_app(&app).await, &token).await, "TOKEN_INVALID", "another application's");
    assert_eq!(refused(&app.stranger(), &token).await, "TOKEN_INVALID");
    let request = |login_id: &str| StartEmailVerificationRequest {
        refresh_token: token.clone(),
        email: NEW.into(),
        login_id: login_id.into(),
        ..Default::default()
    };
    let status = app.public().auth.start_email_verification(request(GRACE)).await.unwrap_err();
    assert_eq!(reason(&status), "TOKEN_INVALID", "that is somebody else");
    app.public().auth.start_email_verification(request("ADA")).await.unwrap();
    assert_eq!(refused(&app.public(), &token).await, "CODE_SENT_RECENTLY");
    let second = successor(&app.public(), &token).await;
    app.clock.advance(Duration::seconds(30));
    assert_eq!(refused(&app.public(), &token).await, "TOKEN_INVALID", "it was replaced");
    start(&app.public(), &second, NEW).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn a_stranger_s_mailbox_is_not_filled_by_many_users_together(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let mut sent = 0;
    for number in 0..12 {
        let name = format!("user{number}");
        let new =
            CreateUserRequest { username: Some(name.clone()), password: Some(PASSWORD.into()), ..Default::default() };
        app.back_end().users.create_user(new).await.unwrap();
        let login = signet::proto::SignInRequest { login_id: name, password: PASSWORD.into(), ..Default::default() };
        let token = app.public().auth.sign_in(login).await.unwrap().into_inner().tokens.unwrap().refresh_token;
        match start(&app.public(), &token, NEW).await {
            Ok(_) => sent += 1,
            Err(status) => assert_eq!(reason(&status), "CODE_SENT_RECENTLY"),
        }
    }
    assert_eq!(sent, 11);
}

#[rstest]
#[tokio::test]
async fn a_back_end_that_mails_itself_reads_the_code(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    set(
        &app,
        &["application_sends_mail"],
        ProjectSettings { application_sends_mail: Some(true), ..Default::default() },
    )
    .await;
    let token = first_token(&app.public()).await;
    let id = start(&app.public(), &token, NEW).await.unwrap().email_verification_id;
    assert_eq!(app.mails_waiting().await, 0);
    let request = GetEmailVerificationRequest { email_verification_id: id };
    let read = app.back_end().users.get_email_verification(request).await.unwrap().into_inner();
    let read = read.email_verification.unwrap();
    assert_eq!((read.email.as_str(), read.user_id), (NEW, app.fixture.ada.to_string()));
    redeem(&app.public(), NEW, &read.code).await.unwrap();
}

/// A restart must not bring new guesses, also after the code has expired and was cleared away.
#[rstest]
#[tokio::test]
async fn the_next_code_has_the_tries_that_are_left_of_the_last(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let token = first_token(&app.public()).await;
    start(&app.public(), &token, NEW).await.unwrap();
    let guess = async |times: usize| {
        let typed = wrong(&app.last_code_to(NEW).await);
        for _ in 0..times {
            assert_eq!(refused(&app, "ada", &typed).await, "CODE_INCORRECT");
        }
    };
    guess(2).await;
    app.clock.advance(Duration::seconds(30));
    assert_eq!(start(&app.public(), &token, NEW).await.unwrap().attempts_left, 3);
    guess(3).await;
    app.clock.advance(Duration::minutes(11));
    sweep(&app.services).await.unwrap();
    let token = first_token(&app.public()).await;
    assert_eq!(reason(&start(&app.public(), &token, NEW).await.unwrap_err()), "CODE_SENT_RECENTLY");
    app.clock.advance(Duration::minutes(19));
    let token = first_token(&app.public()).await;
    assert_eq!(start(&app.public(), &token, NEW).await.unwrap().attempts_left, 5);
}

/// While guesses at a user are slowed down even the right code is wrong, and stays good.
#[rstest]
#[tokio::test]
async fn a_delay_does_not_show(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    for _ in 0..11 {
        assert_eq!(refused(&app, "ada", "123456").await, "CODE_INCORRECT");
    }
    start(&app.public(), &first_token(&app.public()).await, NEW).await.unwrap();
    let code = app.last_code_to(NEW).await;
    for login_id in ["ada", ADA, NEW] {
        let status = redeem(&app.public(), login_id, &code).await.unwrap_err();
        assert_eq!(Refused::from(&status), Refused::from(&redeem(&app.public(), "nobody", &code).await.unwrap_err()));
    }
    app.clock.advance(Duration::seconds(31));
    redeem(&app.public(), "ada", &code).await.unwrap();
}

/// Whoever asks last for a code to an address does not push aside whoever asked first.
#[rstest]
#[tokio::test]
async fn an_address_that_two_users_give_stands_for_neither(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    start(&app.public(), &first_token(&app.public()).await, NEW).await.unwrap();
    let code = app.last_code_to(NEW).await;
    let new =
        CreateUserRequest { username: Some("mary".into()), password: Some(PASSWORD.into()), ..Default::default() };
    app.back_end().users.create_user(new).await.unwrap();
    let login =
        signet::proto::SignInRequest { login_id: "mary".into(), password: PASSWORD.into(), ..Default::default() };
    let token = app.public().auth.sign_in(login).await.unwrap().into_inner().tokens.unwrap().refresh_token;
    start(&app.public(), &token, NEW).await.unwrap();
    for code in [&code, &app.last_code_to(NEW).await] {
        assert_eq!(refused(&app, NEW, code).await, "CODE_INCORRECT");
    }
    redeem(&app.public(), "ada", &code).await.unwrap();
}

/// Each try at an address counts like a mail.
#[rstest]
#[tokio::test]
async fn addresses_cannot_be_tried_without_limit(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let token = first_token(&app.public()).await;
    let mut reasons = Vec::new();
    for _ in 0..12 {
        reasons.push(reason(&start(&app.public(), &token, GRACE).await.unwrap_err()));
    }
    assert_eq!((reasons[0].as_str(), reasons[11].as_str()), ("IDENTIFIER_TAKEN", "CODE_SENT_RECENTLY"));
}
