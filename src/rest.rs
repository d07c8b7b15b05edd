//! The REST listener. So far it serves the key sets of the projects; a translation of the whole gRPC API will follow.
//!
//! It is a client of the gRPC API and nothing else, so that it can run in the same process or in front of another one.

use std::io;

use axum::{
    Json, Router,
    extract::{Path, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{metadata::MetadataValue, service::Routes};
use tonic_types::StatusExt as _;

use crate::{
    error::wire,
    proto::{ErrorReason, GetJsonWebKeySetRequest, JsonWebKey, auth_service_client::AuthServiceClient},
    random::Random,
    request_id,
};

/// Headers that go with a request from one API to the other: its name, and the trace it belongs to (W3C Trace Context).
const FORWARDED: [&str; 3] = ["x-request-id", "traceparent", "tracestate"];
/// Verifiers may keep a key set for five minutes: half the time that a new key is published before it signs.
const KEY_SET_CACHING: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// The REST API in front of `routes`. `random` names the requests that come without a name.
pub fn router(routes: Routes, random: Random) -> Router {
    Router::new()
        // Below the issuer of the project, at the path most verifiers expect; no standard names one: OpenID Connect Discovery
        // 1.0, section 3 and RFC 8414, section 2 have a `jwks_uri` in the metadata say where.
        .route("/projects/{project_id}/.well-known/jwks.json", get(key_set))
        .fallback(async || refusal(StatusCode::NOT_FOUND, "NOT_FOUND", "there is nothing at this path"))
        .method_not_allowed_fallback(async || {
            refusal(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", "this path takes another method")
        })
        .layer(from_fn_with_state(random, name))
        .with_state(AuthServiceClient::new(routes))
}

/// Serves until `stop` is cancelled and the requests that are running then are answered.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) -> io::Result<()> {
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
}

/// A key set (RFC 7517, section 5).
#[derive(Serialize)]
struct KeySet {
    keys: Vec<Key>,
}

/// A public key (RFC 7517, section 4). Members that do not belong to its type are absent.
#[derive(Serialize)]
struct Key {
    kty: String,
    r#use: String,
    kid: String,
    alg: String,
    #[serde(flatten)]
    members: serde_json::Map<String, serde_json::Value>,
}

impl From<JsonWebKey> for Key {
    fn from(key: JsonWebKey) -> Self {
        let members = [("n", key.n), ("e", key.e), ("crv", key.crv), ("x", key.x), ("y", key.y)];
        let members = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into()))).collect();
        Self { kty: key.kty, r#use: key.r#use, kid: key.kid, alg: key.alg, members }
    }
}

async fn key_set(
    State(mut client): State<AuthServiceClient<Routes>>,
    Path(project_id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let mut request = tonic::Request::new(GetJsonWebKeySetRequest { project_id });
    forward(&headers, &mut request);
    match client.get_json_web_key_set(request).await {
        Ok(answer) => {
            let keys = answer.into_inner().keys.into_iter().map(Key::from).collect();
            ([(header::CACHE_CONTROL, KEY_SET_CACHING)], Json(KeySet { keys })).into_response()
        }
        Err(status) => translated(&status),
    }
}

fn forward<T>(headers: &HeaderMap, request: &mut tonic::Request<T>) {
    for name in FORWARDED {
        if let Some(value) = headers.get(name).and_then(|value| MetadataValue::try_from(value.as_bytes()).ok()) {
            request.metadata_mut().insert(name, value);
        }
    }
}

/// The answer for a call that failed: by its reason, which every error of our API has.
fn translated(status: &tonic::Status) -> Response {
    let info = status.get_details_error_info();
    let reason = info.and_then(|info| ErrorReason::from_str_name(&format!("ERROR_REASON_{}", info.reason)));
    let wire = wire(reason.unwrap_or(ErrorReason::Internal));
    let http = StatusCode::from_u16(wire.http_status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    refusal(http, reason.unwrap_or(ErrorReason::Internal).wire_name(), wire.message).into_response()
}

fn refusal(status: StatusCode, error: &str, message: &str) -> impl IntoResponse + use<> {
    let no_caching = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    (status, no_caching, Json(serde_json::json!({ "error": error, "message": message })))
}

/// Names the request, and the answer like it. The gRPC API keeps the name.
async fn name(State(random): State<Random>, mut request: Request, next: Next) -> Response {
    let id = HeaderValue::try_from(request_id::of(request.headers(), &random));
    if let Ok(id) = &id {
        request.headers_mut().insert(request_id::HEADER, id.clone());
    }
    let mut response = next.run(request).await;
    if let Ok(id) = id {
        response.headers_mut().insert(request_id::HEADER, id);
    }
    response
}
