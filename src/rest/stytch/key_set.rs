//! The public keys of a project, for whoever verifies session JWTs (contract, section 5).
#![expect(clippy::struct_field_names, reason = "the vendor's names")]

use http::header;
use serde::Serialize;

use super::{answer::success, caller::project_id, errors::said};
use crate::rest::{api::Api, failure::Refusal, incoming::Incoming, keys, reply::Reply};

#[derive(Serialize)]
struct KeySet {
    keys: Vec<Key>,
}

/// A key. The client library for Python wants all nine members, so only keys that have them are told.
#[derive(Serialize)]
struct Key {
    kty: String,
    r#use: String,
    key_ops: [&'static str; 1],
    alg: String,
    kid: String,
    x5c: Vec<String>,
    #[serde(rename = "x5tS256")]
    x5t_s256: String,
    n: String,
    e: String,
}

fn rsa(key: keys::Key) -> Option<Key> {
    let (n, e) = (key.n?, key.e?);
    Some(Key {
        kty: key.kty,
        r#use: key.r#use,
        key_ops: ["verify"],
        alg: key.alg,
        kid: key.kid,
        x5c: key.x5c,
        x5t_s256: key.x5t_s256.unwrap_or_default(),
        n,
        e,
    })
}

/// `GET /v1/sessions/jwks/{project_id}`. Verifiers send no credentials.
pub(super) async fn read(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let Some(project_id) = project_id(incoming.head.parameter("project_id")) else {
        return Err(said(&incoming.head, 404, "project_not_found", "there is no project with this id"));
    };
    let keys = keys::fetch(api, incoming, &project_id).await?.keys.into_iter().filter_map(rsa).collect();
    Ok(success(&incoming.head, KeySet { keys }).with(header::CACHE_CONTROL, keys::CACHING))
}
