//! Password resets (contract section 5).

use http::StatusCode;

use super::{
    body::Body,
    credentials,
    object::{Envelope, PasswordReset},
    refusal,
};
use crate::{
    proto::{CompletePasswordResetRequest, CreatePasswordResetRequest, GetPasswordResetRequest},
    rest::{api::Api, failure::Refusal, incoming::Incoming, reply::Reply},
};

/// `POST /user_management/password_reset` (contract section 5).
pub(super) async fn create(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let body = Body::of(incoming)?;
    let email = body.needed("email")?;
    let locale = body.text("locale")?.unwrap_or_default();
    let message = CreatePasswordResetRequest { email: email.clone(), locale, ..Default::default() };
    let request = incoming.call(&credentials::of_api_key(&incoming.head), message);
    let answer = api.users.clone().create_password_reset(request).await;
    let answer = answer.map_err(refusal::about(&incoming.head, &email))?.into_inner();
    Ok(Reply::json(StatusCode::CREATED, &PasswordReset::from(answer.password_reset.unwrap_or_default())))
}

/// `POST /user_management/password_reset/confirm` (contract section 5).
pub(super) async fn confirm(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let body = Body::of(incoming)?;
    let message = CompletePasswordResetRequest {
        password_reset_token: body.needed("token")?,
        new_password: body.needed("new_password")?,
        ..Default::default()
    };
    let request = incoming.call(&credentials::of_api_key(&incoming.head), message);
    let answer = api.auth.clone().complete_password_reset(request).await?.into_inner();
    Ok(Reply::json(StatusCode::OK, &Envelope::from(answer.user)))
}

/// `GET /user_management/password_reset/{id}` (contract section 5).
pub(super) async fn get(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let password_reset_id = incoming.head.parameter("id").to_owned();
    let request =
        incoming.call(&credentials::of_api_key(&incoming.head), GetPasswordResetRequest { password_reset_id });
    let answer = api.users.clone().get_password_reset(request).await?.into_inner();
    Ok(Reply::json(StatusCode::OK, &PasswordReset::from(answer.password_reset.unwrap_or_default())))
}
