//! Mail by SMTP.

use std::{sync::Arc, time::Duration};

use lettre::message::Mailbox;
use tokio::time::timeout;

use self::{connections::Connections, server::Server};
use super::transport::{OutgoingMail, SendError, SmtpReply};

mod connections;
mod letter;
mod server;

pub use self::server::{SmtpSettings, SmtpSettingsError, TIMEOUT};

/// How much longer than a connection a delivery may take: servers look into a mail before they accept it (RFC 5321, section
/// 4.5.3.2.6), and one that is given up too early is delivered twice.
const DELIVERY_FACTOR: u32 = 3;

/// Sends mails to one SMTP server. Clones share its connections.
#[derive(Clone)]
pub struct SmtpTransport {
    connections: Arc<Connections>,
    from: Mailbox,
    timeout: Duration,
}

impl SmtpTransport {
    /// Checks the settings. Connects to nothing yet.
    pub fn new(settings: &SmtpSettings) -> Result<Self, SmtpSettingsError> {
        let server = Server::new(settings)?;
        Ok(Self {
            connections: Arc::new(Connections::new(server)),
            from: settings.from.clone(),
            timeout: settings.timeout,
        })
    }

    /// Sends a mail.
    ///
    /// lettre's own transport is not used: the timeout of that covers connecting only, it waits for the answer to `QUIT`
    /// before it says that a mail was accepted, and its pool takes back a connection whose sender was cancelled in the
    /// middle of a mail.
    pub(super) async fn send(&self, mail: &OutgoingMail) -> Result<(), SendError> {
        let letter = letter::compose(&self.from, mail)?;
        let connecting = timeout(self.timeout, self.connections.take());
        let mut connection = connecting.await.map_err(|_| SendError::Timeout(self.timeout))??;
        let patience = self.timeout * DELIVERY_FACTOR;
        // Where this fails or is cancelled, the connection is dropped in whatever state it is.
        timeout(patience, connection.send(letter.envelope(), &letter.formatted()))
            .await
            .map_err(|_| SendError::Timeout(patience))?
            .map_err(refusal)?;
        connection.put_back();
        Ok(())
    }

    /// The longest that `send` takes.
    pub(super) fn send_duration_max(&self) -> Duration {
        self.timeout * (1 + DELIVERY_FACTOR)
    }

    /// Closes connections that nobody has used for a while.
    pub(super) async fn close_idle(&self) {
        self.connections.close_idle().await;
    }

    /// Closes all connections that are not in use.
    pub(super) async fn close(&self) {
        self.connections.close_all().await;
    }
}

/// What went wrong while a mail was handed over.
fn refusal(error: lettre::transport::smtp::Error) -> SendError {
    match reply(&error) {
        // The server wants a sign-in or another one (RFC 4954, section 6): our settings, not this mail.
        Some(reply @ SmtpReply { code: 530 | 534 | 535 | 538, .. }) => SendError::NotAdmitted(reply),
        Some(reply) if error.is_permanent() => SendError::Refused(reply),
        Some(reply) => SendError::PutOff(reply),
        // Our letters are ASCII throughout except for an address that is not.
        None if error.is_client() => SendError::UnsupportedAddress,
        None if error.is_response() => SendError::Protocol,
        None => SendError::Connection(error),
    }
}

fn reply(error: &lettre::transport::smtp::Error) -> Option<SmtpReply> {
    let code = error.status()?.into();
    let text = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    Some(SmtpReply { code, enhanced: enhanced_status(&text) })
}

/// The enhanced status code at the start of a reply's text (RFC 3463), and nothing else of it.
fn enhanced_status(text: &str) -> Option<[u16; 3]> {
    let parts: Vec<&str> = text.split_whitespace().next()?.split('.').collect();
    let [class @ ("4" | "5"), subject, detail] = parts[..] else { return None };
    let number = |text: &str| (text.len() <= 3).then(|| text.parse().ok())?;
    Some([number(class)?, number(subject)?, number(detail)?])
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("5.1.1 <ada@example.com> no such user", Some([5, 1, 1]))]
    #[case("4.7.1", Some([4, 7, 1]))]
    #[case("4.7.1234 no", None)]
    #[case("12.34.56 is your code", None)]
    #[case("123456 is your code", None)]
    #[case("no such user", None)]
    #[case("", None)]
    fn of_a_reply_only_the_status_is_kept(#[case] text: &str, #[case] status: Option<[u16; 3]>) {
        assert_eq!(enhanced_status(text), status);
    }
}
