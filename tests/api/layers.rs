//! What every call passes through: a name, a watch, a net for panics, a deadline, and the look at who calls.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use chrono::Duration as Moved;
use rstest::rstest;
use serde_json::json;
use signet::{
    crypto::argon2_kernel::Argon2Cost,
    grpc::layers::ORDER,
    proto::{DisableUserRequest, GetUserRequest, RPCS, UserStatus},
};
use tonic::{Code, Request};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};
use tonic_types::pb::RequestInfo;
use tracing_subscriber::{layer::SubscriberExt as _, registry::Registry};

use crate::{
    sign_in::{email, try_password, with_password},
    support::{Answer, Engine, PASSWORD, RawCall, TestApp, contains, detail, message, reason},
};

const JWKS: &str = "/auth.v1.AuthService/GetJsonWebKeySet";
const LIST: &str = "/auth.v1.UserService/ListUsers";

fn id_of(answer: &Answer) -> &str {
    answer.headers["x-request-id"].to_str().unwrap()
}

/// Moves the clock to where no calendar reaches, so that the next handler that asks for the time panics.
fn break_the_clock(app: &TestApp) {
    app.clock.advance(Moved::days(270_000 * 365));
}

#[rstest]
#[tokio::test]
async fn a_well_formed_request_id_is_kept_and_any_other_replaced(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let call = |id: &[u8]| RawCall::to(LIST).authorization(&app.fixture.confidential).header("x-request-id", id);
    let longest = "a".repeat(128);
    for id in ["a", "6f1c-2_3.b", &longest] {
        assert_eq!(id_of(&call(id.as_bytes()).send(&app.routes()).await), id);
    }
    let too_long = "a".repeat(129);
    let mut seen = Vec::new();
    for id in [&b""[..], b" ", b"a b", b"a\tb", b"<script>", b"a\"b", "\u{e9}".as_bytes(), too_long.as_bytes()] {
        let answer = call(id).send(&app.routes()).await;
        assert!(answer.is_ok());
        assert_ne!(id_of(&answer).as_bytes(), id);
        seen.push(id_of(&answer).to_owned());
    }
    let made: Vec<_> = seen.iter().filter(|id| id.len() == 26).collect();
    assert_eq!(made.len(), seen.len());
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 8, "each call has a name of its own");
}

#[rstest]
#[tokio::test]
async fn every_answer_names_its_call(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let refused = RawCall::to(LIST).header("x-request-id", b"refused").send(&app.routes()).await;
    let info: RequestInfo = detail(&refused.status, "google.rpc.RequestInfo").unwrap();
    assert_eq!((id_of(&refused), info.request_id.as_str()), ("refused", "refused"));
    let paths = ["/", "/nowhere", "/auth.v1.UserService/Nothing", "/grpc.health.v1.Health/Check", LIST, JWKS];
    for path in paths {
        let answer = RawCall::to(path).send(&app.api.routes).await;
        assert!(!id_of(&answer).is_empty(), "{path}");
    }
    break_the_clock(&app);
    let panicked =
        RawCall::to(JWKS).message(&key_set_of(&app)).header("x-request-id", b"boom").send(&app.routes()).await;
    assert_eq!((panicked.status.code(), id_of(&panicked)), (Code::Internal, "boom"));
}

fn key_set_of(app: &TestApp) -> Vec<u8> {
    message(JWKS, json!({"project_id": app.fixture.project_id.to_string()}))
}

#[rstest]
#[tokio::test]
async fn a_panic_becomes_an_internal_error_that_says_nothing(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let request = key_set_of(&app);
    assert!(RawCall::to(JWKS).message(&request).send(&app.routes()).await.is_ok());
    break_the_clock(&app);
    let answer = RawCall::to(JWKS).message(&request).send(&app.routes()).await;
    assert_eq!((answer.status.code(), answer.reason().as_str()), (Code::Internal, "INTERNAL"));
    for told in ["chrono", "clock", "panic", "src/", "expect"] {
        assert!(!contains(&answer.everything(), told), "{told}: {:?}", answer.status);
    }
    // Others are served as before.
    let user_id = app.fixture.ada.to_string();
    app.back_end().users.get_user(GetUserRequest { user_id }).await.unwrap();
}

#[tokio::test]
async fn another_spelling_of_a_path_leads_nowhere() {
    let Some(app) = TestApp::start(Engine::Sqlite).await else { return };
    for path in [
        "//auth.v1.UserService/ListUsers",
        "/auth.v1.UserService//ListUsers",
        "/auth.v1.UserService/ListUsers/",
        "/auth.v1.UserService/./ListUsers",
        "/x/../auth.v1.UserService/ListUsers",
        "/auth.v1.UserService/%4CistUsers",
        "/auth.v1.UserService%2FListUsers",
        "/%61uth.v1.UserService/ListUsers",
        "/auth.v1.userservice/listusers",
        "/auth.v1.UserService/ListUsers;a=b",
        "/auth.v1.UserService/Nothing",
        "/nowhere",
    ] {
        for call in [RawCall::to(path), RawCall::to(path).authorization(&app.fixture.confidential)] {
            assert_eq!(call.send(&app.api.routes).await.status.code(), Code::Unimplemented, "{path}");
        }
    }
}

#[rstest]
#[tokio::test]
async fn a_query_does_not_lead_past_the_authentication(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    for rpc in RPCS {
        let path = format!("{}?a=b", rpc.path);
        let with_query = RawCall::to(&path).send(&app.routes()).await;
        assert_eq!(with_query.reason(), RawCall::to(rpc.path).send(&app.routes()).await.reason(), "{path}");
    }
}

#[rstest]
#[tokio::test]
async fn a_call_ends_at_its_deadline_and_leaves_nothing_behind(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let user_id = app.fixture.ada.to_string();
    let tx = app.services.store.begin().await.unwrap();
    tx.users().lock(app.fixture.project_id, app.fixture.ada).await.unwrap();
    let mut request = Request::new(DisableUserRequest { user_id: user_id.clone() });
    request.set_timeout(Duration::from_millis(200));
    let started = Instant::now();
    let status = app.back_end().users.disable_user(request).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"));
    let took = started.elapsed();
    assert!((Duration::from_millis(200)..Duration::from_secs(5)).contains(&took), "{took:?}");
    drop(tx);
    let get = GetUserRequest { user_id: user_id.clone() };
    let user = app.back_end().users.get_user(get).await.unwrap().into_inner().user.unwrap();
    assert_eq!(user.status(), UserStatus::Active, "nothing was written");
    app.back_end().users.disable_user(DisableUserRequest { user_id }).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn hashes_that_would_come_too_late_free_the_lane(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    // A quarter of a second or more a hash.
    let cost = Argon2Cost { memory_kib: 64 * 1024, iterations: 4, parallelism: 1 };
    let Some(app) = TestApp::start_with(engine, cost).await else { return };
    let calls: Vec<_> = (0..6)
        .map(|_| {
            let mut request = Request::new(with_password(email("nobody@example.com"), PASSWORD));
            request.set_timeout(Duration::from_millis(50));
            let mut auth = app.back_end().auth;
            tokio::spawn(async move { auth.authenticate_password(request).await.unwrap_err() })
        })
        .collect();
    for call in calls {
        let reason = reason(&call.await.unwrap());
        assert!(["DEADLINE_EXCEEDED", "OVERLOADED"].contains(&reason.as_str()), "{reason}");
    }
    // At most the one that was being computed is still there, and nobody waits behind it.
    assert!(app.metrics.encode().contains("signet_lane_queued 0"));
    try_password(&app.back_end(), email("ada@example.com"), PASSWORD).await.unwrap();
}

#[tokio::test]
async fn a_deadline_that_is_far_or_malformed_does_no_harm() {
    let Some(app) = TestApp::start(Engine::Sqlite).await else { return };
    for timeout in ["99999999H", "5", "S", "-1S", "1s"] {
        let call = RawCall::to(LIST).authorization(&app.fixture.confidential);
        assert!(call.header("grpc-timeout", timeout.as_bytes()).send(&app.routes()).await.is_ok(), "{timeout}");
    }
}

#[rstest]
#[tokio::test]
async fn health_of_each_service_is_open_to_anyone(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let mut services: Vec<&str> = RPCS.iter().map(|rpc| rpc.path.split('/').nth(1).unwrap()).collect();
    services.dedup();
    assert!(services.len() >= 3);
    services.push("");
    let mut health = HealthClient::new(app.api.routes.clone());
    for expected in [ServingStatus::Serving, ServingStatus::NotServing] {
        for service in &services {
            let request = HealthCheckRequest { service: (*service).into() };
            assert_eq!(health.check(request).await.unwrap().into_inner().status(), expected, "{service}");
        }
        app.api.stop_serving().await;
    }
    let unknown = HealthCheckRequest { service: "auth.v1.NoService".into() };
    assert_eq!(health.check(unknown).await.unwrap_err().code(), Code::NotFound);
}

#[rstest]
#[tokio::test]
async fn the_schema_is_open_to_anyone(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let mut reflection = ServerReflectionClient::new(app.api.routes.clone());
    let ask = |message| ServerReflectionRequest { host: String::new(), message_request: Some(message) };
    let questions = [
        MessageRequest::ListServices(String::new()),
        MessageRequest::FileContainingSymbol("auth.v1.AuthService.SignIn".into()),
        MessageRequest::FileContainingSymbol("google.rpc.BadRequest".into()),
    ];
    let mut answers =
        reflection.server_reflection_info(tokio_stream::iter(questions.map(ask))).await.unwrap().into_inner();
    let Some(MessageResponse::ListServicesResponse(list)) = answers.message().await.unwrap().unwrap().message_response
    else {
        panic!("a list of services")
    };
    let names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    for rpc in RPCS {
        assert!(names.iter().any(|name| rpc.path.starts_with(&format!("/{name}/"))), "{}", rpc.path);
    }
    for symbol in ["SignInRequest", "BadRequest"] {
        let answer = answers.message().await.unwrap().unwrap().message_response;
        let Some(MessageResponse::FileDescriptorResponse(files)) = answer else { panic!("a file") };
        assert!(files.file_descriptor_proto.iter().any(|file| contains(file, symbol)));
    }
}

/// The layers as they are put together, outermost first: read off the source, from the last to the first.
fn written_order() -> Vec<&'static str> {
    let source = include_str!("../../src/grpc/layers.rs");
    let (_, passed) = source.split_once("async fn pass(").unwrap();
    let (passed, _) = passed.split_once("\n}").unwrap();
    // Each is the call of a function that is given `next`.
    let layers = passed.lines().filter(|line| line.contains("request, next)"));
    let mut names: Vec<_> = layers.map(|line| line.split('(').next().unwrap().rsplit(' ').next().unwrap()).collect();
    names.reverse();
    names
}

/// Notes the fields of the spans that calls run in.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<String>>>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Spans {
    fn on_new_span(
        &self,
        attributes: &tracing::span::Attributes<'_>,
        _: &tracing::Id,
        _: tracing_subscriber::layer::Context<'_, S>,
    ) {
        self.0.lock().unwrap().push(format!("{attributes:?}"));
    }
}

#[tokio::test]
async fn the_order_of_the_layers_is_the_recorded_one_and_shows() {
    assert_eq!(written_order(), ORDER);
    let Some(app) = TestApp::start(Engine::Sqlite).await else { return };
    let place = |name: &str| ORDER.iter().position(|layer| *layer == name).unwrap();

    // What watches a call knows its name.
    let spans = Spans::default();
    let guard = tracing::subscriber::set_default(Registry::default().with(spans.clone()));
    RawCall::to(LIST).header("x-request-id", b"named").send(&app.routes()).await;
    drop(guard);
    assert!(spans.0.lock().unwrap().iter().any(|span| span.contains("named")));
    assert!(place("name") < place("observe"));

    // Garbage is looked at only once it is clear who sent it.
    let answer = RawCall::to(LIST).body(b"garbage").send(&app.routes()).await;
    assert_eq!(answer.reason(), "CALLER_UNAUTHENTICATED");
    assert!(place("authenticate") < place("unreadable"));
    // A panic is counted like any other failure.
    let request = key_set_of(&app);
    break_the_clock(&app);
    RawCall::to(JWKS).message(&request).send(&app.routes()).await;
    let counted = "signet_rpcs_total{rpc=\"auth.v1.AuthService/GetJsonWebKeySet\",outcome=\"INTERNAL\"} 1";
    assert!(app.metrics.encode().contains(counted), "{}", app.metrics.encode());
    assert!(place("observe") < place("catch_panic"));
}

#[tokio::test]
async fn the_deadline_holds_for_the_look_at_who_calls() {
    // Only here do readers share the connections of writers, so that all can be in use.
    let Some(app) = TestApp::start(Engine::Postgres).await else { return };
    let mut in_use = Vec::new();
    for _ in 0..crate::support::CONNECTIONS {
        in_use.push(app.services.store.begin().await.unwrap());
    }
    let call = || RawCall::to(LIST).authorization(&app.fixture.confidential);
    assert_eq!(call().header("grpc-timeout", b"100m").send(&app.routes()).await.reason(), "DEADLINE_EXCEEDED");
    let place = |name: &str| ORDER.iter().position(|layer| *layer == name).unwrap();
    assert!(place("deadline") < place("authenticate"));
    // And for the look at the lane before it, which has to know how much time there is.
    assert!(place("deadline") < place("overload") && place("overload") < place("authenticate"));
    drop(in_use);
    assert!(call().send(&app.routes()).await.is_ok());
}
