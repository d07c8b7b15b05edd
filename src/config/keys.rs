use std::path::PathBuf;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret as _, SecretBox, SecretString};
use zeroize::{Zeroize as _, Zeroizing};

use super::{ConfigError, Setting, secret, value};

const MASTER_KEY: Setting = Setting::new("master-key");
const FORM: &str = "must be 32 bytes in base64; make one with `openssl rand -base64 32`";

/// The master key of `signet dev`: the bytes `signet dev key, not a secret!!!!`. `signet serve` refuses it.
pub const DEV_MASTER_KEY: &str = "c2lnbmV0IGRldiBrZXksIG5vdCBhIHNlY3JldCEhISE=";

/// The master key.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Keys")]
pub struct KeyConfig {
    /// Key that encrypts the signing keys in the database: 32 bytes in base64 (`openssl rand -base64 32`)
    #[arg(
        id = "master-key",
        long = "master-key",
        env = "SIGNET_MASTER_KEY",
        value_name = "BASE64",
        hide_env_values = true,
        value_parser = value::secret
    )]
    master_key: Option<SecretString>,

    /// File that holds the master key
    #[arg(id = "master-key-file", long = "master-key-file", env = "SIGNET_MASTER_KEY_FILE", value_name = "PATH")]
    master_key_file: Option<PathBuf>,
}

impl KeyConfig {
    /// The key of `signet dev`, which everybody knows.
    pub fn development() -> Self {
        Self { master_key: Some(SecretString::from(DEV_MASTER_KEY)), master_key_file: None }
    }

    /// Whether it is the key of `signet dev`.
    pub fn is_development(&self) -> bool {
        self.master_key.as_ref().is_some_and(|key| key.expose_secret() == DEV_MASTER_KEY)
    }

    /// Whether a master key is given at all.
    pub fn is_given(&self) -> bool {
        self.master_key_file.is_some() || self.master_key.as_ref().is_some_and(|key| !key.expose_secret().is_empty())
    }

    /// The master key. Reads the file when it is given by one.
    pub fn bytes(&self) -> Result<SecretBox<[u8; 32]>, ConfigError> {
        let hint = "is needed to read and write the signing keys; make one with `openssl rand -base64 32` and keep it";
        let text = secret::read(MASTER_KEY, self.master_key.as_ref(), self.master_key_file.as_deref())?
            .ok_or(ConfigError::Missing { setting: MASTER_KEY, hint })?;
        let decoded = STANDARD
            .decode(text.expose_secret())
            .map(Zeroizing::new)
            .map_err(|_| ConfigError::malformed(MASTER_KEY, FORM))?;
        let mut bytes =
            <[u8; 32]>::try_from(decoded.as_slice()).map_err(|_| ConfigError::malformed(MASTER_KEY, FORM))?;
        let key = SecretBox::init_with_mut(|key: &mut [u8; 32]| key.copy_from_slice(&bytes));
        bytes.zeroize();
        Ok(key)
    }

    /// Fails for a missing or malformed master key, and for one that protects nothing.
    pub(super) fn refuse_development_key(&self) -> Result<(), ConfigError> {
        let key = self.bytes()?;
        let first = key.expose_secret()[0];
        let known = Self::development().bytes()?.expose_secret() == key.expose_secret();
        if known || key.expose_secret().iter().all(|byte| *byte == first) {
            let problem = "is the key of `signet dev` or a placeholder, which everybody knows; \
                           make one with `openssl rand -base64 32`";
            return Err(ConfigError::malformed(MASTER_KEY, problem));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> KeyConfig {
        KeyConfig { master_key: Some(SecretString::from(text)), master_key_file: None }
    }

    #[test]
    fn a_key_of_32_bytes_is_read() {
        let key = config("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
        assert_eq!(key.bytes().unwrap().expose_secret()[..4], [0, 1, 2, 3]);
        assert!(key.refuse_development_key().is_ok());
    }

    #[test]
    fn a_malformed_or_missing_key_is_refused_without_showing_it() {
        for text in ["c2hvcnQ=", "not base64 at all", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gIQ=="] {
            let error = config(text).bytes().unwrap_err().to_string();
            assert!(error.starts_with("--master-key (SIGNET_MASTER_KEY): must be 32 bytes"), "{error}");
            assert!(!error.contains(text), "{error}");
        }
        let error = super::super::defaults::<KeyConfig>().bytes().unwrap_err().to_string();
        assert!(error.contains("SIGNET_MASTER_KEY") && error.contains("openssl rand -base64 32"), "{error}");
    }

    #[test]
    fn the_key_of_dev_is_readable_but_refused_by_serve() {
        let key = KeyConfig::development();
        assert_eq!(key.bytes().unwrap().expose_secret(), b"signet dev key, not a secret!!!!");
        assert!(key.refuse_development_key().is_err());
        assert!(config(&STANDARD.encode([0; 32])).refuse_development_key().is_err());
    }
}
