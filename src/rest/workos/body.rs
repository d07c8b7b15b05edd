//! What bodies have in common.

use serde::{Deserialize, Deserializer};

use super::refusal;
use crate::{proto::ClientContext, rest::failure::Refusal};

/// A member that has to be there; null counts as absent.
pub(super) fn required(name: &str, value: Option<String>) -> Result<String, Refusal> {
    value.ok_or_else(|| refusal::invalid(&format!("{name}_string_required"), &format!("{name} must be a string")))
}

/// The end user's connection, as a back end tells it. Never that of the caller itself.
pub(super) fn context(ip_address: Option<String>, user_agent: Option<String>) -> Option<ClientContext> {
    let context = ClientContext {
        ip_address: ip_address.unwrap_or_default(),
        user_agent: user_agent.unwrap_or_default(),
        device_token: String::new(),
    };
    (context != ClientContext::default()).then_some(context)
}

/// Tells null from absent: `Some(None)` is null. Use with `default`.
pub(super) fn nullable<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Some)
}
