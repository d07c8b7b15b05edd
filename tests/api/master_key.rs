//! The master key is exchanged for another one, and nobody notices.

use std::{collections::BTreeSet, sync::Arc};

use chrono::Duration;
use rstest::rstest;
use sea_orm::{ConnectionTrait as _, Statement};
use serde_json::json;
use signet::{
    crypto::project_keys,
    domain::signing_key::{KeyPurpose, KeyUse},
    store::SealedTable,
    usecase::{
        Services,
        reseal::{Counts, Need, PAGE, left, reseal},
        signing_keys::{Activation, rotate_signing_key},
        sweep::sweep,
    },
};
use tonic::service::Routes;

use crate::{
    email_changes, email_verification,
    keys::{access_token, key_set, kids},
    password_reset::{self, allow_pages, by_code, by_link, complete},
    refresh::{first_token, successor},
    sign_in::session_is_live,
    support::{ADA, Answer, Caller, Engine, GRACE, MASTER_KEY, RawCall, TestApp, message, operator_call, reason},
};

const NEW_MASTER_KEY: u8 = 8;
const CREATE: &str = "/auth.v1.UserService/CreateUser";

/// Signing keys of the fixture: two for each of its projects.
const FIXTURE_KEYS: u64 = 4;

/// A call whose answer is kept.
async fn create_mary(app: &TestApp, routes: &Routes) -> Answer {
    let call = RawCall::to(CREATE).authorization(&app.fixture.confidential).header("idempotency-key", b"mary-1");
    call.message(&message(CREATE, json!({"username": "mary"}))).send(routes).await
}

/// Values in the database that bear the fingerprint of the master key of these services.
async fn sealed_by(app: &TestApp, services: &Services) -> i64 {
    let fingerprint = format!("{:08x}", u32::from_be_bytes(*services.master_key.fingerprint().as_bytes()));
    let database = app.database().await;
    let mut count = 0;
    for table in ["signing_keys", "outbox", "challenges", "idempotent_calls"] {
        let hex = match database.get_database_backend() {
            sea_orm::DbBackend::Sqlite => "lower(hex(substr(sealed, 2, 4)))",
            _ => "encode(substr(sealed, 2, 4), 'hex')",
        };
        let query = format!("SELECT count(*) FROM {table} WHERE {hex} = '{fingerprint}'");
        let query = Statement::from_string(database.get_database_backend(), query);
        let found: i64 = database.query_one_raw(query).await.unwrap().unwrap().try_get_by_index(0).unwrap();
        count += found;
    }
    count
}

/// Adds signing keys that never sign.
async fn add_keys(app: &TestApp, count: u64) {
    let (services, now) = (&app.services, app.services.clock.now());
    let tx = services.store.begin().await.unwrap();
    for _ in 0..count {
        let (project, later) = (app.fixture.other_project_id, now + Duration::days(400));
        let keys = (&services.master_key, &services.random);
        let key = project_keys::generate(project, KeyUse::RefreshTokenMac, later, now, keys.0, keys.1).unwrap();
        tx.signing_keys().insert(&key).await.unwrap();
    }
    tx.commit().await.unwrap();
}

#[rstest]
#[tokio::test]
async fn what_was_made_before_is_good_afterwards_without_the_old_key(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    allow_pages(&app).await;
    let refresh_token = first_token(&app.public()).await;
    let access_token = access_token(&app.back_end()).await;
    let pending = email_verification::begin(&app.back_end()).await;
    email_changes::start(&app.public(), &refresh_token, email_changes::NEW).await.unwrap();
    password_reset::start(&app.public(), by_link(ADA)).await.unwrap();
    let by_code = password_reset::start(&app.public(), by_code(GRACE)).await.unwrap().password_reset_token;
    let published = kids(&key_set(app.routes(), &app.fixture.project_id.to_string()).await);
    let answer = create_mary(&app, &app.routes()).await;
    assert!(answer.is_ok());

    let (both, both_routes) = app.replica_under(NEW_MASTER_KEY, Some(MASTER_KEY)).await;
    let need = left(&both).await.unwrap();
    assert_eq!((need.signing_keys.rows, need.need()), (FIXTURE_KEYS, Need::WithoutEnd));
    let done = reseal(&both, |_, _| ()).await.unwrap();
    assert_eq!(done, Counts { signing_keys: FIXTURE_KEYS, challenges: 3, mails: 4 });
    assert_eq!(reseal(&both, |_, _| ()).await.unwrap(), Counts::default(), "there is nothing left to do");
    let last_answer = app.services.clock.now() + Duration::days(1);
    assert_eq!(left(&both).await.unwrap().need(), Need::Until(last_answer));
    assert_eq!(sealed_by(&app, &app.services).await, 1, "the kept answer");

    // A replica that has never seen the old key.
    let (new, new_routes) = app.replica_under(NEW_MASTER_KEY, None).await;
    let caller = |authorization: &str| Caller::new(new_routes.clone(), Some(authorization));
    let (back_end, public) = (caller(&app.fixture.confidential), caller(&app.fixture.public));
    assert_eq!(kids(&key_set(new_routes.clone(), &app.fixture.project_id.to_string()).await), published);
    assert!(session_is_live(&back_end, &access_token).await);
    successor(&public, &refresh_token).await;

    app.send_mails_by(&new).await;
    assert_eq!(app.mails_waiting().await, 0);
    let code_to = |address: &str| {
        let mut mails = app.mailbox.recent().into_iter();
        mails.find_map(|mail| if mail.to == address { mail.code } else { None }).unwrap()
    };
    let codes: BTreeSet<_> =
        app.mailbox.recent().into_iter().filter(|mail| mail.to == GRACE).filter_map(|mail| mail.code).collect();
    let verification = codes.iter().find(|code| code.len() == 6).unwrap();
    email_verification::redeem(&back_end, &pending, verification).await.unwrap();
    email_changes::redeem(&public, "ada", &code_to(email_changes::NEW)).await.unwrap();

    // Of the code of a reset there is only a hash: it takes both keys.
    let of_reset = codes.iter().find(|code| code.len() == 8).unwrap();
    let refused = complete(&back_end, &by_code, of_reset, password_reset::NEW).await.unwrap_err();
    assert_eq!(reason(&refused), password_reset::INVALID);
    let with_both = Caller::new(both_routes.clone(), Some(&app.fixture.confidential));
    complete(&with_both, &by_code, of_reset, password_reset::NEW).await.unwrap();
    let again = create_mary(&app, &both_routes).await;
    assert_eq!((again.is_ok(), again.message), (true, answer.message));
}

#[rstest]
#[tokio::test]
async fn after_the_time_that_is_told_nothing_is_left_of_the_old_key(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let routes = app.routes();
    let pending = password_reset::start(&app.public(), by_code(ADA)).await;
    assert!(pending.is_ok() && create_mary(&app, &routes).await.is_ok());
    email_verification::begin(&app.back_end()).await;
    let (both, both_routes) = app.replica_under(NEW_MASTER_KEY, Some(MASTER_KEY)).await;
    reseal(&both, |_, _| ()).await.unwrap();
    let Need::Until(until) = left(&both).await.unwrap().need() else { panic!("a reset's code and an answer are left") };

    // Life goes on, by replicas that have both.
    app.clock.advance(Duration::hours(1));
    email_verification::begin(&Caller::new(both_routes.clone(), Some(&app.fixture.confidential))).await;
    let before = app.services.clock.now();
    app.clock.advance(until - before);
    assert_eq!(left(&both).await.unwrap().need(), Need::Over);
    sweep(&both).await.unwrap();
    assert_eq!(sealed_by(&app, &app.services).await, 0);
    assert!(sealed_by(&app, &both).await > 0);
}

#[rstest]
#[tokio::test]
async fn resealing_can_be_broken_off_and_repeated(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    add_keys(&app, 2 * PAGE).await;
    let (both, _) = app.replica_under(NEW_MASTER_KEY, Some(MASTER_KEY)).await;
    let breaks = Arc::clone(&both);
    let broken = tokio::spawn(async move { reseal(&breaks, |_, done| assert!(done <= PAGE, "broken off")).await });
    assert!(broken.await.unwrap_err().is_panic());
    let rest = FIXTURE_KEYS;
    assert_eq!(left(&both).await.unwrap().signing_keys.rows, rest, "the second page was done, the third not begun");

    let mut told = Vec::new();
    let done = reseal(&both, |table, done| told.push((table, done))).await.unwrap();
    assert_eq!((done.signing_keys, told), (rest, vec![]));
    add_keys(&app, PAGE).await;
    let mut told = Vec::new();
    reseal(&both, |table, done| told.push((table, done))).await.unwrap();
    assert_eq!(told, [(SealedTable::SigningKeys, PAGE)]);
    assert_eq!(sealed_by(&app, &app.services).await, 0);
}

#[rstest]
#[tokio::test]
async fn several_reseal_beside_calls_and_rotations(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    add_keys(&app, 3 * PAGE).await;
    let refresh_token = first_token(&app.public()).await;
    let (both, routes) = app.replica_under(NEW_MASTER_KEY, Some(MASTER_KEY)).await;
    let other = app.replica_under(NEW_MASTER_KEY, Some(MASTER_KEY)).await.0;
    let beside = async {
        let public = Caller::new(routes.clone(), Some(&app.fixture.public));
        let mut token = refresh_token;
        for _ in 0..5 {
            token = successor(&public, &token).await;
            let (project, purpose) = (app.fixture.project_id, KeyPurpose::RefreshTokens);
            rotate_signing_key(&both, &operator_call(), project, purpose, Activation::Now).await.unwrap();
        }
        token
    };
    let (one, two, token) = tokio::join!(reseal(&both, |_, _| ()), reseal(&other, |_, _| ()), beside);
    // A rotation holds the key that it ends for a moment: both may have passed it by.
    let rest = reseal(&both, |_, _| ()).await.unwrap().signing_keys;
    assert_eq!(one.unwrap().signing_keys + two.unwrap().signing_keys + rest, FIXTURE_KEYS + 3 * PAGE, "each once");
    assert_eq!(left(&both).await.unwrap().signing_keys.rows, 0);
    let (_, new_routes) = app.replica_under(NEW_MASTER_KEY, None).await;
    successor(&Caller::new(new_routes, Some(&app.fixture.public)), &token).await;
}
