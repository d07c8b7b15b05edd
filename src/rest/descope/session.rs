//! The life of a session (contract, section 6).

use http::StatusCode;
use serde_json::json;

use super::{
    caller::Caller,
    signed_in::{SignedIn, claims_of, signed_out},
    user::UserObject,
};
use crate::{
    proto::{
        AuthenticateSessionRequest, AuthenticateSessionResponse, ErrorReason, RefreshTokensRequest, SignOutRequest,
        authenticate_session_request, sign_out_request,
    },
    rest::{api::Api, failure::Refusal, incoming::Incoming, reply::Reply},
};

/// `POST` and `GET /v1/auth/refresh` (contract, section 6).
pub(super) async fn refresh(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    refreshed(api, incoming).await?.reply(api, incoming).await
}

/// `POST` and `GET /v1/auth/try-refresh` (contract, section 6): like [`refresh`], for a page that does not know whether there is a session at all.
pub(super) async fn try_refresh(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let caller = Caller::of(&incoming.head)?;
    if caller.refresh_token().is_err() {
        return Ok(Reply::json(StatusCode::OK, &json!({})));
    }
    match refreshed(api, incoming).await {
        Ok(signed_in) => signed_in.optional_reply(api, incoming).await,
        Err(Refusal::Api(failure)) if is_over(failure.reason) => Ok(Reply::json(StatusCode::OK, &json!({}))),
        Err(refusal) => Err(refusal),
    }
}

const fn is_over(reason: ErrorReason) -> bool {
    matches!(reason, ErrorReason::TokenInvalid | ErrorReason::SessionNotActive | ErrorReason::RefreshTokenReused)
}

async fn refreshed(api: &Api, incoming: &Incoming) -> Result<SignedIn, Refusal> {
    let caller = Caller::of(&incoming.head)?;
    let refresh_token = caller.refresh_token()?;
    let request = RefreshTokensRequest {
        refresh_token: refresh_token.clone(),
        include_session_token: true,
        ..RefreshTokensRequest::default()
    };
    let call = |authorization: String| {
        let request = incoming.call(&authorization, request.clone());
        async move { api.auth.clone().refresh_tokens(request).await }
    };
    Ok(SignedIn { known_token: refresh_token.clone(), ..caller.as_application(call).await?.into() })
}

/// `POST /v1/auth/logout` (contract, section 6).
pub(super) async fn log_out(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    end(api, incoming, false).await
}

/// `POST /v1/auth/logoutall` (contract, section 6).
pub(super) async fn log_out_everywhere(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    end(api, incoming, true).await
}

async fn end(api: &Api, incoming: &Incoming, all_sessions: bool) -> Result<Reply, Refusal> {
    let caller = Caller::of(&incoming.head)?;
    let credential = Some(sign_out_request::Credential::RefreshToken(caller.refresh_token()?));
    let request = SignOutRequest { credential, all_sessions };
    let call = |authorization: String| {
        let request = incoming.call(&authorization, request.clone());
        async move { api.auth.clone().sign_out(request).await }
    };
    caller.as_application(call).await?;
    signed_out(api, incoming).await
}

/// `GET /v1/auth/me` (contract, section 6).
pub(super) async fn me(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let refresh_token = Caller::of(&incoming.head)?.refresh_token()?;
    let credential = authenticate_session_request::Credential::RefreshToken(refresh_token);
    let user = authenticated(api, incoming, credential).await?.user.unwrap_or_default();
    Ok(Reply::json(StatusCode::OK, &UserObject::from(user)))
}

/// `POST /v1/auth/validate` (contract, section 6): answers with the claims of a session token whose session lives.
pub(super) async fn validate(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let jwt = Caller::of(&incoming.head)?.jwt()?;
    let claims = claims_of(&jwt);
    authenticated(api, incoming, authenticate_session_request::Credential::SessionToken(jwt)).await?;
    Ok(Reply::json(StatusCode::OK, &claims))
}

async fn authenticated(
    api: &Api,
    incoming: &Incoming,
    credential: authenticate_session_request::Credential,
) -> Result<AuthenticateSessionResponse, Refusal> {
    let caller = Caller::of(&incoming.head)?;
    let request = AuthenticateSessionRequest { credential: Some(credential), ..AuthenticateSessionRequest::default() };
    let call = |authorization: String| {
        let request = incoming.call(&authorization, request.clone());
        async move { api.auth.clone().authenticate_session(request).await }
    };
    caller.as_application(call).await
}
