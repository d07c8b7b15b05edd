use std::{net::IpAddr, path::PathBuf};

use lettre::message::Mailbox;
use secrecy::{ExposeSecret as _, SecretString};
use url::{Host, Url};

use super::{ConfigError, Setting, secret, value};

const SMTP_URL: Setting = Setting::new("smtp-url");
const SMTP_CA: Setting = Setting::new("smtp-ca");
const MAIL_FROM: Setting = Setting::new("mail-from");

/// How mail is sent.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Mail")]
pub struct MailConfig {
    /// Mail server: `smtp://USER:PASSWORD@HOST:587?tls=required` or `smtps://USER:PASSWORD@HOST:465`; without one, mails wait in the database
    #[arg(
        id = "smtp-url",
        long = "smtp-url",
        env = "SIGNET_SMTP_URL",
        value_name = "URL",
        hide_env_values = true,
        value_parser = value::secret
    )]
    smtp_url: Option<SecretString>,

    /// File that holds the URL of the mail server
    #[arg(id = "smtp-url-file", long = "smtp-url-file", env = "SIGNET_SMTP_URL_FILE", value_name = "PATH")]
    smtp_url_file: Option<PathBuf>,

    /// Certificates in PEM of which one must have signed the mail server's, beside those the machine trusts
    #[arg(id = "smtp-ca", long = "smtp-ca", env = "SIGNET_SMTP_CA", value_name = "PATH")]
    smtp_ca: Option<PathBuf>,

    /// Sender of the mails, such as `Signet <no-reply@example.com>`; needed with a mail server
    #[arg(id = "mail-from", long = "mail-from", env = "SIGNET_MAIL_FROM", value_name = "MAILBOX")]
    from: Option<Mailbox>,
}

impl MailConfig {
    /// Settings for the mail server at `url`, with `from` as the sender.
    pub fn new(url: &str, from: Mailbox) -> Self {
        Self { smtp_url: Some(SecretString::from(url)), smtp_url_file: None, smtp_ca: None, from: Some(from) }
    }

    /// The URL of the mail server, or `None` when there is no server. Reads the file when it is given by one.
    pub fn smtp_url(&self) -> Result<Option<SecretString>, ConfigError> {
        let url = secret::read(SMTP_URL, self.smtp_url.as_ref(), self.smtp_url_file.as_deref())?;
        url.as_ref().map(check_url).transpose()?;
        Ok(url)
    }

    /// Certificates, in PEM, to trust beside those of the machine. Reads the file.
    pub fn extra_ca_pem(&self) -> Result<Option<Vec<u8>>, ConfigError> {
        let read = |path: &PathBuf| secret::read_file(SMTP_CA, path).map(|pem| pem.to_vec());
        self.smtp_ca.as_ref().map(read).transpose()
    }

    /// The sender of the mails; `no-reply@localhost` when none is given, which is right for a terminal only.
    pub fn from(&self) -> Mailbox {
        self.from.clone().unwrap_or_else(|| {
            "Signet <no-reply@localhost>".parse().expect("the default sender is a well-formed mailbox")
        })
    }

    pub(super) fn problems(&self) -> Vec<ConfigError> {
        let url = self.smtp_url();
        let no_sender = matches!(url, Ok(Some(_))) && self.from.is_none();
        let hint = "is needed with a mail server; for example 'Signet <no-reply@example.com>'";
        let missing = no_sender.then_some(ConfigError::Missing { setting: MAIL_FROM, hint });
        url.err().into_iter().chain(self.extra_ca_pem().err()).chain(missing).collect()
    }
}

/// Fails for a URL of another form, and for one that would send a password in the clear. `tls=opportunistic` is refused:
/// whoever sits on the line could turn it into no TLS at all.
fn check_url(url: &SecretString) -> Result<(), ConfigError> {
    let refused = |problem| Err(ConfigError::malformed(SMTP_URL, problem));
    // The parsers' own texts are left out: they could grow to quote the URL, and with it the password.
    let form = "must be smtp://USER:PASSWORD@HOST:587?tls=required or smtps://USER:PASSWORD@HOST:465; \
                write special characters of the password as %40 and the like";
    let Ok(parsed) = Url::parse(url.expose_secret()) else { return refused(form) };
    let known_query = parsed.query_pairs().all(|(name, value)| name == "tls" && value == "required");
    if !matches!(parsed.scheme(), "smtp" | "smtps") || !parsed.has_host() || !known_query {
        return refused(form);
    }
    let encrypted = parsed.scheme() == "smtps" || parsed.query().is_some();
    if parsed.password().is_some() && !encrypted && !is_this_machine(&parsed) {
        return refused("would send the password unencrypted; add ?tls=required or use smtps://");
    }
    if parsed.password().is_none() && !parsed.username().is_empty() {
        return refused("names a user without a password");
    }
    Ok(())
}

fn is_this_machine(url: &Url) -> bool {
    // The host of a scheme that is not special is never parsed as an IPv4 address.
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback()),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str) -> MailConfig {
        MailConfig::new(url, "Signet <no-reply@example.com>".parse().unwrap())
    }

    #[test]
    fn urls_of_the_documented_form_are_accepted() {
        for url in [
            "smtp://me:p%40ss@mail.example.com:587?tls=required",
            "smtp://relay:25",
            "smtp://me:pass@127.0.0.1:2525",
            "smtps://me:pass@mail.example.com",
        ] {
            assert!(config(url).problems().is_empty(), "{url}: {:?}", config(url).problems());
        }
    }

    #[test]
    fn other_urls_are_refused_without_showing_them() {
        for url in [
            "mail.example.com:587",
            "http://me:hunter2@mail.example.com",
            "smtp://me:hunter2@mail.example.com?tls=opportunistic",
            "smtp://me:hunter2@mail.example.com:587",
            "smtps://hunter2@mail.example.com",
        ] {
            let problems = config(url).problems();
            let text = problems[0].to_string();
            assert!(text.starts_with("--smtp-url (SIGNET_SMTP_URL): "), "{text}");
            assert!(!text.contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn a_mail_server_needs_a_sender_and_none_is_fine() {
        let config = MailConfig { from: None, ..config("smtps://mail.example.com") };
        assert!(config.problems()[0].to_string().starts_with("--mail-from (SIGNET_MAIL_FROM): is needed"));
        let none: MailConfig = super::super::defaults();
        assert!(none.problems().is_empty() && none.smtp_url().unwrap().is_none());
    }
}
