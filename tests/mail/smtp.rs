//! The SMTP transport against a foreign mail server.

use std::time::Duration;

use rstest::rstest;
use serde_json::{Value, json};
use signet::mail::{
    smtp::{SmtpSettings, SmtpTransport},
    transport::{SendError, SmtpReply, Transport},
};
use signet_test_support::mail_peer::{Peer, reserve_port};

use crate::{CODE, certificates::Certificates, mail_of};

pub(crate) fn transport(url: &str, authority: Option<&Certificates>) -> Transport {
    let from = "Acme Accounts <no-reply@mail.example>".parse().unwrap();
    let mut settings = SmtpSettings::new(url.to_owned().into(), from);
    settings.extra_ca_pem = authority.map(|authority| authority.authority_pem.clone());
    Transport::Smtp(SmtpTransport::new(&settings).unwrap())
}

fn options<'a>(security: &'a str, certificates: &'a Certificates, more: &'a [&'a str]) -> Vec<String> {
    let mut options = vec!["--security".to_owned(), security.to_owned()];
    for (name, file) in [("--certificate", certificates.certificate()), ("--key", certificates.key())] {
        options.extend([name.to_owned(), file.to_str().unwrap().to_owned()]);
    }
    options.extend(more.iter().map(|option| (*option).to_owned()));
    options
}

fn header<'a>(mail: &'a Value, name: &str) -> &'a str {
    let headers = mail["headers"].as_array().unwrap();
    let mut values = headers.iter().filter(|header| header[0] == name);
    let value = values.next().unwrap_or_else(|| panic!("no {name}"));
    assert!(values.next().is_none(), "{name} is there twice");
    value[1].as_str().unwrap()
}

#[rstest]
#[case::login("LOGIN")]
#[case::plain("PLAIN")]
#[tokio::test]
async fn starttls_with_a_password_delivers_text_and_html(#[case] mechanism: &str) {
    let certificates = Certificates::new();
    let more = ["--user", "signet@mail.example", "--password", "p/w:ä@", "--mechanism", mechanism];
    let Some(peer) = Peer::start(options("starttls", &certificates, &more)) else { return };
    let url = format!("smtp://signet%40mail.example:p%2Fw%3A%C3%A4%40@127.0.0.1:{}?tls=required", peer.port);

    let mail = mail_of("Acme & Söhne", "ada@example.com");
    transport(&url, Some(&certificates)).send(&mail).await.unwrap();

    let got = peer.next("accepted");
    assert_eq!(got["tls"], true);
    assert_eq!(got["user"], "signet@mail.example");
    assert_eq!(got["mail_from"], "no-reply@mail.example");
    assert_eq!(got["rcpt_to"], json!(["ada@example.com"]));
    assert_eq!(got["content_type"], "multipart/alternative");
    assert_eq!(got["parts"], json!(["text/plain", "text/html"]));
    assert_eq!(got["defects"], json!([]));
    assert_eq!(got["text"], mail.content.text);
    assert_eq!(got["html"], mail.content.html);
    assert!(got["text"].as_str().unwrap().contains(CODE));
    assert_eq!(header(&got, "subject"), "Your verification code for Acme & Söhne");
    assert_eq!(header(&got, "from"), "Acme Accounts <no-reply@mail.example>");
    assert_eq!(header(&got, "to"), "ada@example.com");
    assert_eq!(header(&got, "message-id"), format!("<{}@mail.example>", mail.id));
    assert_eq!(header(&got, "auto-submitted"), "auto-generated");
    assert_eq!(header(&got, "date"), mail.sent_at.format("%a, %d %b %Y %H:%M:%S +0000").to_string());
}

#[tokio::test]
async fn implicit_tls_delivers() {
    let certificates = Certificates::new();
    let more = ["--user", "signet", "--password", "secret"];
    let Some(peer) = Peer::start(options("implicit", &certificates, &more)) else { return };
    let url = format!("smtps://signet:secret@127.0.0.1:{}", peer.port);

    transport(&url, Some(&certificates)).send(&mail_of("Acme", "ada@example.com")).await.unwrap();

    let got = peer.next("accepted");
    assert_eq!(got["tls"], true);
    assert_eq!(got["user"], "signet");
}

#[tokio::test]
async fn an_address_beyond_ascii_is_delivered_by_smtputf8() {
    let Some(peer) = Peer::start(["--security", "none"]) else { return };
    let transport = transport(&format!("smtp://127.0.0.1:{}", peer.port), None);
    transport.send(&mail_of("Acme", "åda@example.com")).await.unwrap();
    assert_eq!(peer.next("accepted")["rcpt_to"], json!(["åda@example.com"]));
}

#[tokio::test]
async fn a_server_without_smtputf8_takes_domains_of_all_scripts_but_no_such_names() {
    let Some(peer) = Peer::start(["--ascii-only"]) else { return };
    let transport = transport(&format!("smtp://127.0.0.1:{}", peer.port), None);
    transport.send(&mail_of("Acmé", "ada@Bücher.example")).await.unwrap();
    assert_eq!(peer.next("accepted")["rcpt_to"], json!(["ada@xn--bcher-kva.example"]));
    let error = transport.send(&mail_of("Acme", "åda@example.com")).await.unwrap_err();
    assert!(matches!(error, SendError::UnsupportedAddress), "{error:?}");
    assert!(error.is_permanent());
}

#[tokio::test]
async fn a_warm_connection_is_used_again() {
    let Some(peer) = Peer::start(["--security", "none"]) else { return };
    let transport = transport(&format!("smtp://127.0.0.1:{}", peer.port), None);
    transport.send(&mail_of("Acme", "ada@example.com")).await.unwrap();
    transport.send(&mail_of("Acme", "bob@example.com")).await.unwrap();
    assert_eq!(peer.next("hello")["name"], "mail.example");
    assert_eq!(peer.next("accepted")["rcpt_to"], json!(["ada@example.com"]));
    // No second `hello` comes before the second mail: `next` would skip it.
    assert_eq!(peer.next_event()["rcpt_to"], json!(["bob@example.com"]));

    transport.close().await;
    transport.send(&mail_of("Acme", "cyd@example.com")).await.unwrap();
    assert_eq!(peer.next_event()["event"], "hello");
}

#[tokio::test]
async fn a_wrong_password_is_a_clear_error_that_does_not_cost_the_mail() {
    let certificates = Certificates::new();
    let more = ["--user", "signet", "--password", "secret"];
    let Some(peer) = Peer::start(options("starttls", &certificates, &more)) else { return };
    let url = format!("smtp://signet:wrong-password@127.0.0.1:{}?tls=required", peer.port);

    let error = transport(&url, Some(&certificates)).send(&mail_of("Acme", "ada@example.com")).await.unwrap_err();

    assert!(matches!(error, SendError::SignIn(SmtpReply { code: 535, .. })), "{error:?}");
    assert!(!error.is_permanent(), "who corrects the password still wants the mail to go out");
    assert!(error.to_string().contains("did not accept the user name and password"), "{error}");
    assert!(!format!("{error:?} {error}").contains("wrong-password"));
    assert_eq!(peer.next("sign_in")["good"], false);
    peer.expect_no("accepted");
}

#[rstest]
#[case::implicit("implicit", "smtps", "")]
#[case::starttls("starttls", "smtp", "?tls=required")]
#[tokio::test]
async fn an_untrusted_certificate_is_refused(#[case] security: &str, #[case] scheme: &str, #[case] query: &str) {
    let certificates = Certificates::new();
    let more = ["--user", "signet", "--password", "secret"];
    let Some(peer) = Peer::start(options(security, &certificates, &more)) else { return };
    let url = format!("{scheme}://signet:secret@127.0.0.1:{}{query}", peer.port);

    for trusted in [None, Some(&Certificates::new())] {
        let error = transport(&url, trusted).send(&mail_of("Acme", "ada@example.com")).await.unwrap_err();
        assert!(matches!(error, SendError::Connection(_)), "{error:?}");
        assert!(error.to_string().contains("invalid peer certificate"), "{error}");
        assert!(!error.is_permanent());
    }
    peer.expect_no("sign_in");
}

#[tokio::test]
async fn a_certificate_for_another_host_is_refused() {
    let certificates = Certificates::new();
    let Some(peer) = Peer::start(options("implicit", &certificates, &[])) else { return };
    // The certificate is for 127.0.0.1 only.
    let transport = transport(&format!("smtps://localhost:{}", peer.port), Some(&certificates));
    let error = transport.send(&mail_of("Acme", "ada@example.com")).await.unwrap_err();
    assert!(error.to_string().contains("invalid peer certificate"), "{error}");
}

#[tokio::test]
async fn without_starttls_nothing_is_sent_where_it_is_required() {
    let Some(peer) = Peer::start(["--user", "signet", "--password", "secret"]) else { return };
    let transport = transport(&format!("smtp://signet:secret@127.0.0.1:{}?tls=required", peer.port), None);
    let error = transport.send(&mail_of("Acme", "ada@example.com")).await.unwrap_err();
    assert!(matches!(error, SendError::NoStartTls), "{error:?}");
    peer.expect_no("sign_in");
}

#[tokio::test]
async fn a_server_that_wants_a_password_we_do_not_have_keeps_the_mail_waiting() {
    let Some(peer) = Peer::start(["--user", "signet", "--password", "secret"]) else { return };
    let transport = transport(&format!("smtp://127.0.0.1:{}", peer.port), None);
    let error = transport.send(&mail_of("Acme", "ada@example.com")).await.unwrap_err();
    assert!(matches!(error, SendError::NotAdmitted(SmtpReply { code: 530, .. })), "{error:?}");
    assert!(!error.is_permanent());
}

#[tokio::test]
async fn a_4xx_is_transient_and_the_next_try_delivers_once() {
    let Some(peer) = Peer::start(["--put-off", "1"]) else { return };
    let transport = transport(&format!("smtp://127.0.0.1:{}", peer.port), None);
    let mail = mail_of("Acme", "ada@example.com");
    let error = transport.send(&mail).await.unwrap_err();
    assert!(!error.is_permanent());
    assert_eq!(error.to_string(), "the mail server put the mail off: 451 4.7.1");
    transport.send(&mail).await.unwrap();
    peer.next("accepted");
    peer.expect_no("accepted");
}

#[tokio::test]
async fn a_5xx_is_permanent_and_its_text_is_not_kept() {
    let Some(peer) = Peer::start(["--refuse"]) else { return };
    let transport = transport(&format!("smtp://127.0.0.1:{}", peer.port), None);
    let error = transport.send(&mail_of("Acme", "ada@example.com")).await.unwrap_err();
    assert!(error.is_permanent());
    // The server quotes the mail with its code, and the address.
    assert_eq!(error.to_string(), "the mail server refused the mail: 550 5.7.1");
    assert!(!format!("{error:?}").contains(CODE));
    peer.next("refused");
}

#[tokio::test]
async fn no_project_name_adds_a_header_or_a_recipient() {
    let Some(peer) = Peer::start(["--security", "none"]) else { return };
    let transport = transport(&format!("smtp://127.0.0.1:{}", peer.port), None);
    let mut heads = Vec::new();
    for name in [
        "Acme",
        "Acme\r\nBcc: eve@example.com",
        "Acmé\r\n\r\n.\r\nRCPT TO:<eve@example.com>",
        "A\n\tBcc: eve@example.com",
    ] {
        transport.send(&mail_of(name, "ada@example.com")).await.unwrap();
        let got = peer.next("accepted");
        assert_eq!(got["rcpt_to"], json!(["ada@example.com"]));
        assert_eq!(got["defects"], json!([]));
        let names: Vec<String> =
            got["headers"].as_array().unwrap().iter().map(|header| header[0].as_str().unwrap().to_owned()).collect();
        heads.push(names);
    }
    assert!(heads.iter().all(|names| *names == heads[0]), "{heads:?}");
}

#[tokio::test]
async fn nobody_there_is_transient() {
    let (_reservation, port) = reserve_port();
    let transport = transport(&format!("smtp://127.0.0.1:{port}"), None);
    let error = transport.send(&mail_of("Acme", "ada@example.com")).await.unwrap_err();
    assert!(matches!(error, SendError::Connection(_)), "{error:?}");
    assert!(!error.is_permanent());
}

#[tokio::test]
async fn a_silent_server_costs_no_more_than_the_timeout() {
    // Accepts connections, in the queue of the kernel, and never says a word.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let from = "no-reply@mail.example".parse().unwrap();
    let mut settings = SmtpSettings::new(format!("smtp://{}", silent.local_addr().unwrap()).into(), from);
    settings.timeout = Duration::from_millis(200);
    let transport = Transport::Smtp(SmtpTransport::new(&settings).unwrap());
    let error = transport.send(&mail_of("Acme", "ada@example.com")).await.unwrap_err();
    assert!(matches!(error, SendError::Timeout(_)), "{error:?}");
    assert!(!error.is_permanent());
}
