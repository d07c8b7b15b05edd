//! Mails: their words and their way out.

pub mod mailbox;
pub mod smtp;
pub mod template;
pub mod transport;
