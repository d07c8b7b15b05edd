//! `POST /user_management/authenticate` (contract section 6).

use http::StatusCode;

use super::{body::Body, credentials, object::Authenticated, refusal};
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

/// `POST /user_management/authenticate` (contract section 6): each grant is a call of its own.
pub(super) async fn authenticate(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let body = Body::of(incoming)?;
    let grant = body.needed("grant_type")?;
    let client_id = body.needed("client_id")?;
    let authorization = credentials::of_client(&incoming.head, &client_id, body.text("client_secret")?.as_deref());
    let authorization = authorization.ok_or_else(|| {
        refusal::oauth("invalid_client", "The client secret in the body and the API key in the header differ.")
    })?;
    let answer = match grant.as_str() {
        "password" => password(api, incoming, &authorization, &body).await,
        "urn:workos:oauth:grant-type:email-verification:code" => {
            email_verification(api, incoming, &authorization, &body).await
        }
        "refresh_token" => refresh_token(api, incoming, &authorization, &body).await,
        known if OTHER_GRANTS.contains(&known) => {
            Err(refusal::oauth("unauthorized_client", "This server does not have this grant."))
        }
        _ => Err(refusal::oauth("invalid_request", "grant_type is unknown.")),
    };
    Ok(Reply::json(StatusCode::OK, &answer?))
}

async fn password(api: &Api, incoming: &Incoming, authorization: &str, body: &Body) -> Result<Authenticated, Refusal> {
    let email = body.needed("email")?;
    let message = AuthenticatePasswordRequest {
        identifier: Some(Identifier::Email(email.clone())),
        password: body.needed("password")?,
        client_context: body.client_context()?,
        invitation_token: body.text("invitation_token")?.unwrap_or_default(),
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
    body: &Body,
) -> Result<Authenticated, Refusal> {
    let message = AuthenticateEmailVerificationRequest {
        pending_authentication_token: body.needed("pending_authentication_token")?,
        code: body.needed("code")?,
        client_context: body.client_context()?,
    };
    let request = incoming.call(authorization, message);
    let answer = api.auth.clone().authenticate_email_verification(request).await?.into_inner();
    Ok(Authenticated::new(answer.user, answer.session.as_ref(), answer.tokens))
}

async fn refresh_token(
    api: &Api,
    incoming: &Incoming,
    authorization: &str,
    body: &Body,
) -> Result<Authenticated, Refusal> {
    let refresh_token = body.needed("refresh_token")?;
    if body.text("organization_id")?.is_some_and(|id| !id.is_empty()) {
        // The API knows no organizations, so no session can go over to one.
        return Err(refusal::oauth("organization_not_found", "The organization was not found."));
    }
    let message = RefreshTokensRequest { refresh_token, ..Default::default() };
    let request = incoming.call(authorization, message);
    let answer = api.auth.clone().refresh_tokens(request).await?.into_inner();
    Ok(Authenticated::new(answer.user, answer.session.as_ref(), answer.tokens))
}
