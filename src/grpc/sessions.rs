//! `SessionService`.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::respond::{answer, open};
use crate::{
    proto::{
        GetSessionRequest, GetSessionResponse, ListSessionsRequest, ListSessionsResponse, RevokeAllSessionsRequest,
        RevokeAllSessionsResponse, RevokeSessionRequest, RevokeSessionResponse, session_service_server::SessionService,
    },
    usecase::{Error, Services},
};

pub(super) struct SessionApi(pub(super) Arc<Services>);

#[tonic::async_trait]
impl SessionService for SessionApi {
    async fn get_session(&self, request: Request<GetSessionRequest>) -> Result<Response<GetSessionResponse>, Status> {
        let (call, _) = open(request);
        answer(&call, async { Err(Error::NotSupported("")) }).await
    }

    async fn list_sessions(
        &self,
        request: Request<ListSessionsRequest>,
    ) -> Result<Response<ListSessionsResponse>, Status> {
        let (call, _) = open(request);
        answer(&call, async { Err(Error::NotSupported("")) }).await
    }

    async fn revoke_session(
        &self,
        request: Request<RevokeSessionRequest>,
    ) -> Result<Response<RevokeSessionResponse>, Status> {
        let (call, _) = open(request);
        answer(&call, async { Err(Error::NotSupported("")) }).await
    }

    async fn revoke_all_sessions(
        &self,
        request: Request<RevokeAllSessionsRequest>,
    ) -> Result<Response<RevokeAllSessionsResponse>, Status> {
        let (call, _) = open(request);
        answer(&call, async { Err(Error::NotSupported("")) }).await
    }
}
