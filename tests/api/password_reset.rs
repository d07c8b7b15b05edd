//! Setting a new password by mail.

use chrono::Duration;
use rstest::rstest;
use signet::{
    crypto::argon2_kernel::Argon2Cost,
    proto::{
        ClientContext, CompletePasswordResetRequest, CompletePasswordResetResponse, DeleteUserRequest,
        DisableUserRequest, EnableUserRequest, PasswordResetMethod, ProjectSettings, SetPasswordRequest,
        StartPasswordResetRequest, StartPasswordResetResponse, UpdateUserRequest, UserUpdate,
    },
    usecase::sweep::sweep,
};
use tonic::{Code, Status};
use url::Url;

use crate::{
    email_verification,
    projects::update,
    sign_in::{email, session_is_live, try_password},
    support::{ADA, Caller, Engine, GRACE, PASSWORD, TestApp, field_violations, reason},
};

pub(crate) const NEW: &str = "an entirely new one";
pub(crate) const PAGES: [&str; 2] = ["https://app.example/reset", "https://app.example/other?from=a%20mail&x=<'\">"];
const LINK: PasswordResetMethod = PasswordResetMethod::Link;

pub(crate) async fn start(
    caller: &Caller,
    request: StartPasswordResetRequest,
) -> Result<StartPasswordResetResponse, Status> {
    caller.auth.clone().start_password_reset(request).await.map(tonic::Response::into_inner)
}

pub(crate) fn by_code(address: &str) -> StartPasswordResetRequest {
    StartPasswordResetRequest { email: address.into(), ..Default::default() }
}

pub(crate) fn by_link(address: &str) -> StartPasswordResetRequest {
    StartPasswordResetRequest { method: LINK.into(), ..by_code(address) }
}

pub(crate) async fn complete(
    caller: &Caller,
    token: &str,
    code: &str,
    new_password: &str,
) -> Result<CompletePasswordResetResponse, Status> {
    let request = CompletePasswordResetRequest {
        password_reset_token: token.into(),
        code: code.into(),
        new_password: new_password.into(),
        client_context: None,
        ..Default::default()
    };
    caller.auth.clone().complete_password_reset(request).await.map(tonic::Response::into_inner)
}

/// Why a completion is refused.
pub(crate) async fn refusal(caller: &Caller, token: &str, code: &str) -> String {
    reason(&complete(caller, token, code, NEW).await.unwrap_err())
}

pub(crate) const INVALID: &str = "PASSWORD_RESET_INVALID";

/// Gives the project its pages.
pub(crate) async fn allow_pages(app: &TestApp) {
    let settings = ProjectSettings { password_reset_urls: PAGES.map(str::to_owned).to_vec(), ..Default::default() };
    update(app, &app.fixture.project_id.to_string(), settings, &["password_reset_urls"]).await.unwrap();
}

/// Starts with a code; gives token and code.
pub(crate) async fn start_by_code(app: &TestApp, address: &str) -> (String, String) {
    let token = start(&app.public(), by_code(address)).await.unwrap().password_reset_token;
    (token, app.last_code_to(address).await)
}

/// Starts with a link; gives its token. Pages have to be allowed.
pub(crate) async fn start_by_link(app: &TestApp, address: &str) -> String {
    assert_eq!(start(&app.public(), by_link(address)).await.unwrap().password_reset_token, "");
    token_in(&app.last_mail_to(address).await.text)
}

/// The link in the text of a mail.
fn link_in(text: &str) -> Url {
    text.lines().map(str::trim).find(|line| line.starts_with("https://")).unwrap().parse().unwrap()
}

fn token_in(text: &str) -> String {
    let link = link_in(text);
    link.query_pairs().find(|(name, _)| name == "token").unwrap().1.into_owned()
}

pub(crate) async fn signs_in(app: &TestApp, address: &str, password: &str) -> bool {
    try_password(&app.back_end(), email(address), password).await.is_ok()
}

pub(crate) fn count(events: &[String], event: &str) -> usize {
    events.iter().filter(|known| *known == event).count()
}

#[rstest]
#[tokio::test]
async fn the_code_from_the_mail_sets_a_new_password_once(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let started = start(&app.public(), by_code(" Ada@EXAMPLE.com")).await.unwrap();
    let expires_at = (app.services.clock.now() + Duration::minutes(10)).timestamp();
    assert_eq!(started.expires_at.unwrap().seconds, expires_at);
    let mail = app.last_mail_to(ADA).await;
    assert!(mail.subject.contains("Example") && mail.text.contains("valid for 10 minutes"), "{}", mail.text);
    assert_eq!(mail.link, None);

    let code = mail.code.unwrap();
    let typed = format!("{} {}", &code[..3], &code[3..]);
    let user = complete(&app.public(), &started.password_reset_token, &typed, NEW).await.unwrap().user.unwrap();
    assert_eq!(user.user_id, app.fixture.ada.to_string());
    assert!(!signs_in(&app, ADA, PASSWORD).await);
    assert!(signs_in(&app, ADA, NEW).await);
    assert_eq!(refusal(&app.public(), &started.password_reset_token, &code).await, INVALID, "it works once");
    let events = app.events().await;
    assert_eq!(count(&events, "password_reset.started"), 1);
    assert_eq!(count(&events, "password.set (reset)"), 1);
    assert_eq!(count(&events, "email.verified"), 0, "it had been verified");
}

#[rstest]
#[tokio::test]
async fn the_link_from_the_mail_sets_a_new_password_once(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
    #[values(0, 1)] page: usize,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    allow_pages(&app).await;
    // The first page is the default.
    let reset_url = if page == 0 { String::new() } else { PAGES[page].into() };
    let started = start(&app.public(), StartPasswordResetRequest { reset_url, ..by_link(ADA) }).await.unwrap();
    assert_eq!(started.password_reset_token, "", "whoever reads the mail gets it, nobody else");
    let expires_at = (app.services.clock.now() + Duration::minutes(30)).timestamp();
    assert_eq!(started.expires_at.unwrap().seconds, expires_at);

    let mail = app.last_mail_to(ADA).await;
    assert!(mail.text.contains("valid for 30 minutes"), "{}", mail.text);
    assert_eq!(mail.code, None);
    let (link, wanted) = (link_in(&mail.text), Url::parse(PAGES[page]).unwrap());
    assert_eq!(mail.link.as_deref(), Some(link.as_str()));
    let token = token_in(&mail.text);
    let query = [wanted.query().unwrap_or_default(), &format!("token={token}")].join(if page == 0 { "" } else { "&" });
    let mut expected = wanted;
    expected.set_query(Some(&query));
    assert_eq!(link, expected);

    let user = complete(&app.back_end(), &token, "", NEW).await.unwrap().user.unwrap();
    assert_eq!(user.user_id, app.fixture.ada.to_string());
    assert!(!signs_in(&app, ADA, PASSWORD).await);
    assert!(signs_in(&app, ADA, NEW).await);
    assert_eq!(refusal(&app.public(), &token, "").await, INVALID);
}

#[rstest]
#[tokio::test]
async fn a_reset_verifies_the_address_and_leaves_no_code_waiting(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let pending = email_verification::begin(&app.back_end()).await;
    let verification = app.last_code_to(GRACE).await;
    let (token, code) = start_by_code(&app, GRACE).await;
    let user = complete(&app.public(), &token, &code, NEW).await.unwrap().user.unwrap();
    assert!(user.email_verified);
    assert_eq!(count(&app.events().await, "email.verified"), 1);
    let status = email_verification::redeem(&app.back_end(), &pending, &verification).await.unwrap_err();
    assert_eq!(reason(&status), "PENDING_AUTHENTICATION_INVALID");
    assert!(signs_in(&app, GRACE, NEW).await, "without a second step");
}

#[rstest]
#[tokio::test]
async fn a_user_without_a_password_gets_their_first_one(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let update = UserUpdate { email: Some("mute@example.com".into()), ..Default::default() };
    change_user(&app, app.fixture.mute.to_string(), update, "email").await;
    let (token, code) = start_by_code(&app, "mute@example.com").await;
    complete(&app.public(), &token, &code, NEW).await.unwrap();
    assert!(signs_in(&app, "mute@example.com", NEW).await);
}

async fn change_user(app: &TestApp, user_id: String, user: UserUpdate, path: &str) {
    let mask = prost_types::FieldMask { paths: vec![path.into()] };
    let request = UpdateUserRequest { user_id, user: Some(user), update_mask: Some(mask) };
    app.back_end().users.update_user(request).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn a_reset_ends_every_session_at_once_on_every_replica(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let other_replica = Caller::new(app.replica().await, Some(&app.fixture.confidential));
    let mut tokens = Vec::new();
    for _ in 0..2 {
        let signed_in = try_password(&app.back_end(), email(ADA), PASSWORD).await.unwrap();
        tokens.push(signed_in.tokens.unwrap().access_token);
    }
    for token in &tokens {
        assert!(session_is_live(&other_replica, token).await, "warm on the other replica");
    }
    let (token, code) = start_by_code(&app, ADA).await;
    complete(&app.public(), &token, &code, NEW).await.unwrap();
    for token in &tokens {
        assert!(!session_is_live(&other_replica, token).await);
        assert!(!session_is_live(&app.back_end(), token).await);
    }
    assert_eq!(count(&app.events().await, "session.revoked (password_reset)"), 2);
}

#[rstest]
#[tokio::test]
async fn a_completed_reset_leaves_no_other_alive(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    allow_pages(&app).await;
    let link = start_by_link(&app, ADA).await;
    let (first, first_code) = start_by_code(&app, ADA).await;
    let (second, second_code) = start_by_code(&app, ADA).await;
    complete(&app.public(), &first, &first_code, NEW).await.unwrap();
    assert_eq!(refusal(&app.public(), &link, "").await, INVALID);
    assert_eq!(refusal(&app.public(), &second, &second_code).await, INVALID);
}

#[rstest]
#[tokio::test]
async fn a_reset_stays_good_however_many_a_stranger_starts_after_it(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (token, code) = start_by_code(&app, ADA).await;
    for _ in 0..100 {
        app.clock.advance(Duration::seconds(5));
        start(&app.public(), by_code(ADA)).await.unwrap();
    }
    complete(&app.public(), &token, &code, NEW).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn what_happens_in_between_kills_the_reset(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
    #[values("password", "disabled", "disabled and enabled", "address", "deleted")] what: &str,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    allow_pages(&app).await;
    let link = start_by_link(&app, ADA).await;
    let (token, code) = start_by_code(&app, ADA).await;
    let (user_id, mut users) = (app.fixture.ada.to_string(), app.back_end().users);
    match what {
        "password" => {
            let request = SetPasswordRequest { user_id, password: PASSWORD.into(), ..Default::default() };
            users.set_password(request).await.unwrap();
        }
        "address" => {
            let user = UserUpdate { email: Some("lovelace@example.com".into()), ..Default::default() };
            change_user(&app, user_id, user, "email").await;
        }
        "deleted" => {
            users.delete_user(DeleteUserRequest { user_id }).await.unwrap();
        }
        _ => {
            users.disable_user(DisableUserRequest { user_id: user_id.clone() }).await.unwrap();
            if what != "disabled" {
                users.enable_user(EnableUserRequest { user_id }).await.unwrap();
            }
        }
    }
    let before = count(&app.events().await, "password.set (reset)");
    assert_eq!(refusal(&app.public(), &link, "").await, INVALID);
    assert_eq!(refusal(&app.public(), &token, &code).await, INVALID);
    assert_eq!(count(&app.events().await, "password.set (reset)"), before);
}

#[rstest]
#[tokio::test]
async fn what_happens_while_the_new_password_is_hashed_counts(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
    #[values("disabled", "address")] what: &str,
) {
    // Half a second or more a hash.
    let cost = Argon2Cost { memory_kib: 64 * 1024, iterations: 8, parallelism: 1 };
    let Some(app) = TestApp::start_with(engine, cost).await else { return };
    let (token, code) = start_by_code(&app, ADA).await;
    let caller = app.public();
    let completion = tokio::spawn(async move { complete(&caller, &token, &code, NEW).await });
    while !app.metrics.encode().contains("signet_lane_running 1") {
        assert!(!completion.is_finished(), "nothing was hashed: {:?}", completion.await);
        // Not spinning: the threads that hash are the least important ones.
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let user_id = app.fixture.ada.to_string();
    if what == "disabled" {
        app.back_end().users.disable_user(DisableUserRequest { user_id }).await.unwrap();
    } else {
        let user = UserUpdate { email: Some("lovelace@example.com".into()), ..Default::default() };
        change_user(&app, user_id, user, "email").await;
    }
    assert_eq!(reason(&completion.await.unwrap().unwrap_err()), INVALID);
    assert_eq!(count(&app.events().await, "password.set (reset)"), 0);
}

/// The rows of challenges outlive some of these changes; what refuses them then is what they are bound to.
#[rstest]
#[case::password("UPDATE credentials SET version = version + 1", "password_reset.failed (password_changed)")]
#[case::disabled("UPDATE users SET status = 'disabled'", "password_reset.failed (user_disabled)")]
#[case::address("UPDATE identifiers SET canonical = 'x' || canonical", "password_reset.failed (address_changed)")]
#[tokio::test]
async fn a_reset_is_bound_to_password_standing_and_address(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
    #[case] change: &str,
    #[case] event: &str,
) {
    use sea_orm::ConnectionTrait as _;
    let Some(app) = TestApp::start(engine).await else { return };
    let (token, code) = start_by_code(&app, ADA).await;
    app.database().await.execute_unprepared(change).await.unwrap();
    assert_eq!(refusal(&app.public(), &token, &code).await, INVALID);
    assert_eq!(count(&app.events().await, event), 1);
}

#[rstest]
#[tokio::test]
async fn an_expired_reset_is_refused_whether_it_was_cleared_away_or_not(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
    #[values(false, true)] swept: bool,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    allow_pages(&app).await;
    let link = start_by_link(&app, ADA).await;
    let (token, code) = start_by_code(&app, ADA).await;
    app.clock.advance(Duration::minutes(10));
    if swept {
        sweep(&app.services).await.unwrap();
    }
    assert_eq!(refusal(&app.public(), &token, &code).await, INVALID);
    app.clock.advance(Duration::minutes(20) - Duration::microseconds(1));
    assert_eq!(
        reason(&complete(&app.public(), &link, "", "short").await.unwrap_err()),
        "PASSWORD_REJECTED",
        "it lives"
    );
    app.clock.advance(Duration::microseconds(1));
    assert_eq!(refusal(&app.public(), &link, "").await, INVALID);
    assert!(signs_in(&app, ADA, PASSWORD).await);
}

#[rstest]
#[tokio::test]
async fn a_password_that_is_too_weak_leaves_the_reset_as_it_was(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    allow_pages(&app).await;
    let link = start_by_link(&app, ADA).await;
    let (token, code) = start_by_code(&app, ADA).await;
    for (token, code) in [(&link, ""), (&token, code.as_str())] {
        for weak in ["short", "password", ADA, "short", "short", "short"] {
            let status = complete(&app.public(), token, code, weak).await.unwrap_err();
            assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "PASSWORD_REJECTED"));
            assert!(field_violations(&status).iter().all(|field| field == "new_password"), "{status:?}");
        }
    }
    complete(&app.public(), &token, &code, NEW).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn of_two_completions_at_once_one_wins(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
    #[values(false, true)] by_link: bool,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    allow_pages(&app).await;
    let (token, code) =
        if by_link { (start_by_link(&app, ADA).await, String::new()) } else { start_by_code(&app, ADA).await };
    let (here, there) = (app.public(), Caller::new(app.replica().await, Some(&app.fixture.public)));
    let passwords = ["the first of two", "the second of two"];
    let (one, two) =
        tokio::join!(complete(&here, &token, &code, passwords[0]), complete(&there, &token, &code, passwords[1]));
    assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
    let (won, lost) = if one.is_ok() { (0, two.unwrap_err()) } else { (1, one.unwrap_err()) };
    assert_eq!(reason(&lost), INVALID);
    assert!(signs_in(&app, ADA, passwords[won]).await);
    assert!(!signs_in(&app, ADA, passwords[1 - won]).await);
    assert_eq!(count(&app.events().await, "password.set (reset)"), 1);
}

#[rstest]
#[tokio::test]
async fn starting_changes_nothing_for_the_user(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    allow_pages(&app).await;
    let session = try_password(&app.back_end(), email(ADA), PASSWORD).await.unwrap().tokens.unwrap();
    let pending = email_verification::begin(&app.back_end()).await;
    let verification = app.last_code_to(GRACE).await;
    for address in [ADA, GRACE] {
        start_by_link(&app, address).await;
        start_by_code(&app, address).await;
    }
    assert!(signs_in(&app, ADA, PASSWORD).await);
    assert!(session_is_live(&app.back_end(), &session.access_token).await);
    email_verification::redeem(&app.back_end(), &pending, &verification).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn the_audit_trail_keeps_where_the_end_user_was(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    use sea_orm::{ConnectionTrait as _, Statement};
    let Some(app) = TestApp::start(engine).await else { return };
    let context = |ip: &str| Some(ClientContext { ip_address: ip.into(), ..Default::default() });
    let request = StartPasswordResetRequest { client_context: context("192.0.2.1"), ..by_code(ADA) };
    let token = start(&app.public(), request).await.unwrap().password_reset_token;
    let mut request = CompletePasswordResetRequest {
        password_reset_token: token,
        code: app.last_code_to(ADA).await,
        new_password: NEW.into(),
        client_context: context("192.0.2.2"),
        ..Default::default()
    };
    app.public().auth.complete_password_reset(request.clone()).await.unwrap();
    // A token that names nothing leaves no event: anybody could make up more and more of them.
    request.client_context = context("192.0.2.3");
    app.public().auth.complete_password_reset(request).await.unwrap_err();
    let database = app.database().await;
    let sql = "SELECT kind || ' ' || ip_address FROM events WHERE ip_address IS NOT NULL";
    let rows = database.query_all_raw(Statement::from_string(database.get_database_backend(), sql)).await.unwrap();
    let mut seen: Vec<String> = rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect();
    seen.sort();
    assert_eq!(seen, ["password.set 192.0.2.2", "password_reset.started 192.0.2.1"]);
}
