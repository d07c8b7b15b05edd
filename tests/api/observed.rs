//! What is refused before anything else runs, and what the metrics say about refusals.

use signet::proto::GetUserRequest;
use tonic::Code;

use crate::{
    sign_in::{email, try_password},
    support::{Engine, RawCall, TestApp},
};

fn assert_counted(app: &TestApp, rpc: &str, outcome: &str) {
    let (page, line) = (app.metrics.encode(), format!("signet_rpcs_total{{rpc=\"{rpc}\",outcome=\"{outcome}\"}} 1"));
    assert!(page.lines().any(|each| each == line), "no {line} in\n{page}");
}

#[tokio::test]
async fn a_path_that_is_no_rpc_is_refused_whoever_calls() {
    let app = TestApp::start(Engine::Sqlite).await.unwrap();
    let paths =
        ["/", "/auth.v1.AuthService/Nothing", "/auth.v1.UserService", "/made.up/Rpc", "/grpc.health.v1.HealthX/Check"];
    for path in paths {
        for call in [RawCall::to(path), RawCall::to(path).authorization(&app.fixture.operator)] {
            let answer = call.send(&app.routes()).await;
            assert_eq!((answer.status.code(), answer.status.message()), (Code::Unimplemented, "there is no such RPC"));
            assert!(answer.headers.contains_key("x-request-id"));
        }
    }
    let page = app.metrics.encode();
    let line = format!("signet_rpcs_total{{rpc=\"other\",outcome=\"UNIMPLEMENTED\"}} {}", 2 * paths.len());
    assert!(page.lines().any(|each| each == line), "no {line} in\n{page}");
}

#[tokio::test]
async fn health_and_reflection_are_open() {
    let app = TestApp::start(Engine::Sqlite).await.unwrap();
    assert!(RawCall::to("/grpc.health.v1.Health/Check").send(&app.routes()).await.is_ok());
    for version in ["v1", "v1alpha"] {
        let path = format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
        let code = RawCall::to(&path).send(&app.routes()).await.status.code();
        assert!(![Code::Internal, Code::Unimplemented].contains(&code), "{version}: {code:?}");
    }
}

#[tokio::test]
async fn refusals_are_counted_by_their_reason() {
    let app = TestApp::start(Engine::Sqlite).await.unwrap();
    try_password(&app.back_end(), email("ada@example.com"), "not it").await.unwrap_err();
    assert_counted(&app, "auth.v1.AuthService/AuthenticatePassword", "INVALID_CREDENTIALS");
    let request = GetUserRequest { user_id: "nobody".into() };
    app.back_end().users.get_user(request.clone()).await.unwrap_err();
    assert_counted(&app, "auth.v1.UserService/GetUser", "INVALID_FIELD");
    app.anonymous().users.get_user(request).await.unwrap_err();
    assert_counted(&app, "auth.v1.UserService/GetUser", "CALLER_UNAUTHENTICATED");
    let request = GetUserRequest { user_id: app.fixture.ada.to_string() };
    app.back_end().users.get_user(request).await.unwrap();
    assert_counted(&app, "auth.v1.UserService/GetUser", "OK");
}
