//! Passwords that a back end sets.

use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::Named;
use crate::{
    proto::SetPasswordRequest,
    rest::{
        api::Api,
        descope::{body::body, caller::Caller},
        failure::Refusal,
        incoming::Incoming,
        reply::Reply,
    },
};

#[derive(Deserialize)]
struct NewPassword {
    #[serde(flatten)]
    named: Named,
    #[serde(default)]
    password: String,
}

/// `POST /v1/mgmt/user/password/set` and `…/set/temporary` (contract, section 8): one that has to be replaced before the next sign-in.
pub(in crate::rest::descope) async fn set_temporary(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    set(api, incoming, true).await
}

/// `POST /v1/mgmt/user/password/set/active` (contract, section 8).
pub(in crate::rest::descope) async fn set_active(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    set(api, incoming, false).await
}

async fn set(api: &Api, incoming: &Incoming, must_change: bool) -> Result<Reply, Refusal> {
    let authorization = Caller::of(&incoming.head)?.management()?;
    let NewPassword { named, password } = body(incoming)?;
    let user_id = named.find(api, incoming, &authorization).await?.user_id;
    let request = SetPasswordRequest { user_id, password, must_change, ..SetPasswordRequest::default() };
    api.users.clone().set_password(incoming.call(&authorization, request)).await?;
    // It would hold a password that was made here. None is: the caller knows its own.
    Ok(Reply::json(StatusCode::OK, &json!({ "cleartext": "" })))
}
