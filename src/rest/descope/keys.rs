//! The public keys of a project (contract, section 3).

use http::{StatusCode, header};

use super::{caller::canonical_project, refusals::said};
use crate::rest::{
    api::Api,
    failure::Refusal,
    incoming::Incoming,
    keys::{CACHING, Key, KeySet, fetch},
    reply::Reply,
};

/// `GET /v2/keys/{project_id}` (contract, section 3).
pub(super) async fn wrapped(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let set = rsa_keys(api, incoming).await?;
    Ok(Reply::json(StatusCode::OK, &set).with(header::CACHE_CONTROL, CACHING))
}

/// `GET /v1/keys/{project_id}` (contract, section 3): the older form.
pub(super) async fn bare(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let set = rsa_keys(api, incoming).await?;
    Ok(Reply::json(StatusCode::OK, &set.keys).with(header::CACHE_CONTROL, CACHING))
}

/// Some libraries fail at a key of another type, so there is none; a certificate nobody asks for.
async fn rsa_keys(api: &Api, incoming: &Incoming) -> Result<KeySet, Refusal> {
    let unknown = || said(StatusCode::NOT_FOUND, "E011005", "no project with that id");
    let project_id = canonical_project(incoming.head.parameter("project_id")).ok_or_else(unknown)?;
    let keys = fetch(api, incoming, &project_id).await?.keys.into_iter().filter(|key| key.kty == "RSA");
    Ok(KeySet { keys: keys.map(|key| Key { x5c: Vec::new(), x5t_s256: None, ..key }).collect() })
}
