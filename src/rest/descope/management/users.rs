//! Users whom a back end reads, deletes, disables and signs out.

use std::collections::BTreeSet;

use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::{
    Named,
    pages::{PAGE_SIZE, check_count, read},
};
use crate::{
    proto::{
        DeleteUserRequest, DisableUserRequest, EnableUserRequest, ListUsersRequest, RevokeAllSessionsRequest, User,
        UserFilter,
    },
    rest::{
        api::Api,
        descope::{
            body::body,
            caller::Caller,
            refusals::said,
            user::{UserObject, canonical_id},
        },
        failure::Refusal,
        incoming::Incoming,
        reply::Reply,
    },
};

fn one(user: User) -> Reply {
    Reply::json(StatusCode::OK, &json!({ "user": UserObject::from(user) }))
}

fn nothing() -> Reply {
    Reply::json(StatusCode::OK, &json!({}))
}

/// `GET /v1/mgmt/user` (contract, section 8).
pub(in crate::rest::descope) async fn load(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let authorization = Caller::of(&incoming.head)?.management()?;
    let asked = |name: &str| incoming.head.query(name).unwrap_or_default().to_owned();
    let login_id = Some(asked("loginId")).filter(|id| !id.is_empty()).unwrap_or_else(|| asked("identifier"));
    let named = Named { login_id, user_id: asked("userId") };
    Ok(one(named.find(api, incoming, &authorization).await?))
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct LoadSeveral {
    user_ids: Vec<String>,
}

/// `POST /v1/mgmt/users/load` (contract, section 8). Ids of nobody are left out, whatever `includeInvalidUsers` says: there is nothing to tell of them.
pub(in crate::rest::descope) async fn load_several(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let authorization = Caller::of(&incoming.head)?.management()?;
    let LoadSeveral { user_ids } = body(incoming)?;
    check_count("the number of userIds", user_ids.len())?;
    // In two lists of ids one user would be found twice.
    let user_ids: BTreeSet<_> = user_ids.iter().filter_map(|id| canonical_id(id)).collect();
    let user_ids: Vec<_> = user_ids.into_iter().collect();
    let mut users = Vec::new();
    for some in user_ids.chunks(PAGE_SIZE) {
        let filter = Some(UserFilter { user_ids: some.to_vec(), ..UserFilter::default() });
        let request = ListUsersRequest { filter, ..ListUsersRequest::default() };
        users.extend(read(api, incoming, &authorization, request, some.len()).await?.users);
    }
    let users: Vec<_> = users.into_iter().map(UserObject::from).collect();
    Ok(Reply::json(StatusCode::OK, &json!({ "total": users.len(), "users": users })))
}

/// `POST /v1/mgmt/user/delete` (contract, section 8).
pub(in crate::rest::descope) async fn delete(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let authorization = Caller::of(&incoming.head)?.management()?;
    let user_id = body::<Named>(incoming)?.find(api, incoming, &authorization).await?.user_id;
    api.users.clone().delete_user(incoming.call(&authorization, DeleteUserRequest { user_id })).await?;
    Ok(nothing())
}

/// `POST /v1/mgmt/user/logout` (contract, section 8): ends every session of the user; there is only one type of them, so that `sessionTypes` chooses nothing.
pub(in crate::rest::descope) async fn log_out(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let authorization = Caller::of(&incoming.head)?.management()?;
    let user_id = body::<Named>(incoming)?.find(api, incoming, &authorization).await?.user_id;
    let request = RevokeAllSessionsRequest { user_id, ..RevokeAllSessionsRequest::default() };
    api.sessions.clone().revoke_all_sessions(incoming.call(&authorization, request)).await?;
    Ok(nothing())
}

#[derive(Deserialize)]
struct NewStatus {
    #[serde(flatten)]
    named: Named,
    #[serde(default)]
    status: String,
}

/// `POST /v1/mgmt/user/update/status` (contract, section 8).
pub(in crate::rest::descope) async fn update_status(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let authorization = Caller::of(&incoming.head)?.management()?;
    let NewStatus { named, status } = body(incoming)?;
    let is_enabled = match status.as_str() {
        "enabled" => true,
        "disabled" => false,
        _ => return Err(said(StatusCode::BAD_REQUEST, "E011004", "status must be enabled or disabled").into()),
    };
    let user_id = named.find(api, incoming, &authorization).await?.user_id;
    let mut users = api.users.clone();
    let user = if is_enabled {
        users.enable_user(incoming.call(&authorization, EnableUserRequest { user_id })).await?.into_inner().user
    } else {
        users.disable_user(incoming.call(&authorization, DisableUserRequest { user_id })).await?.into_inner().user
    };
    Ok(one(user.unwrap_or_default()))
}
