//! The second step of a sign-in: a pending token and a code.

use chrono::Duration;
use rstest::rstest;
use signet::proto::{
    AuthenticateEmailVerificationRequest, AuthenticateEmailVerificationResponse, ClientContext, DisableUserRequest,
    EnableUserRequest, PendingAuthentication, SendEmailVerificationRequest, SetPasswordRequest, SignInRequest,
    UpdateUserRequest, UserUpdate,
};
use tonic::{Code, Status};
use tonic_types::pb::ErrorInfo;

use crate::{
    sign_in::{email, session_is_live, try_password},
    support::{Caller, Engine, GRACE, PASSWORD, TestApp, detail, field_violations, reason},
};

/// Takes the first step; gives the pending token.
pub(crate) async fn begin(caller: &Caller) -> String {
    let status = try_password(caller, email(GRACE), PASSWORD).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "EMAIL_VERIFICATION_REQUIRED"));
    pending(&status).pending_authentication_token
}

pub(crate) fn pending(status: &Status) -> PendingAuthentication {
    detail(status, "auth.v1.PendingAuthentication").expect("a PendingAuthentication in the details")
}

pub(crate) async fn redeem(
    caller: &Caller,
    token: &str,
    code: &str,
) -> Result<AuthenticateEmailVerificationResponse, Status> {
    let request = AuthenticateEmailVerificationRequest {
        pending_authentication_token: token.into(),
        code: code.into(),
        client_context: None,
    };
    let response = caller.auth.clone().authenticate_email_verification(request).await;
    response.map(tonic::Response::into_inner)
}

/// Another code than the right one.
fn wrong(code: &str) -> String {
    if code == "000000" { "000001".into() } else { "000000".into() }
}

#[rstest]
#[tokio::test]
async fn pending_token_and_code_sign_the_user_in_once(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let token = begin(&app.back_end()).await;
    assert!(!app.events().await.contains(&"user.signed_in".to_owned()), "no session before every step is done");
    let code = app.last_code_to(GRACE).await;

    let answer = redeem(&app.back_end(), &token, &code).await.unwrap();
    assert!(answer.user.unwrap().email_verified);
    assert!(answer.first_seen);
    assert_eq!(answer.session.unwrap().authentication_methods.len(), 2);
    assert!(session_is_live(&app.back_end(), &answer.tokens.unwrap().access_token).await);

    let again = redeem(&app.back_end(), &token, &code).await.unwrap_err();
    assert_eq!(reason(&again), "PENDING_AUTHENTICATION_INVALID");
    try_password(&app.back_end(), email(GRACE), PASSWORD).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn two_calls_with_one_code_open_one_session(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let token = begin(&app.back_end()).await;
    let code = app.last_code_to(GRACE).await;
    let caller = app.back_end();
    let (one, two) = tokio::join!(redeem(&caller, &token, &code), redeem(&caller, &token, &code));
    assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
}

#[rstest]
#[tokio::test]
async fn an_application_that_keeps_no_secret_can_finish_what_it_began(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let context = ClientContext { ip_address: "192.0.2.7".into(), user_agent: "Phone/2".into(), ..Default::default() };
    let request = SignInRequest {
        login_id: GRACE.into(),
        password: PASSWORD.into(),
        client_context: Some(context.clone()),
        ..Default::default()
    };
    let status = app.public().auth.sign_in(request).await.unwrap_err();
    let token = pending(&status).pending_authentication_token;
    let code = app.last_code_to(GRACE).await;

    let other = redeem(&app.back_end(), &token, &code).await.unwrap_err();
    assert_eq!(reason(&other), "PENDING_AUTHENTICATION_INVALID", "only the client that began can finish");
    let answer = redeem(&app.public(), &token, &code).await.unwrap();
    assert!(answer.tokens.unwrap().session_token.is_some(), "the tokens are those asked for in the first step");
    assert_eq!(answer.session.unwrap().client_context, Some(context));
}

#[rstest]
#[tokio::test]
async fn five_wrong_codes_are_the_end(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let token = begin(&app.back_end()).await;
    let code = app.last_code_to(GRACE).await;
    for left in (1..5).rev() {
        let status = redeem(&app.back_end(), &token, &wrong(&code)).await.unwrap_err();
        assert_eq!(reason(&status), "CODE_INCORRECT");
        let info: ErrorInfo = detail(&status, "google.rpc.ErrorInfo").unwrap();
        assert_eq!(info.metadata["attempts_left"], left.to_string());
    }
    for code in [&wrong(&code), &code] {
        let status = redeem(&app.back_end(), &token, code).await.unwrap_err();
        assert_eq!(reason(&status), "CODE_ATTEMPTS_EXHAUSTED");
    }
}

#[rstest]
#[tokio::test]
async fn guesses_that_arrive_together_do_not_share_a_try(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let token = begin(&app.back_end()).await;
    let wrong = wrong(&app.last_code_to(GRACE).await);
    let guesses = (0..20).map(|_| {
        let (caller, token, code) = (app.back_end(), token.clone(), wrong.clone());
        tokio::spawn(async move { redeem(&caller, &token, &code).await.unwrap_err() })
    });
    for guess in guesses.collect::<Vec<_>>() {
        guess.await.unwrap();
    }
    let looked_at = app.events().await.iter().filter(|event| *event == "email_code.failed").count();
    assert_eq!(looked_at, 5);
}

#[rstest]
#[tokio::test]
async fn new_pending_authentications_bring_no_endless_guesses(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    for _ in 0..4 {
        let token = begin(&app.back_end()).await;
        let wrong = wrong(&app.last_code_to(GRACE).await);
        for _ in 0..5 {
            redeem(&app.back_end(), &token, &wrong).await.unwrap_err();
        }
    }
    let looked_at = app.events().await.iter().filter(|event| *event == "email_code.failed").count();
    assert_eq!(looked_at, 11, "ten guesses are free, the next one slows the user's codes down");
    let token = begin(&app.back_end()).await;
    let code = app.last_code_to(GRACE).await;
    assert!(redeem(&app.back_end(), &token, &code).await.is_err());
    app.clock.advance(Duration::seconds(31));
    redeem(&app.back_end(), &token, &code).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn a_code_is_good_for_its_own_pending_authentication_only(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let first = begin(&app.back_end()).await;
    let first_code = app.last_code_to(GRACE).await;
    app.clock.advance(Duration::seconds(30));
    let second = begin(&app.back_end()).await;
    let second_code = app.last_code_to(GRACE).await;
    assert_ne!(first_code, second_code, "one in a million runs may fail here");
    assert_eq!(reason(&redeem(&app.back_end(), &second, &first_code).await.unwrap_err()), "CODE_INCORRECT");
    assert_eq!(reason(&redeem(&app.back_end(), &first, &second_code).await.unwrap_err()), "CODE_INCORRECT");
    redeem(&app.back_end(), &first, &first_code).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn two_tabs_make_one_mail_and_its_code_is_good_for_either(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let first = begin(&app.back_end()).await;
    app.clock.advance(Duration::seconds(20));
    let second = begin(&app.back_end()).await;
    assert_eq!(app.mails_waiting().await, 1);
    let code = app.last_code_to(GRACE).await;

    // The second token outlives the code it shares with the first.
    app.clock.advance(Duration::minutes(10) - Duration::seconds(10));
    assert_eq!(reason(&redeem(&app.back_end(), &second, &code).await.unwrap_err()), "CODE_EXPIRED");

    let third = begin(&app.back_end()).await;
    let code = app.last_code_to(GRACE).await;
    redeem(&app.back_end(), &third, &code).await.unwrap();
    assert_eq!(reason(&redeem(&app.back_end(), &first, &code).await.unwrap_err()), "PENDING_AUTHENTICATION_INVALID");
}

#[rstest]
#[tokio::test]
async fn a_code_that_was_sent_before_the_sign_in_completes_it(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let send = SendEmailVerificationRequest { user_id: app.fixture.grace.to_string(), ..Default::default() };
    app.back_end().users.send_email_verification(send).await.unwrap();
    app.clock.advance(Duration::minutes(5));
    let token = begin(&app.back_end()).await;
    assert_eq!(app.mails_waiting().await, 1, "no second mail while the first is good for it");
    let code = app.last_code_to(GRACE).await;
    redeem(&app.back_end(), &token, &code).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn a_resend_lets_the_pending_authentication_live_as_long_as_the_code(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let token = begin(&app.back_end()).await;
    app.clock.advance(Duration::minutes(9));
    let resend = SendEmailVerificationRequest { user_id: app.fixture.grace.to_string(), ..Default::default() };
    app.back_end().users.send_email_verification(resend).await.unwrap();
    let code = app.last_code_to(GRACE).await;
    app.clock.advance(Duration::minutes(9));
    redeem(&app.back_end(), &token, &code).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn a_resend_renews_an_expired_code_that_is_still_waited_for(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
    #[values(false, true)] swept: bool,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    begin(&app.back_end()).await;
    app.clock.advance(Duration::seconds(20));
    let token = begin(&app.back_end()).await;
    let old = app.last_code_to(GRACE).await;
    app.clock.advance(Duration::minutes(10) - Duration::seconds(10));
    if swept {
        signet::usecase::sweep::sweep(&app.services).await.unwrap();
    }
    assert_eq!(reason(&redeem(&app.back_end(), &token, &old).await.unwrap_err()), "CODE_EXPIRED");

    let resend = SendEmailVerificationRequest { user_id: app.fixture.grace.to_string(), ..Default::default() };
    app.back_end().users.send_email_verification(resend).await.unwrap();
    let new = app.last_code_to(GRACE).await;
    redeem(&app.back_end(), &token, &new).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn sign_ins_cannot_fill_a_mailbox(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    for _ in 0..40 {
        begin(&app.back_end()).await;
        app.clock.advance(Duration::seconds(31));
    }
    let mails = app.mails_waiting().await;
    assert!((11..=25).contains(&mails), "forty sign-ins in twenty minutes made {mails} mails");

    // Without a live code to fall back on, the answer says when there will be one.
    let token = begin(&app.back_end()).await;
    for _ in 0..5 {
        redeem(&app.back_end(), &token, "000000").await.unwrap_err();
    }
    let status = try_password(&app.back_end(), email(GRACE), PASSWORD).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::ResourceExhausted, "CODE_SENT_RECENTLY"));
    assert!(detail::<tonic_types::pb::RetryInfo>(&status, "google.rpc.RetryInfo").is_some());
    app.clock.advance(Duration::minutes(15));
    begin(&app.back_end()).await;
}

#[rstest]
#[tokio::test]
async fn a_resend_replaces_the_code_but_keeps_the_budget(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let token = begin(&app.back_end()).await;
    let old = app.last_code_to(GRACE).await;
    redeem(&app.back_end(), &token, &wrong(&old)).await.unwrap_err();
    let resend = SendEmailVerificationRequest { user_id: app.fixture.grace.to_string(), ..Default::default() };
    let status = app.back_end().users.send_email_verification(resend.clone()).await.unwrap_err();
    assert_eq!(reason(&status), "CODE_SENT_RECENTLY");

    app.clock.advance(Duration::seconds(30));
    app.back_end().users.send_email_verification(resend).await.unwrap();
    let new = app.last_code_to(GRACE).await;
    assert_ne!(old, new, "one in a million runs may fail here");
    let status = redeem(&app.back_end(), &token, &old).await.unwrap_err();
    let info: ErrorInfo = detail(&status, "google.rpc.ErrorInfo").unwrap();
    assert_eq!(info.metadata["attempts_left"], "3", "the try before the resend still counts");
    redeem(&app.back_end(), &token, &new).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn expired_codes_are_refused_though_nothing_was_cleared_away(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let token = begin(&app.back_end()).await;
    let code = app.last_code_to(GRACE).await;
    app.clock.advance(Duration::minutes(10));
    let status = redeem(&app.back_end(), &token, &code).await.unwrap_err();
    assert_eq!(reason(&status), "PENDING_AUTHENTICATION_INVALID");
}

#[rstest]
#[tokio::test]
async fn what_happens_in_between_kills_the_pending_authentication(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
    #[values("password", "disabled", "disabled and enabled", "slowed down", "address")] what: &str,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let token = begin(&app.back_end()).await;
    let code = app.last_code_to(GRACE).await;
    let (user_id, mut back_end) = (app.fixture.grace.to_string(), app.back_end());
    match what {
        "password" => {
            // Even the same password again: somebody meant to start over.
            let request = SetPasswordRequest { user_id, password: PASSWORD.into(), ..Default::default() };
            back_end.users.set_password(request).await.unwrap();
        }
        "disabled" => {
            back_end.users.disable_user(DisableUserRequest { user_id }).await.unwrap();
        }
        "disabled and enabled" => {
            back_end.users.disable_user(DisableUserRequest { user_id: user_id.clone() }).await.unwrap();
            back_end.users.enable_user(EnableUserRequest { user_id }).await.unwrap();
        }
        "slowed down" => {
            for _ in 0..11 {
                try_password(&back_end, email(GRACE), "wrong password").await.unwrap_err();
            }
        }
        _ => {
            let user = UserUpdate { email: Some("hopper@example.com".into()), ..Default::default() };
            let mask = prost_types::FieldMask { paths: vec!["email".into()] };
            let request = UpdateUserRequest { user_id, user: Some(user), update_mask: Some(mask) };
            back_end.users.update_user(request).await.unwrap();
        }
    }
    let status = redeem(&app.back_end(), &token, &code).await.unwrap_err();
    assert_eq!(reason(&status), "PENDING_AUTHENTICATION_INVALID");
    assert!(!app.events().await.contains(&"user.signed_in".to_owned()));
}

#[rstest]
#[case::empty("", "code")]
#[case::short("12345", "code")]
#[case::long("1234567", "code")]
#[case::letters("12345a", "code")]
#[case::other_digits("١٢٣٤٥٦", "code")]
#[tokio::test]
async fn a_malformed_code_is_named_and_costs_no_try(#[case] code: &str, #[case] field: &str) {
    let Some(app) = TestApp::start(Engine::Sqlite).await else { return };
    let token = begin(&app.back_end()).await;
    let status = redeem(&app.back_end(), &token, code).await.unwrap_err();
    assert_eq!(field_violations(&status), [field]);
    assert!(!app.events().await.contains(&"email_code.failed".to_owned()));
}

#[rstest]
#[tokio::test]
async fn a_pending_token_cut_or_changed_anywhere_is_refused(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let token = begin(&app.back_end()).await;
    let code = app.last_code_to(GRACE).await;
    for cut in 1..token.len() {
        let status = redeem(&app.back_end(), &token[..cut], &code).await.unwrap_err();
        assert_eq!(reason(&status), "PENDING_AUTHENTICATION_INVALID");
    }
    for bit in 0..token.len() * 8 {
        let mut bytes = token.clone().into_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(flipped) = String::from_utf8(bytes) {
            let status = redeem(&app.back_end(), &flipped, &code).await.unwrap_err();
            assert_eq!(reason(&status), "PENDING_AUTHENTICATION_INVALID");
        }
    }
    redeem(&app.back_end(), &token, &code).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn the_mail_goes_to_the_address_that_is_verified(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    begin(&app.back_end()).await;
    assert_eq!(app.mails_waiting().await, 1, "the mail is in the outbox in the same transaction");
    let mail = app.last_mail_to(GRACE).await;
    assert!(mail.subject.contains("Example"));
    assert_eq!(app.mails_waiting().await, 0);
}
