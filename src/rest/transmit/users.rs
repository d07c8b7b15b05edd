//! Users (contract, section 6.1). A request holds an address as a string, an answer as an object.

use http::StatusCode;
use prost_types::{FieldMask, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{call, given, refusal};
use crate::{
    proto::{
        CreateUserRequest, DeleteUserRequest, GetUserRequest, ListUsersRequest, UpdateUserRequest, User, UserStatus,
        UserUpdate, list_users_request::Identifier,
    },
    rest::{
        api::Api,
        failure::Refusal,
        incoming::Incoming,
        reply::Reply,
        value::{epoch_millis, object_of, rfc3339_millis, struct_of},
    },
};

/// A user as the vendor writes it.
#[derive(Serialize)]
struct UserBody {
    user_id: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone_number: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<Name>,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_user_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    picture: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<String>,
    custom_data: Map<String, Value>,
    /// Milliseconds since 1970.
    created_at: i64,
    updated_at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_auth: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    password_information: Option<Value>,
}

/// A name in its parts.
#[derive(Deserialize, Serialize)]
#[expect(clippy::struct_field_names, reason = "the vendor's names")]
struct Name {
    #[serde(skip_serializing_if = "Option::is_none")]
    first_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    middle_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_name: Option<String>,
}

impl From<User> for UserBody {
    fn from(user: User) -> Self {
        let millis = |time: &Option<Timestamp>| time.as_ref().map_or(0, epoch_millis);
        let status = match (user.status(), &user.last_signed_in_at) {
            (UserStatus::Disabled, _) => "Disabled",
            // Active from the first sign-in on.
            (_, None) => "Pending",
            (_, Some(_)) => "Active",
        };
        let (email_verified, phone_number_verified) = (user.email_verified, user.phone_number_verified);
        let temporary = user.password_must_change;
        let name = Name { first_name: user.given_name, middle_name: user.middle_name, last_name: user.family_name };
        let is_named = name.first_name.is_some() || name.middle_name.is_some() || name.last_name.is_some();
        Self {
            user_id: user.user_id,
            status,
            username: user.username,
            email: user.email.map(|value| json!({ "value": value, "email_verified": email_verified })),
            phone_number: user
                .phone_number
                .map(|value| json!({ "value": value, "phone_number_verified": phone_number_verified })),
            name: is_named.then_some(name),
            external_user_id: user.external_id,
            picture: user.picture_url,
            language: user.locale,
            custom_data: object_of(user.metadata.as_ref()),
            created_at: millis(&user.created_at),
            updated_at: millis(&user.updated_at),
            last_auth: user.last_signed_in_at.as_ref().map(rfc3339_millis),
            password_information: user
                .password_updated_at
                .as_ref()
                .map(|time| json!({ "expired": false, "temporary": temporary, "updated_at": epoch_millis(time) })),
        }
    }
}

fn answer(status: StatusCode, user: Option<User>) -> Reply {
    Reply::json(status, &json!({ "result": UserBody::from(user.unwrap_or_default()) }))
}

/// Password of a new user.
#[derive(Deserialize)]
struct Credentials {
    password: Option<String>,
    force_replace: Option<bool>,
}

/// Body of `POST /v1/users` and `PUT /v1/users/{user_id}`.
#[derive(Deserialize)]
struct UserFields {
    email: Option<String>,
    phone_number: Option<String>,
    username: Option<String>,
    name: Option<Name>,
    external_user_id: Option<String>,
    picture: Option<String>,
    language: Option<String>,
    custom_data: Option<Map<String, Value>>,
    credentials: Option<Credentials>,
}

/// `POST /v1/users`.
pub(super) async fn create(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let body: UserFields = incoming.json()?;
    let name = body.name.unwrap_or(Name { first_name: None, middle_name: None, last_name: None });
    let credentials = body.credentials;
    let force_replace = credentials.as_ref().map(|given| given.force_replace.unwrap_or(true));
    let request = CreateUserRequest {
        email: given(body.email),
        username: given(body.username),
        phone_number: given(body.phone_number),
        password: credentials.map(|given| given.password.unwrap_or_default()),
        password_must_change: force_replace.unwrap_or(false),
        given_name: given(name.first_name),
        middle_name: given(name.middle_name),
        family_name: given(name.last_name),
        external_id: given(body.external_user_id),
        picture_url: given(body.picture),
        locale: given(body.language),
        metadata: body.custom_data.as_ref().map(struct_of),
        ..CreateUserRequest::default()
    };
    let created = api.users.clone().create_user(call(incoming, request)).await?.into_inner();
    Ok(answer(StatusCode::CREATED, created.user))
}

/// `GET /v1/users/{user_id}`.
pub(super) async fn get(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let request = GetUserRequest { user_id: incoming.head.parameter("user_id").to_owned() };
    let found = api.users.clone().get_user(call(incoming, request)).await?;
    Ok(answer(StatusCode::OK, found.into_inner().user))
}

/// `GET /v1/users/email/{email}`.
pub(super) async fn by_email(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    found(api, incoming, Identifier::Email(incoming.head.parameter("email").to_owned())).await
}

/// `GET /v1/users/username/{username}`.
pub(super) async fn by_username(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    found(api, incoming, Identifier::Username(incoming.head.parameter("username").to_owned())).await
}

/// `GET /v1/users/phone-number/{phone_number}`. A `+` may come encoded or not (contract, section 9).
pub(super) async fn by_phone_number(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    found(api, incoming, Identifier::PhoneNumber(incoming.head.parameter("phone_number").to_owned())).await
}

/// `GET /v1/users/external-user-id/{external_user_id}`.
pub(super) async fn by_external_id(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    found(api, incoming, Identifier::ExternalId(incoming.head.parameter("external_user_id").to_owned())).await
}

/// `GET /v1/users/identifier?identifier_name=&identifier_value=`.
pub(super) async fn find(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let head = &incoming.head;
    let value = head.query("identifier_value").unwrap_or_default().to_owned();
    let identifier = match head.query("identifier_name") {
        Some("email") => Identifier::Email(value),
        Some("username") => Identifier::Username(value),
        // A `+` that was not encoded arrives as a space.
        Some("phone_number") => Identifier::PhoneNumber(value.replacen(' ', "+", 1)),
        Some("external_user_id") => Identifier::ExternalId(value),
        _ => {
            let problem = "must be email, username, phone_number or external_user_id";
            return Err(refusal::field(head, "identifier_name", problem));
        }
    };
    found(api, incoming, identifier).await
}

async fn found(api: &Api, incoming: &Incoming, identifier: Identifier) -> Result<Reply, Refusal> {
    let user = with_identifier(api, incoming, identifier).await?;
    Ok(answer(StatusCode::OK, Some(user)))
}

async fn with_identifier(api: &Api, incoming: &Incoming, identifier: Identifier) -> Result<User, Refusal> {
    let request = ListUsersRequest { identifier: Some(identifier), ..ListUsersRequest::default() };
    let listed = api.users.clone().list_users(call(incoming, request)).await?.into_inner();
    listed.users.into_iter().next().ok_or_else(no_user)
}

fn no_user() -> Refusal {
    Reply::json(StatusCode::NOT_FOUND, &json!({ "message": "User not found", "error_code": 404 })).into()
}

/// `PUT /v1/users/{user_id}`: what is not named stays; `custom_data` is merged.
pub(super) async fn update(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let body: UserFields = incoming.json()?;
    let mut paths = Vec::new();
    let mut named = |path: &str, is_given: bool| {
        if is_given {
            paths.push(path.to_owned());
        }
    };
    named("email", body.email.is_some());
    named("phone_number", body.phone_number.is_some());
    named("username", body.username.is_some());
    named("external_id", body.external_user_id.is_some());
    named("picture_url", body.picture.is_some());
    named("locale", body.language.is_some());
    named("metadata_merge", body.custom_data.is_some());
    // An object is replaced as a whole.
    for part in ["given_name", "middle_name", "family_name"] {
        named(part, body.name.is_some());
    }
    let name = body.name.unwrap_or(Name { first_name: None, middle_name: None, last_name: None });
    let update = UserUpdate {
        email: given(body.email),
        phone_number: given(body.phone_number),
        username: given(body.username),
        external_id: given(body.external_user_id),
        picture_url: given(body.picture),
        locale: given(body.language),
        metadata_merge: body.custom_data.as_ref().map(struct_of),
        given_name: given(name.first_name),
        middle_name: given(name.middle_name),
        family_name: given(name.last_name),
        ..UserUpdate::default()
    };
    if paths.is_empty() {
        return get(api, incoming).await;
    }
    updated(api, incoming, update, paths).await.map(|user| answer(StatusCode::OK, user))
}

/// Changes what `paths` names of the user in the path.
pub(super) async fn updated(
    api: &Api,
    incoming: &Incoming,
    update: UserUpdate,
    paths: Vec<String>,
) -> Result<Option<User>, Refusal> {
    let request = UpdateUserRequest {
        user_id: incoming.head.parameter("user_id").to_owned(),
        user: Some(update),
        update_mask: Some(FieldMask { paths }),
    };
    Ok(api.users.clone().update_user(call(incoming, request)).await?.into_inner().user)
}

/// `DELETE /v1/users/{user_id}/apps`: the user leaves the application, which here is the project.
pub(super) async fn delete(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let request = DeleteUserRequest { user_id: incoming.head.parameter("user_id").to_owned() };
    api.users.clone().delete_user(call(incoming, request)).await?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

/// `POST /v1/users/{user_id}/emails/{email}/verify`: the back end vouches for the address.
pub(super) async fn verify_email(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let email = Identifier::Email(incoming.head.parameter("email").to_owned());
    let update = UserUpdate { email_verified: true, ..UserUpdate::default() };
    verified(api, incoming, email, update, "email_verified").await
}

/// `POST /v1/users/{user_id}/phone-numbers/{phone_number}/verify`.
pub(super) async fn verify_phone_number(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let number = Identifier::PhoneNumber(incoming.head.parameter("phone_number").to_owned());
    let update = UserUpdate { phone_number_verified: true, ..UserUpdate::default() };
    verified(api, incoming, number, update, "phone_number_verified").await
}

async fn verified(
    api: &Api,
    incoming: &Incoming,
    identifier: Identifier,
    update: UserUpdate,
    path: &str,
) -> Result<Reply, Refusal> {
    let owner = with_identifier(api, incoming, identifier).await?;
    if owner.user_id != incoming.head.parameter("user_id") {
        return Err(no_user());
    }
    let user = updated(api, incoming, update, vec![path.to_owned()]).await?;
    Ok(answer(StatusCode::ACCEPTED, user))
}
