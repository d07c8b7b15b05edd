//! Signet, a self-hosted authentication service. This is the map of the house; `ARCHITECTURE.md` is the guide.
//!
//! Arrows run one way: `domain` <- `crypto` <- `store` <- `mail` <- `usecase` <- `grpc` <- `rest` <- `app` <- `cli`.
//! `tests/contract/arrows.rs` fails on one that runs back.

/// The time of day, injected.
pub mod clock;
/// Secrets at work: master key, tokens, password hashes and their lane, signing keys.
pub mod crypto;
/// What the service is about: pure types, parsing and state.
pub mod domain;
/// Prometheus metrics.
pub mod metrics;
/// The generated code of `proto/`.
pub mod proto;
/// Randomness, injected.
pub mod random;
/// The database: one unit of work per request.
pub mod store;
