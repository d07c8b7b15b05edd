//! Passwords as typed, and the policy for new ones (NIST SP 800-63B-4, section 3.1.1).

use secrecy::{ExposeSecret as _, SecretBox, SecretString};
use unicode_normalization::UnicodeNormalization as _;

use super::identifier::Identifier;

/// Longest password as it arrives, in bytes.
pub const PASSWORD_BYTES_MAX: usize = 1024;

/// The text cannot be a password.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ParsePasswordError {
    /// No bytes at all.
    #[error("must not be empty")]
    Empty,
    /// Longer than [`PASSWORD_BYTES_MAX`].
    #[error("must be at most {PASSWORD_BYTES_MAX} bytes long")]
    TooLong,
}

/// A password as typed, in NFC. Wiped when dropped, never printed.
#[derive(Clone, Debug)]
pub struct Password(SecretString);

impl Password {
    /// Takes what was typed. Every byte counts, spaces at the ends too.
    pub fn parse(text: &str) -> Result<Self, ParsePasswordError> {
        match text.len() {
            0 => Err(ParsePasswordError::Empty),
            length if length > PASSWORD_BYTES_MAX => Err(ParsePasswordError::TooLong),
            _ => Ok(Self(text.nfc().collect::<String>().into())),
        }
    }

    /// The bytes to hash.
    pub fn expose_bytes(&self) -> &[u8] {
        self.0.expose_secret().as_bytes()
    }

    fn folded(&self) -> SecretBox<String> {
        SecretBox::new(Box::new(self.0.expose_secret().to_lowercase()))
    }
}

/// What a new password must satisfy. No composition rules: they make passwords worse.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PasswordPolicy {
    /// At least 8 characters, so that people who come from elsewhere can keep theirs.
    #[default]
    Compatible,
    /// At least 15 characters, what NIST asks of a single factor.
    Nist80063b4,
}

/// A rule that a new password breaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PasswordWeakness {
    /// On the block-list.
    #[error("is one of the most common passwords")]
    Common,
    /// Says little more than the identifier.
    #[error("is too similar to the email address, username or phone number")]
    Similar,
    /// Fewer code points than the policy asks for.
    #[error("must have at least {minimum} characters")]
    TooShort {
        /// Least number of code points.
        minimum: usize,
    },
}

impl PasswordPolicy {
    /// Least length in code points.
    pub const fn length_min(self) -> usize {
        match self {
            Self::Compatible => 8,
            Self::Nist80063b4 => 15,
        }
    }

    /// Every rule that the password breaks; none if it is fine.
    pub fn weaknesses(self, password: &Password, identifiers: &[Identifier]) -> Vec<PasswordWeakness> {
        let folded = password.folded();
        let folded = folded.expose_secret().as_str();
        let mut weaknesses = Vec::new();
        if password.0.expose_secret().chars().count() < self.length_min() {
            weaknesses.push(PasswordWeakness::TooShort { minimum: self.length_min() });
        }
        if is_common(folded) {
            weaknesses.push(PasswordWeakness::Common);
        }
        if identifiers.iter().any(|identifier| is_similar(folded, identifier.canonical())) {
            weaknesses.push(PasswordWeakness::Similar);
        }
        weaknesses
    }
}

/// The block-list, lower case, one a line, sorted.
const COMMON: &str = include_str!("password/common.txt");

fn is_common(folded: &str) -> bool {
    let listed = |word: &str| COMMON.lines().any(|common| common == word);
    // `password1!` is no better than `password`.
    let stem = folded.trim_end_matches(|c: char| c.is_ascii_digit() || c.is_ascii_punctuation());
    let repeated = folded.chars().next().is_some_and(|first| folded.chars().all(|c| c == first));
    repeated || listed(folded) || (!stem.is_empty() && listed(stem))
}

/// True if all but three characters of the password stand in the identifier.
fn is_similar(folded: &str, canonical: &str) -> bool {
    // A phone number is as easily guessed without the sign in front of it.
    let canonical = canonical.strip_prefix('+').unwrap_or(canonical);
    let local = canonical.split('@').next().unwrap_or(canonical);
    [canonical, local].into_iter().filter(|part| part.chars().count() >= 4).any(|part| {
        let rest = folded.replacen(part, "", 1);
        rest.len() < folded.len() && rest.chars().count() <= 3
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::domain::identifier::IdentifierKind;

    #[test]
    fn the_bounds_are_1_and_1024_bytes() {
        assert_eq!(Password::parse("").unwrap_err(), ParsePasswordError::Empty);
        assert!(Password::parse(&"p".repeat(PASSWORD_BYTES_MAX)).is_ok());
        assert_eq!(Password::parse(&"p".repeat(PASSWORD_BYTES_MAX + 1)).unwrap_err(), ParsePasswordError::TooLong);
    }

    #[test]
    fn two_ways_to_type_a_letter_are_one_password() {
        let composed = Password::parse("caf\u{e9}").unwrap();
        let decomposed = Password::parse("cafe\u{301}").unwrap();
        assert_eq!(composed.expose_bytes(), decomposed.expose_bytes());
    }

    #[test]
    fn it_is_not_printed() {
        assert!(!format!("{:?}", Password::parse("hunter2hunter2").unwrap()).contains("hunter2"));
    }

    #[rstest]
    #[case("a horse, a lamp", &[])]
    #[case("seven77", &[PasswordWeakness::TooShort { minimum: 8 }])]
    #[case("Password123!", &[PasswordWeakness::Common])]
    #[case("aaaaaaaaaaaa", &[PasswordWeakness::Common])]
    #[case("ada.lovelace42", &[PasswordWeakness::Similar])]
    #[case("Ada.Lovelace@example.com", &[PasswordWeakness::Similar])]
    fn weaknesses_are_named(#[case] text: &str, #[case] expected: &[PasswordWeakness]) {
        let email = Identifier::parse(IdentifierKind::Email, "ada.lovelace@example.com").unwrap();
        let found = PasswordPolicy::Compatible.weaknesses(&Password::parse(text).unwrap(), &[email]);
        assert_eq!(found, expected);
    }

    #[rstest]
    #[case("+12025550123")]
    #[case("12025550123")]
    #[case("12025550123!a")]
    fn a_phone_number_is_no_password_with_or_without_its_plus(#[case] text: &str) {
        let phone = Identifier::parse(IdentifierKind::Phone, "+12025550123").unwrap();
        let found = PasswordPolicy::Compatible.weaknesses(&Password::parse(text).unwrap(), &[phone]);
        assert_eq!(found, [PasswordWeakness::Similar]);
    }

    #[test]
    fn length_counts_code_points() {
        let eight = Password::parse("żółw🐢🐢🐢🐢").unwrap();
        assert!(PasswordPolicy::Compatible.weaknesses(&eight, &[]).is_empty());
        assert_eq!(PasswordPolicy::Nist80063b4.weaknesses(&eight, &[]), [PasswordWeakness::TooShort { minimum: 15 }]);
    }
}
