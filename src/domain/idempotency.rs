//! Keys by which a caller names a request and its repetitions.

use std::fmt;

use chrono::Duration;

/// Longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 255;
/// Largest answer that is kept, in bytes.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// How long an answer is kept that says what was made or sent.
pub const ANSWER_KEPT: Duration = Duration::hours(24);
/// How long an answer is kept that holds tokens, or tells of a user or a session as they were then: as long as the reply to a lost
/// call is waited for, and no longer, because whatever it says may be taken back meanwhile.
pub const ANSWER_KEPT_BRIEFLY: Duration = Duration::minutes(2);

/// The bytes are not a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("must be 1 to {KEY_BYTES_MAX} visible ASCII characters, and stand there once")]
pub struct ParseIdempotencyKeyError;

/// What a caller calls a request. Never printed: who knows a key and its request gets the answer.
#[derive(Clone, Eq, PartialEq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Reads a key.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseIdempotencyKeyError> {
        let is_fine = (1..=KEY_BYTES_MAX).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic);
        let text = std::str::from_utf8(bytes).ok().filter(|_| is_fine);
        text.map(|text| Self(text.to_owned())).ok_or(ParseIdempotencyKeyError)
    }

    /// The bytes to hash.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdempotencyKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_1_to_255_visible_characters() {
        for key in ["a", "!~", "6f1c-2_3.b", &"k".repeat(255)] {
            assert_eq!(IdempotencyKey::parse(key.as_bytes()).unwrap().as_bytes(), key.as_bytes());
        }
        for key in ["", " ", "a b", "a\n", "é", "\u{7f}", &"k".repeat(256)] {
            assert_eq!(IdempotencyKey::parse(key.as_bytes()), Err(ParseIdempotencyKeyError), "{key:?}");
        }
        assert!(!format!("{:?}", IdempotencyKey::parse(b"secret-key").unwrap()).contains("secret"));
    }
}
