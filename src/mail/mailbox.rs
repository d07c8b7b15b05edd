//! The last mails, kept in memory: for `signet dev` and for tests.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use chrono::SecondsFormat;
use serde::Serialize;

use super::transport::OutgoingMail;

/// How many mails are kept.
pub const KEPT_MAX: usize = 50;

/// The last mails that were sent by the terminal transport. Clones show the same mails.
#[derive(Clone, Default)]
pub struct Mailbox {
    kept: Arc<Mutex<VecDeque<KeptMail>>>,
}

/// A mail that was sent.
#[derive(Clone, Serialize)]
pub struct KeptMail {
    /// Id of the mail.
    pub id: String,
    /// Address it was sent to.
    pub to: String,
    /// Subject.
    pub subject: String,
    /// The plain text.
    pub text: String,
    /// The HTML document.
    pub html: String,
    /// The code it is about, if any.
    pub code: Option<String>,
    /// The link it is about, if any.
    pub link: Option<String>,
    /// When it was sent, RFC 3339, UTC.
    pub sent_at: String,
}

impl Mailbox {
    /// The last mails, newest first.
    pub fn recent(&self) -> Vec<KeptMail> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).iter().rev().cloned().collect()
    }

    /// The newest mail to an address.
    pub fn last_to(&self, recipient: &str) -> Option<KeptMail> {
        self.recent().into_iter().find(|mail| mail.to == recipient)
    }

    pub(super) fn keep(&self, mail: &OutgoingMail) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT_MAX {
            kept.pop_front();
        }
        kept.push_back(KeptMail {
            id: mail.id.to_string(),
            to: mail.recipient.clone(),
            subject: mail.content.subject.clone(),
            text: mail.content.text.clone(),
            html: mail.content.html.clone(),
            code: mail.content.code.clone(),
            link: mail.content.link.clone(),
            sent_at: mail.sent_at.to_rfc3339_opts(SecondsFormat::AutoSi, true),
        });
    }
}
