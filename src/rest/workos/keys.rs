//! `GET /sso/jwks/{client_id}` (contract section 5).

use http::{StatusCode, header};

use crate::rest::{
    api::Api,
    failure::Refusal,
    incoming::Incoming,
    keys::{CACHING, fetch_of_client},
    reply::Reply,
};

/// `GET /sso/jwks/{client_id}` (contract section 5). Verifiers send no credentials.
pub(super) async fn key_set(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let keys = fetch_of_client(api, incoming, incoming.head.parameter("client_id")).await?;
    Ok(Reply::json(StatusCode::OK, &keys).with(header::CACHE_CONTROL, CACHING))
}
