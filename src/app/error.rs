use std::{io, net::SocketAddr};

use crate::{
    config::{ConfigError, Setting},
    crypto::master_key::OpenError,
    domain::id::{ProjectId, SigningKeyId},
    mail::smtp::SmtpSettingsError,
    store::StoreError,
};

/// Why the service cannot start. Each text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// An address cannot be listened on.
    #[error(
        "{setting}: cannot listen on {address}: {source}; choose another address, or port 0 for any free one: \
         --{} {}:0", .setting.flag(), ip_of(*.address)
    )]
    Bind {
        /// The setting that names the address.
        setting: Setting,
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A setting is not usable.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database does not answer, or is none of ours.
    #[error(
        "cannot use the database; check --database-url (SIGNET_DATABASE_URL), and for a new one run `signet migrate`"
    )]
    Connect(#[source] StoreError),
    /// A mail server's settings are not usable.
    #[error("--smtp-url (SIGNET_SMTP_URL): {0}")]
    Mail(#[from] SmtpSettingsError),
    /// The schema lacks migrations.
    #[error("the database is not up to date; run `signet migrate` (missing: {})", .pending.join(", "))]
    NotMigrated {
        /// Names of the missing migrations.
        pending: Vec<String>,
    },
    /// Threads cannot be started.
    #[error("cannot start the threads that hash passwords")]
    Threads(#[source] io::Error),
    /// A signing key cannot be decrypted.
    #[error(
        "--master-key (SIGNET_MASTER_KEY): does not open signing key {key} of {project}, nor does --previous-master-key \
         (SIGNET_PREVIOUS_MASTER_KEY): {source}; give the key with which this database was set up, and while that is exchanged \
         for another one, both"
    )]
    WrongMasterKey {
        /// The key that stays shut.
        key: SigningKeyId,
        /// Its project.
        project: ProjectId,
        /// Why.
        source: OpenError,
    },
}

impl BuildError {
    /// True if the settings are to blame, not the surroundings.
    pub const fn is_configuration(&self) -> bool {
        matches!(self, Self::Config(_) | Self::Mail(_) | Self::WrongMasterKey { .. })
    }
}

/// The address as it is written before a port.
fn ip_of(address: SocketAddr) -> String {
    match address {
        SocketAddr::V4(address) => address.ip().to_string(),
        SocketAddr::V6(address) => format!("[{}]", address.ip()),
    }
}
