//! The clients of the gRPC API.

use super::upstream::Upstream;
use crate::proto::{
    auth_service_client::AuthServiceClient, session_service_client::SessionServiceClient,
    user_service_client::UserServiceClient,
};

/// Largest message that is taken from the gRPC API, or sent there. A page of 100 users may hold 2 × 16 KiB of JSON for each, which a
/// `Struct` makes up to six times as large; what a request may hold is bounded by the listener, and by the API itself.
pub(super) const MESSAGE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// A client with room for the largest messages.
macro_rules! client {
    ($client:ident, $upstream:expr) => {
        $client::new($upstream.clone())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    };
}

/// The gRPC API, to be called by the handlers. A client is cloned for each call: that is what they are made for.
#[derive(Clone)]
pub(super) struct Api {
    pub(super) auth: AuthServiceClient<Upstream>,
    pub(super) users: UserServiceClient<Upstream>,
    pub(super) sessions: SessionServiceClient<Upstream>,
    /// The project whose keys lie at the root; empty for the only one there is.
    pub(super) default_project: String,
    /// For calls whose messages are only known by their descriptors.
    pub(super) upstream: Upstream,
}

impl Api {
    pub(super) fn new(upstream: Upstream, default_project: String) -> Self {
        Self {
            auth: client!(AuthServiceClient, upstream),
            users: client!(UserServiceClient, upstream),
            sessions: client!(SessionServiceClient, upstream),
            default_project,
            upstream,
        }
    }
}
