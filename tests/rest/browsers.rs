//! What browsers ask and are told (CORS).

use http::Method;
use serde_json::json;

use crate::{rest_app::RestApp, support::Engine};

const ORIGIN: &str = "https://app.example";

#[tokio::test]
async fn a_preflight_is_answered_for_every_path_without_credentials() {
    let app = RestApp::start(Engine::Sqlite).await.unwrap();
    for path in ["/api/v1/auth/sign_in", "/v1/auth/password/signin", "/sdk/v1/passwords/authenticate", "/nowhere"] {
        let answer = app
            .request(Method::OPTIONS, path)
            .header("origin", ORIGIN)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,content-type, X-Sdk-Client")
            .await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, ORIGIN), "{path}");
        assert_eq!(answer.header("access-control-allow-credentials"), "true");
        assert_eq!(answer.header("access-control-allow-methods"), "GET, POST, PUT, PATCH, DELETE");
        assert_eq!(answer.header("access-control-allow-headers"), "authorization, content-type, x-sdk-client");
        let vary: Vec<_> = answer.headers.get_all("vary").iter().collect();
        assert_eq!(vary, ["Access-Control-Request-Headers", "Origin"]);
        assert!(answer.cookies().is_empty());
    }
}

#[tokio::test]
async fn headers_that_a_preflight_asks_for_are_bounded_and_well_formed() {
    let app = RestApp::start(Engine::Sqlite).await.unwrap();
    let preflight = |asked: String| {
        let request = app.request(Method::OPTIONS, "/v1/users").header("origin", ORIGIN);
        request.header("access-control-request-method", "POST").header("access-control-request-headers", &asked)
    };
    let answer = preflight("a b, x-fine, (, x;y, \"q\", *".into()).await;
    assert_eq!(answer.header("access-control-allow-headers"), "x-fine, *");
    let many: Vec<String> = (0..1000).map(|number| format!("x-{number}")).collect();
    let answer = preflight(many.join(",")).await;
    assert_eq!(answer.header("access-control-allow-headers").split(", ").count(), 50);
    let answer = preflight(format!("x-{}", "y".repeat(1000))).await;
    assert!(!answer.headers.contains_key("access-control-allow-headers"));
}

#[tokio::test]
async fn every_answer_can_be_read_by_the_script_that_asked_refusals_too() {
    let app = RestApp::start(Engine::Sqlite).await.unwrap();
    let calls = [
        app.get("/nowhere"),
        app.put("/api/v1/users"),
        app.post("/api/v1/users").json(&json!({"nonsense": 1})),
        app.post("/api/v1/users").body("x".repeat(300_000)),
        app.get("/api/v1/users"),
        app.get("/v1/nothing"),
        app.post("/v1/auth/refresh").form(&[("a", "b")]),
        app.get("/api/v1/openapi.json"),
    ];
    for call in calls {
        let answer = call.header("origin", ORIGIN).await;
        assert_eq!(answer.header("access-control-allow-origin"), ORIGIN, "{}", answer.text());
        assert_eq!(answer.header("access-control-expose-headers"), "retry-after, x-request-id");
        assert_eq!((answer.header("vary"), answer.header("x-content-type-options")), ("Origin", "nosniff"));
    }
    let nobody = app.get("/api/v1/openapi.json").await;
    assert!(!nobody.headers.contains_key("access-control-allow-origin") && nobody.header("vary") == "Origin");
    let two = app.get("/nowhere").header("origin", ORIGIN).header("origin", "https://evil.example").await;
    assert!(!two.headers.contains_key("access-control-allow-origin"));
    let ordinary = app.request(Method::OPTIONS, "/api/v1/users").header("origin", ORIGIN).await;
    assert_eq!((ordinary.status, ordinary.header("allow")), (405, "GET, POST"), "no preflight");
}
