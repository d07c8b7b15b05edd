//! The canonical REST API.

use http::StatusCode;
use serde::Serialize;
use serde_json::json;

use super::{
    api::Api,
    dialect::Dialect,
    failure::Refusal,
    incoming::{Head, Incoming},
    plain_status,
    reply::Reply,
    route::routes,
};
use crate::{
    error::wire,
    proto::{GetJsonWebKeySetRequest, JsonWebKey},
};

/// Verifiers may keep a key set for five minutes: half the time that a new key is published before it signs.
const KEY_SET_CACHING: &str = "public, max-age=300";

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

async fn key_set(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let project_id = incoming.head.parameter("project_id").to_owned();
    let request = incoming.call("", GetJsonWebKeySetRequest { project_id });
    let answer = api.auth.clone().get_json_web_key_set(request).await?.into_inner();
    let keys = answer.keys.into_iter().map(Key::from).collect();
    Ok(Reply::json(StatusCode::OK, &KeySet { keys }).with(http::header::CACHE_CONTROL, KEY_SET_CACHING))
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
