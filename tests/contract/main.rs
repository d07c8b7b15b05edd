//! What the source, the proto and the documents promise each other. No database, no server.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod arrows;
mod compatibility;
mod errors;
mod events;
mod figures;
mod limits;
mod proto;
mod references;
mod shape;
mod sources;
