//! The public keys of a project (contract, section 3).

use http::{StatusCode, header};
use serde::Serialize;
use serde_json::json;

use super::refusals::said;
use crate::{
    id_form,
    proto::{GetJsonWebKeySetRequest, JsonWebKey},
    rest::{api::Api, failure::Refusal, incoming::Incoming, reply::Reply},
};

/// Half the time that a new key is published before it signs.
const CACHING: &str = "public, max-age=300";

/// An RSA key. Some libraries fail at a key of another type, so there is none.
#[derive(Serialize)]
struct Key {
    kty: String,
    r#use: String,
    alg: String,
    kid: String,
    n: String,
    e: String,
}

impl Key {
    fn of(key: JsonWebKey) -> Option<Self> {
        let (n, e) = (key.n?, key.e?);
        Some(Self { kty: key.kty, r#use: key.r#use, alg: key.alg, kid: key.kid, n, e })
    }
}

pub(super) async fn wrapped(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let keys = keys(api, incoming).await?;
    Ok(Reply::json(StatusCode::OK, &json!({ "keys": keys })).with(header::CACHE_CONTROL, CACHING))
}

/// The older form.
pub(super) async fn bare(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let keys = keys(api, incoming).await?;
    Ok(Reply::json(StatusCode::OK, &keys).with(header::CACHE_CONTROL, CACHING))
}

async fn keys(api: &Api, incoming: &Incoming) -> Result<Vec<Key>, Refusal> {
    let id = id_form::parse_descope('P', incoming.head.parameter("project_id"));
    let project_id = id_form::canonical("project", id.ok_or_else(unknown_project)?);
    let request = incoming.call("", GetJsonWebKeySetRequest { project_id });
    let answer = api.auth.clone().get_json_web_key_set(request).await?.into_inner();
    Ok(answer.keys.into_iter().filter_map(Key::of).collect())
}

fn unknown_project() -> Refusal {
    said(StatusCode::NOT_FOUND, "E011005", "no project with that id").into()
}
