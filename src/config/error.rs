use std::{borrow::Cow, fmt, io, path::PathBuf};

/// A setting as the operator knows it: its flag and its variable.
///
/// Only the name of the flag is kept: the variable follows from it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Setting(Cow<'static, str>);

impl Setting {
    /// The setting of the flag `--name`.
    pub const fn new(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }

    pub(super) fn of_flag(name: &str) -> Self {
        Self(Cow::Owned(name.to_owned()))
    }

    /// The setting that names a file with this one's value.
    pub(super) fn file(&self) -> Self {
        Self(Cow::Owned(format!("{}-file", self.0)))
    }

    /// The name of the flag, without its dashes.
    pub fn flag(&self) -> &str {
        &self.0
    }

    /// The variable: `SIGNET_GRPC_ADDR` for `--grpc-addr`.
    pub fn variable(&self) -> String {
        format!("SIGNET_{}", self.0.to_uppercase().replace('-', "_"))
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--{} ({})", self.0, self.variable())
    }
}

/// What is wrong with one setting. The text names the setting and says what to do, and never shows a secret.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A secret is given as a value and as a file.
    #[error("{setting}: given twice, also as {}; remove one of them", .setting.file())]
    GivenTwice {
        /// The setting that holds the value itself.
        setting: Setting,
    },
    /// The value does not have the form that is asked for.
    #[error("{setting}: {problem}")]
    Malformed {
        /// The setting.
        setting: Setting,
        /// What is wrong and what would be right, without the value of a secret.
        problem: String,
    },
    /// The setting is needed and not there.
    #[error("{setting}: {hint}")]
    Missing {
        /// The setting.
        setting: Setting,
        /// Why it is needed and how to make one.
        hint: &'static str,
    },
    /// A file that a setting names cannot be read.
    #[error("{setting}: cannot read {}: {source}", .path.display())]
    Unreadable {
        /// The setting that names the file.
        setting: Setting,
        /// The file.
        path: PathBuf,
        /// Why it cannot be read.
        source: io::Error,
    },
    /// A variable begins with `SIGNET_` but is no setting.
    #[error("{variable}: there is no such setting{}", .nearest.as_ref().map(|near| format!("; did you mean {near}?")).unwrap_or_default())]
    UnknownVariable {
        /// The variable.
        variable: String,
        /// The variable of a setting whose name is close.
        nearest: Option<String>,
    },
}

impl ConfigError {
    /// The value of a setting is not usable, and why.
    pub fn malformed(setting: Setting, problem: impl Into<String>) -> Self {
        Self::Malformed { setting, problem: problem.into() }
    }
}

/// Every problem of the settings, so that they can be mended in one go.
#[derive(Debug)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the settings are not usable")?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for ConfigErrors {}
