//! Setting and checking passwords (contract, section 4).

use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::{call, given, users};
use crate::{
    proto::{
        CheckNewPasswordRequest, ErrorReason, GetUserRequest, PasswordExpectation, PasswordViolation,
        SetPasswordRequest, UserUpdate,
    },
    rest::{
        api::Api,
        failure::{Failure, Refusal},
        incoming::Incoming,
        reply::Reply,
    },
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
    let password = body.password.unwrap_or_default();
    if let Some(username) = given(body.username) {
        expected(api, incoming, expectation, &password, &username).await?;
        let update = UserUpdate { username: Some(username), ..UserUpdate::default() };
        users::updated(api, incoming, update, vec!["username".to_owned()]).await?;
    }
    let request = SetPasswordRequest {
        user_id,
        password,
        must_change: body.force_replace.unwrap_or(true),
        expectation: expectation.into(),
        ..SetPasswordRequest::default()
    };
    api.users.clone().set_password(call(incoming, request)).await?;
    Ok(Reply::json(status, &json!({ "result": { "message": "Password registered" } })))
}

/// The name and the password are set by two calls, so what the second would refuse is asked for before the first.
async fn expected(
    api: &Api,
    incoming: &Incoming,
    expectation: PasswordExpectation,
    password: &str,
    username: &str,
) -> Result<(), Refusal> {
    let refused = |failure: Failure| Err(Refusal::Api(Box::new(failure)));
    let request = GetUserRequest { user_id: incoming.head.parameter("user_id").to_owned() };
    let found = api.users.clone().get_user(call(incoming, request)).await?.into_inner();
    let user = found.user.unwrap_or_default();
    match expectation {
        PasswordExpectation::None if user.has_password => return refused(Failure::of(ErrorReason::PasswordAlreadySet)),
        PasswordExpectation::One if !user.has_password => return refused(Failure::of(ErrorReason::PasswordMissing)),
        _ => {}
    }
    let own = [user.username, user.email, user.phone_number].into_iter().flatten();
    let identifiers = own.chain([username.to_owned()]).collect();
    let broken = violations(api, incoming, password.to_owned(), identifiers).await?;
    if broken.is_empty() {
        return Ok(());
    }
    let message = broken.into_iter().map(|broken| broken.description).collect::<Vec<_>>().join("; ");
    refused(Failure { message: format!("password {message}"), ..Failure::of(ErrorReason::PasswordRejected) })
}

/// The rules that a new password of somebody who is called so would break.
async fn violations(
    api: &Api,
    incoming: &Incoming,
    password: String,
    identifiers: Vec<String>,
) -> Result<Vec<PasswordViolation>, Refusal> {
    let request = CheckNewPasswordRequest { password, identifiers };
    Ok(api.auth.clone().check_new_password(call(incoming, request)).await?.into_inner().violations)
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
    let identifiers = [body.username, body.email, body.phone_number].into_iter().filter_map(given).collect();
    let errors: Vec<_> = violations(api, incoming, body.password.unwrap_or_default(), identifiers)
        .await?
        .iter()
        .map(|broken| json!({ "code": "auth_password_weak", "message": broken.description }))
        .collect();
    let result = json!({ "valid_password": errors.is_empty(), "errors": errors });
    Ok(Reply::json(StatusCode::OK, &json!({ "result": result })))
}
