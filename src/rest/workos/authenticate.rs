//! `POST /user_management/authenticate` (contract section 6).

use http::StatusCode;
use serde::Deserialize;

use super::{body::context, credentials, object::Authenticated, refusal};
use crate::{
    proto::{
        AuthenticateEmailVerificationRequest, AuthenticatePasswordRequest, RefreshTokensRequest,
        authenticate_password_request::Identifier,
    },
    rest::{api::Api, failure::Refusal, incoming::Incoming, reply::Reply},
};

/// Grants of the contract that this service does not have.
const OTHER_GRANTS: [&str; 8] = [
    "authorization_code",
    "urn:ietf:params:oauth:grant-type:device_code",
    "urn:workos:oauth:grant-type:email-completion",
    "urn:workos:oauth:grant-type:magic-auth:code",
    "urn:workos:oauth:grant-type:mfa-totp",
    "urn:workos:oauth:grant-type:organization-selection",
    "urn:workos:oauth:grant-type:radar-email-challenge:code",
    "urn:workos:oauth:grant-type:radar-sms-challenge:code",
];

/// The members of all grants. Null is as good as absent.
#[derive(Deserialize)]
struct Body {
    grant_type: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
    email: Option<String>,
    password: Option<String>,
    invitation_token: Option<String>,
    code: Option<String>,
    pending_authentication_token: Option<String>,
    refresh_token: Option<String>,
    organization_id: Option<String>,
    ip_address: Option<String>,
    user_agent: Option<String>,
}

/// A member that the grant needs.
fn needed(name: &str, value: Option<String>) -> Result<String, Refusal> {
    value.ok_or_else(|| refusal::oauth("invalid_request", &format!("{name} is missing.")))
}

pub(super) async fn authenticate(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let body: Body = if incoming.is_form() { incoming.form()? } else { incoming.json()? };
    let grant = needed("grant_type", body.grant_type.clone())?;
    let client_id = needed("client_id", body.client_id.clone())?;
    let authorization = credentials::of_client(&incoming.head, &client_id, body.client_secret.as_deref());
    let authorization = authorization.ok_or_else(|| {
        refusal::oauth("invalid_client", "The client secret in the body and the API key in the header differ.")
    })?;
    let answer = match grant.as_str() {
        "password" => password(api, incoming, &authorization, body).await,
        "urn:workos:oauth:grant-type:email-verification:code" => {
            email_verification(api, incoming, &authorization, body).await
        }
        "refresh_token" => refresh_token(api, incoming, &authorization, body).await,
        known if OTHER_GRANTS.contains(&known) => {
            Err(refusal::oauth("unauthorized_client", "This server does not have this grant."))
        }
        _ => Err(refusal::oauth("invalid_request", "grant_type is unknown.")),
    };
    Ok(Reply::json(StatusCode::OK, &answer?))
}

async fn password(api: &Api, incoming: &Incoming, authorization: &str, body: Body) -> Result<Authenticated, Refusal> {
    let email = needed("email", body.email)?;
    let message = AuthenticatePasswordRequest {
        identifier: Some(Identifier::Email(email.clone())),
        password: needed("password", body.password)?,
        client_context: context(body.ip_address, body.user_agent),
        invitation_token: body.invitation_token.unwrap_or_default(),
        ..Default::default()
    };
    let request = incoming.call(authorization, message);
    let answer = api.auth.clone().authenticate_password(request).await;
    let answer = answer.map_err(refusal::about(&incoming.head, &email))?.into_inner();
    Ok(Authenticated::new(answer.user, answer.session.as_ref(), answer.tokens))
}

async fn email_verification(
    api: &Api,
    incoming: &Incoming,
    authorization: &str,
    body: Body,
) -> Result<Authenticated, Refusal> {
    let message = AuthenticateEmailVerificationRequest {
        pending_authentication_token: needed("pending_authentication_token", body.pending_authentication_token)?,
        code: needed("code", body.code)?,
        client_context: context(body.ip_address, body.user_agent),
    };
    let request = incoming.call(authorization, message);
    let answer = api.auth.clone().authenticate_email_verification(request).await?.into_inner();
    Ok(Authenticated::new(answer.user, answer.session.as_ref(), answer.tokens))
}

async fn refresh_token(
    api: &Api,
    incoming: &Incoming,
    authorization: &str,
    body: Body,
) -> Result<Authenticated, Refusal> {
    let refresh_token = needed("refresh_token", body.refresh_token)?;
    if body.organization_id.is_some_and(|id| !id.is_empty()) {
        // The API knows no organizations, so no session can go over to one.
        return Err(refusal::oauth("organization_not_found", "The organization was not found."));
    }
    let message = RefreshTokensRequest { refresh_token, ..Default::default() };
    let request = incoming.call(authorization, message);
    let answer = api.auth.clone().refresh_tokens(request).await?.into_inner();
    Ok(Authenticated::new(answer.user, answer.session.as_ref(), answer.tokens))
}
