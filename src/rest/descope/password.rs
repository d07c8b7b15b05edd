//! Passwords (contract, section 6).

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    body::body,
    caller::{Caller, client_context},
    login_options::LoginOptions,
    refusals::{not_supported, said},
    signed_in::SignedIn,
    user::Identifiers,
};
use crate::{
    proto::{
        ChangePasswordRequest, CreateUserRequest, GetSignInSettingsRequest, ReplacePasswordRequest, SignInOptions,
        SignInRequest, SignUpRequest,
    },
    rest::{api::Api, failure::Refusal, incoming::Incoming, reply::Reply, text::filled},
};

#[derive(Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[derive(Default)]
struct SignUp {
    login_id: String,
    password: String,
    user: NewUser,
    login_options: LoginOptions,
}

/// What a new user tells of themselves.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct NewUser {
    email: String,
    phone: String,
    display_name: String,
    given_name: String,
    middle_name: String,
    family_name: String,
    recovery_email: String,
    recovery_phone: String,
}

/// `POST /v1/auth/password/signup` (contract, section 6).
pub(super) async fn sign_up(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let caller = Caller::of(&incoming.head)?;
    let SignUp { login_id, password, user, login_options } = body(incoming)?;
    let request = SignUpRequest {
        user: Some(new_user(login_id, password, user)?),
        options: Some(login_options.wishes(&caller)?),
        client_context: Some(client_context(&incoming.head)),
        ..SignUpRequest::default()
    };
    let call = |authorization: String| {
        let request = incoming.call(&authorization, request.clone());
        async move { api.auth.clone().sign_up(request).await }
    };
    SignedIn::from(caller.as_application(call).await?).reply(api, incoming).await
}

fn new_user(login_id: String, password: String, user: NewUser) -> Result<CreateUserRequest, Refusal> {
    if login_id.is_empty() {
        return Err(said(StatusCode::BAD_REQUEST, "E011003", "loginId must not be empty").into());
    }
    if !user.recovery_email.is_empty() || !user.recovery_phone.is_empty() {
        return Err(not_supported("a recoveryEmail or recoveryPhone"));
    }
    let mut names = Identifiers::default();
    if !names.add(login_id) || !names.add_contacts(filled(user.email), filled(user.phone)) {
        return Err(not_supported("an email or phone beside a loginId of that kind"));
    }
    Ok(CreateUserRequest {
        email: names.email,
        username: names.username,
        phone_number: names.phone_number,
        password: Some(password),
        display_name: filled(user.display_name),
        given_name: filled(user.given_name),
        middle_name: filled(user.middle_name),
        family_name: filled(user.family_name),
        ..CreateUserRequest::default()
    })
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct SignIn {
    login_id: String,
    password: String,
    login_options: LoginOptions,
}

/// `POST /v1/auth/password/signin` (contract, section 6).
pub(super) async fn sign_in(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let caller = Caller::of(&incoming.head)?;
    let SignIn { login_id, password, login_options } = body(incoming)?;
    let request = SignInRequest {
        login_id,
        password,
        options: Some(login_options.wishes(&caller)?),
        client_context: Some(client_context(&incoming.head)),
        ..SignInRequest::default()
    };
    let call = |authorization: String| {
        let request = incoming.call(&authorization, request.clone());
        async move { api.auth.clone().sign_in(request).await }
    };
    SignedIn::from(caller.as_application(call).await?).reply(api, incoming).await
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Update {
    login_id: String,
    new_password: String,
}

/// `POST /v1/auth/password/update` (contract, section 6).
pub(super) async fn update(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let caller = Caller::of(&incoming.head)?;
    let Update { login_id, new_password } = body(incoming)?;
    let request = ChangePasswordRequest { refresh_token: caller.refresh_token()?, new_password, login_id };
    let call = |authorization: String| {
        let request = incoming.call(&authorization, request.clone());
        async move { api.auth.clone().change_password(request).await }
    };
    caller.as_application(call).await?;
    Ok(Reply::json(StatusCode::OK, &json!({})))
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Replace {
    login_id: String,
    old_password: String,
    new_password: String,
    revoke_other_sessions: bool,
}

/// `POST /v1/auth/password/replace` (contract, section 6).
pub(super) async fn replace(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let caller = Caller::of(&incoming.head)?;
    let wanted: Replace = body(incoming)?;
    let request = ReplacePasswordRequest {
        login_id: wanted.login_id,
        current_password: wanted.old_password,
        new_password: wanted.new_password,
        options: Some(SignInOptions {
            revoke_other_sessions: wanted.revoke_other_sessions,
            ..SignInOptions::default()
        }),
        client_context: Some(client_context(&incoming.head)),
        ..ReplacePasswordRequest::default()
    };
    let call = |authorization: String| {
        let request = incoming.call(&authorization, request.clone());
        async move { api.auth.clone().replace_password(request).await }
    };
    SignedIn::from(caller.as_application(call).await?).reply(api, incoming).await
}

/// What a new password must satisfy. There are no rules for its kinds of characters, and no score.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "the vendor's shape")]
struct Policy {
    min_length: i32,
    lowercase: bool,
    uppercase: bool,
    number: bool,
    non_alphanumeric: bool,
    strength_score_enabled: bool,
    strength_score: i32,
}

/// `GET /v1/auth/password/policy` (contract, section 6).
pub(super) async fn policy(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let caller = Caller::of(&incoming.head)?;
    let call = |authorization: String| {
        let request = incoming.call(&authorization, GetSignInSettingsRequest {});
        async move { api.auth.clone().get_sign_in_settings(request).await }
    };
    let settings = caller.as_application(call).await?;
    let policy = Policy {
        min_length: settings.password_length_min,
        lowercase: false,
        uppercase: false,
        number: false,
        non_alphanumeric: false,
        strength_score_enabled: false,
        strength_score: 0,
    };
    Ok(Reply::json(StatusCode::OK, &policy))
}
