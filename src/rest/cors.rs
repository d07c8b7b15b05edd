//! Calls from scripts in browsers (the CORS protocol of the Fetch standard).
//!
//! A preflight asks for nothing yet, and carries no credentials from which a project could be told; so it is answered for every
//! origin. The call itself carries its `origin` on to the gRPC API, which refuses one that the project does not list, before
//! anything is done: that is the one place that decides. The refusal can be read by the script, like every answer.

use http::{HeaderName, Method, StatusCode, header};
use serde_json::json;

use super::{incoming::Head, reply::Reply};

/// What scripts may send.
const METHODS: &str = "GET, POST, PUT, PATCH, DELETE";
/// What scripts may read beside the body.
const EXPOSED: &str = "retry-after, x-request-id";
/// How long a browser may keep the answer to a preflight, in seconds.
const PREFLIGHT_SECONDS: &str = "600";
/// Most headers that a preflight may ask for.
const HEADERS_MAX: usize = 50;
/// Longest name of one, in bytes.
const HEADER_BYTES_MAX: usize = 100;

/// True if the browser only asks whether it may make a call.
pub(super) fn is_preflight(head: &Head) -> bool {
    head.method == Method::OPTIONS && head.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to that. Client libraries send headers of their own, new ones with each version, so every name that is one is taken; `*`
/// would not do for calls with credentials.
pub(super) fn preflight(head: &Head) -> Reply {
    let asked = head.header(header::ACCESS_CONTROL_REQUEST_HEADERS.as_str()).unwrap_or_default();
    let names = asked.split(',').map(str::trim).filter(|name| name.len() <= HEADER_BYTES_MAX);
    let names: Vec<HeaderName> = names.filter_map(|name| name.parse().ok()).take(HEADERS_MAX).collect();
    let names: Vec<&str> = names.iter().map(HeaderName::as_str).collect();
    let reply = Reply::json(StatusCode::OK, &json!({}))
        .with(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS)
        .with(header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_SECONDS)
        .and(header::VARY, "Access-Control-Request-Headers");
    if names.is_empty() { reply } else { reply.with(header::ACCESS_CONTROL_ALLOW_HEADERS, &names.join(", ")) }
}

/// Lets the script that asked read the answer. `*` would not do: calls carry credentials.
pub(super) fn opened(head: &Head, reply: Reply) -> Reply {
    let reply = reply.and(header::VARY, "Origin");
    match head.header(header::ORIGIN.as_str()) {
        None => reply,
        Some(origin) => reply
            .with(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin)
            .with(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true")
            .with(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED),
    }
}
