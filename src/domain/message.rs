//! Mails to users, before they have words.

use serde::{Deserialize, Serialize};

use super::id::{MailId, ProjectId};
use crate::clock::Timestamp;

/// What a mail says. Holds secrets: it is stored only encrypted, and has no `Debug` that shows them.
#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Message {
    /// The code that verifies an email address.
    EmailVerificationCode {
        /// Six digits.
        code: String,
        /// Name of the project.
        project_name: String,
        /// How long the code is good, in minutes.
        valid_minutes: i64,
        /// BCP 47 tag of the reader's language.
        locale: Option<String>,
    },
    /// The code that sets a new password.
    PasswordResetCode {
        /// Eight digits.
        code: String,
        /// Name of the project.
        project_name: String,
        /// How long the code is good, in minutes.
        valid_minutes: i64,
        /// BCP 47 tag of the reader's language.
        locale: Option<String>,
    },
    /// The link to the page that sets a new password.
    PasswordResetLink {
        /// Where to go. Holds the token.
        link: String,
        /// Name of the project.
        project_name: String,
        /// How long the link is good, in minutes.
        valid_minutes: i64,
        /// BCP 47 tag of the reader's language.
        locale: Option<String>,
    },
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::EmailVerificationCode { .. } => f.write_str("EmailVerificationCode"),
            Self::PasswordResetCode { .. } => f.write_str("PasswordResetCode"),
            Self::PasswordResetLink { .. } => f.write_str("PasswordResetLink"),
        }
    }
}

/// What became of a mail.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PostedMail {
    /// Where it goes.
    pub recipient: String,
    /// How often it was tried.
    pub attempts: i32,
    /// When it is tried next; none once it is finished.
    pub next_attempt_at: Option<Timestamp>,
    /// When the mail server took it.
    pub sent_at: Option<Timestamp>,
    /// When it was given up.
    pub given_up_at: Option<Timestamp>,
    /// What went wrong last.
    pub last_error: Option<String>,
}

/// A mail in the outbox that is due.
#[derive(Clone, Debug)]
pub struct DueMail {
    /// Id; also makes the `Message-ID`, so that a mail sent twice can be recognised.
    pub id: MailId,
    /// Project it belongs to.
    pub project_id: ProjectId,
    /// Address to send to.
    pub recipient: String,
    /// The [`Message`] as JSON, encrypted under the master key.
    pub sealed: Vec<u8>,
    /// How often it has been tried, this time included.
    pub attempts: i32,
    /// Pointless from then on.
    pub expires_at: Timestamp,
    /// The trace of the request that it comes from, as a `traceparent` (W3C Trace Context).
    pub traceparent: Option<String>,
}
