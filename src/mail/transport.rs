//! The ways a mail can go out.

use std::{
    fmt,
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::{mailbox::Mailbox, smtp::SmtpTransport, template::RenderedMail};
use crate::{clock::Timestamp, domain::id::MailId};

/// A mail on its way to one address.
#[derive(Clone)]
pub struct OutgoingMail {
    /// Id; makes the `Message-ID`, the same at each try.
    pub id: MailId,
    /// Address to send to.
    pub recipient: String,
    /// What the `Date` says.
    pub sent_at: Timestamp,
    /// Its words.
    pub content: RenderedMail,
}

impl fmt::Debug for OutgoingMail {
    /// Leaves out the address, which is personal data, and the words, which are secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutgoingMail").field("id", &self.id).finish_non_exhaustive()
    }
}

/// How mails go out.
#[derive(Clone)]
pub enum Transport {
    /// Not at all: mails wait in the outbox until they expire, so that one who configures SMTP in time loses none.
    None,
    /// To a mail server.
    Smtp(SmtpTransport),
    /// To the terminal, for `signet dev`.
    Terminal(TerminalTransport),
}

impl Transport {
    /// Sends a mail. Once it returns `Ok`, the mail is in other hands.
    pub async fn send(&self, mail: &OutgoingMail) -> Result<(), SendError> {
        match self {
            Self::None => Err(SendError::NotConfigured),
            Self::Smtp(smtp) => smtp.send(mail).await,
            Self::Terminal(terminal) => terminal.send(mail),
        }
    }

    /// The longest that [`Transport::send`] takes. Whoever claims a mail claims it for longer than this.
    pub fn send_duration_max(&self) -> Duration {
        match self {
            Self::None | Self::Terminal(_) => Duration::ZERO,
            Self::Smtp(smtp) => smtp.send_duration_max(),
        }
    }

    /// Closes connections that nobody has used for a while. To be called now and then.
    pub async fn close_idle(&self) {
        if let Self::Smtp(smtp) = self {
            smtp.close_idle().await;
        }
    }

    /// Closes all connections that are not in use.
    pub async fn close(&self) {
        if let Self::Smtp(smtp) = self {
            smtp.close().await;
        }
    }
}

/// A mail could not be sent. The texts hold nothing of the mail: no word that a mail server says in free text is kept, as it
/// may quote the mail or name the recipient.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The mail server cannot be reached, its certificate is not trusted, or the connection broke.
    #[error("the mail server cannot be reached: {0}")]
    Connection(lettre::transport::smtp::Error),
    /// The mail server does not let us in, whatever the mail.
    #[error("the mail server turned us away: {0}")]
    NotAdmitted(SmtpReply),
    /// No transport is configured.
    #[error("no way to send mails is configured")]
    NotConfigured,
    /// The mail server offers no way to sign in that we know.
    #[error("the mail server offers neither AUTH PLAIN nor AUTH LOGIN, but the SMTP URL holds a password")]
    NoSignIn,
    /// The mail server does not offer STARTTLS.
    #[error("the mail server does not offer STARTTLS, which the SMTP URL requires")]
    NoStartTls,
    /// The mail server said what is not SMTP.
    #[error("the mail server does not speak SMTP as it should")]
    Protocol,
    /// The mail server may take the mail later.
    #[error("the mail server put the mail off: {0}")]
    PutOff(SmtpReply),
    /// The recipient is no address that a mail can be sent to.
    #[error("the recipient is not an address of SMTP")]
    Recipient,
    /// The mail server refused the mail for good.
    #[error("the mail server refused the mail: {0}")]
    Refused(SmtpReply),
    /// The mail server did not accept our user name and password.
    #[error("the mail server did not accept the user name and password of the SMTP URL: {0}")]
    SignIn(SmtpReply),
    /// The terminal cannot be written to.
    #[error("cannot write to the terminal: {0}")]
    Terminal(io::Error),
    /// The mail server took too long.
    #[error("the mail server did not answer within {} seconds", .0.as_secs_f64())]
    Timeout(Duration),
    /// The address needs SMTPUTF8 (RFC 6531), which the mail server does not offer.
    #[error("the mail server takes no address with letters beyond ASCII")]
    UnsupportedAddress,
}

impl SendError {
    /// True if trying again cannot help, because it is this mail that is refused. Trouble with the server or with our own
    /// settings is never permanent: it heals, and the mail then goes out if it has not expired.
    pub const fn is_permanent(&self) -> bool {
        match self {
            Self::Recipient | Self::Refused(_) | Self::UnsupportedAddress => true,
            Self::Connection(_)
            | Self::NoSignIn
            | Self::NoStartTls
            | Self::NotAdmitted(_)
            | Self::NotConfigured
            | Self::Protocol
            | Self::PutOff(_)
            | Self::SignIn(_)
            | Self::Terminal(_)
            | Self::Timeout(_) => false,
        }
    }
}

/// The machine-readable part of a mail server's answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SmtpReply {
    /// Reply code (RFC 5321, section 4.2).
    pub code: u16,
    /// Class, subject and detail (RFC 3463), if the server gave them.
    pub enhanced: Option<[u16; 3]>,
}

impl fmt::Display for SmtpReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.enhanced {
            Some([class, subject, detail]) => write!(f, "{} {class}.{subject}.{detail}", self.code),
            None => write!(f, "{}", self.code),
        }
    }
}

/// Writes mails to the terminal and keeps the last ones.
#[derive(Clone)]
pub struct TerminalTransport {
    mailbox: Mailbox,
    sink: Arc<Mutex<dyn Write + Send>>,
}

impl TerminalTransport {
    /// Writes to standard error.
    pub fn new(mailbox: Mailbox) -> Self {
        Self::with_sink(mailbox, io::stderr())
    }

    /// Writes to `sink`.
    pub fn with_sink(mailbox: Mailbox, sink: impl Write + Send + 'static) -> Self {
        Self { mailbox, sink: Arc::new(Mutex::new(sink)) }
    }

    fn send(&self, mail: &OutgoingMail) -> Result<(), SendError> {
        let mut page = format!("\n┌── Mail to {}\n", printable(&mail.recipient));
        let subject = format!("Subject: {}", mail.content.subject);
        for line in [subject.as_str(), ""].into_iter().chain(mail.content.text.lines()) {
            page.push_str(format!("│ {line}").trim_end());
            page.push('\n');
        }
        page.push_str("└──\n");
        // One write, so that log lines of other threads do not come between.
        let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        sink.write_all(page.as_bytes()).and_then(|()| sink.flush()).map_err(SendError::Terminal)?;
        self.mailbox.keep(mail);
        Ok(())
    }
}

/// The address without what would steer the terminal. Addresses are parsed before they are stored; this costs nothing.
fn printable(address: &str) -> String {
    address.chars().filter(|c| !c.is_control()).collect()
}
