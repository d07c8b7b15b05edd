//! What an operator sees: numbers, traces, alerts and the dashboard, by the programs that read them.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod alerts;
mod collector;
mod dashboard;
mod exposition;
mod http;
mod installation;
mod known;
mod process;
mod prometheus;
mod queries;
mod reference;
mod spans;
mod traces;
