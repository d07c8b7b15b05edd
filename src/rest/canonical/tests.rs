//! What goes to the upstream, and what comes of its answers.

use std::time::Duration;

use http::{Request, StatusCode};
use prost::Message as _;
use serde_json::json;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::{
    proto::{
        AuthenticateSessionRequest, ERROR_DOMAIN, GetJsonWebKeySetRequest, GetJsonWebKeySetResponse,
        GetProviderMetadataRequest, GetProviderMetadataResponse, JsonWebKey, ListUsersRequest, ListUsersResponse,
        SetPasswordRequest, SetPasswordResponse,
    },
    rest::{RestSettings, stub_upstream::Stubbed},
};

const PROJECT: &str = "project_01M7ZZMBGZEXJTRRC87K87YW5F";

#[tokio::test]
async fn credentials_and_what_belongs_to_the_request_go_on_and_nothing_else() {
    let stub = Stubbed::answering(&ListUsersResponse::default());
    let forwarded = [
        ("authorization", "Bearer a-token"),
        ("idempotency-key", "again"),
        ("origin", "https://app.example"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("tracestate", "a=b"),
        ("x-request-id", "mine"),
    ];
    let mut request = Request::get("/api/v1/users?page_size=7&pageToken=x").header("cookie", "a=b").header("host", "x");
    for (name, value) in forwarded {
        request = request.header(name, value);
    }
    let (status, headers, body) = stub.send(request.body("").unwrap()).await;
    assert_eq!((status, &headers["x-request-id"], body), (StatusCode::OK, &"mine".parse().unwrap(), json!({})));
    let [made] = &stub.made()[..] else { panic!("one call") };
    for (name, value) in forwarded {
        assert_eq!(made.metadata[name], value);
    }
    assert!(!made.metadata.contains_key("cookie"));
    let timeout = made.metadata["grpc-timeout"].to_str().unwrap();
    let micros: u64 = timeout.strip_suffix('u').unwrap_or_else(|| panic!("{timeout}")).parse().unwrap();
    assert!((1..=30_000_000).contains(&micros), "what is left of the deadline: {timeout}");
    assert_eq!(made.path, "/auth.v1.UserService/ListUsers");
    let asked = ListUsersRequest::decode(made.message.as_slice()).unwrap();
    assert_eq!((asked.page_size, asked.page_token.as_str()), (7, "x"));
}

#[tokio::test]
async fn two_authorizations_count_as_none() {
    let stub = Stubbed::answering(&ListUsersResponse::default());
    let twice = Request::get("/api/v1/users").header("authorization", "Bearer a").header("authorization", "Bearer b");
    stub.send(twice.body("").unwrap()).await;
    assert!(!stub.made()[0].metadata.contains_key("authorization"));
}

#[tokio::test]
async fn a_message_is_read_from_path_and_body_and_the_path_counts() {
    let stub = Stubbed::answering(&SetPasswordResponse::default());
    let body = r#"{"userId": "another", "password": "a horse", "must_change": true}"#;
    stub.send(Request::put("/api/v1/users/us%65r_1/password").body(body).unwrap()).await;
    let asked = SetPasswordRequest::decode(stub.made()[0].message.as_slice()).unwrap();
    assert_eq!((asked.user_id.as_str(), asked.password.as_str(), asked.must_change), ("user_1", "a horse", true));

    let body = r#"{"accessToken": "t", "session_duration": "90.5s", "customClaims": {"a": [null, 1.5, {"b": "c"}]}}"#;
    stub.send(Request::post("/api/v1/auth/session/authenticate").body(body).unwrap()).await;
    let asked = AuthenticateSessionRequest::decode(stub.made()[1].message.as_slice()).unwrap();
    assert_eq!(asked.session_duration.unwrap(), prost_types::Duration { seconds: 90, nanos: 500_000_000 });
    assert_eq!(asked.custom_claims.unwrap().fields.len(), 1);
}

#[tokio::test]
async fn a_refusal_says_when_to_come_back_in_whole_seconds() {
    let mut details = ErrorDetails::with_error_info("OVERLOADED", ERROR_DOMAIN, []);
    details.set_retry_info(Some(Duration::from_millis(1200)));
    let stub = Stubbed::refusing(Status::with_error_details(Code::ResourceExhausted, "busy", details));
    let (status, headers, body) = stub.get("/api/v1/users").await;
    assert_eq!((status, headers["retry-after"].to_str().unwrap()), (StatusCode::TOO_MANY_REQUESTS, "2"));
    assert_eq!((&body["code"], &body["message"]), (&json!(8), &json!("busy")));
    assert_eq!(
        body["details"][0],
        json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1.200s"})
    );
}

#[tokio::test]
async fn an_upstream_that_cannot_be_reached_is_503_with_a_reason_and_does_not_say_why() {
    let stub = Stubbed::refusing(Status::unavailable("tcp connect error to 10.0.0.7"));
    for path in ["/api/v1/users", "/.well-known/jwks.json"] {
        let (status, headers, body) = stub.get(path).await;
        assert_eq!(
            (status, &headers["retry-after"]),
            (StatusCode::SERVICE_UNAVAILABLE, &"1".parse().unwrap()),
            "{path}"
        );
        assert_eq!((&body["code"], &body["details"][0]["reason"]), (&json!(14), &json!("UNAVAILABLE")), "{path}");
        assert!(!body.to_string().contains("10.0.0.7"), "{body}");
    }
    let stub = Stubbed::refusing(Status::unknown("h2 protocol error"));
    assert_eq!(stub.get("/api/v1/users").await.0, StatusCode::INTERNAL_SERVER_ERROR);
    let stub = Stubbed::refusing(Status::deadline_exceeded("Timeout expired"));
    assert_eq!(stub.get("/api/v1/users").await.0, StatusCode::GATEWAY_TIMEOUT);
}

#[tokio::test]
async fn the_metadata_name_the_issuer_the_keys_and_no_grant() {
    let stub = Stubbed::answering(&GetProviderMetadataResponse {
        project_id: PROJECT.into(),
        issuer: format!("https://auth.example/projects/{PROJECT}"),
        public_url: "https://auth.example".into(),
        signing_algorithms: vec!["EdDSA".into(), "RS256".into()],
    });
    let (status, headers, root) = stub.get("/.well-known/openid-configuration").await;
    let (_, _, own) = stub.get(&format!("/projects/{PROJECT}/.well-known/openid-configuration")).await;
    assert_eq!((status, headers["cache-control"].to_str().unwrap()), (StatusCode::OK, "public, max-age=300"));
    assert_eq!(root, own);
    insta::assert_json_snapshot!(root);
    let asked =
        |index: usize| GetProviderMetadataRequest::decode(stub.made()[index].message.as_slice()).unwrap().project_id;
    assert_eq!((asked(0).as_str(), asked(1).as_str()), ("", PROJECT));
}

#[tokio::test]
async fn the_keys_at_the_root_are_those_of_the_default_project_with_their_certificates() {
    let key = JsonWebKey {
        kty: "RSA".into(),
        r#use: "sig".into(),
        kid: "k1".into(),
        alg: "RS256".into(),
        n: Some("n".into()),
        e: Some("AQAB".into()),
        x5c: vec!["MII=".into()],
        x5t_s256: Some("t".into()),
        ..JsonWebKey::default()
    };
    let message = GetJsonWebKeySetResponse { keys: vec![key] }.encode_to_vec();
    let settings = RestSettings { default_project: PROJECT.into(), ..RestSettings::default() };
    let stub = Stubbed::new(settings, move || Ok(message.clone()));
    let (_, headers, body) = stub.get("/.well-known/jwks.json").await;
    assert_eq!(headers["cache-control"], "public, max-age=300");
    let key = json!({"kty": "RSA", "use": "sig", "kid": "k1", "alg": "RS256", "n": "n", "e": "AQAB", "x5c": ["MII="], "x5t#S256": "t"});
    assert_eq!(body, json!({"keys": [key]}));
    let asked = GetJsonWebKeySetRequest::decode(stub.made()[0].message.as_slice()).unwrap();
    assert_eq!(asked.project_id, PROJECT);
}
