//! What verifiers of tokens look for at fixed paths: the provider's metadata (`OpenID` Connect Discovery 1.0) and its keys.
//!
//! At the root they are those of the server's only project, or of the one that the settings name; below `/projects/{project_id}`,
//! where the issuer of a project lies, its own.

use http::{StatusCode, header};
use serde::Serialize;

use crate::{
    proto::GetProviderMetadataRequest,
    rest::{api::Api, failure::Refusal, incoming::Incoming, keys, reply::Reply},
};

/// The provider's metadata (section 3). There is no authorization endpoint, and no grant that a token endpoint of OAuth would take:
/// users sign in by calls of this API.
#[derive(Serialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
    response_types_supported: [&'static str; 0],
    grant_types_supported: [&'static str; 0],
    subject_types_supported: [&'static str; 1],
    id_token_signing_alg_values_supported: Vec<String>,
    claims_parameter_supported: bool,
    request_uri_parameter_supported: bool,
    service_documentation: String,
}

/// `/.well-known/openid-configuration`, at the root and below a project.
pub(super) async fn metadata(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let request = incoming.call("", GetProviderMetadataRequest { project_id: project(api, incoming) });
    let provider = api.auth.clone().get_provider_metadata(request).await?.into_inner();
    let metadata = Metadata {
        jwks_uri: format!("{}/projects/{}/.well-known/jwks.json", provider.public_url, provider.project_id),
        issuer: provider.issuer,
        response_types_supported: [],
        grant_types_supported: [],
        subject_types_supported: ["public"],
        id_token_signing_alg_values_supported: provider.signing_algorithms,
        // By `token_options.claims`.
        claims_parameter_supported: true,
        request_uri_parameter_supported: false,
        service_documentation: format!("{}/api/v1/docs", provider.public_url),
    };
    Ok(Reply::json(StatusCode::OK, &metadata).with(header::CACHE_CONTROL, keys::CACHING))
}

/// `/.well-known/jwks.json`, at the root and below a project. No standard names this path, but most verifiers try it; the metadata
/// say it too.
pub(super) async fn key_set(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let keys = keys::fetch(api, incoming, &project(api, incoming)).await?;
    Ok(Reply::json(StatusCode::OK, &keys).with(header::CACHE_CONTROL, keys::CACHING))
}

/// The project of the path, or the one of the root.
fn project(api: &Api, incoming: &Incoming) -> String {
    let named = incoming.head.parameter("project_id");
    if named.is_empty() { api.default_project.clone() } else { named.to_owned() }
}
