//! The end user's connection.

use serde::Deserialize;

use crate::proto::ClientContext;

/// What a back end says of it. Other members are ignored.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Attributes {
    ip_address: Option<String>,
    user_agent: Option<String>,
}

impl From<Attributes> for ClientContext {
    fn from(attributes: Attributes) -> Self {
        Self {
            ip_address: attributes.ip_address.unwrap_or_default(),
            user_agent: attributes.user_agent.unwrap_or_default(),
            device_token: String::new(),
        }
    }
}
