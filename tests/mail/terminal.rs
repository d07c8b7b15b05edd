//! The transport of `signet dev`.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use signet::{
    domain::message::Message,
    mail::{
        mailbox::{KEPT_MAX, Mailbox},
        template,
        transport::{SendError, TerminalTransport, Transport},
    },
};

use crate::{CODE, mail_of};

#[derive(Clone, Default)]
struct Screen(Arc<Mutex<Vec<u8>>>);

impl Screen {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct BrokenScreen;

impl Write for BrokenScreen {
    fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_mail_is_legible_on_the_terminal() {
    let screen = Screen::default();
    let transport = Transport::Terminal(TerminalTransport::with_sink(Mailbox::default(), screen.clone()));
    transport.send(&mail_of("Acme", "ada@example.com\u{1b}[2J")).await.unwrap();
    assert!(!screen.text().contains('\u{1b}'), "an address must not steer the terminal");
    insta::assert_snapshot!(screen.text().trim(), @r"
    ┌── Mail to ada@example.com[2J
    │ Subject: Your verification code for Acme
    │
    │ This is your code to verify your email address for Acme:
    │
    │     271828
    │
    │ Enter it where you were asked for it. It is valid for 10 minutes and works once.
    │
    │ Do not pass it on: nobody from Acme will ever ask you for it.
    │
    │ If you did not ask for this code, you can ignore this mail. Somebody may have typed your address by mistake; without the code they cannot verify it.
    └──
    ");
}

#[tokio::test]
async fn the_mailbox_shows_the_code_by_itself() {
    let mailbox = Mailbox::default();
    let transport = Transport::Terminal(TerminalTransport::with_sink(mailbox.clone(), io::sink()));
    let mail = mail_of("Acme", "ada@example.com");
    transport.send(&mail).await.unwrap();

    let kept = serde_json::to_value(mailbox.last_to("ada@example.com").unwrap()).unwrap();
    assert_eq!(
        kept,
        serde_json::json!({
            "id": mail.id.to_string(),
            "to": "ada@example.com",
            "subject": "Your verification code for Acme",
            "text": mail.content.text,
            "html": mail.content.html,
            "code": CODE,
            "link": null,
            "sent_at": kept["sent_at"],
        })
    );
    let sent_at = chrono::DateTime::parse_from_rfc3339(kept["sent_at"].as_str().unwrap()).unwrap();
    assert_eq!(sent_at, mail.sent_at);
}

#[tokio::test]
async fn the_mailbox_shows_a_link_by_itself() {
    let mailbox = Mailbox::default();
    let transport = Transport::Terminal(TerminalTransport::with_sink(mailbox.clone(), io::sink()));
    let mut mail = mail_of("Acme", "ada@example.com");
    let link = "https://app.example/reset?token=signet_pr_x";
    mail.content = template::render(&Message::PasswordResetLink {
        link: link.to_owned(),
        project_name: "Acme".to_owned(),
        valid_minutes: 30,
        locale: None,
    });
    transport.send(&mail).await.unwrap();
    let kept = serde_json::to_value(mailbox.last_to("ada@example.com").unwrap()).unwrap();
    assert_eq!((kept["code"].as_str(), kept["link"].as_str()), (None, Some(link)));
}

#[tokio::test]
async fn the_mailbox_keeps_the_last_mails_newest_first() {
    let mailbox = Mailbox::default();
    let transport = Transport::Terminal(TerminalTransport::with_sink(mailbox.clone(), io::sink()));
    for number in 0..KEPT_MAX + 3 {
        transport.send(&mail_of("Acme", &format!("user{number}@example.com"))).await.unwrap();
    }
    let kept: Vec<String> = mailbox.recent().into_iter().map(|mail| mail.to).collect();
    assert_eq!(kept.len(), KEPT_MAX);
    assert_eq!(kept.first().unwrap(), &format!("user{}@example.com", KEPT_MAX + 2));
    assert_eq!(kept.last().unwrap(), "user3@example.com");
}

#[tokio::test]
async fn a_terminal_that_is_gone_is_an_error() {
    let mailbox = Mailbox::default();
    let transport = Transport::Terminal(TerminalTransport::with_sink(mailbox.clone(), BrokenScreen));
    let error = transport.send(&mail_of("Acme", "ada@example.com")).await.unwrap_err();
    assert!(matches!(error, SendError::Terminal(_)));
    assert!(mailbox.recent().is_empty());
}
