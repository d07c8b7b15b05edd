//! Setting and checking passwords (contract, section 4).

use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::{call, given, users};
use crate::{
    proto::{CheckNewPasswordRequest, PasswordExpectation, SetPasswordRequest, UserUpdate},
    rest::{api::Api, failure::Refusal, incoming::Incoming, reply::Reply},
};

/// Body of `POST` and `PUT /v1/users/{user_id}/password`.
#[derive(Deserialize)]
struct SetPassword {
    password: Option<String>,
    /// The password is temporary unless the caller says `false` (contract, section 4.1).
    force_replace: Option<bool>,
    username: Option<String>,
}

/// `POST /v1/users/{user_id}/password`, for a user who has none.
pub(super) async fn set(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    registered(api, incoming, PasswordExpectation::None, StatusCode::CREATED).await
}

/// `PUT /v1/users/{user_id}/password`, for a user who has one.
pub(super) async fn change(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    registered(api, incoming, PasswordExpectation::One, StatusCode::OK).await
}

async fn registered(
    api: &Api,
    incoming: &Incoming,
    expectation: PasswordExpectation,
    status: StatusCode,
) -> Result<Reply, Refusal> {
    let body: SetPassword = incoming.json()?;
    let user_id = incoming.head.parameter("user_id").to_owned();
    if let Some(username) = given(body.username) {
        let update = UserUpdate { username: Some(username), ..UserUpdate::default() };
        users::updated(api, incoming, update, vec!["username".to_owned()]).await?;
    }
    let request = SetPasswordRequest {
        user_id,
        password: body.password.unwrap_or_default(),
        must_change: body.force_replace.unwrap_or(true),
        expectation: expectation.into(),
        ..SetPasswordRequest::default()
    };
    api.users.clone().set_password(call(incoming, request)).await?;
    Ok(Reply::json(status, &json!({ "result": { "message": "Password registered" } })))
}

/// Body of `POST /v1/auth/password/validate`.
#[derive(Deserialize)]
struct Validate {
    password: Option<String>,
    username: Option<String>,
    email: Option<String>,
    phone_number: Option<String>,
}

/// `POST /v1/auth/password/validate`: 200 whatever it finds.
pub(super) async fn validate(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let body: Validate = incoming.json()?;
    let request = CheckNewPasswordRequest {
        password: body.password.unwrap_or_default(),
        identifiers: [body.username, body.email, body.phone_number].into_iter().filter_map(given).collect(),
    };
    let checked = api.auth.clone().check_new_password(call(incoming, request)).await?.into_inner();
    let errors: Vec<_> = checked
        .violations
        .iter()
        .map(|broken| json!({ "code": "auth_password_weak", "message": broken.description }))
        .collect();
    let result = json!({ "valid_password": errors.is_empty(), "errors": errors });
    Ok(Reply::json(StatusCode::OK, &json!({ "result": result })))
}
