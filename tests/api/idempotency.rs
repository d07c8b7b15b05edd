//! The `idempotency-key`: a request and its repetitions are done once and answered alike.

use chrono::Duration;
use rstest::rstest;
use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};
use signet::{
    proto::{AnswerKept, CallerKind, ListUsersRequest, ProjectSettings, RPCS},
    usecase::sweep::sweep,
};
use tonic::{Code, service::Routes};
use tonic_types::pb::RetryInfo;

use crate::{
    refresh::{first_token, set},
    session_service::revoke,
    sessions::sign_in,
    support::{Answer, Engine, PASSWORD, RawCall, TestApp, contains, detail, field_violations, message},
};

const CREATE: &str = "/auth.v1.UserService/CreateUser";
const UPDATE: &str = "/auth.v1.UserService/UpdateUser";
const DISABLE: &str = "/auth.v1.UserService/DisableUser";
const REFRESH: &str = "/auth.v1.AuthService/RefreshTokens";
const SIGN_IN: &str = "/auth.v1.AuthService/SignIn";
const SIGN_UP: &str = "/auth.v1.AuthService/SignUp";
const AUTHENTICATE: &str = "/auth.v1.AuthService/AuthenticateSession";
const SEND: &str = "/auth.v1.UserService/SendEmailVerification";
const KEY: &str = "6f1c-2_3.b";

async fn call_on(routes: &Routes, path: &'static str, authorization: &str, key: &str, request: &Value) -> Answer {
    let call = RawCall::to(path).authorization(authorization).header("idempotency-key", key.as_bytes());
    call.message(&message(path, request.clone())).send(routes).await
}

/// A call by the back end.
async fn call(app: &TestApp, path: &'static str, key: &str, request: &Value) -> Answer {
    call_on(&app.routes(), path, &app.fixture.confidential, key, request).await
}

/// What an answer holds, apart from the id of the call that brought it.
fn said(answer: &Answer) -> (Code, String, Vec<u8>, Vec<u8>) {
    let status = &answer.status;
    (status.code(), status.message().to_owned(), status.details().to_vec(), answer.message.clone())
}

async fn users(app: &TestApp) -> usize {
    let request = ListUsersRequest { page_size: 100, ..Default::default() };
    app.back_end().users.list_users(request).await.unwrap().into_inner().users.len()
}

async fn rows(app: &TestApp) -> usize {
    app.contents().await.iter().filter(|row| row.starts_with("idempotent_calls: ")).count()
}

async fn execute(app: &TestApp, sql: &str) {
    app.database().await.execute_unprepared(sql).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn a_repetition_is_answered_and_not_done(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let request = json!({"username": "mary", "given_name": "Mary-Given"});
    let first = call(&app, CREATE, KEY, &request).await;
    assert!(first.is_ok() && !first.message.is_empty());
    let events = app.events().await;
    let other = app.replica().await;
    for routes in [&app.routes(), &other] {
        app.clock.advance(Duration::hours(11));
        let again = call_on(routes, CREATE, &app.fixture.confidential, KEY, &request).await;
        assert_eq!(said(&again), said(&first));
    }
    assert_eq!((users(&app).await, app.events().await), (4, events));
    // Nothing of it can be read in the database.
    let row = app.contents().await.into_iter().find(|row| row.starts_with("idempotent_calls: ")).unwrap();
    assert!(!row.contains(KEY) && !row.contains("mary") && !row.contains("Mary-Given"));
    // After a day the key is as good as new.
    app.clock.advance(Duration::hours(2));
    assert_eq!(call(&app, CREATE, KEY, &request).await.reason(), "IDENTIFIER_TAKEN");
}

#[rstest]
#[tokio::test]
async fn a_refusal_by_the_callers_fault_is_repeated_too(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let request = json!({"username": "ada"});
    let first = call(&app, CREATE, KEY, &request).await;
    assert_eq!(first.reason(), "IDENTIFIER_TAKEN");
    app.back_end()
        .users
        .delete_user(signet::proto::DeleteUserRequest { user_id: app.fixture.ada.to_string() })
        .await
        .unwrap();
    assert_eq!(said(&call(&app, CREATE, KEY, &request).await), said(&first));
    assert!(call(&app, CREATE, "another", &request).await.is_ok(), "the name is free by now");
}

#[rstest]
#[tokio::test]
async fn a_key_stands_for_one_request_of_one_client(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let request = json!({"username": "mary"});
    assert!(call(&app, CREATE, KEY, &request).await.is_ok());
    for (path, other) in [
        (CREATE, json!({"username": "percy"})),
        (CREATE, json!({})),
        (DISABLE, json!({"user_id": app.fixture.ada.to_string()})),
    ] {
        let answer = call(&app, path, KEY, &other).await;
        assert_eq!((answer.status.code(), answer.reason().as_str()), (Code::InvalidArgument, "IDEMPOTENCY_KEY_REUSED"));
    }
    // Another client's key is another key, and without a key everything is done.
    let theirs = call_on(&app.routes(), CREATE, &app.fixture.stranger, KEY, &request).await;
    assert!(theirs.is_ok());
    let without = RawCall::to(CREATE).authorization(&app.fixture.confidential).message(&message(CREATE, request));
    assert_eq!(without.send(&app.routes()).await.reason(), "IDENTIFIER_TAKEN");
}

#[rstest]
#[tokio::test]
async fn of_calls_at_once_one_runs(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let replicas = [app.routes(), app.replica().await];
    let request = json!({"username": "mary", "password": PASSWORD});
    let calls: Vec<_> = (0..12)
        .map(|number| {
            let (routes, authorization) = (replicas[number % 2].clone(), app.fixture.confidential.clone());
            let request = request.clone();
            tokio::spawn(async move { call_on(&routes, CREATE, &authorization, KEY, &request).await })
        })
        .collect();
    let mut answered = Vec::new();
    for call in calls {
        let answer = call.await.unwrap();
        if answer.is_ok() {
            answered.push(said(&answer));
        } else {
            assert_eq!((answer.status.code(), answer.reason().as_str()), (Code::Aborted, "IDEMPOTENT_CALL_RUNNING"));
            let retry: RetryInfo = detail(&answer.status, "google.rpc.RetryInfo").unwrap();
            assert_eq!(retry.retry_delay.unwrap().seconds, 1);
        }
    }
    answered.dedup();
    assert_eq!(answered.len(), 1, "and all who are answered are answered alike");
    assert_eq!(users(&app).await, 4);
}

#[rstest]
#[tokio::test]
async fn a_lost_refresh_is_repeated_to_the_byte(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let token = first_token(&app.public()).await;
    let request = json!({"refresh_token": token});
    let refresh = async |key: &str| call_on(&app.routes(), REFRESH, &app.fixture.public, key, &request).await;
    let first = refresh(KEY).await;
    assert!(first.is_ok());
    // After the grace period: without the key it would be a copy, and end the session.
    app.clock.advance(Duration::seconds(119));
    assert_eq!(said(&refresh(KEY).await), said(&first));
    assert_eq!(refresh("another").await.reason(), "REFRESH_TOKEN_REUSED");
}

/// A live session is not told from memory.
#[rstest]
#[tokio::test]
async fn a_session_that_has_ended_is_not_replayed_as_live(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let session_id = sign_in(&app).await.session.unwrap().session_id;
    let request = json!({"session_id": session_id});
    assert!(call(&app, AUTHENTICATE, KEY, &request).await.is_ok());
    revoke(&app.back_end(), &session_id).await.unwrap();
    assert_eq!(call(&app, AUTHENTICATE, KEY, &request).await.reason(), "SESSION_NOT_ACTIVE");
    assert_eq!(rows(&app).await, 0);
}

#[rstest]
#[tokio::test]
async fn tokens_are_kept_briefly(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let request = json!({"login_id": "ada", "password": PASSWORD});
    let first = call(&app, SIGN_IN, KEY, &request).await;
    app.clock.advance(Duration::seconds(119));
    assert_eq!(said(&call(&app, SIGN_IN, KEY, &request).await), said(&first));
    app.clock.advance(Duration::seconds(1));
    let later = call(&app, SIGN_IN, KEY, &request).await;
    assert!(later.is_ok() && said(&later) != said(&first));
    for rpc in RPCS {
        let is_read = rpc.path.ends_with("/ResumeSession") || rpc.path.ends_with("/IssueClientToken");
        assert!(!is_read || rpc.answer_kept() == AnswerKept::Never, "{}", rpc.path);
    }
}

/// It is refused like a wrong one, but would be right once the delay is over.
#[rstest]
#[tokio::test]
async fn a_sign_in_that_is_slowed_down_is_not_kept(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (right, wrong) =
        (json!({"login_id": "ada", "password": PASSWORD}), json!({"login_id": "ada", "password": "no"}));
    for number in 0..11 {
        assert!(!call(&app, SIGN_IN, &format!("{number}"), &wrong).await.is_ok());
    }
    assert_eq!(call(&app, SIGN_IN, KEY, &right).await.reason(), "INVALID_CREDENTIALS");
    assert_eq!(rows(&app).await, 0);
    app.clock.advance(Duration::seconds(31));
    assert!(call(&app, SIGN_IN, KEY, &right).await.is_ok());
}

/// Nor any refusal of a client that everybody can pose as.
#[rstest]
#[tokio::test]
async fn a_field_that_is_wrong_leaves_nothing(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    assert_eq!(call(&app, CREATE, KEY, &json!({})).await.reason(), "INVALID_FIELD");
    assert_eq!(rows(&app).await, 0);
    assert!(call(&app, CREATE, KEY, &json!({"username": "mary"})).await.is_ok());
    set(&app, &["allow_sign_up"], ProjectSettings { allow_sign_up: Some(true), ..Default::default() }).await;
    let taken = json!({"user": {"username": "ada", "password": "tr0ub4dor-and-more"}});
    let answer = call_on(&app.routes(), SIGN_UP, &app.fixture.public, KEY, &taken).await;
    assert_eq!(answer.reason(), "IDENTIFIER_TAKEN");
    assert_eq!(rows(&app).await, 1, "only what was made");
}

/// The id of a public client is no secret, and keys may be guessed.
#[rstest]
#[tokio::test]
async fn a_stranger_who_knows_the_key_gets_and_hinders_nothing(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let log_in = async |login_id: &str, password: &str| {
        let request = json!({"login_id": login_id, "password": password});
        call_on(&app.routes(), SIGN_IN, &app.fixture.public, KEY, &request).await
    };
    assert_eq!(log_in("ada", "a wrong guess").await.reason(), "INVALID_CREDENTIALS");
    let owner = log_in("ada", PASSWORD).await;
    assert!(owner.is_ok(), "the key of the owner is another than the stranger's");
    for (login_id, password) in [("ada", "a wrong guess"), ("ada", ""), ("ADA", "a wrong guess"), ("mute", PASSWORD)] {
        let answer = log_in(login_id, password).await;
        assert!(!answer.is_ok() && answer.message.is_empty());
    }
    assert_eq!(said(&log_in("ada", PASSWORD).await), said(&owner));
}

#[rstest]
#[tokio::test]
async fn a_client_without_its_secret_is_told_nothing(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let request = json!({"username": "mary"});
    assert!(call(&app, CREATE, KEY, &request).await.is_ok());
    for (authorization, reason) in
        [("Basic eDp5", "CALLER_UNAUTHENTICATED"), (&app.fixture.public, "CALLER_NOT_PERMITTED")]
    {
        let answer = call_on(&app.routes(), CREATE, authorization, KEY, &request).await;
        assert_eq!(answer.reason(), reason);
        assert!(!contains(&answer.everything(), "mary"));
    }
}

#[rstest]
#[tokio::test]
async fn what_is_true_only_now_is_not_kept(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let request = json!({"user_id": app.fixture.grace.to_string()});
    assert!(call(&app, SEND, "first", &request).await.is_ok());
    assert_eq!(call(&app, SEND, KEY, &request).await.reason(), "CODE_SENT_RECENTLY");
    assert_eq!(rows(&app).await, 1, "only the first");
    app.clock.advance(Duration::seconds(31));
    assert!(call(&app, SEND, KEY, &request).await.is_ok());
}

/// The caller goes away while the call waits for a row: nothing is done, and the next one does it.
#[rstest]
#[tokio::test]
async fn a_call_whose_caller_goes_away_can_be_made_again(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let request = json!({"user_id": app.fixture.ada.to_string()});
    let tx = app.services.store.begin().await.unwrap();
    tx.users().lock(app.fixture.project_id, app.fixture.ada).await.unwrap();
    // SQLite has one writer: there even the claim waits.
    let bytes = message(DISABLE, request.clone());
    let waiting = RawCall::to(DISABLE)
        .authorization(&app.fixture.confidential)
        .header("idempotency-key", KEY.as_bytes())
        .header("grpc-timeout", b"300m")
        .message(&bytes);
    assert_eq!(waiting.send(&app.routes()).await.reason(), "DEADLINE_EXCEEDED");
    drop(tx);
    // The claim is given up behind the caller's back: it does not have to expire.
    let answer = loop {
        let answer = call(&app, DISABLE, KEY, &request).await;
        if answer.reason() != "IDEMPOTENT_CALL_RUNNING" {
            break answer;
        }
        tokio::task::yield_now().await;
    };
    assert!(answer.is_ok(), "{:?}", answer.status);
    assert_eq!(said(&call(&app, DISABLE, KEY, &request).await), said(&answer));
}

/// A process that dies leaves a claim behind.
#[rstest]
#[tokio::test]
async fn an_abandoned_claim_is_taken_over_once_it_has_expired(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let request = json!({"username": "ada"});
    assert_eq!(call(&app, CREATE, KEY, &request).await.reason(), "IDENTIFIER_TAKEN");
    let expires_at = (app.services.clock.now() + Duration::seconds(60)).to_rfc3339();
    execute(&app, &format!("UPDATE idempotent_calls SET sealed = NULL, expires_at = '{expires_at}'")).await;
    for seconds in [0, 59] {
        app.clock.advance(Duration::seconds(seconds));
        assert_eq!(call(&app, CREATE, KEY, &request).await.reason(), "IDEMPOTENT_CALL_RUNNING");
    }
    app.clock.advance(Duration::seconds(1));
    let calls: Vec<_> = (0..6)
        .map(|_| {
            let (routes, authorization) = (app.routes(), app.fixture.confidential.clone());
            let request = json!({"username": "mary"});
            tokio::spawn(async move { call_on(&routes, CREATE, &authorization, KEY, &request).await })
        })
        .collect();
    let mut done = Vec::new();
    for call in calls {
        let answer = call.await.unwrap();
        if answer.is_ok() {
            done.push(said(&answer));
        } else {
            assert_eq!(answer.reason(), "IDEMPOTENT_CALL_RUNNING");
        }
    }
    done.dedup();
    assert_eq!((done.len(), users(&app).await, rows(&app).await), (1, 4, 1));
}

#[rstest]
#[tokio::test]
async fn a_damaged_answer_is_a_fault_of_ours_and_nothing_is_done_twice(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (one, other) = (json!({"username": "mary"}), json!({"username": "percy"}));
    assert!(call(&app, CREATE, "one", &one).await.is_ok());
    app.clock.advance(Duration::seconds(1));
    assert!(call(&app, CREATE, "other", &other).await.is_ok());
    // The answer of the second in the row of the first, too.
    let newest = "SELECT kept.sealed FROM idempotent_calls AS kept ORDER BY kept.created_at DESC LIMIT 1";
    execute(&app, &format!("UPDATE idempotent_calls SET sealed = ({newest})")).await;
    assert_eq!(call(&app, CREATE, "one", &one).await.reason(), "INTERNAL");
    assert!(call(&app, CREATE, "other", &other).await.is_ok());
    assert_eq!(users(&app).await, 5);
}

#[rstest]
#[tokio::test]
async fn malformed_keys_are_refused(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let bytes = message(CREATE, json!({"username": "mary"}));
    let create = || RawCall::to(CREATE).authorization(&app.fixture.confidential).message(&bytes);
    let (long, longest) = ("k".repeat(256), "k".repeat(255));
    for key in [&b""[..], b"a b", b"a\tb", "\u{e9}".as_bytes(), long.as_bytes()] {
        let answer = create().header("idempotency-key", key).send(&app.routes()).await;
        assert_eq!(
            (answer.reason().as_str(), field_violations(&answer.status)),
            ("INVALID_FIELD", vec!["idempotency-key".to_owned()])
        );
    }
    let twice = create().header("idempotency-key", b"a").header("idempotency-key", b"a").send(&app.routes()).await;
    assert_eq!(field_violations(&twice.status), ["idempotency-key"]);
    assert_eq!(users(&app).await, 3);
    assert!(create().header("idempotency-key", longest.as_bytes()).send(&app.routes()).await.is_ok());
}

/// What is too large is not read to its end, and what is no message is refused as ever.
#[rstest]
#[tokio::test]
async fn garbage_with_a_key_is_garbage(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let large = [&[0, 0, 1, 0, 1][..], &vec![0; 65537]].concat();
    for body in [&b""[..], b"garbage", &[0, 0, 0, 0, 9, 1], &large] {
        let call = || RawCall::to(CREATE).authorization(&app.fixture.confidential).body(body);
        let plain = call().send(&app.routes()).await;
        let with_key = call().header("idempotency-key", KEY.as_bytes());
        let with_key = with_key.send(&app.routes()).await;
        assert_eq!(plain.reason(), "INVALID_FIELD");
        assert_eq!((with_key.reason(), with_key.status.message()), (plain.reason(), plain.status.message()));
        execute(&app, "DELETE FROM idempotent_calls").await;
    }
}

#[rstest]
#[tokio::test]
async fn keys_count_where_twice_is_not_once(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let user = json!({"user_id": app.fixture.ada.to_string()});
    let update = |name: &str| json!({"user_id": app.fixture.ada.to_string(), "user": {"given_name": name}, "update_mask": "givenName"});
    assert!(call(&app, "/auth.v1.UserService/GetUser", KEY, &user).await.is_ok());
    assert!(call(&app, UPDATE, KEY, &update("One")).await.is_ok());
    assert!(call(&app, UPDATE, KEY, &update("Two")).await.is_ok());
    assert_eq!(rows(&app).await, 0, "GET, PATCH, PUT and DELETE can be repeated anyway");
    let posts = RPCS.iter().filter(|rpc| rpc.is_post).count();
    assert!(posts > 20 && posts < RPCS.len());
    for (path, is_post) in
        [(CREATE, true), (UPDATE, false), ("/auth.v1.UserService/SetPassword", false), (SIGN_IN, true)]
    {
        assert_eq!(RPCS.iter().find(|rpc| rpc.path == path).unwrap().is_post, is_post, "{path}");
    }
    // For clients only.
    for rpc in RPCS.iter().filter(|rpc| rpc.caller == CallerKind::Anyone || rpc.caller == CallerKind::Operator) {
        let authorization = app.fixture.entitled(rpc.caller);
        let call = RawCall::to(rpc.path).authorization(authorization).header("idempotency-key", KEY.as_bytes());
        call.send(&app.api.routes).await;
    }
    assert_eq!(rows(&app).await, 0);
}

#[rstest]
#[tokio::test]
async fn what_has_expired_is_cleared_away(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    assert!(call(&app, CREATE, "old", &json!({"username": "mary"})).await.is_ok());
    app.clock.advance(Duration::hours(23));
    assert!(call(&app, CREATE, "new", &json!({"username": "percy"})).await.is_ok());
    sweep(&app.services).await.unwrap();
    assert_eq!(rows(&app).await, 2);
    app.clock.advance(Duration::hours(1));
    sweep(&app.services).await.unwrap();
    assert_eq!(rows(&app).await, 1);
}
