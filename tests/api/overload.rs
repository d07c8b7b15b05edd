//! More passwords than can be hashed in time.

use std::{
    fmt::{self, Write as _},
    sync::{Arc, Mutex},
    time::Duration,
};

use rstest::rstest;
use secrecy::ExposeSecret as _;
use signet::{
    crypto::argon2_kernel::Argon2Cost,
    proto::{
        ChangePasswordRequest, CompletePasswordResetRequest, ListUsersRequest, ReplacePasswordRequest,
        SetPasswordRequest, SignInRequest,
    },
};
use tonic::{Code, Request, Status};
use tonic_types::pb::RetryInfo;
use tracing::{Event, Level, Subscriber, field::Field};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt as _},
    registry::Registry,
};

use crate::{
    client_token::client_token,
    guessing::{WRONG, hold_all_places, until},
    password_reset::start_by_code,
    refresh::{first_token, refresh},
    sign_in::{email, try_password, with_password},
    support::{ADA, Caller, Engine, PASSWORD, RoundTrips, TestApp, basic, credentials, detail, reason},
};

/// Longer than anybody here has time.
const DEAR: Argon2Cost = Argon2Cost { memory_kib: 256 * 1024, iterations: 16, parallelism: 1 };
const NEW: &str = "an entirely new one";
/// What is asked once for each sign-in that is let come.
const LOOK_UP: &str = "SELECT identifiers";
const NOBODY: &str = "nobody@example.com";

fn in_a_hurry<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(Duration::from_millis(500));
    request
}

/// What is asked to find out who calls.
const CALLER: &str = "SELECT clients";

/// Makes a call that has no chance. The database is asked no more than that.
async fn check_refused<T>(trips: &RoundTrips, questions: &[&str], call: impl Future<Output = Result<T, Status>>) {
    let mut refused = None;
    let asked = trips.names_of(async { refused = call.await.err() }).await;
    let refused = refused.unwrap();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::ResourceExhausted, "OVERLOADED"));
    assert!(detail::<RetryInfo>(&refused, "google.rpc.RetryInfo").is_some());
    assert_eq!(asked, questions);
}

/// How often the lane has refused somebody.
fn refusals(app: &TestApp) -> usize {
    let page = app.metrics.encode();
    let counts = page.lines().filter(|line| line.starts_with("signet_lane_refused_total"));
    counts.map(|line| line.rsplit(' ').next().unwrap().parse::<usize>().unwrap()).sum()
}

#[rstest]
#[tokio::test]
async fn who_has_no_chance_is_refused_before_the_database_is_asked(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start_with(engine, DEAR).await else { return };
    // Signed in where hashes are cheap; the keys are at hand after the refresh.
    let elsewhere = Caller::new(app.replica().await, Some(&app.fixture.public));
    let first = first_token(&elsewhere).await;
    let refresh_token = refresh(&app.public(), &first).await.unwrap().tokens.unwrap().refresh_token;
    let (password_reset_token, code) = start_by_code(&app, ADA).await;
    let (before, hashes) = (app.contents().await, app.hashes());

    let (trips, _guard) = RoundTrips::counted();
    let Caller { mut auth, mut users, .. } = app.back_end();
    // The lane has nothing to do: only who is known makes it measure. As long as it does, it is known that there is no
    // chance.
    let first = in_a_hurry(with_password(email(ADA), PASSWORD));
    check_refused(&trips, &[CALLER], auth.authenticate_password(first)).await;
    for (address, password) in [(ADA, PASSWORD), (ADA, WRONG), (NOBODY, WRONG)] {
        let request = in_a_hurry(with_password(email(address), password));
        check_refused(&trips, &[], auth.authenticate_password(request)).await;
    }
    let (current_password, new_password) = (PASSWORD.into(), NEW.into());
    let replace = ReplacePasswordRequest { login_id: ADA.into(), current_password, new_password, ..Default::default() };
    check_refused(&trips, &[], auth.replace_password(in_a_hurry(replace))).await;
    let set = SetPasswordRequest { user_id: app.fixture.ada.to_string(), password: NEW.into(), ..Default::default() };
    check_refused(&trips, &[], users.set_password(in_a_hurry(set))).await;
    let mut auth = app.public().auth;
    let sign_in = SignInRequest { login_id: ADA.into(), password: PASSWORD.into(), ..Default::default() };
    check_refused(&trips, &[], auth.sign_in(in_a_hurry(sign_in))).await;
    // Whether the token is good is looked at first.
    let change = ChangePasswordRequest { refresh_token, new_password: NEW.into(), ..Default::default() };
    check_refused(&trips, &[CALLER], auth.change_password(in_a_hurry(change))).await;
    let new_password = NEW.into();
    let complete = CompletePasswordResetRequest { password_reset_token, code, new_password, ..Default::default() };
    check_refused(&trips, &[CALLER], auth.complete_password_reset(in_a_hurry(complete))).await;

    assert_eq!(app.contents().await, before, "nothing was counted or written down");
    assert_eq!(app.hashes(), hashes, "no password was looked at");
    assert_eq!(refusals(&app), 9, "each was counted, and once");
}

/// Somebody who knows the id of a client, which is no secret.
#[rstest]
#[tokio::test]
async fn a_stranger_who_names_a_client_learns_nothing_but_that_it_has_no_chance(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start_with(engine, DEAR).await else { return };
    let (id, _) = credentials(&app.fixture.confidential);
    let (_, secret_of_another) = credentials(&app.fixture.stranger);
    let token = client_token(&app.back_end(), "").await;
    let (before, hashes) = (app.contents().await, app.hashes());
    let stranger = app.caller(Some(&basic(&id, &secret_of_another)));
    let call = || in_a_hurry(with_password(email(ADA), PASSWORD));
    let (trips, _guard) = RoundTrips::counted();
    // While there is room, and nobody is turned away.
    for _ in 0..3 {
        let refused = stranger.auth.clone().authenticate_password(call()).await.unwrap_err();
        assert_eq!(reason(&refused), "CALLER_UNAUTHENTICATED");
    }
    assert_eq!(refusals(&app), 0, "the lane was not asked to do anything, and counts nobody");

    check_refused(&trips, &[CALLER], app.back_end().auth.authenticate_password(call())).await;
    check_refused(&trips, &[], stranger.auth.clone().authenticate_password(call())).await;
    // A token names a client as well, whoever made it.
    let (claims, _) = token.rsplit_once('.').unwrap();
    for token in [token.clone(), format!("{claims}.AAAA")] {
        let named = app.caller(Some(&format!("Bearer {token}")));
        check_refused(&trips, &[], named.auth.clone().authenticate_password(call())).await;
    }
    // Who names no client has to be found out, and so does who comes with a key that an answer may be kept under.
    let alone = app.caller(Some(&format!("Bearer {}", credentials(&app.fixture.confidential).1.expose_secret())));
    check_refused(&trips, &[CALLER], alone.auth.clone().authenticate_password(call())).await;
    let mut repeated = call();
    repeated.metadata_mut().insert("idempotency-key", "one-sign-in".parse().unwrap());
    let refused = stranger.auth.clone().authenticate_password(repeated).await.unwrap_err();
    assert_eq!(reason(&refused), "CALLER_UNAUTHENTICATED");
    let refused = app.anonymous().auth.authenticate_password(call()).await.unwrap_err();
    assert_eq!(reason(&refused), "CALLER_UNAUTHENTICATED");
    // What begins with something else is done as ever.
    app.back_end().users.list_users(ListUsersRequest::default()).await.unwrap();

    assert_eq!(app.contents().await, before);
    assert_eq!(app.hashes(), hashes, "no password was looked at");
}

/// Notes the level and the outcome of each line about a call.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<(Level, String)>>>);

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut said = String::new();
        event.record(&mut |field: &Field, value: &dyn fmt::Debug| {
            write!(said, "{field}={value:?} ").unwrap();
        });
        if said.contains("call finished") {
            self.0.lock().unwrap().push((*event.metadata().level(), said));
        }
    }
}

#[tokio::test]
async fn a_flood_that_is_refused_does_not_fill_the_log() {
    let Some(app) = TestApp::start_with(Engine::Sqlite, DEAR).await else { return };
    let lines = Lines::default();
    let _guard = tracing::subscriber::set_default(Registry::default().with(lines.clone()));
    let refused = try_in_a_hurry(&app.back_end()).await;
    assert_eq!(reason(&refused), "OVERLOADED");
    assert_eq!(reason(&try_in_a_hurry(&app.anonymous()).await), "CALLER_UNAUTHENTICATED");
    let lines = lines.0.lock().unwrap().clone();
    let levels = lines.iter().map(|(level, said)| (*level, said.contains("OVERLOADED")));
    assert_eq!(levels.collect::<Vec<_>>(), [(Level::DEBUG, true), (Level::INFO, false)], "{lines:?}");
}

/// Of these nobody tells the log in sum.
#[tokio::test]
async fn what_others_than_the_lane_refuse_has_a_line_each() {
    let Some(app) = TestApp::start(Engine::Sqlite).await else { return };
    hold_all_places(&app).await;
    let lines = Lines::default();
    let _guard = tracing::subscriber::set_default(Registry::default().with(lines.clone()));
    let mut request = Request::new(with_password(email(ADA), PASSWORD));
    // Some of it is kept for the hash.
    request.set_timeout(Duration::from_millis(700));
    let refused = app.back_end().auth.authenticate_password(request).await.unwrap_err();
    assert_eq!(reason(&refused), "OVERLOADED");
    assert_eq!(refusals(&app), 0, "the lane has room");
    let lines = lines.0.lock().unwrap().clone();
    let levels = lines.iter().map(|(level, said)| (*level, said.contains("OVERLOADED")));
    assert_eq!(levels.collect::<Vec<_>>(), [(Level::INFO, true)], "{lines:?}");
}

async fn try_in_a_hurry(caller: &Caller) -> Status {
    caller.auth.clone().authenticate_password(in_a_hurry(with_password(email(ADA), PASSWORD))).await.unwrap_err()
}

/// As many as the lane has room for, and more.
#[rstest]
#[tokio::test]
async fn those_who_wait_for_attempts_of_one_user_keep_nobody_else_from_the_lane(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    hold_all_places(&app).await;
    let start = |_| {
        let caller = app.back_end();
        tokio::spawn(async move { try_password(&caller, email(ADA), PASSWORD).await })
    };
    let (trips, _guard) = RoundTrips::counted();
    let mut calls = Vec::new();
    // Never more at once than the lane lets come, and twice as many in all.
    while calls.len() < 120 {
        calls.extend((0..30).map(start));
        until("they are looked up", async || trips.count(LOOK_UP) == calls.len()).await;
    }
    let refused = try_password(&app.back_end(), email(NOBODY), WRONG).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated, "like any wrong password");
    assert!(!calls.iter().any(tokio::task::JoinHandle::is_finished), "they wait");
    calls.iter().for_each(tokio::task::JoinHandle::abort);
}
