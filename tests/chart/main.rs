//! The chart of Helm: what it renders, what it refuses, and whether Kubernetes and the binary take it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod api_server;
mod chart;
mod eyes;
mod manual;
mod migrations;
mod network;
mod notes;
mod pods;
mod refusals;
mod running;
mod secrets;
mod settings;
mod sqlite;
mod validity;
