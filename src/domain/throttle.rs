//! How failed checks of a secret slow down the next ones: growing delays, never a permanent lock.

use chrono::Duration;

use crate::clock::Timestamp;

/// Failures that cost nothing.
pub const FREE_FAILURES: i32 = 10;
/// Delay after the first failure that is not free; it doubles with each one.
pub const FIRST_DELAY: Duration = Duration::seconds(30);
/// Longest delay.
pub const LONGEST_DELAY: Duration = Duration::minutes(15);
/// Failures are forgotten after this long without another.
pub const MEMORY: Duration = Duration::minutes(30);

/// Which secret was guessed at. Each has its own budget, so that one path cannot lock another.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ThrottleKind {
    /// Mails with a code: not a guess, but just as worth slowing down.
    CodeMail,
    /// Six-digit codes.
    EmailCode,
    /// Passwords.
    Password,
    /// Six-digit codes of password resets.
    PasswordReset,
    /// Mails with a password reset: no guesses either.
    PasswordResetMail,
}

impl ThrottleKind {
    /// The word for it in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CodeMail => "code_mail",
            Self::EmailCode => "email_code",
            Self::Password => "password",
            Self::PasswordReset => "password_reset",
            Self::PasswordResetMail => "password_reset_mail",
        }
    }
}

/// Counted failures of one subject.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Failures {
    /// How many, since the count was last forgotten.
    pub count: i32,
    /// When the last one was.
    pub last_at: Timestamp,
}

impl Failures {
    /// When the next check may succeed, if that is later than `now`.
    pub fn blocked_until(&self, now: Timestamp) -> Option<Timestamp> {
        let over = u32::try_from(self.count.saturating_sub(FREE_FAILURES)).ok().filter(|over| *over > 0)?;
        let doublings = (over - 1).min(16);
        let delay = (FIRST_DELAY * (1 << doublings)).min(LONGEST_DELAY);
        Some(self.last_at + delay).filter(|until| now < *until)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_block_ends_by_itself(count: i32, seconds in 0_i64..4_000_000_000) {
            let last_at = Timestamp::from_timestamp_secs(seconds).unwrap();
            let failures = Failures { count, last_at };
            prop_assert_eq!(failures.blocked_until(last_at + LONGEST_DELAY), None);
        }

        #[test]
        fn more_failures_never_shorten_a_block(count in 0..i32::MAX - 1) {
            let now = Timestamp::UNIX_EPOCH;
            let fewer = Failures { count, last_at: now }.blocked_until(now);
            let more = Failures { count: count + 1, last_at: now }.blocked_until(now);
            prop_assert!(more >= fewer);
        }
    }

    #[test]
    fn the_first_failures_are_free() {
        let now = Timestamp::UNIX_EPOCH;
        let after = |count| Failures { count, last_at: now }.blocked_until(now);
        assert_eq!(after(i32::MIN), None);
        assert_eq!(after(FREE_FAILURES), None);
        assert_eq!(after(FREE_FAILURES + 1), Some(now + FIRST_DELAY));
        assert_eq!(after(FREE_FAILURES + 2), Some(now + FIRST_DELAY * 2));
        assert_eq!(after(FREE_FAILURES + 99), Some(now + LONGEST_DELAY));
    }
}
