//! The tables as sea-orm sees them. Private to the store: outside of it there are only domain types.

pub(super) mod challenge;
pub(super) mod client;
pub(super) mod client_secret;
pub(super) mod credential;
pub(super) mod event;
pub(super) mod event_stream;
pub(super) mod idempotent_call;
pub(super) mod identifier;
pub(super) mod mail;
pub(super) mod operator;
pub(super) mod project;
pub(super) mod session;
pub(super) mod signing_key;
pub(super) mod throttle;
pub(super) mod user;
