//! The sessions of a user (contract, section 5.4).

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{call, given, refusal};
use crate::{
    proto::{ListSessionsRequest, RevokeAllSessionsRequest, Session, SignOutRequest, sign_out_request::Credential},
    rest::{
        all_sessions::all_sessions, api::Api, failure::Refusal, incoming::Incoming, reply::Reply, value::rfc3339_millis,
    },
};

/// A session in a list.
#[derive(Serialize)]
struct Listed {
    session_id: String,
    start_time: Option<String>,
    expiration_time: Option<String>,
    /// In the older list only.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
}

/// Body of `POST /v1/auth/session/logout`.
#[derive(Deserialize)]
struct LogOut {
    session_id: Option<String>,
}

/// `POST /v1/auth/session/logout`: also of a session that is over, or that nobody knows.
pub(super) async fn log_out(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let body: LogOut = incoming.json()?;
    let Some(session_id) = given(body.session_id) else {
        return Err(refusal::field(&incoming.head, "session_id", "is missing"));
    };
    let request = SignOutRequest { credential: Some(Credential::SessionId(session_id)), ..SignOutRequest::default() };
    match api.auth.clone().sign_out(call(incoming, request)).await {
        Ok(_) => Ok(Reply::empty(StatusCode::NO_CONTENT)),
        Err(status) => match Refusal::from(status) {
            Refusal::Api(failure) if failure.names("session_id") => Ok(Reply::empty(StatusCode::NO_CONTENT)),
            refusal => Err(refusal),
        },
    }
}

/// `GET /v1/auth/users/{user_id}/sessions`.
pub(super) async fn list(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let sessions = of_user(api, incoming).await?;
    Ok(Reply::json(StatusCode::OK, &sessions.into_iter().map(listed).collect::<Vec<_>>()))
}

/// `GET /v1/sessions/{user_id}`: the older list, which also says whose they are.
pub(super) async fn list_with_owner(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let sessions = of_user(api, incoming).await?.into_iter().map(|session| {
        let (user_id, client_id) = (Some(session.user_id.clone()), Some(session.client_id.clone()));
        Listed { user_id, client_id, ..listed(session) }
    });
    Ok(Reply::json(StatusCode::OK, &sessions.collect::<Vec<_>>()))
}

fn listed(session: Session) -> Listed {
    Listed {
        session_id: session.session_id,
        start_time: session.created_at.as_ref().map(rfc3339_millis),
        expiration_time: session.idle_expires_at.as_ref().map(rfc3339_millis),
        user_id: None,
        client_id: None,
    }
}

async fn of_user(api: &Api, incoming: &Incoming) -> Result<Vec<Session>, Refusal> {
    let user_id = incoming.head.parameter("user_id").to_owned();
    let wanted = ListSessionsRequest { user_id, ..ListSessionsRequest::default() };
    all_sessions(api, wanted, |message| call(incoming, message)).await
}

/// `DELETE /v1/auth/users/{user_id}/sessions`.
pub(super) async fn revoke_all(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    end_all(api, incoming).await.map(|_| Reply::empty(StatusCode::NO_CONTENT))
}

/// `DELETE /v1/sessions/{user_id}`: the older one, which says how many they were.
pub(super) async fn delete_all(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let count = end_all(api, incoming).await?;
    Ok(Reply::json(StatusCode::OK, &json!({ "result": { "deleted_count": count } })))
}

async fn end_all(api: &Api, incoming: &Incoming) -> Result<i32, Refusal> {
    let user_id = incoming.head.parameter("user_id").to_owned();
    let request = RevokeAllSessionsRequest { user_id, ..RevokeAllSessionsRequest::default() };
    Ok(api.sessions.clone().revoke_all_sessions(call(incoming, request)).await?.into_inner().revoked_sessions)
}
