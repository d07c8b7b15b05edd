//! Refusals that the API itself gives too seldom to wait for.

use std::time::Duration;

use http::{Request, StatusCode};
use serde_json::{Value, json};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::{proto::ERROR_DOMAIN, rest::stub_upstream::Stubbed};

/// The router in front of an API that refuses everything for that reason.
fn refusing(code: Code, reason: &str, retry_after: Option<Duration>) -> Stubbed {
    let mut details = ErrorDetails::with_error_info(reason, ERROR_DOMAIN, []);
    if retry_after.is_some() {
        details.set_retry_info(retry_after);
    }
    Stubbed::refusing(Status::with_error_details(code, "no", details))
}

/// A call of each form of error bodies: E2, E5 and E1.
fn calls() -> [(&'static str, Request<&'static str>); 3] {
    let post = |path: &str, kind: &str, body| {
        let request = Request::post(path).header("authorization", "Bearer e.y.J").header("content-type", kind);
        request.body(body).unwrap()
    };
    let json = "application/json";
    let sign_in = r#"{"username": "ada", "password": "x"}"#;
    [
        ("E2", post("/v1/auth/password/authenticate", json, sign_in)),
        ("E5", post("/cis/oidc/token", "application/x-www-form-urlencoded", "grant_type=client_credentials")),
        ("E1", post("/cis/v1/users", json, r#"{"username": "ada"}"#)),
    ]
}

#[tokio::test]
async fn a_refusal_for_lack_of_time_says_when_to_come_back() {
    let stub = refusing(Code::ResourceExhausted, "OVERLOADED", Some(Duration::from_millis(1200)));
    for (form, call) in calls() {
        let (status, headers, body) = stub.send(call).await;
        assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{form}: {body}");
        assert_eq!(
            (&headers["retry-after"], &headers["content-type"]),
            (&"2".parse().unwrap(), &"application/json".parse().unwrap())
        );
        assert_eq!(
            (&body["message"], &body["error_code"]),
            (&json!("Too many requests"), &json!(429)),
            "{form}: {body}"
        );
        let error = if form == "E5" { json!("temporarily_unavailable") } else { Value::Null };
        assert_eq!(body["error"], error, "{form}: {body}");
    }
}

#[tokio::test]
async fn the_token_endpoint_refuses_with_400_or_401() {
    let token = || calls().into_iter().find(|(form, _)| *form == "E5").unwrap().1;
    for (code, reason, status, error) in [
        (Code::PermissionDenied, "CALLER_NOT_PERMITTED", 401, "invalid_client"),
        (Code::Unauthenticated, "CALLER_UNAUTHENTICATED", 401, "invalid_client"),
        (Code::PermissionDenied, "ORIGIN_NOT_ALLOWED", 400, "unauthorized_client"),
        (Code::NotFound, "CLIENT_NOT_FOUND", 400, "invalid_request"),
        (Code::Unavailable, "UNAVAILABLE", 503, "temporarily_unavailable"),
        (Code::Internal, "INTERNAL", 500, "server_error"),
    ] {
        let (told, headers, body) = refusing(code, reason, None).send(token()).await;
        assert_eq!((told.as_u16(), &body["error"]), (status, &json!(error)), "{reason}: {body}");
        assert_eq!(headers.contains_key("www-authenticate"), status == 401, "{reason}");
    }
}
