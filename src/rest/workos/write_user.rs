//! Creating and changing users (contract section 5).

use http::StatusCode;
use prost_types::FieldMask;
use serde_json::{Map, Value};

use super::{
    body::{Body, Nullable},
    credentials,
    object::User,
    refusal,
};
use crate::{
    proto::{
        self, CheckNewPasswordRequest, CreateUserRequest, GetUserRequest, ListUsersRequest, PasswordRule,
        SetPasswordRequest, UpdateUserRequest, UserUpdate, list_users_request::Identifier,
    },
    rest::{api::Api, failure::Refusal, incoming::Incoming, reply::Reply, text::filled, value::struct_of},
};

/// The members of both. `locale` counts on an update only; what else null does there is said by [`Nullable`].
struct Given {
    email: Option<String>,
    email_verified: Option<bool>,
    first_name: Option<String>,
    last_name: Option<String>,
    name: Option<String>,
    metadata: Nullable<Map<String, Value>>,
    external_id: Nullable<String>,
    locale: Nullable<String>,
    password: Option<String>,
}

impl Given {
    fn read(body: &Body) -> Result<Self, Refusal> {
        let given = Self {
            email: body.text("email")?,
            email_verified: body.flag("email_verified")?,
            first_name: body.text("first_name")?,
            last_name: body.text("last_name")?,
            name: body.text("name")?,
            metadata: body.nullable_texts("metadata")?,
            external_id: body.nullable_text("external_id")?,
            locale: body.nullable_text("locale")?,
            password: body.text("password")?,
        };
        check_password(body)?;
        Ok(given)
    }
}

/// How the password is given: at most in one way. A hash is refused, because the API takes passwords only as they are.
fn check_password(body: &Body) -> Result<(), Refusal> {
    let has = |name| body.text(name).map(|text| text.is_some());
    let (password, hash, hash_type) = (has("password")?, has("password_hash")?, has("password_hash_type")?);
    let salt_position = has("password_salt_position")?;
    let (code, message) = if password && hash {
        ("password_and_password_hash_provided", "Give password or password_hash, not both.")
    } else if password && hash_type {
        ("password_and_password_hash_type_provided", "Give password or password_hash_type, not both.")
    } else if salt_position && !hash {
        ("password_salt_position_requires_password_hash", "password_salt_position needs password_hash.")
    } else if hash || hash_type {
        ("invalid_password_hash", "This server does not import password hashes.")
    } else {
        return Ok(());
    };
    Err(refusal::plain(StatusCode::BAD_REQUEST, code, message))
}

/// `POST /user_management/users` (contract section 5).
pub(super) async fn create(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let body = Body::of(incoming)?;
    let given = Given::read(&body)?;
    let mut metadata = given.metadata.given().unwrap_or_default();
    metadata.retain(|_, value| !value.is_null());
    let message = CreateUserRequest {
        email: Some(body.needed("email")?),
        email_verified: given.email_verified.unwrap_or_default(),
        password: given.password,
        given_name: filled(given.first_name),
        family_name: filled(given.last_name),
        display_name: filled(given.name),
        external_id: given.external_id.given(),
        metadata: Some(struct_of(&metadata)),
        ..Default::default()
    };
    let request = incoming.call(&credentials::of_api_key(&incoming.head), message);
    let user = api.users.clone().create_user(request).await?.into_inner().user.unwrap_or_default();
    Ok(Reply::json(StatusCode::CREATED, &User::from(user)))
}

/// `PUT /user_management/users/{id}` (contract section 5): changes what the body names. A password is a call of its own: everything
/// that can be refused is asked first.
pub(super) async fn update(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let given = Given::read(&Body::of(incoming)?)?;
    let calls = Calls { api, incoming, user_id: incoming.head.parameter("id") };
    if given.password.is_some() || given.email_verified == Some(false) {
        let user = calls.user().await?;
        if let Some(password) = &given.password {
            calls.check_password(password, identifiers(&user, &given)).await?;
        }
        if given.email_verified == Some(false) {
            calls.refuse_to_forget_a_verification(&user, given.email.as_deref()).await?;
        }
    }
    let (change, paths) = changes(&given);
    let mut user = if paths.is_empty() { calls.user().await? } else { calls.update(change, paths).await? };
    if let Some(password) = given.password {
        user = calls.set_password(password).await?;
    }
    Ok(Reply::json(StatusCode::OK, &User::from(user)))
}

/// What the user will be called, which is what a password is held against when it is set.
fn identifiers(user: &proto::User, given: &Given) -> Vec<String> {
    let email = given.email.as_ref().or(user.email.as_ref());
    [email, user.username.as_ref(), user.phone_number.as_ref()].into_iter().flatten().cloned().collect()
}

/// What an update changes, and the mask that says so.
fn changes(given: &Given) -> (UserUpdate, Vec<String>) {
    let mut change = UserUpdate::default();
    let mut paths = Vec::new();
    let mut name = |path: &str| paths.push(path.to_owned());
    if let Some(email) = &given.email {
        name("email");
        change.email = Some(email.clone());
    }
    // Taking it back is refused, so only this is left to do.
    if given.email_verified == Some(true) {
        name("email_verified");
        change.email_verified = true;
    }
    for (path, text, field) in [
        ("given_name", &given.first_name, &mut change.given_name),
        ("family_name", &given.last_name, &mut change.family_name),
        ("display_name", &given.name, &mut change.display_name),
    ] {
        if text.is_some() {
            name(path);
            *field = filled(text.clone());
        }
    }
    for (path, text, field) in
        [("external_id", &given.external_id, &mut change.external_id), ("locale", &given.locale, &mut change.locale)]
    {
        if !matches!(text, Nullable::Absent) {
            name(path);
            *field = text.clone().given();
        }
    }
    match &given.metadata {
        Nullable::Absent => {}
        Nullable::Given(members) if !members.is_empty() => {
            name("metadata_merge");
            change.metadata_merge = Some(struct_of(members));
        }
        // `{}` and null take everything away.
        Nullable::Given(_) | Nullable::Null => {
            name("metadata");
            change.metadata = Some(prost_types::Struct::default());
        }
    }
    (change, paths)
}

/// The calls of an update.
struct Calls<'a> {
    api: &'a Api,
    incoming: &'a Incoming,
    user_id: &'a str,
}

impl Calls<'_> {
    /// None of the calls is the one that a key is for: each can be repeated as it is.
    fn call<T>(&self, message: T) -> tonic::Request<T> {
        self.incoming.secondary_call(&credentials::of_api_key(&self.incoming.head), message)
    }

    async fn user(&self) -> Result<proto::User, Refusal> {
        let request = self.call(GetUserRequest { user_id: self.user_id.to_owned() });
        Ok(self.api.users.clone().get_user(request).await?.into_inner().user.unwrap_or_default())
    }

    async fn update(&self, user: UserUpdate, paths: Vec<String>) -> Result<proto::User, Refusal> {
        let message = UpdateUserRequest {
            user_id: self.user_id.to_owned(),
            user: Some(user),
            update_mask: Some(FieldMask { paths }),
        };
        let answer = self.api.users.clone().update_user(self.call(message)).await?;
        Ok(answer.into_inner().user.unwrap_or_default())
    }

    async fn set_password(&self, password: String) -> Result<proto::User, Refusal> {
        let message = SetPasswordRequest { user_id: self.user_id.to_owned(), password, ..Default::default() };
        let answer = self.api.users.clone().set_password(self.call(message)).await?;
        Ok(answer.into_inner().user.unwrap_or_default())
    }

    async fn check_password(&self, password: &str, identifiers: Vec<String>) -> Result<(), Refusal> {
        let message = CheckNewPasswordRequest { password: password.to_owned(), identifiers };
        let answer = self.api.auth.clone().check_new_password(self.call(message)).await?.into_inner();
        if answer.violations.is_empty() {
            return Ok(());
        }
        let names = answer.violations.iter().map(|violation| violation.rule().as_str_name());
        let rules = names.map(|name| name.trim_start_matches("PASSWORD_RULE_"));
        let length_min = if answer.violations.iter().any(|violation| violation.rule() == PasswordRule::TooShort) {
            self.password_length_min().await
        } else {
            None
        };
        Err(refusal::weak_password(rules, length_min))
    }

    async fn password_length_min(&self) -> Option<u64> {
        let request = self.call(proto::GetSignInSettingsRequest {});
        let settings = self.api.auth.clone().get_sign_in_settings(request).await.ok()?;
        u64::try_from(settings.into_inner().password_length_min).ok()
    }

    /// A verified address cannot be made unverified by saying so; another address can be given. The API has no such rule: an operator may
    /// take a verification back. So the 400 is a word of this dialect alone (contract section 5).
    async fn refuse_to_forget_a_verification(&self, user: &proto::User, email: Option<&str>) -> Result<(), Refusal> {
        if user.email_verified && self.is_address_of(user, email).await? {
            let message = "This email has already been verified.";
            return Err(refusal::plain(StatusCode::BAD_REQUEST, "email_already_verified", message));
        }
        Ok(())
    }

    /// True if that is the address the user has, or none is given. Which spellings are one address, the API knows.
    async fn is_address_of(&self, user: &proto::User, email: Option<&str>) -> Result<bool, Refusal> {
        let Some(email) = email else { return Ok(true) };
        let identifier = Some(Identifier::Email(email.to_owned()));
        let request = self.call(ListUsersRequest { identifier, page_size: 1, ..Default::default() });
        let owners = self.api.users.clone().list_users(request).await?.into_inner().users;
        Ok(owners.iter().any(|owner| owner.user_id == user.user_id))
    }
}
