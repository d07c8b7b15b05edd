//! Password resets (contract section 5).

use http::StatusCode;
use serde::Deserialize;

use super::{
    body::required,
    credentials,
    object::{Envelope, PasswordReset},
    refusal,
};
use crate::{
    proto::{CompletePasswordResetRequest, CreatePasswordResetRequest, GetPasswordResetRequest},
    rest::{api::Api, failure::Refusal, incoming::Incoming, reply::Reply},
};

#[derive(Deserialize)]
struct Create {
    email: Option<String>,
    locale: Option<String>,
}

#[derive(Deserialize)]
struct Confirm {
    token: Option<String>,
    new_password: Option<String>,
}

pub(super) async fn create(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let body: Create = incoming.json()?;
    let email = required("email", body.email)?;
    let locale = body.locale.unwrap_or_default();
    let message = CreatePasswordResetRequest { email: email.clone(), locale, ..Default::default() };
    let request = incoming.call(&credentials::of_api_key(&incoming.head), message);
    let answer = api.users.clone().create_password_reset(request).await;
    let answer = answer.map_err(refusal::about(&incoming.head, &email))?.into_inner();
    Ok(Reply::json(StatusCode::CREATED, &PasswordReset::from(answer.password_reset.unwrap_or_default())))
}

pub(super) async fn confirm(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let body: Confirm = incoming.json()?;
    let message = CompletePasswordResetRequest {
        password_reset_token: required("token", body.token)?,
        new_password: required("new_password", body.new_password)?,
        ..Default::default()
    };
    let request = incoming.call(&credentials::of_api_key(&incoming.head), message);
    let answer = api.auth.clone().complete_password_reset(request).await?.into_inner();
    Ok(Reply::json(StatusCode::OK, &Envelope::from(answer.user)))
}

pub(super) async fn get(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let password_reset_id = incoming.head.parameter("id").to_owned();
    let request =
        incoming.call(&credentials::of_api_key(&incoming.head), GetPasswordResetRequest { password_reset_id });
    let answer = api.users.clone().get_password_reset(request).await?.into_inner();
    Ok(Reply::json(StatusCode::OK, &PasswordReset::from(answer.password_reset.unwrap_or_default())))
}
