//! How often the database is asked: as often for nobody as for somebody, or the time an answer takes tells who has an account.

use rstest::rstest;
use signet::{
    domain::limits::Limits,
    proto::{AuthenticateEmailCodeRequest, CompletePasswordResetRequest, DisableUserRequest, ProjectSettings},
};

use crate::{
    guessing::context,
    password_reset::{allow_pages, by_code, by_link, refusal, start},
    refresh::{self, first_token, set, successor},
    support::{ADA, Engine, GRACE, RoundTrips, TestApp},
};

#[rstest]
#[tokio::test]
async fn a_password_reset_asks_the_database_as_often_for_nobody_as_for_somebody(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (trips, _guard) = RoundTrips::counted();
    allow_pages(&app).await;
    let disabled = DisableUserRequest { user_id: app.fixture.grace.to_string() };
    app.back_end().users.disable_user(disabled).await.unwrap();
    // What is kept from call to call is there.
    start(&app.public(), by_code(ADA)).await.unwrap();

    for request in [by_code as fn(&str) -> _, by_link] {
        let started = async |address: &str| trips.of(start(&app.public(), request(address))).await;
        let (adas, nobodys, graces) = (started(ADA).await, started("nobody@example.com").await, started(GRACE).await);
        assert!(adas > 5, "{adas}");
        assert_eq!((nobodys, graces), (adas, adas), "of a start for nobody, and for a disabled user");
    }
    let token = async |address: &str| start(&app.public(), by_code(address)).await.unwrap().password_reset_token;
    let (adas, nobodys) = (token(ADA).await, token("nobody@example.com").await);
    // One in a hundred million runs guesses right, and fails.
    let guessed = async |token: &str| trips.of(refusal(&app.public(), token, "00000000")).await;
    let (adas, nobodys) = (guessed(&adas).await, guessed(&nobodys).await);
    assert!(adas > 5, "{adas}");
    assert_eq!(nobodys, adas, "of a wrong code for nobody");
}

/// A refresh that is written without a lock may be written some seconds after the time it was decided at.
#[rstest]
#[tokio::test]
async fn only_where_the_grace_period_is_long_a_refresh_is_written_without_a_unit_of_work(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
    #[values((0, true), (19, true), (20, false))] (seconds, begins): (i64, bool),
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let settings = ProjectSettings { refresh_grace_period: Some(refresh::seconds(seconds)), ..Default::default() };
    set(&app, &["refresh_grace_period"], settings).await;
    let token = first_token(&app.public()).await;
    let (trips, _guard) = RoundTrips::counted();
    let names = trips.names_of(async { successor(&app.public(), &token).await }).await;
    assert_eq!(names.iter().any(|name| name == "BEGIN"), begins, "{names:?}");
}

/// Two failures are free of everything: the third one begins a delay.
async fn limited(engine: Engine) -> Option<TestApp> {
    let limits = Limits { free_failures: 2, free_failures_per_ip: 2, ..Limits::default() };
    TestApp::start_limited(engine, limits).await
}

/// A back end reports addresses, which are counted, too: what they remember must not make a difference between users.
#[rstest]
#[tokio::test]
async fn a_wrong_reset_asks_as_often_for_nobody_as_for_somebody_wherever_it_comes_from(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = limited(engine).await else { return };
    let (trips, _guard) = RoundTrips::counted();
    let back_end = app.back_end();
    let token = async |address: &str| start(&back_end, by_code(address)).await.unwrap().password_reset_token;
    let (adas, graces, nobodys) = (token(ADA).await, token(GRACE).await, token("nobody@example.com").await);
    let refused = async |token: &str, code: &str, ip: &str| {
        let request = CompletePasswordResetRequest {
            password_reset_token: token.into(),
            code: code.into(),
            new_password: "an entirely new one".into(),
            client_context: Some(context(ip, "")),
            ..Default::default()
        };
        let mut auth = back_end.auth.clone();
        trips.names_of(async { auth.complete_password_reset(request).await.unwrap_err() }).await
    };
    // What is kept from call to call is there, and an address has a failure to remember.
    refused(&graces, "00000000", "192.0.2.1").await;
    for (ip, what) in [
        ("192.0.2.1", "from an address with a failure"),
        ("192.0.2.2", "from an address without one"),
        ("192.0.2.3", "from another one"),
        ("192.0.2.4", "of a user who is slowed down"),
        ("192.0.2.1", "from an address that is slowed down"),
    ] {
        let (known, unknown) = (refused(&adas, "00000000", ip).await, refused(&nobodys, "00000000", ip).await);
        assert_eq!(unknown.len(), known.len(), "{what}: {unknown:?} {known:?}");
    }
    let (known, unknown) = (refused(&graces, "", "192.0.2.5").await, refused(&nobodys, "", "192.0.2.5").await);
    assert_eq!(unknown.len(), known.len(), "without a code: {unknown:?} {known:?}");
}

/// Names of one user share a counter, which must not show: not by one of them that was used up before, from elsewhere.
#[rstest]
#[tokio::test]
async fn a_wrong_email_code_asks_as_often_for_names_of_one_user_as_for_others(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = limited(engine).await else { return };
    let (trips, _guard) = RoundTrips::counted();
    let refused = async |login_id: &str, ip: &str| {
        let (login_id, client_context) = (login_id.into(), Some(context(ip, "")));
        let request =
            AuthenticateEmailCodeRequest { login_id, code: "000000".into(), client_context, ..Default::default() };
        let mut auth = app.back_end().auth;
        trips.names_of(async { auth.authenticate_email_code(request).await.unwrap_err() }).await
    };
    for number in 1..=4 {
        refused("ada", &format!("192.0.2.{number}")).await;
    }
    let same = refused(ADA, "192.0.2.10").await;
    let others = refused(GRACE, "192.0.2.11").await;
    let nobodys = refused("nobody@example.com", "192.0.2.12").await;
    assert_eq!(same.len(), others.len(), "{same:?} {others:?}");
    assert_eq!(nobodys.len(), others.len(), "{nobodys:?} {others:?}");
}
