//! The clients of the gRPC API.

use super::upstream::Upstream;
use crate::proto::{
    auth_service_client::AuthServiceClient, project_service_client::ProjectServiceClient,
    session_service_client::SessionServiceClient, user_service_client::UserServiceClient,
};

/// The gRPC API, to be called by the handlers. A client is cloned for each call: that is what they are made for.
#[derive(Clone)]
pub(super) struct Api {
    pub(super) auth: AuthServiceClient<Upstream>,
    pub(super) users: UserServiceClient<Upstream>,
    pub(super) sessions: SessionServiceClient<Upstream>,
    pub(super) projects: ProjectServiceClient<Upstream>,
    /// The project whose keys lie at the root; empty for the only one there is.
    pub(super) default_project: String,
    /// For calls whose messages are only known by their descriptors.
    pub(super) upstream: Upstream,
}

impl Api {
    pub(super) fn new(upstream: Upstream, default_project: String) -> Self {
        Self {
            auth: AuthServiceClient::new(upstream.clone()),
            users: UserServiceClient::new(upstream.clone()),
            sessions: SessionServiceClient::new(upstream.clone()),
            projects: ProjectServiceClient::new(upstream.clone()),
            default_project,
            upstream,
        }
    }
}
