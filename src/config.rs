//! The settings: each has one definition with its flag, its variable, its default and its help.
//!
//! A setting is called `--some-name` on the command line and `SIGNET_SOME_NAME` in the environment. Secrets may also
//! come from a file, by `--some-name-file` or `SIGNET_SOME_NAME_FILE`. Everything is checked before a port is bound.

/// Settings of the database.
pub mod database;
/// What can be wrong with the settings.
pub mod error;
/// The audit trail.
pub mod events;
/// Settings of `signet gateway`.
pub mod gateway;
/// Settings of the gRPC listener.
pub mod grpc;
/// The master key.
pub mod keys;
/// Bounds on guessing, codes and mails.
pub mod limits;
/// Where the service listens and where it is reached.
pub mod listen;
/// How mail is sent.
pub mod mail;
mod parse;
/// How passwords are hashed.
pub mod passwords;
mod reference;
/// Settings of the REST listener.
pub mod rest;
mod secret;
mod service_link;
/// Logs and traces.
pub mod telemetry;
mod value;

pub use error::{ConfigError, ConfigErrors, Setting};
pub use parse::{Refusal, defaults, parse};
pub use reference::reference_markdown;
pub use value::duration_within;

use database::{DatabaseConfig, DatabaseStartConfig};
use events::EventConfig;
use grpc::GrpcConfig;
use keys::KeyConfig;
use limits::LimitConfig;
use listen::ListenConfig;
use mail::MailConfig;
use passwords::PasswordConfig;
use rest::RestConfig;
use telemetry::TelemetryConfig;

/// The settings of `signet serve`.
#[derive(clap::Args, Clone, Debug)]
pub struct ServeConfig {
    /// The database.
    #[command(flatten)]
    pub database: DatabaseConfig,
    /// How the database is waited for.
    #[command(flatten)]
    pub database_start: DatabaseStartConfig,
    /// The master key.
    #[command(flatten)]
    pub keys: KeyConfig,
    /// Listeners and the public address.
    #[command(flatten)]
    pub listen: ListenConfig,
    /// The gRPC listener.
    #[command(flatten)]
    pub grpc: GrpcConfig,
    /// The REST listener.
    #[command(flatten)]
    pub rest: RestConfig,
    /// Passwords.
    #[command(flatten)]
    pub passwords: PasswordConfig,
    /// Bounds.
    #[command(flatten)]
    pub limits: LimitConfig,
    /// The audit trail.
    #[command(flatten)]
    pub events: EventConfig,
    /// Mail.
    #[command(flatten)]
    pub mail: MailConfig,
    /// Logs and traces.
    #[command(flatten)]
    pub telemetry: TelemetryConfig,
}

impl ServeConfig {
    /// Checks what no single value can tell, reads the files that settings name, and returns every problem found.
    pub fn validate(&self) -> Result<(), ConfigErrors> {
        let mut problems = Vec::new();
        problems.extend(self.database.url().err());
        problems.extend(self.keys.refuse_development_key().err());
        problems.extend(self.listen.problems());
        problems.extend(self.grpc.tls().err());
        problems.extend(self.limits.problems());
        problems.extend(self.mail.problems());
        if problems.is_empty() { Ok(()) } else { Err(ConfigErrors(problems)) }
    }

    /// What works but is hardly meant for production, to be logged once at the start.
    pub fn warnings(&self) -> Vec<&'static str> {
        let no_mail_server = matches!(self.mail.smtp_url(), Ok(None));
        let plain_text = self.grpc.tls_cert.is_none() && !self.listen.grpc_addr.ip().is_loopback();
        let warnings = [
            (
                no_mail_server,
                "NO MAIL IS SENT: no mail server is set, so mails wait in the database; set --smtp-url (SIGNET_SMTP_URL)",
            ),
            (
                plain_text,
                "gRPC is open to the network without TLS, passwords included; \
                 set --grpc-tls-cert (SIGNET_GRPC_TLS_CERT) unless a mesh or proxy encrypts",
            ),
            (
                !self.listen.has_public_url(),
                "no public URL is set, so the issuer in tokens is http://localhost with the port of the REST listener, and \
                 changes with it; set --public-url (SIGNET_PUBLIC_URL)",
            ),
            (self.listen.is_reached_unencrypted(), "the public URL is not https; set --public-url (SIGNET_PUBLIC_URL)"),
        ];
        warnings.into_iter().filter_map(|(applies, text)| applies.then_some(text)).collect()
    }
}

#[cfg(test)]
mod tests;
