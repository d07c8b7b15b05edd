//! The canonical REST API.

use http::StatusCode;
use serde_json::json;

use super::{
    api::Api,
    dialect::Dialect,
    failure::Refusal,
    incoming::{Head, Incoming},
    keys, plain_status,
    reply::Reply,
    route::routes,
};
use crate::error::wire;

/// The dialect.
pub(super) static DIALECT: Dialect = Dialect {
    name: "canonical",
    routes: routes![
        // Below the issuer of the project, at the path most verifiers expect; no standard names one: OpenID Connect Discovery
        // 1.0, section 3 and RFC 8414, section 2 have a `jwks_uri` in the metadata say where.
        GET "/projects/{project_id}/.well-known/jwks.json" => key_set,
    ],
    refuse,
};

async fn key_set(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let project_id = incoming.head.parameter("project_id").to_owned();
    Ok(Reply::json(StatusCode::OK, &keys::fetch(api, incoming, &project_id).await?)
        .with(http::header::CACHE_CONTROL, keys::CACHING))
}

fn refuse(_head: &Head, refusal: Refusal) -> Reply {
    let (status, error, message) = match &refusal {
        Refusal::Said(reply) => return (**reply).clone(),
        Refusal::Api(failure) => {
            let wire = wire(failure.reason);
            let status = StatusCode::from_u16(wire.http_status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, failure.reason.wire_name(), failure.message.as_str())
        }
        Refusal::Body(why) => (plain_status(&refusal), "INVALID_FIELD", why.as_str()),
        Refusal::BodyTooLarge => (plain_status(&refusal), "INVALID_FIELD", "the body is larger than this server takes"),
        Refusal::Internal => {
            (plain_status(&refusal), "INTERNAL", "internal error; the log has the cause under the request id")
        }
        Refusal::MethodNotAllowed => (plain_status(&refusal), "METHOD_NOT_ALLOWED", "this path takes another method"),
        Refusal::NotFound => (plain_status(&refusal), "NOT_FOUND", "there is nothing at this path"),
    };
    Reply::json(status, &json!({ "error": error, "message": message }))
}
