//! Generated clients with credentials, straight over the routes: no socket, no sleep.

use signet::proto::{
    auth_service_client::AuthServiceClient, event_service_client::EventServiceClient,
    project_service_client::ProjectServiceClient, session_service_client::SessionServiceClient,
    user_service_client::UserServiceClient,
};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, Routes, interceptor::InterceptedService},
};

/// Adds the credentials of a caller to each request.
#[derive(Clone)]
pub(crate) struct Credentials(Option<MetadataValue<Ascii>>);

impl Interceptor for Credentials {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(authorization) = &self.0 {
            request.metadata_mut().insert("authorization", authorization.clone());
        }
        Ok(request)
    }
}

type Authenticated = InterceptedService<Routes, Credentials>;

/// Somebody who calls.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) auth: AuthServiceClient<Authenticated>,
    pub(crate) users: UserServiceClient<Authenticated>,
    pub(crate) sessions: SessionServiceClient<Authenticated>,
    pub(crate) projects: ProjectServiceClient<Authenticated>,
    pub(crate) events: EventServiceClient<Authenticated>,
}

impl Caller {
    pub(crate) fn new(routes: Routes, authorization: Option<&str>) -> Self {
        let credentials = Credentials(authorization.map(|value| value.parse().unwrap()));
        Self {
            auth: AuthServiceClient::with_interceptor(routes.clone(), credentials.clone()),
            sessions: SessionServiceClient::with_interceptor(routes.clone(), credentials.clone()),
            users: UserServiceClient::with_interceptor(routes.clone(), credentials.clone()),
            events: EventServiceClient::with_interceptor(routes.clone(), credentials.clone()),
            projects: ProjectServiceClient::with_interceptor(routes, credentials),
        }
    }
}
