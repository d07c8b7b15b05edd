//! Sessions (contract section 5).

use http::{StatusCode, header};
use serde_json::json;

use super::{body::Body, credentials, object::Session, paging::Paging, refusal};
use crate::{
    proto::{EndSessionRequest, ListSessionsRequest, RevokeSessionRequest},
    rest::{api::Api, failure::Refusal, incoming::Incoming, reply::Reply},
};

/// `GET /user_management/users/{id}/sessions` (contract section 5): those that are live.
pub(super) async fn list(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let paging = Paging::of(&incoming.head)?;
    let message = ListSessionsRequest {
        user_id: incoming.head.parameter("id").to_owned(),
        page_size: paging.limit,
        order: paging.order.into(),
        after_session_id: paging.after.clone().unwrap_or_default(),
        before_session_id: paging.before.clone().unwrap_or_default(),
        ..Default::default()
    };
    let request = incoming.call(&credentials::of_api_key(&incoming.head), message);
    let answer = api.sessions.clone().list_sessions(request).await?.into_inner();
    let sessions: Vec<_> = answer.sessions.into_iter().map(Session::from).collect();
    Ok(paging.reply(&sessions, |session| &session.id, !answer.next_page_token.is_empty()))
}

/// `POST /user_management/sessions/revoke` (contract section 5). Answers with nothing at all: an empty body that calls itself JSON is more than some libraries can take.
pub(super) async fn revoke(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let session_id = Body::of(incoming)?.needed("session_id")?;
    let message = RevokeSessionRequest { session_id: session_id.clone() };
    let request = incoming.call(&credentials::of_api_key(&incoming.head), message);
    let answer = api.sessions.clone().revoke_session(request).await;
    answer.map_err(refusal::about(&incoming.head, &session_id))?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

/// `GET /user_management/sessions/logout` (contract section 5): where applications send the browser to sign out; it carries no credentials.
pub(super) async fn logout(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let session_id = incoming.head.query("session_id").map(str::to_owned);
    let session_id =
        session_id.ok_or_else(|| refusal::invalid("session_id_string_required", "session_id must be given."))?;
    let return_to = incoming.head.query("return_to").unwrap_or_default().to_owned();
    let request = incoming.call("", EndSessionRequest { session_id: session_id.clone(), return_to });
    let answer = api.auth.clone().end_session(request).await;
    let url = answer.map_err(refusal::about(&incoming.head, &session_id))?.into_inner().redirect_url;
    if url.is_empty() {
        return Ok(Reply::json(StatusCode::OK, &json!({ "message": "Signed out." })));
    }
    Ok(Reply::empty(StatusCode::FOUND).with(header::LOCATION, &url))
}
