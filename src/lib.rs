//! Signet, a self-hosted authentication service. This is the map of the house; `ARCHITECTURE.md` is the guide.
//!
//! Arrows run one way: `domain` <- `crypto` <- `store` <- `mail` <- `usecase` <- `grpc` <- `rest` <- `app` <- `cli`.
//! `tests/contract/arrows.rs` fails on one that runs back.

/// The parts of the service, built and run.
pub mod app;
/// The command line.
pub mod cli;
/// The time of day, injected.
pub mod clock;
/// The settings.
pub mod config;
/// Secrets at work: master key, tokens, password hashes and their lane, signing keys.
pub mod crypto;
/// What the service is about: pure types, parsing and state.
pub mod domain;
/// Every reason of the API with its gRPC code, HTTP status and text.
pub mod error;
/// The gRPC API: parse, call the use case, convert.
pub mod grpc;
/// The forms in which ids are shown.
pub mod id_form;
/// JSON objects as messages hold them.
pub mod json_struct;
/// Starting and stopping.
pub mod lifecycle;
/// A listener of HTTP: its bounds and its stop.
pub mod listener;
/// Mails: their words, their way out, and the worker that sends what the outbox holds.
pub mod mail;
/// What the service counts.
pub mod metrics;
/// The operations listener: health and metrics.
pub mod ops;
/// The generated code of `proto/`.
pub mod proto;
/// Randomness, injected.
pub mod random;
/// The id of a request, in both directions.
pub mod request_id;
/// The REST listener: a client of the gRPC API.
pub mod rest;
/// The database: one unit of work per request.
pub mod store;
/// Logs and traces.
pub mod telemetry;
/// The trace a caller is part of.
pub mod trace_context;
/// What the service does, one operation a file.
pub mod usecase;
