//! The gRPC API, called in process through all of its layers, on SQLite and PostgreSQL.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bad_input;
mod bounds;
mod caller;
mod client_token;
mod counters;
mod duplicates;
mod email_verification;
mod forgery;
mod garbage;
mod guessing;
mod isolation;
mod key_rotation;
mod keys;
mod known_devices;
mod layers;
mod observed;
mod operators;
mod password_reset;
mod password_reset_abuse;
mod projects;
mod refresh;
mod refresh_ends;
mod session_renewal;
mod session_service;
mod sessions;
mod sign_in;
mod statements;
mod support;
mod sweep;
mod together;
mod token_profiles;
mod transport;
mod users;
mod worthless;
