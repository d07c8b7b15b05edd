//! The store on real databases, each test on both engines.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod availability;
mod cancellation;
mod challenges;
mod corruption;
mod credentials;
mod events;
mod idempotent_calls;
mod isolation;
mod migrations;
mod outbox;
mod plans;
mod round_trips;
mod sealed_values;
mod sessions;
mod sqlite;
mod support;
mod throttles;
mod unit_of_work;
mod users;
