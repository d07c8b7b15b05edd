//! The settings of SMTP, parsed.

use std::{fmt, time::Duration};

use lettre::{
    message::Mailbox,
    transport::smtp::{
        SMTP_PORT, SUBMISSION_PORT, SUBMISSIONS_PORT,
        authentication::Credentials,
        client::{Certificate, TlsParameters},
        extension::ClientId,
    },
};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

/// How long to wait for a connection, encrypted and signed in, unless the settings say otherwise.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// How to reach the mail server.
#[derive(Clone)]
pub struct SmtpSettings {
    /// Where and how, with user name and password (percent-encoded) if the server wants them:
    ///
    /// - `smtps://user:password@host:465`: TLS from the first byte,
    /// - `smtp://user:password@host:587?tls=required`: STARTTLS, and nothing without it,
    /// - `smtp://host:25`: not encrypted, for a relay that is trusted with its network. No password then, unless the host is
    ///   this machine.
    ///
    /// The port may be left out. A path is the name to say in `EHLO`, by default the domain of `from`.
    pub url: SecretString,
    /// The sender.
    pub from: Mailbox,
    /// Certificates of authorities to trust beside the system's, PEM.
    pub extra_ca_pem: Option<Vec<u8>>,
    /// How long to wait for a connection; the delivery may take three times as long.
    pub timeout: Duration,
}

impl SmtpSettings {
    /// Settings with the defaults: the system's authorities, [`TIMEOUT`].
    pub const fn new(url: SecretString, from: Mailbox) -> Self {
        Self { url, from, extra_ca_pem: None, timeout: TIMEOUT }
    }
}

/// The settings of SMTP are wrong. The texts never show the URL, which holds a password.
#[derive(Debug, thiserror::Error)]
pub enum SmtpSettingsError {
    /// The extra certificates cannot be read.
    #[error("the extra certificates for SMTP are not PEM certificates")]
    Certificates,
    /// Part of the URL is not percent-encoded UTF-8.
    #[error("user name and password in the SMTP URL must be percent-encoded UTF-8")]
    Encoding,
    /// A user name without a password, or the reverse.
    #[error("the SMTP URL holds only one of user name and password")]
    HalfCredentials,
    /// The name for `EHLO` is no host name.
    #[error("the path of the SMTP URL is the name for EHLO, and must be a host name in ASCII")]
    HelloName,
    /// The URL names no host.
    #[error("the SMTP URL names no host")]
    Host,
    /// The password would be sent for all to read.
    #[error("the SMTP URL holds a password but no encryption: use smtps:// or add ?tls=required")]
    PasswordInTheClear,
    /// Neither `smtp` nor `smtps`.
    #[error("the SMTP URL must start with smtp:// or smtps://")]
    Scheme,
    /// TLS cannot be set up.
    #[error("cannot set up TLS for SMTP: {0}")]
    Tls(lettre::transport::smtp::Error),
    /// A query parameter that is not known.
    #[error("the only parameter of an SMTP URL is tls=required, with smtp://")]
    UnknownParameter,
    /// Not a URL at all.
    #[error("the SMTP URL is not a URL: {0}")]
    Url(url::ParseError),
}

/// How a connection is encrypted.
#[derive(Clone)]
pub(super) enum Security {
    /// TLS from the first byte (RFC 8314).
    Implicit(TlsParameters),
    /// Not at all.
    None,
    /// By STARTTLS (RFC 3207), and nothing is sent without it.
    StartTls(TlsParameters),
}

/// A mail server and how to talk to it.
pub(super) struct Server {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) security: Security,
    pub(super) credentials: Option<Credentials>,
    pub(super) hello_name: ClientId,
    pub(super) timeout: Duration,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

impl Server {
    pub(super) fn new(settings: &SmtpSettings) -> Result<Self, SmtpSettingsError> {
        let url = Url::parse(settings.url.expose_secret()).map_err(SmtpSettingsError::Url)?;
        // Of an IPv6 address neither the resolver nor TLS wants the brackets.
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        if host.is_empty() {
            return Err(SmtpSettingsError::Host);
        }
        let parameters: Vec<_> = url.query_pairs().collect();
        let parameters: Vec<_> = parameters.iter().map(|(name, value)| (name.as_ref(), value.as_ref())).collect();
        let (security, default_port) = match (url.scheme(), &parameters[..]) {
            ("smtps", []) => (Security::Implicit(tls(&host, settings)?), SUBMISSIONS_PORT),
            ("smtp", [("tls", "required")]) => (Security::StartTls(tls(&host, settings)?), SUBMISSION_PORT),
            ("smtp", []) => (Security::None, SMTP_PORT),
            ("smtp" | "smtps", _) => return Err(SmtpSettingsError::UnknownParameter),
            _ => return Err(SmtpSettingsError::Scheme),
        };
        let credentials = credentials(&url)?;
        if credentials.is_some() && matches!(security, Security::None) && !is_this_machine(&host) {
            return Err(SmtpSettingsError::PasswordInTheClear);
        }
        Ok(Self {
            port: url.port().unwrap_or(default_port),
            host,
            security,
            credentials,
            hello_name: hello_name(&url, &settings.from)?,
            timeout: settings.timeout,
        })
    }
}

fn tls(host: &str, settings: &SmtpSettings) -> Result<TlsParameters, SmtpSettingsError> {
    let mut parameters = TlsParameters::builder(host.to_owned());
    if let Some(pem) = &settings.extra_ca_pem {
        // What holds no certificate at all would be read as "no extra certificates", and fail only at the first mail.
        if !pem.windows(CERTIFICATE.len()).any(|window| window == CERTIFICATE) {
            return Err(SmtpSettingsError::Certificates);
        }
        let certificate = Certificate::from_pem(pem).map_err(|_| SmtpSettingsError::Certificates)?;
        parameters = parameters.add_root_certificate(certificate);
    }
    parameters.build().map_err(SmtpSettingsError::Tls)
}

const CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";

fn credentials(url: &Url) -> Result<Option<Credentials>, SmtpSettingsError> {
    match (url.username(), url.password().unwrap_or_default()) {
        ("", "") => Ok(None),
        ("", _) | (_, "") => Err(SmtpSettingsError::HalfCredentials),
        (user, password) => Ok(Some(Credentials::new(percent_decoded(user)?, percent_decoded(password)?))),
    }
}

fn percent_decoded(text: &str) -> Result<String, SmtpSettingsError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        (bytes, rest) = match (first, tail) {
            (b'%', [high, low, tail @ ..]) => {
                let digits = [*high, *low].map(|digit| char::from(digit).to_digit(16));
                let [Some(high), Some(low)] = digits else { return Err(SmtpSettingsError::Encoding) };
                let byte = u8::try_from(high * 16 + low).expect("two hexadecimal digits make a byte");
                bytes.push(byte);
                (bytes, tail)
            }
            (b'%', _) => return Err(SmtpSettingsError::Encoding),
            (&byte, tail) => {
                bytes.push(byte);
                (bytes, tail)
            }
        };
    }
    String::from_utf8(bytes).map_err(|_| SmtpSettingsError::Encoding)
}

fn hello_name(url: &Url, from: &Mailbox) -> Result<ClientId, SmtpSettingsError> {
    let name = match url.path().trim_matches('/') {
        "" => idna::domain_to_ascii(from.email.domain()).map_err(|_| SmtpSettingsError::HelloName)?,
        name => name.to_owned(),
    };
    // An address literal is a name for EHLO, too (RFC 5321, section 4.1.3).
    let fine = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.:[]_".contains(&byte));
    if fine { Ok(ClientId::Domain(name)) } else { Err(SmtpSettingsError::HelloName) }
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn server(url: &str) -> Result<Server, SmtpSettingsError> {
        let from = "Acme <no-reply@example.com>".parse().unwrap();
        Server::new(&SmtpSettings::new(url.to_owned().into(), from))
    }

    #[rstest]
    #[case("smtps://mail.example.com", 465)]
    #[case("smtp://mail.example.com?tls=required", 587)]
    #[case("smtp://mail.example.com", 25)]
    #[case("smtp://mail.example.com:2525/", 2525)]
    fn the_port_follows_the_encryption(#[case] url: &str, #[case] port: u16) {
        let server = server(url).unwrap();
        assert_eq!((server.host.as_str(), server.port), ("mail.example.com", port));
    }

    #[rstest]
    #[case("mail.example.com")]
    #[case("https://mail.example.com")]
    #[case("smtp://")]
    #[case("smtps://mail.example.com?tls=required")]
    #[case("smtp://mail.example.com?tls=opportunistic")]
    #[case("smtp://mail.example.com?tls=required&tls=none")]
    #[case("smtp://mail.example.com/two words")]
    #[case("smtps://user@mail.example.com")]
    #[case("smtps://:secret@mail.example.com")]
    #[case("smtps://user:se%zzcret@mail.example.com")]
    #[case("smtps://user:se%ffcret@mail.example.com")]
    #[case("smtp://user:secret@mail.example.com")]
    fn a_wrong_url_is_refused_without_being_shown(#[case] url: &str) {
        let error = server(url).unwrap_err();
        for text in [format!("{error}"), format!("{error:?}")] {
            assert!(!text.contains("secret"), "{text}");
        }
    }

    #[rstest]
    #[case("smtp://user:secret@127.0.0.1:25")]
    #[case("smtp://user:secret@[::1]:25")]
    #[case("smtp://user:secret@localhost")]
    fn this_machine_may_see_the_password(#[case] url: &str) {
        assert!(server(url).unwrap().credentials.is_some());
    }

    #[rstest]
    #[case("smtps://mail.example.com", "example.com")]
    #[case("smtps://mail.example.com/signet-0.cluster.local", "signet-0.cluster.local")]
    fn ehlo_says_the_path_or_the_domain_of_the_sender(#[case] url: &str, #[case] name: &str) {
        assert_eq!(server(url).unwrap().hello_name.to_string(), name);
    }

    #[test]
    fn credentials_are_percent_decoded() {
        assert_eq!(percent_decoded("us%65r%40ex%C3%A4mple%2F").unwrap(), "user@exämple/");
    }

    #[test]
    fn a_file_without_certificates_is_refused() {
        let from = "no-reply@example.com".parse().unwrap();
        let mut settings = SmtpSettings::new("smtps://mail.example.com".to_owned().into(), from);
        settings.extra_ca_pem = Some(b"not a certificate".to_vec());
        assert!(matches!(Server::new(&settings), Err(SmtpSettingsError::Certificates)));
    }
}
