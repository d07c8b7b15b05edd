//! A page for people, made in the browser from the `OpenAPI` description. It needs no other host, and may run nothing but its own
//! script.

use http::header;

use crate::rest::{api::Api, failure::Refusal, incoming::Incoming, reply::Reply};

/// What the page may do: load its script and style sheet from here, and call the API here.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'";

/// `/api/v1/docs`.
pub(super) async fn page(_: &Api, _: &Incoming) -> Result<Reply, Refusal> {
    let page = Reply::file("text/html; charset=utf-8", include_bytes!("docs/page.html"));
    Ok(page.with(header::CONTENT_SECURITY_POLICY, POLICY).with(header::REFERRER_POLICY, "no-referrer"))
}

/// `/api/v1/docs/page.js`.
pub(super) async fn script(_: &Api, _: &Incoming) -> Result<Reply, Refusal> {
    Ok(Reply::file("text/javascript; charset=utf-8", include_bytes!("docs/page.js")))
}

/// `/api/v1/docs/page.css`.
pub(super) async fn style(_: &Api, _: &Incoming) -> Result<Reply, Refusal> {
    Ok(Reply::file("text/css; charset=utf-8", include_bytes!("docs/page.css")))
}
