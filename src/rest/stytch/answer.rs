//! What every answer has.

use http::StatusCode;
use serde::Serialize;
use ulid::Ulid;
use uuid::Uuid;

use crate::{
    id_form,
    rest::{incoming::Head, reply::Reply},
};

const REQUEST_ID: &str = "request-id";

/// A success: the client library for Python takes none without these two members.
#[derive(Serialize)]
struct Success<T> {
    request_id: String,
    status_code: u16,
    #[serde(flatten)]
    body: T,
}

/// The envelope of the browser API; errors have none.
#[derive(Serialize)]
struct Enveloped<T> {
    data: T,
}

/// An answer without members of its own.
#[derive(Serialize)]
pub(super) struct Nothing {}

/// A success of the back ends' API.
pub(super) fn success(head: &Head, body: impl Serialize) -> Reply {
    Reply::json(StatusCode::OK, &with_request_id(head, body))
}

/// A success of the browser API.
pub(super) fn enveloped(head: &Head, body: impl Serialize) -> Reply {
    Reply::json(StatusCode::OK, &Enveloped { data: with_request_id(head, body) })
}

fn with_request_id<T>(head: &Head, body: T) -> Success<T> {
    Success { request_id: request_id(head), status_code: StatusCode::OK.as_u16(), body }
}

/// The `x-request-id` of the answer in the form of Stytch. Of a ULID, as this service makes them, and of a UUID it is the UUID of the
/// same 128 bits; whatever else a caller has chosen stands there as it is.
pub(super) fn request_id(head: &Head) -> String {
    let id = head.request_id.as_str();
    let bits = Ulid::from_string(id).ok().filter(|ulid| ulid.to_string() == id).map(|ulid| ulid.to_bytes());
    match bits.map(Uuid::from_bytes).or_else(|| Uuid::try_parse(id).ok()) {
        Some(bits) => id_form::stytch(REQUEST_ID, bits),
        None if id_form::parse_stytch(REQUEST_ID, id).is_some() => id.to_owned(),
        None => format!("{REQUEST_ID}-live-{id}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_follows_from_the_header() {
        let table = [
            ("01HZZZZZZZ0000000000000000", "request-id-live-018fffff-ffff-0000-0000-000000000000"),
            ("018fffff-ffff-0000-0000-000000000000", "request-id-live-018fffff-ffff-0000-0000-000000000000"),
            ("my-own.id_7", "request-id-live-my-own.id_7"),
            (
                "request-id-live-018fffff-ffff-0000-0000-000000000000",
                "request-id-live-018fffff-ffff-0000-0000-000000000000",
            ),
        ];
        for (header, expected) in table {
            let (parts, ()) = http::Request::new(()).into_parts();
            assert_eq!(request_id(&Head::new(parts, header.to_owned())), expected);
        }
    }
}
