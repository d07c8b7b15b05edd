use std::path::PathBuf;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret as _, SecretBox, SecretString};
use zeroize::{Zeroize as _, Zeroizing};

use super::{ConfigError, Setting, secret, value};

const MASTER_KEY: Setting = Setting::new("master-key");
/// The second key, of a rotation.
pub const PREVIOUS_MASTER_KEY: Setting = Setting::new("previous-master-key");
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

    /// Second master key while one is exchanged for another: it opens what it encrypted, and encrypts nothing. The one from before, or on the first step of a rotation the one to come
    #[arg(
        id = "previous-master-key",
        long = "previous-master-key",
        env = "SIGNET_PREVIOUS_MASTER_KEY",
        value_name = "BASE64",
        hide_env_values = true,
        value_parser = value::secret
    )]
    previous_master_key: Option<SecretString>,

    /// File that holds the second master key
    #[arg(
        id = "previous-master-key-file",
        long = "previous-master-key-file",
        env = "SIGNET_PREVIOUS_MASTER_KEY_FILE",
        value_name = "PATH"
    )]
    previous_master_key_file: Option<PathBuf>,
}

impl KeyConfig {
    /// The key of `signet dev`, which everybody knows.
    pub fn development() -> Self {
        Self {
            master_key: Some(SecretString::from(DEV_MASTER_KEY)),
            master_key_file: None,
            previous_master_key: None,
            previous_master_key_file: None,
        }
    }

    /// Whether it is the key of `signet dev`.
    pub fn is_development(&self) -> bool {
        self.master_key.as_ref().is_some_and(|key| key.expose_secret() == DEV_MASTER_KEY)
    }

    /// Whether a master key is given at all, be it the second one alone.
    pub fn is_given(&self) -> bool {
        let values = [&self.master_key, &self.previous_master_key];
        let files = [&self.master_key_file, &self.previous_master_key_file];
        files.into_iter().any(Option::is_some)
            || values.into_iter().flatten().any(|key| !key.expose_secret().is_empty())
    }

    /// The master key. Reads the file when it is given by one.
    pub fn bytes(&self) -> Result<SecretBox<[u8; 32]>, ConfigError> {
        let hint = "is needed to read and write the signing keys; make one with `openssl rand -base64 32` and keep it";
        let text = secret::read(MASTER_KEY, self.master_key.as_ref(), self.master_key_file.as_deref())?
            .ok_or(ConfigError::Missing { setting: MASTER_KEY, hint })?;
        decode(&MASTER_KEY, &text)
    }

    /// The second master key, if there is one. Refuses one that is the master key itself: somebody believes to have exchanged it.
    pub fn previous_bytes(&self) -> Result<Option<SecretBox<[u8; 32]>>, ConfigError> {
        let file = self.previous_master_key_file.as_deref();
        let Some(text) = secret::read(PREVIOUS_MASTER_KEY, self.previous_master_key.as_ref(), file)? else {
            return Ok(None);
        };
        let key = decode(&PREVIOUS_MASTER_KEY, &text)?;
        if key.expose_secret() == self.bytes()?.expose_secret() {
            let problem = format!("is the same key as {MASTER_KEY}; give the other one, or none");
            return Err(ConfigError::malformed(PREVIOUS_MASTER_KEY, problem));
        }
        Ok(Some(key))
    }

    /// Fails for a missing or malformed master key, and for one that protects nothing; likewise for the second one, if there is one.
    pub fn refuse_development_key(&self) -> Result<(), ConfigError> {
        refuse_known(MASTER_KEY, &self.bytes()?)?;
        self.previous_bytes()?.map_or(Ok(()), |key| refuse_known(PREVIOUS_MASTER_KEY, &key))
    }
}

fn decode(setting: &Setting, text: &SecretString) -> Result<SecretBox<[u8; 32]>, ConfigError> {
    let malformed = || ConfigError::malformed(setting.clone(), FORM);
    let decoded = STANDARD.decode(text.expose_secret()).map(Zeroizing::new).map_err(|_| malformed())?;
    let mut bytes = <[u8; 32]>::try_from(decoded.as_slice()).map_err(|_| malformed())?;
    let key = SecretBox::init_with_mut(|key: &mut [u8; 32]| key.copy_from_slice(&bytes));
    bytes.zeroize();
    Ok(key)
}

fn refuse_known(setting: Setting, key: &SecretBox<[u8; 32]>) -> Result<(), ConfigError> {
    let first = key.expose_secret()[0];
    let known = KeyConfig::development().bytes()?.expose_secret() == key.expose_secret();
    if known || key.expose_secret().iter().all(|byte| *byte == first) {
        let problem = "is the key of `signet dev` or a placeholder, which everybody knows; \
                       make one with `openssl rand -base64 32`";
        return Err(ConfigError::malformed(setting, problem));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const OTHER: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHiA=";

    fn config(text: &str) -> KeyConfig {
        KeyConfig { master_key: Some(SecretString::from(text)), ..KeyConfig::development() }
    }

    fn with_previous(text: &str) -> KeyConfig {
        KeyConfig { previous_master_key: Some(SecretString::from(text)), ..config(KEY) }
    }

    #[test]
    fn a_key_of_32_bytes_is_read() {
        let key = config(KEY);
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

    #[test]
    fn a_second_key_is_read_and_has_to_be_another_one() {
        assert!(
            config(KEY).previous_bytes().unwrap().is_none() && with_previous("").previous_bytes().unwrap().is_none()
        );
        let key = with_previous(OTHER);
        assert_eq!(key.previous_bytes().unwrap().unwrap().expose_secret()[31], 32);
        assert!(key.refuse_development_key().is_ok());

        let refused = |text: &str| {
            let error = with_previous(text).refuse_development_key().unwrap_err().to_string();
            assert!(error.starts_with("--previous-master-key (SIGNET_PREVIOUS_MASTER_KEY): "), "{error}");
            assert!(!error.contains(text), "{error}");
            error
        };
        assert!(refused(KEY).contains("is the same key as --master-key (SIGNET_MASTER_KEY)"));
        assert!(refused("not base64 at all").contains("must be 32 bytes"));
        assert!(refused(DEV_MASTER_KEY).contains("which everybody knows"));
        assert!(refused(&STANDARD.encode([7; 32])).contains("which everybody knows"));
    }

    #[test]
    fn the_second_key_alone_is_not_taken_for_none() {
        let alone = KeyConfig { master_key: None, ..with_previous(OTHER) };
        assert!(alone.is_given() && alone.bytes().is_err());
        assert!(!KeyConfig { previous_master_key: Some(SecretString::from("")), ..alone }.is_given());
    }
}
