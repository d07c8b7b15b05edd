//! Secrets at work: the master key, opaque tokens, password hashes and their lane, signing keys and JWTs.

pub mod argon2_kernel;
pub mod device_token;
pub mod event_cursor;
pub mod hash_lane;
pub mod json_web_key;
pub mod jwt;
pub mod key_certificate;
pub mod master_key;
pub mod password_hash;
pub mod project_keys;
pub mod refresh_token;
pub mod secret_token;
pub mod signing_key;
