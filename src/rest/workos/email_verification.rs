//! Verifying addresses (contract section 5).

use http::StatusCode;

use super::{
    body::Body,
    credentials,
    object::{EmailVerification, Envelope},
};
use crate::{
    proto::{ConfirmEmailVerificationRequest, GetEmailVerificationRequest, SendEmailVerificationRequest},
    rest::{api::Api, failure::Refusal, incoming::Incoming, reply::Reply},
};

/// `POST /user_management/users/{id}/email_verification/send` (contract section 5).
pub(super) async fn send(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let body = Body::of(incoming)?;
    let message = SendEmailVerificationRequest {
        user_id: incoming.head.parameter("id").to_owned(),
        locale: body.text("locale")?.unwrap_or_default(),
    };
    let request = incoming.call(&credentials::of_api_key(&incoming.head), message);
    let answer = api.users.clone().send_email_verification(request).await?.into_inner();
    Ok(Reply::json(StatusCode::OK, &Envelope::from(answer.user)))
}

/// `POST /user_management/users/{id}/email_verification/confirm` (contract section 5).
pub(super) async fn confirm(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let body = Body::of(incoming)?;
    let message = ConfirmEmailVerificationRequest {
        user_id: incoming.head.parameter("id").to_owned(),
        code: body.needed("code")?,
    };
    let request = incoming.call(&credentials::of_api_key(&incoming.head), message);
    let answer = api.users.clone().confirm_email_verification(request).await?.into_inner();
    Ok(Reply::json(StatusCode::OK, &Envelope::from(answer.user)))
}

/// `GET /user_management/email_verification/{id}` (contract section 5).
pub(super) async fn get(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let email_verification_id = incoming.head.parameter("id").to_owned();
    let message = GetEmailVerificationRequest { email_verification_id };
    let request = incoming.call(&credentials::of_api_key(&incoming.head), message);
    let answer = api.users.clone().get_email_verification(request).await?.into_inner();
    let verification = answer.email_verification.unwrap_or_default();
    Ok(Reply::json(StatusCode::OK, &EmailVerification::from(verification)))
}
