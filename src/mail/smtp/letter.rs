//! A mail in the form of RFC 5322.

use lettre::{
    Address, Message,
    message::{
        Mailbox, MultiPart, SinglePart,
        header::{HeaderName, HeaderValue},
    },
};

use crate::mail::transport::{OutgoingMail, SendError};

/// Writes the letter. The same mail makes the same `Message-ID` at each try, so that a mail that was delivered twice after
/// all is shown once.
pub(super) fn compose(from: &Mailbox, mail: &OutgoingMail) -> Result<Message, SendError> {
    let OutgoingMail { id, recipient, sent_at, content } = mail;
    let (user, domain) = recipient.rsplit_once('@').ok_or(SendError::Recipient)?;
    // In its ASCII form every server takes it, also one without SMTPUTF8.
    let domain = idna::domain_to_ascii(domain).map_err(|_| SendError::Recipient)?;
    let recipient = Address::new(user, domain).map_err(|_| SendError::Recipient)?;
    let home = from.email.domain();
    let home = idna::domain_to_ascii(home).unwrap_or_else(|_| home.to_owned());
    // Answers by machines, such as out-of-office notes, are not wanted (RFC 3834).
    let auto_submitted =
        HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned());
    let language = HeaderValue::new(HeaderName::new_from_ascii_str("Content-Language"), content.language.to_owned());
    let parts = MultiPart::alternative()
        // Nobody can guess it and write it into a name.
        .boundary(format!("part-of-{id}"))
        .singlepart(SinglePart::plain(content.text.clone()))
        .singlepart(SinglePart::html(content.html.clone()));
    Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, recipient))
        .subject(&content.subject)
        .date((*sent_at).into())
        .message_id(Some(format!("<{id}@{home}>")))
        .raw_header(auto_submitted)
        .raw_header(language)
        .multipart(parts)
        .map_err(|_| SendError::Recipient)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{domain::message, mail::template};

    fn letter(project_name: &str, recipient: &str) -> Result<String, SendError> {
        let message = message::Message::EmailVerificationCode {
            code: "012345".to_owned(),
            project_name: project_name.to_owned(),
            valid_minutes: 10,
            locale: None,
        };
        let mail = OutgoingMail {
            id: Uuid::from_u128(7).into(),
            recipient: recipient.to_owned(),
            sent_at: "2026-11-21T20:28:00Z".parse().unwrap(),
            content: template::render(&message),
        };
        let from = "Acme Accounts <no-reply@example.com>".parse().unwrap();
        compose(&from, &mail).map(|letter| String::from_utf8(letter.formatted()).unwrap())
    }

    #[test]
    fn the_head_says_who_when_and_that_a_machine_wrote_it() {
        let letter = letter("Acme", "ada@example.com").unwrap();
        let (head, _) = letter.split_once("\r\n\r\n").unwrap();
        insta::assert_snapshot!(head.replace("\r\n", "\n"), @r#"
        From: "Acme Accounts" <no-reply@example.com>
        To: ada@example.com
        Subject: Your verification code for Acme
        Date: Sat, 21 Nov 2026 20:28:00 +0000
        Message-ID: <mail_00000000000000000000000007@example.com>
        Auto-Submitted: auto-generated
        Content-Language: en
        MIME-Version: 1.0
        Content-Type: multipart/alternative;
         boundary="part-of-mail_00000000000000000000000007"
        "#);
    }

    #[test]
    fn no_project_name_writes_a_header() {
        for name in
            ["A\r\nBcc: eve@example.com", "A\nBcc: eve@example.com", "Ä\r\n\r\nBcc: eve@example.com", "A\u{2028}Bcc: e"]
        {
            let letter = letter(name, "ada@example.com").unwrap();
            let (head, _) = letter.split_once("\r\n\r\n").unwrap();
            let mut names: Vec<_> = head.lines().filter(|line| !line.starts_with(' ')).collect();
            names.retain(|line| !line.to_ascii_lowercase().starts_with("subject:"));
            assert!(names.iter().all(|line| !line.contains("Bcc")), "{head}");
            assert_eq!(head.lines().filter(|line| line.starts_with("Subject:")).count(), 1);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for recipient in
            ["", "ada", "ada@", "ada@example.com\r\nRCPT TO:<eve@example.com>", "ada@example.com, eve@example.com"]
        {
            assert!(matches!(letter("Acme", recipient), Err(SendError::Recipient)), "{recipient}");
        }
    }

    #[test]
    fn only_the_name_before_the_at_sign_needs_smtputf8() {
        assert!(letter("Acme", "ada@Bücher.example").unwrap().contains("To: ada@xn--bcher-kva.example\r\n"));
        assert!(letter("Acme", "åda@example.com").unwrap().contains("To: åda@example.com\r\n"));
    }
}
