//! The OAuth and `OpenID` endpoints: client tokens, keys, discovery, user info (contract, sections 2 and 5.1).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::refusal;
use crate::{
    proto::{
        GetProviderMetadataRequest, GetUserInfoRequest, IssueClientTokenRequest, RefreshTokensRequest, TokenOptions,
        TokenSet,
    },
    rest::{
        api::Api,
        failure::Refusal,
        incoming::{Head, Incoming},
        keys,
        reply::Reply,
        value::object_of,
    },
};

/// Every token is for this scope; others are not known here.
const SCOPE: &str = "openid";

/// A request of a token (RFC 6749, sections 4.4.2 and 6).
#[derive(Deserialize)]
struct TokenRequest {
    grant_type: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
    resource: Option<String>,
    refresh_token: Option<String>,
}

/// `POST /oidc/token`.
pub(super) async fn token(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    if !incoming.is_form() {
        return Err(refusal::oauth("invalid_request", "send a body of application/x-www-form-urlencoded"));
    }
    let request: TokenRequest = incoming.form()?;
    let authorization = client_authorization(&incoming.head, &request)?;
    let resource = request.resource.unwrap_or_default();
    let body = match request.grant_type.as_deref() {
        Some("client_credentials") => {
            let message = IssueClientTokenRequest { resource };
            let issued =
                api.auth.clone().issue_client_token(incoming.call(&authorization, message)).await?.into_inner();
            json!({
                "access_token": issued.access_token,
                "token_type": issued.token_type,
                "expires_in": issued.expires_in_seconds,
                "scope": SCOPE,
            })
        }
        Some("refresh_token") => {
            let message = RefreshTokensRequest {
                refresh_token: request.refresh_token.unwrap_or_default(),
                token_options: Some(TokenOptions { include_id_token: true, resource, claims: None }),
                include_session_token: false,
            };
            let refreshed = api.auth.clone().refresh_tokens(incoming.call(&authorization, message)).await?.into_inner();
            refreshed_body(&refreshed.tokens.unwrap_or_default())
        }
        None | Some("") => return Err(refusal::oauth("invalid_request", "grant_type is missing")),
        Some(_) => {
            let known = "client_credentials and refresh_token are the grants of this server";
            return Err(refusal::oauth("unsupported_grant_type", known));
        }
    };
    Ok(Reply::json(StatusCode::OK, &body).with(header::PRAGMA, "no-cache"))
}

fn refreshed_body(tokens: &TokenSet) -> Value {
    json!({
        "access_token": tokens.access_token,
        "id_token": tokens.id_token,
        "refresh_token": tokens.refresh_token,
        "token_type": tokens.token_type,
        "expires_in": tokens.expires_in_seconds,
        "scope": SCOPE,
    })
}

/// The client's credentials, from the header or from the body: one of the two (RFC 6749, section 2.3.1).
fn client_authorization(head: &Head, request: &TokenRequest) -> Result<String, Refusal> {
    let in_body = request.client_secret.as_deref().is_some_and(|secret| !secret.is_empty());
    let (id, secret) = match head.basic() {
        Some(_) if in_body => {
            return Err(refusal::oauth(
                "invalid_request",
                "authenticate the client once: in the header or in the body",
            ));
        }
        // Encoded as a form before base64 (RFC 6749, section 2.3.1).
        Some((id, secret)) => (form_decoded(&id), form_decoded(&secret)),
        None => (request.client_id.clone().unwrap_or_default(), request.client_secret.clone().unwrap_or_default()),
    };
    if id.contains(':') {
        return Err(refusal::oauth("invalid_client", "no client has such an id"));
    }
    Ok(format!("Basic {}", STANDARD.encode(format!("{id}:{secret}"))))
}

fn form_decoded(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

/// `GET /oidc/jwks`: the keys of the server's only project, or of the one that the settings name. Of RSA alone, as the vendor's are.
pub(super) async fn key_set(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let mut set = keys::fetch(api, incoming, &api.default_project).await?;
    set.keys.retain(|key| key.kty == "RSA");
    Ok(Reply::json(StatusCode::OK, &set).with(header::CACHE_CONTROL, keys::CACHING))
}

/// `GET /oidc/.well-known/openid-configuration` (OIDC Discovery 1.0, section 3).
pub(super) async fn discovery(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let request = incoming.call("", GetProviderMetadataRequest { project_id: api.default_project.clone() });
    let provider = api.auth.clone().get_provider_metadata(request).await?.into_inner();
    let url = |path: &str| format!("{}/cis/oidc/{path}", provider.public_url);
    let body = json!({
        "issuer": provider.issuer,
        "token_endpoint": url("token"),
        "jwks_uri": url("jwks"),
        "userinfo_endpoint": url("me"),
        "grant_types_supported": ["client_credentials", "refresh_token"],
        "response_types_supported": [],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "scopes_supported": [SCOPE],
        "claims_parameter_supported": true,
    });
    Ok(Reply::json(StatusCode::OK, &body).with(header::CACHE_CONTROL, keys::CACHING))
}

/// `GET` and `POST /oidc/me`: about the user whose access token is the bearer (OIDC Core 5.3).
pub(super) async fn user_info(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let unauthorized = |description: &str| {
        let status = StatusCode::UNAUTHORIZED;
        let body = json!({ "error": "invalid_token", "error_description": description, "message": description, "error_code": 401 });
        Refusal::from(Reply::json(status, &body).with(header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\""))
    };
    let Some(token) = incoming.head.bearer().filter(|token| !token.is_empty()) else {
        return Err(unauthorized("Invalid token"));
    };
    let request = incoming.call("", GetUserInfoRequest { access_token: token.to_owned() });
    match api.auth.clone().get_user_info(request).await {
        Ok(answer) => Ok(Reply::json(StatusCode::OK, &object_of(answer.into_inner().claims.as_ref()))),
        Err(status) => match Refusal::from(status) {
            Refusal::Api(failure) if failure.is_about_the_token() => Err(unauthorized("Invalid token")),
            refusal => Err(refusal),
        },
    }
}
