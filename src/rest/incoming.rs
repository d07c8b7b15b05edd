//! A request as the handlers see it: read once, bounded, its path in one spelling.

use std::{fmt, time::Instant};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, Method, header, request::Parts};
use serde::de::DeserializeOwned;
use tonic::metadata::MetadataValue;

use super::{failure::Refusal, reading};

/// Headers that go with a request from one API to the other: the trace it belongs to (W3C Trace Context), the web page it comes from,
/// and the key by which repetitions are known. They go as they came, repeated or unreadable ones too: what they are worth is judged there.
const FORWARDED: [&str; 4] = ["traceparent", "tracestate", "origin", IDEMPOTENCY_KEY];
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Everything of a request but its body.
#[derive(Clone)]
pub(super) struct Head {
    pub(super) method: Method,
    /// Without doubled slashes, percent-encoding left as it came. Starts with a slash and ends without one, unless it is `/`.
    pub(super) path: String,
    /// Names and values of the query, decoded.
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    pub(super) request_id: String,
    /// When the answer becomes worthless.
    pub(super) deadline: Option<Instant>,
    /// The pattern of the route that was found; empty before.
    pub(super) route: &'static str,
    /// What the path holds at the places that the route names, decoded.
    pub(super) parameters: Vec<(&'static str, String)>,
}

/// A request.
#[derive(Clone)]
pub(super) struct Incoming {
    pub(super) head: Head,
    pub(super) body: Bytes,
}

/// Names the request. Headers, path and query may hold secrets, and are never printed.
impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, route, request_id, .. } = self;
        f.debug_struct("Head")
            .field("method", method)
            .field("route", route)
            .field("request_id", request_id)
            .finish_non_exhaustive()
    }
}

/// The same: a body may be a password.
impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").field("head", &self.head).finish_non_exhaustive()
    }
}

impl Head {
    pub(super) fn new(parts: Parts, request_id: String) -> Self {
        let query = parts.uri.query().unwrap_or_default();
        Self {
            method: parts.method,
            path: normalised(parts.uri.path()),
            query: url::form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
            headers: parts.headers,
            request_id,
            deadline: None,
            route: "",
            parameters: Vec::new(),
        }
    }

    pub(super) fn with_body(self, body: Bytes) -> Incoming {
        Incoming { head: self, body }
    }

    /// The value of a header, if it is text and there is exactly one.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        values.next().filter(|_| values.next().is_none())?.to_str().ok()
    }

    /// The credentials of `authorization: Basic` (RFC 7617).
    pub(super) fn basic(&self) -> Option<(String, String)> {
        let decoded = STANDARD.decode(self.authorization("basic")?).ok()?;
        let (id, secret) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
        Some((id.to_owned(), secret.to_owned()))
    }

    /// The credentials of `authorization: Bearer` (RFC 6750, section 2.1).
    pub(super) fn bearer(&self) -> Option<&str> {
        self.authorization("bearer")
    }

    fn authorization(&self, wanted: &str) -> Option<&str> {
        let (scheme, credentials) = self.header(header::AUTHORIZATION.as_str())?.split_once(' ')?;
        scheme.eq_ignore_ascii_case(wanted).then(|| credentials.trim())
    }

    /// The value of a cookie (RFC 6265, section 4.2).
    pub(super) fn cookie(&self, name: &str) -> Option<&str> {
        let headers = self.headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = headers.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(known, _)| *known == name).map(|(_, value)| value.trim_matches('"'))
    }

    /// The value of a query parameter; the first, if it is repeated.
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// What the path holds at a place that the route names.
    pub(super) fn parameter(&self, name: &str) -> &str {
        self.parameters.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value.as_str())
    }
}

impl Incoming {
    /// The body as JSON; an empty one counts as `{}`, whatever its content type says.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        let body: &[u8] = if self.body.iter().all(u8::is_ascii_whitespace) { b"{}" } else { &self.body };
        reading::from_slice(body).map_err(Refusal::Body)
    }

    /// The body as a form (`application/x-www-form-urlencoded`), as JSON members that are strings. A repeated name is refused (RFC 6749,
    /// section 3.1).
    pub(super) fn form<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        let mut members = serde_json::Map::new();
        for (name, value) in url::form_urlencoded::parse(&self.body) {
            if members.insert(name.clone().into_owned(), value.into_owned().into()).is_some() {
                return Err(Refusal::Body(format!("{name} is given twice")));
            }
        }
        reading::from_value(members.into()).map_err(Refusal::Body)
    }

    /// True if the body says that it is a form.
    pub(super) fn is_form(&self) -> bool {
        let kind = self.head.header(header::CONTENT_TYPE.as_str()).unwrap_or_default();
        kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
    }

    /// A call of the gRPC API on behalf of this request. `authorization` is what the caller proves itself with there; empty for none.
    pub(super) fn call<T>(&self, authorization: &str, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        if let Some(deadline) = self.head.deadline {
            request.set_timeout(deadline.saturating_duration_since(Instant::now()));
        }
        let metadata = request.metadata_mut();
        for name in FORWARDED {
            let values = self.head.headers.get_all(name).iter();
            for value in values.filter_map(|value| MetadataValue::try_from(value.as_bytes()).ok()) {
                metadata.append(name, value);
            }
        }
        if let Ok(id) = MetadataValue::try_from(&self.head.request_id) {
            metadata.insert("x-request-id", id);
        }
        if let Ok(value) = MetadataValue::try_from(authorization)
            && !authorization.is_empty()
        {
            metadata.insert("authorization", value);
        }
        request
    }

    /// Like [`Self::call`], for a request that makes more than one call: without the key by which repetitions are known. A key is for
    /// one call, and the API would refuse the second as another request with the same key. What is called so can be repeated as it is.
    pub(super) fn secondary_call<T>(&self, authorization: &str, message: T) -> tonic::Request<T> {
        let mut request = self.call(authorization, message);
        request.metadata_mut().remove(IDEMPOTENCY_KEY);
        request
    }
}

/// One spelling of a path: slashes that follow each other count as one, and so does one at the end as none.
fn normalised(path: &str) -> String {
    let mut normal = String::with_capacity(path.len());
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        normal.push('/');
        normal.push_str(segment);
    }
    if normal.is_empty() { "/".to_owned() } else { normal }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_a_request_goes_with_one_call() {
        let parts = http::Request::builder().header("idempotency-key", "a").header("origin", "https://app.example");
        let head = Head::new(parts.body(()).unwrap().into_parts().0, String::new());
        let incoming = head.with_body(Bytes::new());
        for (call, key) in [(incoming.call("", ()), Some("a")), (incoming.secondary_call("", ()), None)] {
            assert_eq!(call.metadata().get("idempotency-key").map(|key| key.to_str().unwrap()), key);
            assert!(call.metadata().contains_key("origin"));
        }
    }

    #[test]
    fn nothing_secret_of_a_request_is_printed() {
        let request = http::Request::post("/v1/hushpath?code=hushquery");
        let request = request.header("authorization", "Bearer hushbearer").header("cookie", "DSR=hushcookie");
        let head = Head::new(request.body(()).unwrap().into_parts().0, "a-request".to_owned());
        let printed = format!("{head:?} {:?}", head.clone().with_body(Bytes::from_static(b"hushbody")));
        assert!(printed.contains("a-request") && !printed.contains("hush"), "{printed}");
    }

    #[test]
    fn a_path_has_one_spelling() {
        let table = [
            ("/", "/"),
            ("//", "/"),
            ("", "/"),
            ("//v1/users", "/v1/users"),
            ("/v1//users///x/", "/v1/users/x"),
            ("/v1/%2F", "/v1/%2F"),
        ];
        for (given, expected) in table {
            assert_eq!(normalised(given), expected);
        }
    }
}
