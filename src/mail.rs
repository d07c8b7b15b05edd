//! Mails: their words, their way out, and the worker that sends what the outbox holds.
//!
//! A use case puts a [`Message`](crate::domain::message::Message) into the outbox, in its own transaction, and calls the
//! [`OutboxWorker`](worker::OutboxWorker), which gives it words ([`template`]) and hands it to the configured
//! [`Transport`](transport::Transport).

pub mod mailbox;
pub mod smtp;
pub mod template;
pub mod transport;
pub mod worker;
