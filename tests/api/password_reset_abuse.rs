//! Password resets in the hands of somebody else: guesses, floods, and what an answer gives away.

use chrono::Duration;
use rstest::rstest;
use signet::proto::DisableUserRequest;
use tonic::Code;

use crate::{
    password_reset::{
        INVALID, NEW, PAGES, allow_pages, by_code, by_link, complete, count, refusal, signs_in, start, start_by_code,
        start_by_link,
    },
    support::{ADA, Engine, GRACE, PASSWORD, RawCall, Refused, TestApp, field_violations, message, reason},
};

/// Another code than the right one.
fn wrong(code: &str) -> &'static str {
    if code == "00000000" { "00000001" } else { "00000000" }
}

#[rstest]
#[tokio::test]
async fn headers_never_reach_the_link_and_pages_must_be_the_projects(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let path = "/auth.v1.AuthService/StartPasswordReset";
    let call = async |reset_url: &str| {
        let request = serde_json::json!({"email": ADA, "method": 2, "reset_url": reset_url});
        let mut call = RawCall::to(path).authorization(&app.fixture.public).message(&message(path, request));
        for (name, value) in [
            ("host", "evil.example"),
            ("x-forwarded-host", "evil.example"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-server", "evil.example"),
            ("x-forwarded-prefix", "/evil.example"),
            ("forwarded", "host=evil.example;proto=http"),
            ("x-original-host", "evil.example"),
            ("x-original-url", "https://evil.example/"),
            ("x-rewrite-url", "https://evil.example/"),
            ("referer", "https://evil.example/"),
        ] {
            call = call.header(name, value.as_bytes());
        }
        call.send(&app.routes()).await
    };
    for page in ["", PAGES[0]] {
        assert_eq!(call(page).await.reason(), "PASSWORD_RESET_URL_NOT_ALLOWED", "the project has no pages");
    }
    allow_pages(&app).await;
    let spellings = ["https://APP.example/reset", "https://app.example/reset/", "https://app.example/reset#a"];
    for page in spellings.into_iter().chain(["https://evil.example/", "https://app.example", " ", "\0"]) {
        let answer = call(page).await;
        assert_eq!(
            (answer.status.code(), answer.reason().as_str()),
            (Code::InvalidArgument, "PASSWORD_RESET_URL_NOT_ALLOWED")
        );
        assert_eq!(field_violations(&answer.status), ["reset_url"]);
    }
    assert_eq!(app.mails_waiting().await, 0);
    assert!(call("").await.is_ok());
    let mail = app.last_mail_to(ADA).await;
    assert!(!format!("{}{}{}", mail.subject, mail.text, mail.html).contains("evil"), "{}", mail.text);
    assert!(mail.link.unwrap().starts_with("https://app.example/reset?token=signet_pr_"));
}

#[rstest]
#[tokio::test]
async fn a_reset_token_cut_or_changed_anywhere_is_refused(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    allow_pages(&app).await;
    let link = start_by_link(&app, ADA).await;
    for cut in 1..link.len() {
        assert_eq!(refusal(&app.public(), &link[..cut], "").await, INVALID);
    }
    for bit in 0..link.len() * 8 {
        let mut bytes = link.clone().into_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(flipped) = String::from_utf8(bytes) {
            assert_eq!(refusal(&app.public(), &flipped, "").await, INVALID);
        }
    }
    complete(&app.public(), &link, "", NEW).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn whether_an_address_is_somebodys_shows_in_no_answer(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    allow_pages(&app).await;
    let disabled = DisableUserRequest { user_id: app.fixture.grace.to_string() };
    app.back_end().users.disable_user(disabled).await.unwrap();
    for address in ["nobody@example.com", GRACE] {
        for request in [by_code as fn(&str) -> _, by_link] {
            let theirs = start(&app.public(), request(address)).await.unwrap();
            assert_eq!(app.mails_waiting().await, 0, "nothing is sent to {address}");
            let adas = start(&app.public(), request(ADA)).await.unwrap();
            assert_eq!(app.mails_waiting().await, 1);
            app.last_mail_to(ADA).await;
            assert_eq!(theirs.password_reset_token.len(), adas.password_reset_token.len());
            assert_ne!(theirs.password_reset_token.is_empty(), adas.password_reset_token.starts_with("signet_pr_"));
            assert_eq!(theirs.expires_at, adas.expires_at);
            if !theirs.password_reset_token.is_empty() {
                // Nor in what follows.
                let guess = async |token: &str| complete(&app.public(), token, "00000000", NEW).await.unwrap_err();
                let theirs = guess(&theirs.password_reset_token).await;
                assert_eq!(Refused::from(&theirs), Refused::from(&guess(&adas.password_reset_token).await));
            }
        }
    }
    let events = app.events().await;
    assert_eq!(count(&events, "password_reset.failed (unknown_user)"), 2);
    assert_eq!(count(&events, "password_reset.failed (user_disabled)"), 2);
}

#[rstest]
#[tokio::test]
async fn five_wrong_codes_are_the_end_of_a_reset(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (token, code) = start_by_code(&app, ADA).await;
    for _ in 0..5 {
        assert_eq!(refusal(&app.public(), &token, wrong(&code)).await, INVALID);
    }
    assert_eq!(refusal(&app.public(), &token, &code).await, INVALID);
    let events = app.events().await;
    assert_eq!(count(&events, "password_reset.failed (wrong_code)"), 5);
    assert_eq!(count(&events, "password_reset.failed (attempts_exhausted)"), 1);
    let (token, code) = start_by_code(&app, ADA).await;
    complete(&app.public(), &token, &code, NEW).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn guesses_that_arrive_together_do_not_share_a_try(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (token, code) = start_by_code(&app, ADA).await;
    let wrong = wrong(&code);
    let guesses = (0..20).map(|_| {
        let (caller, token) = (app.public(), token.clone());
        tokio::spawn(async move { refusal(&caller, &token, wrong).await })
    });
    for guess in guesses.collect::<Vec<_>>() {
        assert_eq!(guess.await.unwrap(), INVALID);
    }
    assert_eq!(count(&app.events().await, "password_reset.failed (wrong_code)"), 5);
}

#[rstest]
#[tokio::test]
async fn new_resets_bring_no_endless_guesses(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    for _ in 0..4 {
        let (token, code) = start_by_code(&app, ADA).await;
        for _ in 0..5 {
            refusal(&app.public(), &token, wrong(&code)).await;
        }
    }
    let looked_at = count(&app.events().await, "password_reset.failed (wrong_code)");
    assert_eq!(looked_at, 11, "ten guesses are free, the next one slows the user's resets down");
    assert_eq!(count(&app.events().await, "throttle.tripped (password_reset)"), 1);
    assert!(signs_in(&app, ADA, PASSWORD).await, "but not their password");
    let (token, code) = start_by_code(&app, ADA).await;
    assert_eq!(refusal(&app.public(), &token, &code).await, INVALID);
    app.clock.advance(Duration::seconds(31));
    complete(&app.public(), &token, &code, NEW).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn a_code_is_asked_for_exactly_where_one_was_mailed(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    allow_pages(&app).await;
    let link = start_by_link(&app, ADA).await;
    let (token, code) = start_by_code(&app, ADA).await;
    let (other, other_code) = start_by_code(&app, ADA).await;
    assert_eq!(refusal(&app.public(), &token, "").await, INVALID, "the token alone is in the caller's hands");
    assert_eq!(refusal(&app.public(), &link, &code).await, INVALID);
    if code != other_code {
        assert_eq!(refusal(&app.public(), &token, &other_code).await, INVALID, "a code belongs to its token");
    }
    complete(&app.public(), &other, &other_code, NEW).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn another_projects_client_cannot_use_it(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    allow_pages(&app).await;
    let link = start_by_link(&app, ADA).await;
    let (token, code) = start_by_code(&app, ADA).await;
    assert_eq!(refusal(&app.stranger(), &link, "").await, INVALID);
    for _ in 0..6 {
        assert_eq!(refusal(&app.stranger(), &token, &code).await, INVALID);
    }
    start(&app.stranger(), by_code(ADA)).await.unwrap();
    assert_eq!(app.mails_waiting().await, 0, "in that project nobody has the address");
    let status = start(&app.stranger(), by_link(ADA)).await.unwrap_err();
    assert_eq!(reason(&status), "PASSWORD_RESET_URL_NOT_ALLOWED", "each project has its own pages");
    complete(&app.public(), &token, &code, NEW).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn resets_cannot_fill_a_mailbox(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    for _ in 0..40 {
        for address in [ADA, "nobody@example.com"] {
            let started = start(&app.public(), by_code(address)).await.unwrap();
            assert!(started.password_reset_token.starts_with("signet_pr_"), "the answer stays the same");
        }
        app.last_mail_to(ADA).await;
        app.clock.advance(Duration::seconds(31));
    }
    let events = app.events().await;
    let mails = count(&events, "password_reset.started");
    assert!((11..=25).contains(&mails), "forty starts in twenty minutes made {mails} mails");
    let throttled = count(&events, "password_reset.failed (throttled)");
    assert_eq!(throttled, 2 * (40 - mails), "addresses that nobody has are slowed down the same way");
    app.clock.advance(Duration::minutes(15));
    let (token, code) = start_by_code(&app, ADA).await;
    complete(&app.public(), &token, &code, NEW).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn a_reset_lets_a_user_back_in_who_was_slowed_down(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    for _ in 0..12 {
        assert!(!signs_in(&app, ADA, "wrong password").await);
    }
    assert!(!signs_in(&app, ADA, PASSWORD).await);
    let (token, code) = start_by_code(&app, ADA).await;
    complete(&app.public(), &token, &code, NEW).await.unwrap();
    assert!(signs_in(&app, ADA, NEW).await);
}
