//! Which web pages may call: those of the project, and the service's own.

use rstest::rstest;
use serde_json::json;
use signet::proto::{CallerKind, ProjectSettings, RPCS};
use tonic::Code;

use crate::{
    refresh::set,
    support::{Engine, RawCall, TestApp, message},
};

const LIST: &str = "/auth.v1.UserService/ListUsers";
const SETTINGS: &str = "/auth.v1.AuthService/GetSignInSettings";
const PROJECTS: &str = "/auth.v1.ProjectService/ListProjects";
const JWKS: &str = "/auth.v1.AuthService/GetJsonWebKeySet";

async fn allow(app: &TestApp, origins: &[&str]) {
    let allowed_origins = origins.iter().map(|origin| (*origin).to_owned()).collect();
    set(app, &["allowed_origins"], ProjectSettings { allowed_origins, ..Default::default() }).await;
}

/// The reason for which a call from pages of those origins is refused; empty if it is not.
async fn refusal(app: &TestApp, path: &str, authorization: &str, origins: &[&str]) -> String {
    let call = RawCall::to(path).authorization(authorization);
    let call = origins.iter().fold(call, |call, origin| call.header("origin", origin.as_bytes()));
    let answer = call.send(&app.routes()).await;
    if answer.reason() == "ORIGIN_NOT_ALLOWED" {
        assert_eq!(answer.status.code(), Code::PermissionDenied);
    }
    answer.reason()
}

#[rstest]
#[tokio::test]
async fn a_client_calls_from_the_pages_of_its_project_and_from_our_own(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let callers = [(SETTINGS, &app.fixture.public), (LIST, &app.fixture.confidential)];
    let not_allowed = "ORIGIN_NOT_ALLOWED";
    for (path, caller) in callers {
        assert_eq!(refusal(&app, path, caller, &[]).await, "", "no page calls");
        assert_eq!(refusal(&app, path, caller, &["https://app.example"]).await, not_allowed, "none is allowed yet");
        assert_eq!(refusal(&app, path, caller, &["https://auth.example"]).await, "", "our own");
    }
    allow(&app, &["https://app.example", "http://localhost:*"]).await;
    for (path, caller) in callers {
        for origin in ["https://app.example", "http://localhost:3000", "http://localhost", "https://auth.example"] {
            assert_eq!(refusal(&app, path, caller, &[origin]).await, "", "{origin}");
        }
        for origin in [
            "null",
            "",
            "https://app.example/",
            "https://app.example:444",
            "http://app.example",
            "https://APP.example",
            "https://app.example.evil.example",
            "https://evil.example",
            "http://auth.example",
            "https://auth.example:8443",
            "\u{e9}",
            "*",
        ] {
            assert_eq!(refusal(&app, path, caller, &[origin]).await, not_allowed, "{origin}");
        }
        assert_eq!(refusal(&app, path, caller, &["https://app.example", "https://app.example"]).await, not_allowed);
        assert_eq!(refusal(&app, path, caller, &["https://app.example", "https://evil.example"]).await, not_allowed);
    }
    // What one project allows, another does not.
    assert_eq!(refusal(&app, LIST, &app.fixture.stranger, &["https://app.example"]).await, not_allowed);
}

#[tokio::test]
async fn an_operator_calls_from_no_page_but_ours() {
    let Some(app) = TestApp::start(Engine::Sqlite).await else { return };
    allow(&app, &["https://app.example"]).await;
    for (origin, expected) in
        [("https://app.example", "ORIGIN_NOT_ALLOWED"), ("null", "ORIGIN_NOT_ALLOWED"), ("https://auth.example", "")]
    {
        assert_eq!(refusal(&app, PROJECTS, &app.fixture.operator, &[origin]).await, expected, "{origin}");
    }
}

#[tokio::test]
async fn what_is_open_to_everybody_is_open_to_every_page() {
    let Some(app) = TestApp::start(Engine::Sqlite).await else { return };
    let request = message(JWKS, json!({"project_id": app.fixture.project_id.to_string()}));
    for origin in ["https://evil.example", "null"] {
        let call = RawCall::to(JWKS).message(&request).header("origin", origin.as_bytes());
        assert!(call.send(&app.routes()).await.is_ok());
        let health = RawCall::to("/grpc.health.v1.Health/Check").header("origin", origin.as_bytes());
        assert!(health.send(&app.routes()).await.is_ok());
    }
}

/// Whoever has no credentials learns nothing of what is allowed, and nobody gets past the check by another RPC.
#[rstest]
#[tokio::test]
async fn every_rpc_that_asks_who_calls_asks_from_where(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let before = app.contents().await;
    for rpc in RPCS.iter().filter(|rpc| rpc.caller != CallerKind::Anyone) {
        let evil = ["https://evil.example"];
        let entitled = app.fixture.entitled(rpc.caller);
        assert_eq!(refusal(&app, rpc.path, entitled, &evil).await, "ORIGIN_NOT_ALLOWED", "{}", rpc.path);
        assert_eq!(refusal(&app, rpc.path, "Basic eDp5", &evil).await, "CALLER_UNAUTHENTICATED", "{}", rpc.path);
    }
    assert_eq!(app.contents().await, before);
}
