//! Mails leave the house: over SMTP to a foreign mail server, to the terminal, and out of the outbox.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod certificates;
mod outbox;
mod smtp;
mod terminal;
mod worker;

use signet::{
    clock::Clock,
    domain::{id::MailId, message::Message},
    mail::{template, transport::OutgoingMail},
    random::Random,
};

/// The code in the mails of these tests.
const CODE: &str = "271828";

fn message_of(project_name: &str) -> Message {
    Message::EmailVerificationCode {
        code: CODE.to_owned(),
        project_name: project_name.to_owned(),
        valid_minutes: 10,
        locale: None,
    }
}

fn mail_of(project_name: &str, recipient: &str) -> OutgoingMail {
    let now = Clock::System.now();
    OutgoingMail {
        id: MailId::generate(now, &Random::System),
        recipient: recipient.to_owned(),
        sent_at: now,
        content: template::render(&message_of(project_name)),
    }
}
