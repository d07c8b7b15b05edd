//! Guessing: how much of it is checked, and whom it keeps out. What known devices are spared stands in `known_devices.rs`.

use chrono::Duration;
use rstest::rstest;
use sea_orm::{ConnectionTrait as _, DbBackend, Statement, TransactionTrait as _};
use signet::{
    crypto::{argon2_kernel::Argon2Cost, hash_lane::Ticket},
    domain::{
        bucket::{Bucket, Claimant, Guarded, Subject, Target},
        client::ClientType,
        password::Password,
        throttle::Throttle,
    },
    proto::{AuthenticatePasswordResponse, ClientContext, SignInRequest, authenticate_password_request::Identifier},
};
use tonic::{Code, Status};

use crate::{
    email_verification::{begin, redeem},
    session_service::somebody_waits_for_a_lock,
    sign_in::{email, try_password, with_password},
    support::{ADA, Caller, Engine, PASSWORD, Refused, TestApp, reason},
};

pub(crate) const WRONG: &str = "wrong password";

/// Signs in from somewhere: an address and a device token, each empty if there is none.
pub(crate) async fn try_from(
    caller: &Caller,
    identifier: Identifier,
    password: &str,
    (ip, device): (&str, &str),
) -> Result<AuthenticatePasswordResponse, Status> {
    let mut request = with_password(identifier, password);
    request.client_context = Some(context(ip, device));
    caller.auth.clone().authenticate_password(request).await.map(tonic::Response::into_inner)
}

pub(crate) fn context(ip: &str, device: &str) -> ClientContext {
    ClientContext { ip_address: ip.into(), device_token: device.into(), ..Default::default() }
}

/// Guesses wrong, so many times.
pub(crate) async fn guess(app: &TestApp, times: usize, ip: &str) {
    for _ in 0..times {
        try_from(&app.back_end(), email(ADA), WRONG, (ip, "")).await.unwrap_err();
    }
}

/// How often the audit trail says that.
pub(crate) async fn said(app: &TestApp, event: &str) -> usize {
    app.events().await.iter().filter(|said| *said == event).count()
}

/// Callers of four replicas.
pub(crate) async fn replicas(app: &TestApp) -> Vec<Caller> {
    let mut callers = vec![app.back_end()];
    for _ in 0..3 {
        callers.push(Caller::new(app.replica().await, Some(&app.fixture.confidential)));
    }
    callers
}

/// What is counted of a user.
async fn counted(app: &TestApp, guarded: Guarded) -> Throttle {
    let bucket = Bucket { guarded, subject: Subject::User(app.fixture.ada) };
    app.services.store.view().throttles().find(app.fixture.project_id, &bucket).await.unwrap()
}

/// Ten failures are free, and the one after them begins the first delay.
const BUDGET: u32 = 11;

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_hundred_guesses_at_once_the_budget_is_checked_and_a_known_device_is_let_in(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let device = try_password(&app.back_end(), email(ADA), PASSWORD).await.unwrap().device_token;
    let callers = replicas(&app).await;
    let mut calls = Vec::new();
    for number in 0..250 {
        let (caller, device) = (callers[number % callers.len()].clone(), device.clone());
        calls.push(tokio::spawn(async move {
            if number % 5 == 4 {
                try_from(&caller, email(ADA), PASSWORD, ("", &device)).await.unwrap();
            } else {
                let status = try_password(&caller, email(ADA), &format!("guess number {number}")).await.unwrap_err();
                assert_eq!(reason(&status), "INVALID_CREDENTIALS");
            }
        }));
    }
    for call in calls {
        call.await.unwrap();
    }
    let checked = said(&app, "password.failed (wrong_password)").await;
    assert_eq!(checked, BUDGET as usize);
    assert_eq!(said(&app, "password.failed (throttled)").await, 200 - checked);
    assert_eq!(said(&app, "user.signed_in").await, 51);
    assert_eq!(said(&app, "throttle.tripped (authenticate_password)").await, 1);
    let counted = counted(&app, Guarded::AuthenticatePassword).await;
    assert_eq!((counted.failures.unwrap().count, counted.reservations), (BUDGET, None), "each was settled once");
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_right_passwords_at_once_from_unknown_devices_all_succeed(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let callers = replicas(&app).await;
    let calls: Vec<_> = (0..50)
        .map(|number| {
            let caller = callers[number % callers.len()].clone();
            tokio::spawn(async move { try_from(&caller, email(ADA), PASSWORD, ("192.0.2.1", "")).await.unwrap() })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
    assert!(counted(&app, Guarded::AuthenticatePassword).await.is_empty(), "nothing is left behind");
}

#[rstest]
#[tokio::test]
async fn a_block_ends_by_itself_and_what_came_in_meanwhile_did_not_prolong_it(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    guess(&app, 11, "").await;
    // Delays double, and then keep to the pace at which failures are forgotten: one in three minutes.
    for delay in [30, 60, 120, 120, 240, 120, 240] {
        app.clock.advance(Duration::seconds(delay - 1));
        let status = try_password(&app.back_end(), email(ADA), PASSWORD).await.unwrap_err();
        assert_eq!(reason(&status), "INVALID_CREDENTIALS", "after {delay} seconds");
        app.clock.advance(Duration::seconds(1));
        // The next guess is checked, and one only.
        guess(&app, 2, "").await;
    }
    assert_eq!(said(&app, "password.failed (wrong_password)").await, 11 + 7);
    app.clock.advance(Duration::minutes(15));
    try_password(&app.back_end(), email(ADA), PASSWORD).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn an_address_and_a_user_recover_though_somebody_mistypes_now_and_then(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let from = ("192.0.2.1", "");
    for number in 0..101 {
        let nobody = email(&format!("user{number}@example.com"));
        try_from(&app.back_end(), nobody, WRONG, from).await.unwrap_err();
    }
    try_from(&app.back_end(), email(ADA), PASSWORD, from).await.unwrap_err();
    for _ in 0..12 {
        app.clock.advance(Duration::minutes(29));
        guess(&app, 1, "192.0.2.1").await;
        try_from(&app.back_end(), email("ada.lovelace@example.com"), WRONG, from).await.unwrap_err();
    }
    assert_eq!(said(&app, "throttle.tripped (authenticate_password_ip)").await, 1);
    assert_eq!(said(&app, "throttle.tripped (authenticate_password)").await, 0);
    try_from(&app.back_end(), email(ADA), PASSWORD, from).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn each_way_to_guess_has_a_budget_of_its_own(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let sign_in = |password: &str| {
        let request = SignInRequest { login_id: ADA.into(), password: password.into(), ..SignInRequest::default() };
        let mut auth = app.public().auth;
        async move { auth.sign_in(request).await }
    };
    guess(&app, 12, "").await;
    try_password(&app.back_end(), email(ADA), PASSWORD).await.unwrap_err();
    for _ in 0..12 {
        sign_in(PASSWORD).await.unwrap();
    }

    app.clock.advance(Duration::minutes(30));
    for _ in 0..12 {
        sign_in(WRONG).await.unwrap_err();
    }
    sign_in(PASSWORD).await.unwrap_err();
    try_password(&app.back_end(), email(ADA), PASSWORD).await.unwrap();
    assert_eq!(said(&app, "throttle.tripped (sign_in)").await, 1);
    assert_eq!(said(&app, "throttle.tripped (authenticate_password)").await, 1);
}

#[rstest]
#[tokio::test]
async fn an_address_that_guesses_at_many_users_is_slowed_down_and_no_other(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let device = try_password(&app.back_end(), email(ADA), PASSWORD).await.unwrap().device_token;
    let from = |ip| (ip, "");
    for number in 0..101 {
        let nobody = email(&format!("user{number}@example.com"));
        try_from(&app.back_end(), nobody, WRONG, from("2001:db8::1")).await.unwrap_err();
        // An account of one's own does not help.
        if number % 20 == 19 {
            try_from(&app.back_end(), email(ADA), PASSWORD, from("2001:db8::1")).await.unwrap();
        }
    }
    assert_eq!(said(&app, "throttle.tripped (authenticate_password_ip)").await, 1);
    // Another address of the same network.
    let status = try_from(&app.back_end(), email(ADA), PASSWORD, from("2001:db8::ffff")).await.unwrap_err();
    let unknown = try_from(&app.back_end(), email("a@b.example"), PASSWORD, from("2001:db8::ffff")).await.unwrap_err();
    assert_eq!(Refused::from(&status), Refused::from(&unknown));
    assert_eq!(reason(&status), "INVALID_CREDENTIALS");

    try_from(&app.back_end(), email(ADA), PASSWORD, ("2001:db8::1", &device)).await.unwrap();
    try_from(&app.back_end(), email(ADA), PASSWORD, from("2001:db8:0:1::1")).await.unwrap();
    try_from(&app.back_end(), email(ADA), PASSWORD, from("192.0.2.1")).await.unwrap();
    try_password(&app.back_end(), email(ADA), PASSWORD).await.unwrap();
    app.clock.advance(Duration::seconds(30));
    try_from(&app.back_end(), email(ADA), PASSWORD, from("2001:db8::1")).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn the_audit_trail_says_where_failures_came_from(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
    #[values(ClientType::Confidential, ClientType::Public)] client: ClientType,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    if client == ClientType::Confidential {
        guess(&app, 11, "::ffff:192.0.2.9").await;
    } else {
        for _ in 0..11 {
            let client_context = Some(context("::ffff:192.0.2.9", ""));
            let login_id = ADA.into();
            let request = SignInRequest { login_id, password: WRONG.into(), client_context, ..Default::default() };
            app.public().auth.sign_in(request).await.unwrap_err();
        }
    }
    let database = app.database().await;
    let counted = "SELECT count(*) FROM events
                   WHERE kind IN ('password.failed', 'throttle.tripped') AND ip_address = '192.0.2.9'";
    let counted = Statement::from_string(database.get_database_backend(), counted);
    let rows: i64 = database.query_one_raw(counted).await.unwrap().unwrap().try_get_by_index(0).unwrap();
    assert_eq!(rows, 12, "eleven failures, and the delay that began with the last");
}

/// Reserves as many attempts of a user as there are places for, and lets go of none.
pub(crate) async fn hold_all_places(app: &TestApp) {
    let who =
        Claimant { target: Target::User(app.fixture.ada), device: None, ip_address: None, reported_address: None };
    let (limits, now) = (app.services.limits, app.services.clock.now());
    let tx = app.services.store.begin().await.unwrap();
    let buckets = who.buckets(Guarded::AuthenticatePassword);
    let (bucket, mut throttle) = tx.throttles().lock(app.fixture.project_id, buckets, now).await.unwrap().remove(0);
    for _ in 0..10 {
        throttle.reserve(now, &limits.policy(&bucket));
    }
    tx.throttles().save(app.fixture.project_id, &[(bucket, throttle)], now).await.unwrap();
    tx.commit().await.unwrap();
}

#[rstest]
#[tokio::test]
async fn places_that_a_dead_process_held_count_as_failures_and_heal(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let limits = app.services.limits;
    hold_all_places(&app).await;

    // Nobody is let in beside them, and a caller in a hurry is told when to come back.
    let mut request = tonic::Request::new(with_password(email(ADA), PASSWORD));
    request.set_timeout(std::time::Duration::from_millis(700));
    let status = app.back_end().auth.authenticate_password(request).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::ResourceExhausted, "OVERLOADED"));

    app.clock.advance(limits.reservation_lease);
    guess(&app, 1, "").await;
    let counted = counted(&app, Guarded::AuthenticatePassword).await;
    assert_eq!(counted.failures.unwrap().count, 11, "ten that died and one that was wrong");
    app.clock.advance(limits.first_delay);
    try_password(&app.back_end(), email(ADA), PASSWORD).await.unwrap();
}

/// Between two counters somebody takes the room of the second one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_that_is_held_without_the_other_one_is_given_back() {
    let Some(app) = TestApp::start(Engine::Postgres).await else { return };
    guess(&app, 1, "192.0.2.1").await;
    let before = counted(&app, Guarded::AuthenticatePassword).await;
    let somebody = app.database().await.begin().await.unwrap();
    let address = "UPDATE throttles SET failures = 1000, last_failure_at = $1 WHERE kind = $2";
    let subject = Subject::ip("192.0.2.1".parse().unwrap());
    let bucket = Bucket { guarded: Guarded::AuthenticatePassword, subject };
    let values = [app.services.clock.now().into(), bucket.kind().into()];
    let taken = Statement::from_sql_and_values(DbBackend::Postgres, address, values);
    assert_eq!(somebody.execute_raw(taken).await.unwrap().rows_affected(), 1);
    let caller = app.back_end();
    let call = tokio::spawn(async move { try_from(&caller, email(ADA), PASSWORD, ("192.0.2.1", "")).await });
    until("it waits for the address", async || somebody_waits_for_a_lock(&app).await).await;
    somebody.commit().await.unwrap();
    assert_eq!(reason(&call.await.unwrap().unwrap_err()), "INVALID_CREDENTIALS");
    assert_eq!(counted(&app, Guarded::AuthenticatePassword).await, before, "the user's place");
    let address = app.services.store.view().throttles().find(app.fixture.project_id, &bucket).await.unwrap();
    assert_eq!((address.failures.unwrap().count, address.reservations), (1000, None));
}

const CALLER_LEFT: &str = "password.failed (caller_left)";

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_goes_away_before_its_password_was_looked_at_does_not_count(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let hold = occupy_the_lane(&app);
    until("the only worker is held", async || hashes(&app, 1)).await;
    let call = start_wrong(&app);
    until("it is reserved", async || reserved(&app).await == 1).await;
    call.abort();
    until("it is settled", async || reserved(&app).await == 0).await;
    drop(hold);
    until("nothing is hashed", async || hashes(&app, 0)).await;
    assert_eq!((failures(&app).await, said(&app, CALLER_LEFT).await), (0, 0));
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_goes_away_while_its_password_is_looked_at_counts(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    // So dear that a call has gone away before it is done, and not so dear that it would be late on a busy machine.
    let cost = Argon2Cost { memory_kib: 128 * 1024, iterations: 2, parallelism: 1 };
    let Some(app) = TestApp::start_with(engine, cost).await else { return };
    // One that is done before it has gone away is no proof.
    until("one goes away while it is hashed", async || {
        until("nothing is hashed", async || hashes(&app, 0)).await;
        let before = failures(&app).await;
        let call = start_wrong(&app);
        until("it is hashed", async || hashes(&app, 1) || call.is_finished()).await;
        call.abort();
        until("it is settled", async || reserved(&app).await == 0).await;
        let has_left = said(&app, CALLER_LEFT).await == 1;
        assert!(!has_left || failures(&app).await == before + 1);
        // The delay that enough of them begin.
        app.clock.advance(app.services.limits.first_delay);
        has_left
    })
    .await;
}

async fn reserved(app: &TestApp) -> i64 {
    counted(app, Guarded::AuthenticatePassword).await.reservations.map_or(0, |held| held.count.into())
}

async fn failures(app: &TestApp) -> i64 {
    counted(app, Guarded::AuthenticatePassword).await.failures.map_or(0, |known| known.count.into())
}

fn hashes(app: &TestApp, jobs: u32) -> bool {
    app.metrics.encode().contains(&format!("signet_lane_running {jobs}\n"))
}

fn start_wrong(app: &TestApp) -> tokio::task::JoinHandle<Result<AuthenticatePasswordResponse, Status>> {
    let caller = app.back_end();
    tokio::spawn(async move { try_from(&caller, email(ADA), WRONG, ("", "")).await })
}

/// Keeps the lane's only worker from everything else, until what it returns is dropped.
fn occupy_the_lane(app: &TestApp) -> std::sync::mpsc::Sender<()> {
    let (hold, released) = std::sync::mpsc::channel::<()>();
    let services = std::sync::Arc::clone(&app.services);
    tokio::spawn(async move {
        let deadline = std::time::Instant::now() + std::time::Duration::from_mins(1);
        let ticket = Ticket { client: uuid::Uuid::nil(), deadline };
        let wait = move || released.recv().unwrap_or_default();
        let password = Password::parse(WRONG).unwrap();
        services.lane.verify_noting(ticket, password, None, false, wait).await
    });
    hold
}

/// Waits for something that comes by itself.
pub(crate) async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let wait = async {
        while !condition().await {
            // The threads that hash have a low priority: whoever asks all the time starves them.
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_mins(1), wait).await.expect(what);
}

#[rstest]
#[tokio::test]
async fn wrong_codes_count_on_the_address_too(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let token = begin(&app.back_end()).await;
    let code = app.last_code_to("grace@example.com").await;
    let wrong = if code == "000000" { "000001" } else { "000000" };
    let subject = Subject::ip("192.0.2.1".parse().unwrap());
    let bucket = Bucket { guarded: Guarded::EmailCode, subject };
    let find = async || app.services.store.view().throttles().find(app.fixture.project_id, &bucket).await.unwrap();
    for count in 1..4 {
        let request = signet::proto::AuthenticateEmailVerificationRequest {
            pending_authentication_token: token.clone(),
            code: wrong.into(),
            client_context: Some(context("192.0.2.1", "")),
        };
        app.back_end().auth.authenticate_email_verification(request).await.unwrap_err();
        assert_eq!(find().await.failures.unwrap().count, count);
    }
    redeem(&app.back_end(), &token, &code).await.unwrap();
    assert_eq!(find().await.failures.unwrap().count, 3, "a success does not clear an address");
}
