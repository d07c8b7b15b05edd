//! Reading, listing and deleting users (contract section 5).

use http::StatusCode;

use super::{
    credentials,
    object::User,
    paging::{self, Paging},
    refusal,
};
use crate::{
    proto::{DeleteUserRequest, GetUserRequest, ListUsersRequest, list_users_request::Identifier},
    rest::{api::Api, failure::Refusal, incoming::Incoming, reply::Reply},
};

/// `GET /user_management/users/{id}` (contract section 5).
pub(super) async fn get(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let user_id = incoming.head.parameter("id").to_owned();
    let request = incoming.call(&credentials::of_api_key(&incoming.head), GetUserRequest { user_id });
    let user = api.users.clone().get_user(request).await?.into_inner().user.unwrap_or_default();
    Ok(Reply::json(StatusCode::OK, &User::from(user)))
}

/// `GET /user_management/users/external_id/{external_id}` (contract section 5).
pub(super) async fn by_external_id(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let external_id = incoming.head.parameter("external_id");
    let identifier = Some(Identifier::ExternalId(external_id.to_owned()));
    let message = ListUsersRequest { identifier, page_size: 1, ..Default::default() };
    let request = incoming.call(&credentials::of_api_key(&incoming.head), message);
    let found = api.users.clone().list_users(request).await?.into_inner().users;
    let user = found.into_iter().next().ok_or_else(|| refusal::no_user(external_id))?;
    Ok(Reply::json(StatusCode::OK, &User::from(user)))
}

/// `GET /user_management/users` (contract sections 3 and 5).
pub(super) async fn list(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let head = &incoming.head;
    let paging = Paging::of(head)?;
    let mut message = ListUsersRequest {
        page_size: paging.limit,
        order: paging.order.into(),
        after_user_id: paging.after.clone().unwrap_or_default(),
        before_user_id: paging.before.clone().unwrap_or_default(),
        ..Default::default()
    };
    // At most one user has an address: there is nothing to leaf through.
    if let Some(email) = head.query("email") {
        let identifier = Some(Identifier::Email(email.to_owned()));
        message = ListUsersRequest { page_size: paging.limit, identifier, ..Default::default() };
    }
    let request = incoming.call(&credentials::of_api_key(head), message);
    let answer = api.users.clone().list_users(request).await?.into_inner();
    if ["organization_id", "organization"].into_iter().any(|name| head.query(name).is_some()) {
        // The API knows no organizations, so nobody belongs to one.
        return Ok(paging::none());
    }
    let users: Vec<_> = answer.users.into_iter().map(User::from).collect();
    Ok(paging.reply(&users, |user| &user.id, !answer.next_page_token.is_empty()))
}

/// `DELETE /user_management/users/{id}` (contract section 5).
pub(super) async fn delete(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let user_id = incoming.head.parameter("id").to_owned();
    let request = incoming.call(&credentials::of_api_key(&incoming.head), DeleteUserRequest { user_id });
    api.users.clone().delete_user(request).await?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}
