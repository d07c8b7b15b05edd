use std::{path::PathBuf, time::Duration};

use secrecy::{ExposeSecret as _, SecretString};

use super::{ConfigError, Setting, secret, value};

const URL: Setting = Setting::new("database-url");
const DEFAULT_URL: &str = "sqlite://signet.db";

/// Settings of the database.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Database")]
pub struct DatabaseConfig {
    /// Database: `sqlite://PATH` or `postgres://USER:PASSWORD@HOST/NAME`
    #[arg(
        id = "database-url",
        long = "database-url",
        env = "SIGNET_DATABASE_URL",
        value_name = "URL",
        hide_env_values = true,
        default_value = DEFAULT_URL,
        value_parser = value::secret
    )]
    url: SecretString,

    /// File that holds the database URL
    #[arg(id = "database-url-file", long = "database-url-file", env = "SIGNET_DATABASE_URL_FILE", value_name = "PATH")]
    url_file: Option<PathBuf>,

    /// Most connections kept open to the database by this process
    #[arg(
        id = "database-connections",
        long = "database-connections",
        env = "SIGNET_DATABASE_CONNECTIONS",
        value_name = "COUNT",
        default_value = "10",
        value_parser = clap::value_parser!(u32).range(1..=200)
    )]
    pub connections: u32,

    /// How long a request waits for a free connection before it is refused as unavailable
    #[arg(
        id = "database-acquire-timeout",
        long = "database-acquire-timeout",
        env = "SIGNET_DATABASE_ACQUIRE_TIMEOUT",
        value_name = "DURATION",
        default_value = "3s",
        value_parser = value::duration(1..=60)
    )]
    pub acquire_timeout: Duration,
}

/// How the service waits for its database. Commands do not wait: somebody reads what they say.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Database")]
pub struct DatabaseStartConfig {
    /// How long the service, when it starts, waits for a database that does not answer before it gives up; 0s: not at all
    #[arg(
        id = "database-start-timeout",
        long = "database-start-timeout",
        env = "SIGNET_DATABASE_START_TIMEOUT",
        value_name = "DURATION",
        default_value = "60s",
        value_parser = value::duration(0..=600)
    )]
    pub timeout: Duration,
}

/// A kind of database.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Engine {
    /// `PostgreSQL`.
    Postgres,
    /// `SQLite`.
    Sqlite,
}

/// The URL of a database of a known kind.
#[derive(Clone, Debug)]
pub struct DatabaseUrl {
    engine: Engine,
    url: SecretString,
}

impl DatabaseConfig {
    /// The default settings for the database at `url`.
    pub fn at(url: &str) -> Self {
        Self { url: SecretString::from(url), ..super::defaults() }
    }

    /// Where the database is. Reads the file when it is given by one.
    pub fn url(&self) -> Result<DatabaseUrl, ConfigError> {
        // The default gives way to a file.
        let value = Some(&self.url).filter(|url| self.url_file.is_none() || url.expose_secret() != DEFAULT_URL);
        let hint = "must not be empty; for example sqlite://signet.db";
        let url =
            secret::read(URL, value, self.url_file.as_deref())?.ok_or(ConfigError::Missing { setting: URL, hint })?;
        DatabaseUrl::parse(url)
    }
}

impl DatabaseUrl {
    fn parse(url: SecretString) -> Result<Self, ConfigError> {
        let refused = |problem| Err(ConfigError::malformed(URL, problem));
        let engine = match url.expose_secret().split_once(':') {
            Some(("sqlite", path)) => {
                let path = path.strip_prefix("//").unwrap_or(path);
                if path.is_empty() || path.starts_with('?') {
                    return refused("names no file; write it as sqlite://PATH");
                }
                if path.starts_with(":memory:") || path.contains("mode=memory") {
                    return refused(
                        "is a database in memory, of which each connection would have its own; name a file",
                    );
                }
                Engine::Sqlite
            }
            Some(("postgres" | "postgresql", _)) => {
                // The parser's own text is left out: it could grow to quote the URL, and with it the password.
                if url::Url::parse(url.expose_secret()).is_err() {
                    return refused(
                        "is not a URL; write it as postgres://USER:PASSWORD@HOST/NAME, with %40 for an @ in the password",
                    );
                }
                Engine::Postgres
            }
            _ => return refused("must begin with sqlite: or postgres://"),
        };
        Ok(Self { engine, url })
    }

    /// What kind of database it is.
    pub const fn engine(&self) -> Engine {
        self.engine
    }

    /// The URL as the operator wrote it.
    pub const fn secret(&self) -> &SecretString {
        &self.url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_follows_from_the_url() {
        for url in ["sqlite:data/signet.db", "sqlite:///var/lib/signet.db", "sqlite://:odd:.db?mode=rw"] {
            assert_eq!(DatabaseConfig::at(url).url().unwrap().engine(), Engine::Sqlite, "{url}");
        }
        for url in ["postgres://signet@db/signet", "postgresql:///signet?host=/run/postgresql"] {
            assert_eq!(DatabaseConfig::at(url).url().unwrap().engine(), Engine::Postgres, "{url}");
        }
    }

    #[test]
    fn another_url_is_refused_without_showing_it() {
        for url in [
            "",
            "sqlite:",
            "sqlite://?mode=ro",
            "sqlite::memory:",
            "sqlite://x?mode=memory",
            "mysql://root:hunter2@db",
            "postgres://me:hunter2@db:port/x",
        ] {
            let error = DatabaseConfig::at(url).url().unwrap_err().to_string();
            assert!(error.starts_with("--database-url (SIGNET_DATABASE_URL): "), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_file_takes_the_place_of_the_default_but_not_of_a_given_url() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "postgres://db/signet\n").unwrap();
        let url_file = Some(file.path().to_owned());

        let config = DatabaseConfig { url_file: url_file.clone(), ..super::super::defaults() };
        assert_eq!(config.url().unwrap().secret().expose_secret(), "postgres://db/signet");
        let config = DatabaseConfig { url_file, ..DatabaseConfig::at("sqlite:other.db") };
        assert!(matches!(config.url(), Err(ConfigError::GivenTwice { .. })));
    }
}
