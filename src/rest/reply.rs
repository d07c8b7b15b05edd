//! An answer.

use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

/// An answer, almost always with a JSON body.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// The body with its content type; none where the contract wants none.
    pub(super) body: Option<(HeaderValue, Vec<u8>)>,
}

impl Reply {
    /// A JSON body. Answers hold tokens and people's data: nobody on the way keeps them, unless a handler says otherwise.
    pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Self {
        let (status, body) = match serde_json::to_vec(body) {
            Ok(body) => (status, body),
            Err(error) => {
                tracing::error!(%error, "an answer cannot be written as JSON");
                (StatusCode::INTERNAL_SERVER_ERROR, b"{}".to_vec())
            }
        };
        Self { body: Some((HeaderValue::from_static("application/json"), body)), ..Self::empty(status) }
    }

    /// A body that is the same for everybody, and as long as this version runs.
    pub(super) fn file(kind: &'static str, body: &[u8]) -> Self {
        let reply = Self { body: Some((HeaderValue::from_static(kind), body.to_vec())), ..Self::empty(StatusCode::OK) };
        reply.with(header::CACHE_CONTROL, "public, max-age=300")
    }

    /// No body at all.
    pub(super) fn empty(status: StatusCode) -> Self {
        let no_store = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Self { status, headers: HeaderMap::from_iter([no_store]), body: None }
    }

    /// Adds a header, in the place of one of that name.
    #[must_use]
    pub(super) fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::try_from(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// Adds a header beside others of that name.
    #[must_use]
    pub(super) fn and(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::try_from(value) {
            self.headers.append(name, value);
        }
        self
    }

    pub(super) fn into_response(self) -> Response {
        let mut response = match self.body {
            Some((kind, body)) => ([(header::CONTENT_TYPE, kind)], body).into_response(),
            None => ().into_response(),
        };
        *response.status_mut() = self.status;
        response.headers_mut().extend(self.headers);
        response
    }
}
