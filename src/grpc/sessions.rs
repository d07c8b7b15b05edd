//! `SessionService`.

use std::sync::Arc;

use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{
    convert::{Edges, id, ordered_page, session_message},
    respond::{answer, open},
};
use crate::{
    domain::id::{SessionId, UserId},
    proto::{
        GetSessionRequest, GetSessionResponse, ListSessionsRequest, ListSessionsResponse, RevokeAllSessionsRequest,
        RevokeAllSessionsResponse, RevokeSessionRequest, RevokeSessionResponse, session_service_server::SessionService,
    },
    usecase::{
        Error, Services,
        sessions::{get_session, list_sessions, revoke_all_sessions, revoke_session},
    },
};

pub(super) struct SessionApi(pub(super) Arc<Services>);

#[tonic::async_trait]
impl SessionService for SessionApi {
    async fn get_session(&self, request: Request<GetSessionRequest>) -> Result<Response<GetSessionResponse>, Status> {
        let (call, body) = open(request);
        let operation = async {
            let session_id = id("session_id", &body.session_id, SessionId::parse)?;
            let session = get_session(&self.0, &call, session_id).await?;
            Ok(GetSessionResponse { session: Some(session_message(session)) })
        };
        answer(&call, operation).await
    }

    async fn list_sessions(
        &self,
        request: Request<ListSessionsRequest>,
    ) -> Result<Response<ListSessionsResponse>, Status> {
        let (call, body) = open(request);
        let operation = async {
            let user_id = id("user_id", &body.user_id, UserId::parse)?;
            let edges = Edges {
                after: ("after_session_id", edge("after_session_id", &body.after_session_id)?),
                before: ("before_session_id", edge("before_session_id", &body.before_session_id)?),
            };
            let page = ordered_page((body.page_size, &body.page_token), body.order, &edges, 0)?;
            let listed = list_sessions(&self.0, &call, user_id, page).await?.map(session_message);
            Ok(ListSessionsResponse { sessions: listed.items, next_page_token: listed.next_page_token })
        };
        answer(&call, operation).await
    }

    async fn revoke_session(
        &self,
        request: Request<RevokeSessionRequest>,
    ) -> Result<Response<RevokeSessionResponse>, Status> {
        let (call, body) = open(request);
        let operation = async {
            let session_id = id("session_id", &body.session_id, SessionId::parse)?;
            let session = revoke_session(&self.0, &call, session_id).await?;
            Ok(RevokeSessionResponse { session: Some(session_message(session)) })
        };
        answer(&call, operation).await
    }

    async fn revoke_all_sessions(
        &self,
        request: Request<RevokeAllSessionsRequest>,
    ) -> Result<Response<RevokeAllSessionsResponse>, Status> {
        let (call, body) = open(request);
        let operation = async {
            let user_id = id("user_id", &body.user_id, UserId::parse)?;
            let except = except_session(&body.except_session_id)?;
            let ended = revoke_all_sessions(&self.0, &call, user_id, except).await?;
            Ok(RevokeAllSessionsResponse { revoked_sessions: i32::try_from(ended).unwrap_or(i32::MAX) })
        };
        answer(&call, operation).await
    }
}

/// Reads the id of a session that a page lies next to; empty for none.
fn edge(field: &str, text: &str) -> Result<Option<Uuid>, Error> {
    (!text.is_empty()).then(|| id(field, text, SessionId::parse).map(Uuid::from)).transpose()
}

/// Reads the id of a session that shall go on; empty for none.
pub(super) fn except_session(text: &str) -> Result<Option<SessionId>, Error> {
    (!text.is_empty()).then(|| id("except_session_id", text, SessionId::parse)).transpose()
}
