//! Public keys as every dialect shows them (RFC 7517).

use serde::Serialize;

use super::{api::Api, failure::Refusal, incoming::Incoming};
use crate::proto::{GetJsonWebKeySetRequest, JsonWebKey};

/// Verifiers may keep a key set for five minutes: half the time that a new key is published before it signs.
pub(super) const CACHING: &str = "public, max-age=300";

/// A key set (RFC 7517, section 5).
#[derive(Clone, Debug, Serialize)]
pub(super) struct KeySet {
    pub(super) keys: Vec<Key>,
}

/// A public key (RFC 7517, section 4). Members that do not belong to its type are absent.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Key {
    pub(super) kty: String,
    pub(super) r#use: String,
    pub(super) kid: String,
    pub(super) alg: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) n: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) e: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) crv: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) x: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) y: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) x5c: Vec<String>,
    #[serde(rename = "x5t#S256", skip_serializing_if = "Option::is_none")]
    pub(super) x5t_s256: Option<String>,
}

impl From<JsonWebKey> for Key {
    fn from(key: JsonWebKey) -> Self {
        let JsonWebKey { kty, r#use, kid, alg, n, e, crv, x, y, x5c, x5t_s256 } = key;
        Self { kty, r#use, kid, alg, n, e, crv, x, y, x5c, x5t_s256 }
    }
}

/// The keys of a project, by its id in our own form; empty for the server's only project.
pub(super) async fn fetch(api: &Api, incoming: &Incoming, project_id: &str) -> Result<KeySet, Refusal> {
    let message = GetJsonWebKeySetRequest { project_id: project_id.to_owned(), client_id: String::new() };
    asked(api, incoming, message).await
}

/// The keys of a client's project.
pub(super) async fn fetch_of_client(api: &Api, incoming: &Incoming, client_id: &str) -> Result<KeySet, Refusal> {
    let message = GetJsonWebKeySetRequest { project_id: String::new(), client_id: client_id.to_owned() };
    asked(api, incoming, message).await
}

async fn asked(api: &Api, incoming: &Incoming, message: GetJsonWebKeySetRequest) -> Result<KeySet, Refusal> {
    let request = incoming.call("", message);
    let answer = api.auth.clone().get_json_web_key_set(request).await?.into_inner();
    Ok(KeySet { keys: answer.keys.into_iter().map(Key::from).collect() })
}
