//! Replacing a password by whoever knows it.

use chrono::Duration;
use rstest::rstest;
use serde_json::json;
use signet::{
    crypto::argon2_kernel::Argon2Cost,
    proto::{
        DisableUserRequest, ProjectSettings, ReplacePasswordRequest, ReplacePasswordResponse, SessionOptions,
        SignInOptions, SignInRequest, TokenOptions, session_options::ExistingSession,
    },
};
use tonic::Status;

use crate::{
    change_required::make_temporary,
    email_verification::{begin, pending, redeem},
    guessing::context,
    password_reset::{NEW, count, signs_in, start_by_code},
    refresh::set,
    session_options::{claims, joining, lasting, without},
    session_service::revoke,
    sessions::sign_in,
    sign_in::{claims_of, session_is_live},
    support::{ADA, CHEAP, Caller, Engine, GRACE, PASSWORD, Refused, TestApp, field_violations, reason},
};

fn request(login_id: &str, current_password: &str) -> ReplacePasswordRequest {
    ReplacePasswordRequest {
        login_id: login_id.into(),
        current_password: current_password.into(),
        new_password: NEW.into(),
        ..Default::default()
    }
}

async fn replace(caller: &Caller, request: ReplacePasswordRequest) -> Result<ReplacePasswordResponse, Status> {
    caller.auth.clone().replace_password(request).await.map(tonic::Response::into_inner)
}

async fn refusal(caller: &Caller, request: ReplacePasswordRequest) -> String {
    replace(caller, request).await.err().map(|status| reason(&status)).unwrap_or_default()
}

#[rstest]
#[tokio::test]
async fn the_new_password_is_set_and_its_owner_signed_in(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let other = sign_in(&app).await.tokens.unwrap();
    let (reset, code) = start_by_code(&app, ADA).await;
    let wanted = ReplacePasswordRequest {
        options: Some(SignInOptions { custom_claims: Some(claims(&json!({"plan": "pro"}))), ..Default::default() }),
        session_options: Some(lasting(900)),
        token_options: Some(TokenOptions { include_id_token: true, ..Default::default() }),
        client_context: Some(context("192.0.2.7", "")),
        ..request("ada", PASSWORD)
    };
    let before = app.hashes();
    let answer = replace(&app.public(), wanted).await.unwrap();
    assert_eq!(app.hashes() - before, 2);
    let (session, tokens) = (answer.session.unwrap(), answer.tokens.unwrap());
    assert_eq!(answer.user.unwrap().password_updated_at.unwrap().seconds, app.services.clock.now().timestamp());
    assert_eq!(session.client_context.unwrap().ip_address, "192.0.2.7");
    assert_eq!((tokens.refresh_expires_in_seconds, answer.first_seen), (900, false));
    assert_eq!(claims_of(tokens.session_token.as_ref().unwrap())["custom_claims"], json!({"plan": "pro"}));
    assert!(tokens.id_token.is_some() && answer.refresh_token_cookie.is_some());
    assert!(session_is_live(&app.back_end(), &tokens.access_token).await);
    assert!(!session_is_live(&app.back_end(), &other.access_token).await, "the other session has ended");
    assert!(!signs_in(&app, ADA, PASSWORD).await && signs_in(&app, ADA, NEW).await);
    // What was begun with the old password is dead.
    assert_eq!(crate::password_reset::refusal(&app.public(), &reset, &code).await, "PASSWORD_RESET_INVALID");
    let events = app.events().await;
    assert_eq!(count(&events, "password.set (replaced)"), 1);
    assert_eq!(count(&events, "session.revoked (password_replaced)"), 1);

    // The device is known under the new password.
    for _ in 0..11 {
        refusal(&app.public(), request("ada", "wrong password")).await;
    }
    let login = |device: &str| SignInRequest {
        login_id: "ada".into(),
        password: NEW.into(),
        client_context: Some(context("", device)),
        ..Default::default()
    };
    app.public().auth.sign_in(login("")).await.unwrap_err();
    app.public().auth.sign_in(login(&answer.device_token)).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn whoever_does_not_know_it_gets_the_same_answer_for_the_same_work(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let disabled = DisableUserRequest { user_id: app.fixture.grace.to_string() };
    app.back_end().users.disable_user(disabled).await.unwrap();
    let mut answers = Vec::new();
    for (login_id, password) in
        [("ada", "wrong password"), ("nobody@example.com", PASSWORD), ("mute", PASSWORD), (GRACE, PASSWORD)]
    {
        // A new password that would be refused shows nothing either, and is not looked at.
        for new_password in [NEW, "short"] {
            let before = app.hashes();
            let request = ReplacePasswordRequest { new_password: new_password.into(), ..request(login_id, password) };
            let status = replace(&app.public(), request).await.unwrap_err();
            answers.push((Refused::from(&status), app.hashes() - before));
        }
    }
    assert_eq!((answers[0].0.reason.as_str(), answers[0].1), ("INVALID_CREDENTIALS", 1));
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
}

#[rstest]
#[tokio::test]
async fn guesses_are_counted_with_those_of_a_sign_in(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let login =
        |password: &str| SignInRequest { login_id: "ada".into(), password: password.into(), ..Default::default() };
    for number in 0..11 {
        let guess = format!("guess {number}");
        if number % 2 == 0 {
            assert_eq!(refusal(&app.public(), request(ADA, &guess)).await, "INVALID_CREDENTIALS");
        } else {
            app.public().auth.sign_in(login(&guess)).await.unwrap_err();
        }
    }
    assert_eq!(count(&app.events().await, "throttle.tripped (sign_in)"), 1);
    assert_eq!(refusal(&app.public(), request("ada", PASSWORD)).await, "INVALID_CREDENTIALS", "slowed down");
    app.public().auth.sign_in(login(PASSWORD)).await.unwrap_err();
    app.clock.advance(Duration::seconds(31));
    // A right one forgets them, though the new password is refused.
    let weak = ReplacePasswordRequest { new_password: "password1".into(), ..request("ada", PASSWORD) };
    let status = replace(&app.public(), weak).await.unwrap_err();
    assert_eq!(
        (reason(&status).as_str(), field_violations(&status)),
        ("PASSWORD_REJECTED", vec!["new_password".into()])
    );
    for _ in 0..10 {
        assert_eq!(refusal(&app.public(), request(ADA, "wrong password")).await, "INVALID_CREDENTIALS");
    }
    assert_eq!(refusal(&app.public(), request(ADA, PASSWORD)).await, "");
    assert_eq!(count(&app.events().await, "throttle.tripped (sign_in)"), 1);
}

#[rstest]
#[tokio::test]
async fn a_password_that_has_to_be_changed_is_replaced(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    make_temporary(&app, app.fixture.ada).await;
    let answer = replace(&app.public(), request("ada", PASSWORD)).await.unwrap();
    assert!(!answer.user.unwrap().password_must_change && answer.first_seen);
    assert!(session_is_live(&app.back_end(), &answer.tokens.unwrap().access_token).await);
    assert!(signs_in(&app, ADA, NEW).await);
}

#[rstest]
#[tokio::test]
async fn an_unverified_address_stops_the_sign_in_but_not_the_password(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let begun = begin(&app.back_end()).await;
    let old_code = app.last_code_to(GRACE).await;
    app.clock.advance(Duration::minutes(1));
    let status = replace(&app.public(), request(GRACE, PASSWORD)).await.unwrap_err();
    assert_eq!(reason(&status), "EMAIL_VERIFICATION_REQUIRED");
    assert_eq!(count(&app.events().await, "user.signed_in"), 0);
    redeem(&app.back_end(), &begun, &old_code).await.expect_err("it died with the old password");
    let code = app.last_code_to(GRACE).await;
    redeem(&app.public(), &pending(&status).pending_authentication_token, &code).await.unwrap();
    assert!(!signs_in(&app, GRACE, PASSWORD).await && signs_in(&app, GRACE, NEW).await);
}

#[rstest]
#[tokio::test]
async fn a_session_that_is_joined_goes_on_alone(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (kept, other) = (sign_in(&app).await, sign_in(&app).await);
    let (session, tokens) = (kept.session.unwrap(), kept.tokens.unwrap());
    let with =
        |options: SessionOptions| ReplacePasswordRequest { session_options: Some(options), ..request("ada", PASSWORD) };
    let joins = joining(ExistingSession::RefreshToken(tokens.refresh_token.clone()));
    let answer = replace(&app.public(), with(joins)).await.unwrap();
    assert_eq!(answer.session.unwrap().session_id, session.session_id);
    assert_ne!(answer.tokens.unwrap().refresh_token, tokens.refresh_token, "whoever has the old one gains nothing");
    assert!(session_is_live(&app.back_end(), &tokens.access_token).await);
    assert!(!session_is_live(&app.back_end(), &other.tokens.unwrap().access_token).await);

    // One that has ended cannot be joined, and then nothing is done at all.
    revoke(&app.back_end(), &session.session_id).await.unwrap();
    let again = |options| ReplacePasswordRequest {
        current_password: NEW.into(),
        new_password: "yet another one".into(),
        ..with(options)
    };
    let gone = joining(ExistingSession::SessionId(session.session_id));
    assert_eq!(refusal(&app.back_end(), again(gone.clone())).await, "SESSION_NOT_ACTIVE");
    assert_eq!(refusal(&app.public(), again(gone)).await, "CALLER_NOT_PERMITTED");
    assert!(signs_in(&app, ADA, NEW).await);
    let answer = replace(&app.public(), again(without())).await.unwrap();
    assert_eq!((answer.session, answer.tokens, answer.refresh_token_cookie), (None, None, None));
    assert!(signs_in(&app, ADA, "yet another one").await);
}

#[rstest]
#[tokio::test]
async fn a_hash_is_not_made_anew_only_to_be_replaced(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let risen = Argon2Cost { memory_kib: CHEAP.memory_kib * 2, ..CHEAP };
    let Some(app) = TestApp::start_with(engine, risen).await else { return };
    replace(&app.public(), request("ada", PASSWORD)).await.unwrap();
    assert_eq!(count(&app.events().await, "password.rehashed"), 0);
}

#[rstest]
#[case(ReplacePasswordRequest { login_id: String::new(), ..request("", PASSWORD) }, "INVALID_FIELD", "login_id")]
#[case(request("ada", ""), "INVALID_FIELD", "current_password")]
#[case(ReplacePasswordRequest { new_password: String::new(), ..request("ada", PASSWORD) }, "INVALID_FIELD", "new_password")]
#[case(
    ReplacePasswordRequest {
        options: Some(SignInOptions { additional_factor: true, ..Default::default() }),
        ..request("ada", PASSWORD)
    },
    "NOT_SUPPORTED",
    "options.additional_factor"
)]
#[case(
    ReplacePasswordRequest {
        token_options: Some(TokenOptions { resource: "https://elsewhere.example/".into(), ..Default::default() }),
        ..request("ada", PASSWORD)
    },
    "RESOURCE_NOT_ALLOWED",
    "token_options.resource"
)]
#[tokio::test]
async fn what_cannot_be_asked_for_is_named_before_any_work(
    #[case] request: ReplacePasswordRequest,
    #[case] expected: &str,
    #[case] field: &str,
) {
    let Some(app) = TestApp::start(Engine::Sqlite).await else { return };
    let status = replace(&app.public(), request).await.unwrap_err();
    assert_eq!((reason(&status).as_str(), field_violations(&status).as_slice()), (expected, &[field.to_owned()][..]));
    assert_eq!(app.hashes(), 0);
}

#[rstest]
#[tokio::test]
async fn of_two_replacements_at_once_one_wins(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let settings = ProjectSettings { require_email_verification: Some(false), ..Default::default() };
    set(&app, &["require_email_verification"], settings).await;
    let (one, other) = (app.public(), app.public());
    let two = ReplacePasswordRequest { new_password: "yet another one".into(), ..request(ADA, PASSWORD) };
    let (one, other) = tokio::join!(replace(&one, request(ADA, PASSWORD)), replace(&other, two));
    // Whether they meet is chance: the second may have come after the first.
    let refused: Vec<String> = [&one, &other].iter().filter_map(|answer| answer.as_ref().err()).map(reason).collect();
    assert_eq!(refused, ["INVALID_CREDENTIALS"]);
    assert_eq!(signs_in(&app, ADA, NEW).await, one.is_ok());
    assert_eq!(signs_in(&app, ADA, "yet another one").await, other.is_ok());
}
