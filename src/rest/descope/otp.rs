//! Codes to an email address (contract, section 6).

use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::{
    body::body,
    caller::{Caller, client_context},
    refusals::not_supported,
    signed_in::SignedIn,
};
use crate::{
    proto::{AuthenticateEmailCodeRequest, StartEmailVerificationRequest},
    rest::{api::Api, failure::Refusal, incoming::Incoming, reply::Reply},
};

/// What is read. A verified address is always a name to sign in with, and never taken from another user: so `addToLoginIDs` and
/// `failOnConflict` choose nothing. Templates and providers of mails are not chosen by the call.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct UpdateEmail {
    login_id: String,
    email: String,
    locale: String,
    mfa: bool,
}

/// `POST /v1/auth/otp/update/email` (contract, section 6).
pub(super) async fn update_email(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let caller = Caller::of(&incoming.head)?;
    let UpdateEmail { login_id, email, locale, mfa } = body(incoming)?;
    let refresh_token = caller.refresh_token()?;
    if mfa {
        return Err(not_supported("mfa"));
    }
    let client_context = Some(client_context(&incoming.head));
    let request = StartEmailVerificationRequest { refresh_token, email, login_id, locale, client_context };
    let call = |authorization: String| {
        let request = incoming.call(&authorization, request.clone());
        async move { api.auth.clone().start_email_verification(request).await }
    };
    let sent = caller.as_application(call).await?;
    let answer = json!({ "maskedEmail": masked(&sent.email), "verificationAttempts": sent.attempts_left });
    Ok(Reply::json(StatusCode::OK, &answer))
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct VerifyEmail {
    login_id: String,
    code: String,
}

/// `POST /v1/auth/otp/verify/email` (contract, section 6).
pub(super) async fn verify_email(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let caller = Caller::of(&incoming.head)?;
    let VerifyEmail { login_id, code } = body(incoming)?;
    let client_context = Some(client_context(&incoming.head));
    let request =
        AuthenticateEmailCodeRequest { login_id, code, client_context, ..AuthenticateEmailCodeRequest::default() };
    let call = |authorization: String| {
        let request = incoming.call(&authorization, request.clone());
        async move { api.auth.clone().authenticate_email_code(request).await }
    };
    SignedIn::from(caller.as_application(call).await?).reply(api, incoming).await
}

/// The first letter and the domain, enough to know the address by.
fn masked(email: &str) -> String {
    let (name, domain) = email.split_once('@').unwrap_or((email, ""));
    let first: String = name.chars().take(1).collect();
    format!("{first}*****@{domain}")
}
