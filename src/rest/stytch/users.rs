//! Users: `/v1/users` (contract, section 4.5).

use prost_types::FieldMask;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    answer::success,
    errors::said,
    objects::{Email, PhoneNumber, User},
    passwords::NameFields,
    site::Site,
};
use crate::{
    id_form, proto,
    proto::{
        CreateUserRequest, DeleteUserRequest, GetUserRequest, ListUsersRequest, UpdateUserRequest, UserUpdate,
        list_users_request::Identifier,
    },
    rest::{
        api::Api,
        failure::Refusal,
        incoming::{Head, Incoming},
        reply::Reply,
        text::filled,
        value::struct_of,
    },
};

/// Body of `POST /v1/users`.
#[derive(Deserialize)]
struct Create {
    email: Option<String>,
    phone_number: Option<String>,
    name: Option<NameFields>,
    trusted_metadata: Option<Map<String, Value>>,
    untrusted_metadata: Option<Map<String, Value>>,
    external_id: Option<String>,
}

/// Its answer.
#[derive(Serialize)]
struct Created {
    user_id: String,
    email_id: String,
    phone_id: String,
    status: &'static str,
    user: User,
}

/// Body of `PUT /v1/users/{id}`.
#[derive(Deserialize)]
struct Update {
    name: Option<NameFields>,
    trusted_metadata: Option<Map<String, Value>>,
    untrusted_metadata: Option<Map<String, Value>>,
    external_id: Option<String>,
}

/// Its answer.
#[derive(Serialize)]
struct Updated {
    user_id: String,
    emails: Vec<Email>,
    phone_numbers: Vec<PhoneNumber>,
    crypto_wallets: [(); 0],
    user: User,
}

#[derive(Serialize)]
struct Deleted {
    user_id: String,
}

/// The user whom `text` names: by their id, or by the name that the application has for them.
pub(super) async fn find(api: &Api, site: &Site<'_>, text: &str) -> Result<proto::User, Refusal> {
    let unknown = |head: &Head| said(head, 404, "user_not_found", "there is no user with this id");
    if text.is_empty() {
        return Err(unknown(site.head()));
    }
    if let Some(id) = id_form::parse_stytch("user", text) {
        let request = GetUserRequest { user_id: id_form::canonical("user", id) };
        let user = api.users.clone().get_user(site.call(request)).await?.into_inner().user;
        return Ok(user.unwrap_or_default());
    }
    let request =
        ListUsersRequest { identifier: Some(Identifier::ExternalId(text.to_owned())), ..ListUsersRequest::default() };
    let users = api.users.clone().list_users(site.call(request)).await?.into_inner().users;
    users.into_iter().next().ok_or_else(|| unknown(site.head()))
}

/// `POST /v1/users`.
pub(super) async fn create(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let (head, site) = (&incoming.head, Site::back_end(incoming)?);
    let body: Create = incoming.json()?;
    let name = body.name.unwrap_or_default();
    let request = CreateUserRequest {
        email: filled(body.email),
        phone_number: filled(body.phone_number),
        given_name: filled(name.first_name),
        middle_name: filled(name.middle_name),
        family_name: filled(name.last_name),
        metadata: body.trusted_metadata.as_ref().map(struct_of),
        untrusted_metadata: body.untrusted_metadata.as_ref().map(struct_of),
        external_id: body.external_id,
        ..CreateUserRequest::default()
    };
    let user = api.users.clone().create_user(site.call(request)).await?.into_inner().user.unwrap_or_default();
    let user = User::from(&user);
    let body = Created {
        user_id: user.user_id.clone(),
        email_id: user.emails.first().map(|email| email.email_id.clone()).unwrap_or_default(),
        phone_id: user.phone_numbers.first().map(|phone| phone.phone_id.clone()).unwrap_or_default(),
        status: user.status,
        user,
    };
    Ok(success(head, body))
}

/// `GET /v1/users/{user_id}`: the members of the user stand at the top.
pub(super) async fn read(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let (head, site) = (&incoming.head, Site::back_end(incoming)?);
    let user = find(api, &site, head.parameter("user_id")).await?;
    Ok(success(head, User::from(&user)))
}

/// `PUT /v1/users/{user_id}`.
pub(super) async fn update(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let (head, site) = (&incoming.head, Site::back_end(incoming)?);
    let body: Update = incoming.json()?;
    let mut user = find(api, &site, head.parameter("user_id")).await?;
    let (update, paths) = body.into_update();
    if !paths.is_empty() {
        let request = UpdateUserRequest {
            user_id: user.user_id,
            user: Some(update),
            update_mask: Some(FieldMask { paths: paths.into_iter().map(str::to_owned).collect() }),
        };
        user = api.users.clone().update_user(site.call(request)).await?.into_inner().user.unwrap_or_default();
    }
    let user = User::from(&user);
    let body = Updated {
        user_id: user.user_id.clone(),
        emails: user.emails.clone(),
        phone_numbers: user.phone_numbers.clone(),
        crypto_wallets: [],
        user,
    };
    Ok(success(head, body))
}

impl Update {
    /// New values, and the names of those that were given. An empty text takes a value away; metadata are merged.
    fn into_update(self) -> (UserUpdate, Vec<&'static str>) {
        let name = self.name.unwrap_or_default();
        let given = [
            ("given_name", name.first_name.is_some()),
            ("middle_name", name.middle_name.is_some()),
            ("family_name", name.last_name.is_some()),
            ("metadata_merge", self.trusted_metadata.is_some()),
            ("untrusted_metadata_merge", self.untrusted_metadata.is_some()),
            ("external_id", self.external_id.is_some()),
        ];
        let update = UserUpdate {
            given_name: filled(name.first_name),
            middle_name: filled(name.middle_name),
            family_name: filled(name.last_name),
            metadata_merge: self.trusted_metadata.as_ref().map(struct_of),
            untrusted_metadata_merge: self.untrusted_metadata.as_ref().map(struct_of),
            external_id: filled(self.external_id),
            ..UserUpdate::default()
        };
        (update, given.into_iter().filter_map(|(path, is_given)| is_given.then_some(path)).collect())
    }
}

/// `DELETE /v1/users/{user_id}`.
pub(super) async fn delete(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let (head, site) = (&incoming.head, Site::back_end(incoming)?);
    let user_id = find(api, &site, head.parameter("user_id")).await?.user_id;
    let answer = Deleted { user_id: super::objects::id("user", &user_id) };
    api.users.clone().delete_user(site.call(DeleteUserRequest { user_id })).await?;
    Ok(success(head, answer))
}
