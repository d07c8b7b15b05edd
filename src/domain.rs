//! What the service is about: pure types, parsing and state. No I/O, no framework.

pub mod bucket;
pub mod caller;
pub mod challenge;
pub mod claims;
pub mod client;
pub mod client_context;
pub mod code;
pub mod event;
pub mod id;
pub mod idempotency;
pub mod identifier;
pub mod limits;
pub mod message;
mod origin;
pub mod page;
pub mod password;
pub mod project;
pub mod refresh;
pub mod session;
pub mod signing_key;
pub mod text;
pub mod throttle;
pub mod token_profile;
pub mod user;
pub mod user_filter;
pub mod violation;
