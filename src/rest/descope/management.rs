//! Calls of back ends, which show a management key (contract, section 8).

pub(super) mod create;
mod pages;
pub(super) mod passwords;
pub(super) mod search;
pub(super) mod users;

use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::{caller::Caller, refusals::said, user::canonical_id};
use crate::{
    proto::{ListUsersRequest, User, UserFilter},
    rest::{api::Api, failure::Refusal, incoming::Incoming, reply::Reply},
};

/// `GET /v1/mgmt/license` (contract, section 8), the handshake of the libraries: there is one tier, for whoever has a key.
pub(super) async fn license(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let authorization = Caller::of(&incoming.head)?.management()?;
    // Nothing is asked but whether the key is one.
    let request = ListUsersRequest { page_size: 1, ..ListUsersRequest::default() };
    api.users.clone().list_users(incoming.call(&authorization, request)).await?;
    Ok(Reply::json(StatusCode::OK, &json!({ "rateLimitTier": "tier1" })))
}

/// How a call names a user.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Named {
    login_id: String,
    user_id: String,
}

impl Named {
    /// The user of that name. The id wins over what the user is called.
    async fn find(&self, api: &Api, incoming: &Incoming, authorization: &str) -> Result<User, Refusal> {
        let mut filter = UserFilter::default();
        if self.user_id.is_empty() {
            filter.login_ids.push(self.login_id.clone());
        } else {
            filter.user_ids.push(canonical_id(&self.user_id).ok_or_else(no_such_user)?);
        }
        let request = ListUsersRequest { page_size: 1, filter: Some(filter), ..ListUsersRequest::default() };
        let answer = api.users.clone().list_users(incoming.call(authorization, request)).await?.into_inner();
        answer.users.into_iter().next().ok_or_else(no_such_user)
    }
}

fn no_such_user() -> Refusal {
    said(StatusCode::NOT_FOUND, "E112102", "no user with that id or loginId").into()
}
