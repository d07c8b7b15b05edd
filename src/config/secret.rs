//! Secrets that are given as a value or as a file.

use std::{fs::File, io::Read as _, path::Path};

use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use super::{ConfigError, Setting};

/// No secret is larger, and no bundle of certificates.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// The value of a secret setting, from wherever it is given. An empty value counts as none, an empty file does not.
pub(super) fn read(
    setting: Setting,
    value: Option<&SecretString>,
    file: Option<&Path>,
) -> Result<Option<SecretString>, ConfigError> {
    let value = value.filter(|value| !value.expose_secret().is_empty());
    match (value, file) {
        (Some(_), Some(_)) => Err(ConfigError::GivenTwice { setting }),
        (Some(value), None) => Ok(Some(value.clone())),
        (None, None) => Ok(None),
        (None, Some(path)) => {
            let setting = setting.file();
            let bytes = read_file(setting.clone(), path)?;
            let text = std::str::from_utf8(&bytes)
                .map_err(|_| ConfigError::malformed(setting.clone(), "the file does not hold text"))?
                .trim_end_matches(['\r', '\n']);
            if text.is_empty() {
                return Err(ConfigError::malformed(setting, "the file is empty"));
            }
            Ok(Some(SecretString::from(text)))
        }
    }
}

/// The bytes of a file that a setting names, wiped when dropped.
pub(super) fn read_file(setting: Setting, path: &Path) -> Result<Zeroizing<Vec<u8>>, ConfigError> {
    // Of the full size from the start: growing would leave copies of the secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(FILE_BYTES_MAX).unwrap_or_default() + 1));
    File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(|source| ConfigError::Unreadable { setting: setting.clone(), path: path.to_owned(), source })?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(ConfigError::malformed(setting, format!("the file is larger than {FILE_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const SETTING: Setting = Setting::new("master-key");

    #[test]
    fn a_secret_is_read_from_a_file_without_its_last_newline() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        fs::write(&path, " two words \r\n").unwrap();
        let secret = read(SETTING, None, Some(&path)).unwrap().unwrap();
        assert_eq!(secret.expose_secret(), " two words ");
    }

    #[test]
    fn a_secret_given_as_value_and_as_file_is_refused_and_not_shown() {
        let value = SecretString::from("hunter2");
        let error = read(SETTING, Some(&value), Some(Path::new("/nowhere"))).unwrap_err().to_string();
        assert!(error.contains("--master-key (SIGNET_MASTER_KEY)"), "{error}");
        assert!(error.contains("--master-key-file (SIGNET_MASTER_KEY_FILE)"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn an_unusable_file_names_the_setting_that_points_to_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        let error = |path| read(SETTING, None, Some(path)).unwrap_err().to_string();

        assert!(error(&path).contains("SIGNET_MASTER_KEY_FILE): cannot read"));
        fs::write(&path, "\n").unwrap();
        assert!(error(&path).contains("SIGNET_MASTER_KEY_FILE): the file is empty"));
        fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(error(&path).contains("does not hold text"));
        fs::write(&path, vec![b'a'; 1_048_577]).unwrap();
        assert!(error(&path).contains("larger than 1048576 bytes"));
        fs::write(&path, vec![b'a'; 1_048_576]).unwrap();
        assert!(read(SETTING, None, Some(&path)).is_ok(), "the limit itself is fine");
    }

    #[test]
    fn an_empty_value_is_no_value() {
        assert!(read(SETTING, Some(&SecretString::from("")), None).unwrap().is_none());
    }
}
