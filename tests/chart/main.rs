//! The chart of Helm: what it renders, what it refuses, and whether Kubernetes and the binary take it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../cli/process.rs"]
#[expect(dead_code, reason = "shared with the tests of the command line, which use more of it")]
mod process;

mod api_server;
mod chart;

mod eyes;
mod migrations;
mod network;
mod pods;
mod refusals;
mod running;
mod secrets;
mod settings;
mod sqlite;
mod validity;
