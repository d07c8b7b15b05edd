//! Codes and password resets that a trusted back end reads, mails and confirms.

use chrono::Duration;
use rstest::rstest;
use signet::proto::{
    ConfirmEmailVerificationRequest, CreatePasswordResetRequest, DisableUserRequest, EmailVerification,
    GetEmailVerificationRequest, GetPasswordResetRequest, PasswordReset, ProjectSettings, SendEmailVerificationRequest,
    User,
};
use tonic::Status;

use crate::{
    email_verification::{begin, pending, redeem},
    password_reset::{INVALID, NEW, PAGES, allow_pages, by_link, complete, count, refusal, signs_in, start},
    refresh::{seconds, set},
    sign_in::{email, try_password},
    support::{ADA, Engine, GRACE, PASSWORD, TestApp, reason},
};

async fn confirm(app: &TestApp, code: &str) -> Result<User, Status> {
    let request = ConfirmEmailVerificationRequest { user_id: app.fixture.grace.to_string(), code: code.into() };
    Ok(app.back_end().users.confirm_email_verification(request).await?.into_inner().user.unwrap())
}

async fn read(app: &TestApp, id: &str) -> Result<EmailVerification, Status> {
    let request = GetEmailVerificationRequest { email_verification_id: id.into() };
    Ok(app.back_end().users.get_email_verification(request).await?.into_inner().email_verification.unwrap())
}

fn reset_of(address: &str) -> CreatePasswordResetRequest {
    CreatePasswordResetRequest { email: address.into(), ..Default::default() }
}

pub(crate) async fn create(app: &TestApp, request: CreatePasswordResetRequest) -> Result<PasswordReset, Status> {
    Ok(app.back_end().users.create_password_reset(request).await?.into_inner().password_reset.unwrap())
}

async fn read_reset(app: &TestApp, id: &str) -> Result<PasswordReset, Status> {
    let request = GetPasswordResetRequest { password_reset_id: id.into() };
    Ok(app.back_end().users.get_password_reset(request).await?.into_inner().password_reset.unwrap())
}

async fn mails_itself(app: &TestApp) {
    let settings = ProjectSettings { application_sends_mail: Some(true), ..Default::default() };
    set(app, &["application_sends_mail"], settings).await;
}

#[rstest]
#[tokio::test]
async fn a_code_is_read_while_it_can_be_redeemed(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let status = try_password(&app.back_end(), email(GRACE), PASSWORD).await.unwrap_err();
    let started = pending(&status);
    let id = started.email_verification_id;
    let first = read(&app, &id).await.unwrap();
    assert_eq!(first.code, app.last_code_to(GRACE).await);
    assert_eq!((first.email.as_str(), first.user_id), (GRACE, app.fixture.grace.to_string()));

    app.clock.advance(Duration::seconds(30));
    let request = SendEmailVerificationRequest { user_id: app.fixture.grace.to_string(), locale: "de".into() };
    let again = app.back_end().users.send_email_verification(request).await.unwrap().into_inner();
    assert_eq!(again.email_verification_id, id, "a resend renews it");
    let second = read(&app, &id).await.unwrap();
    assert_eq!(second.code, app.last_code_to(GRACE).await);
    assert!(second.created_at.unwrap().seconds > first.created_at.unwrap().seconds);

    let request = GetEmailVerificationRequest { email_verification_id: id.clone() };
    let status = app.stranger().users.get_email_verification(request).await.unwrap_err();
    assert_eq!(reason(&status), "EMAIL_VERIFICATION_NOT_FOUND");
    let no_code = id.replace("email_verification_", "password_reset_");
    assert_eq!(reason(&read_reset(&app, &no_code).await.unwrap_err()), "PASSWORD_RESET_NOT_FOUND");
    redeem(&app.back_end(), &started.pending_authentication_token, &second.code).await.unwrap();
    assert_eq!(reason(&read(&app, &id).await.unwrap_err()), "EMAIL_VERIFICATION_NOT_FOUND");
}

#[rstest]
#[tokio::test]
async fn a_confirmed_code_is_used_up_and_so_is_what_waited_for_it(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    assert_eq!(reason(&confirm(&app, "123456").await.unwrap_err()), "CODE_EXPIRED", "none was sent");
    let token = begin(&app.back_end()).await;
    let code = app.last_code_to(GRACE).await;
    let wrong = if code == "000000" { "000001" } else { "000000" };
    assert_eq!(reason(&confirm(&app, wrong).await.unwrap_err()), "CODE_INCORRECT");
    let user = confirm(&app, &code).await.unwrap();
    assert!(user.email_verified && user.user_id == app.fixture.grace.to_string());
    assert_eq!(reason(&confirm(&app, &code).await.unwrap_err()), "EMAIL_ALREADY_VERIFIED");
    let status = redeem(&app.back_end(), &token, &code).await.unwrap_err();
    assert_eq!(reason(&status), "PENDING_AUTHENTICATION_INVALID", "a used code completes nothing");
    assert!(!app.events().await.contains(&"user.signed_in".to_owned()));
    try_password(&app.back_end(), email(GRACE), PASSWORD).await.expect("there is no second step any more");
}

#[rstest]
#[tokio::test]
async fn confirmations_and_second_steps_share_the_tries_of_a_code(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let token = begin(&app.back_end()).await;
    let code = app.last_code_to(GRACE).await;
    let wrong = if code == "000000" { "000001" } else { "000000" };
    for _ in 0..2 {
        redeem(&app.back_end(), &token, wrong).await.unwrap_err();
    }
    for expected in ["CODE_INCORRECT", "CODE_INCORRECT", "CODE_ATTEMPTS_EXHAUSTED"] {
        assert_eq!(reason(&confirm(&app, wrong).await.unwrap_err()), expected);
    }
    assert_eq!(reason(&confirm(&app, &code).await.unwrap_err()), "CODE_ATTEMPTS_EXHAUSTED");
    app.clock.advance(Duration::minutes(10));
    assert_eq!(reason(&confirm(&app, &code).await.unwrap_err()), "CODE_EXPIRED");
}

#[rstest]
#[tokio::test]
async fn a_reset_is_made_read_and_completed(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    allow_pages(&app).await;
    let request = CreatePasswordResetRequest {
        reset_url: "https://app.example/reset?lang=de".into(),
        lifetime: Some(seconds(86_400)),
        ..reset_of(" Ada@EXAMPLE.com")
    };
    let made = create(&app, request).await.unwrap();
    assert_eq!((made.email.as_str(), made.user_id.as_str()), (ADA, app.fixture.ada.to_string().as_str()));
    let token = &made.password_reset_token;
    assert_eq!(made.password_reset_url, format!("https://app.example/reset?lang=de&token={token}"));
    assert_eq!(made.expires_at.unwrap().seconds - made.created_at.unwrap().seconds, 86_400);
    assert!(app.last_mail_to(ADA).await.text.contains(&made.password_reset_url));
    assert_eq!(read_reset(&app, &made.password_reset_id).await.unwrap(), made);
    app.clock.advance(Duration::hours(23));
    complete(&app.public(), token, "", NEW).await.unwrap();
    assert!(signs_in(&app, ADA, NEW).await);
    let gone = reason(&read_reset(&app, &made.password_reset_id).await.unwrap_err());
    assert_eq!(gone, "PASSWORD_RESET_NOT_FOUND");
    assert_eq!(count(&app.events().await, "password_reset.started"), 1);
}

#[rstest]
#[tokio::test]
async fn a_reset_leads_to_pages_of_the_project_only(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let refused = async |request| reason(&create(&app, request).await.unwrap_err());
    let to = |page: &str| CreatePasswordResetRequest { reset_url: page.into(), ..reset_of(ADA) };
    assert_eq!(refused(reset_of(ADA)).await, "PASSWORD_RESET_URL_NOT_ALLOWED", "a mail would lead nowhere");
    let quiet = CreatePasswordResetRequest { without_mail: true, ..reset_of(ADA) };
    assert_eq!(create(&app, quiet).await.unwrap().password_reset_url, "");
    allow_pages(&app).await;
    for page in [
        "https://evil.example/reset",
        "https://app.example/reset/x",
        "https://app.example/reset#a",
        "https://app.example:444/reset",
        "https://user@app.example/reset",
        "http://app.example/reset",
        "/reset",
        &format!("https://app.example/reset?{}", "x".repeat(512)),
    ] {
        assert_eq!(refused(to(page)).await, "PASSWORD_RESET_URL_NOT_ALLOWED", "{page}");
    }
    for page in [PAGES[0], PAGES[1], "https://app.example/other?x=1"] {
        let made = create(&app, to(page)).await.unwrap();
        let start = url::Url::parse(page).unwrap();
        assert!(made.password_reset_url.starts_with(start.as_str()), "{}", made.password_reset_url);
    }
    assert_eq!(refused(reset_of("nobody@example.com")).await, "USER_NOT_FOUND");
    let request = DisableUserRequest { user_id: app.fixture.grace.to_string() };
    app.back_end().users.disable_user(request).await.unwrap();
    assert_eq!(refused(reset_of(GRACE)).await, "USER_NOT_FOUND", "they could not complete it");
}

#[rstest]
#[tokio::test]
async fn without_mails_of_ours_codes_and_resets_are_still_counted(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    allow_pages(&app).await;
    mails_itself(&app).await;
    let token = begin(&app.back_end()).await;
    start(&app.public(), by_link(ADA)).await.unwrap();
    for _ in 0..10 {
        create(&app, reset_of(ADA)).await.unwrap();
    }
    assert_eq!(app.mails_waiting().await, 0);
    assert_eq!(reason(&create(&app, reset_of(ADA)).await.unwrap_err()), "CODE_SENT_RECENTLY");
    let quiet = CreatePasswordResetRequest { without_mail: true, ..reset_of(ADA) };
    create(&app, quiet).await.expect("nobody is mailed");
    assert_eq!(refusal(&app.back_end(), &token, "").await, INVALID, "another thing");
}
