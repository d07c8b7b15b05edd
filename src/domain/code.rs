//! Codes that are mailed and typed: short enough for people, so that they can be guessed, and tries have to be counted.

use crate::random::Random;

/// Digits of the code that verifies an address. Whoever may try one has shown the password.
pub const VERIFICATION_DIGITS: usize = 6;
/// Digits of the code of a password reset. Anybody may try those, of as many users as they like, so each has to be a hundred
/// times harder to guess.
pub const RESET_DIGITS: usize = 8;
/// Longest text that is looked at, in characters: with what people type between the digits.
const TYPED_CHARS_MAX: usize = 32;

/// A code. Never printed.
#[derive(Clone)]
pub struct Code(String);

impl Code {
    /// A new code of that many digits.
    pub fn generate(digits: usize, random: &Random) -> Self {
        Self((0..digits).map(|_| char::from_digit(random.below(10), 10).unwrap_or('0')).collect())
    }

    /// Reads a code of that many digits; spaces and dashes that people type are ignored.
    pub fn parse(text: &str, digits: usize) -> Result<Self, ParseCodeError> {
        let typed: String = text.chars().take(TYPED_CHARS_MAX).filter(|c| !matches!(c, ' ' | '-')).collect();
        let fine = typed.len() == digits && typed.bytes().all(|digit| digit.is_ascii_digit());
        if fine { Ok(Self(typed)) } else { Err(ParseCodeError { digits }) }
    }

    /// The digits, to be compared or mailed.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Code")
    }
}

/// The text is not a code.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("must be {digits} digits")]
pub struct ParseCodeError {
    digits: usize,
}
