//! What becomes of a refresh token that is presented.
//!
//! A session counts the generations of its refresh token. A refresh moves it on by one, and for a while the token before gets
//! the same answer again: a reply may be lost, and two tabs may refresh together. Later it can only be a copy.
//! `tests/refresh_model` checks this function in every order of events.

use chrono::Duration;

use crate::clock::Timestamp;

/// How a project handles refresh tokens.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RefreshPolicy {
    /// Whether a refresh replaces the token.
    pub rotates: bool,
    /// How long a replaced token still gets its successor.
    pub grace: Duration,
}

/// Where a session's refresh token stands.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct RefreshState {
    /// Generation of the current token.
    pub generation: u32,
    /// When it replaced the one before; none for the first.
    pub rotated_at: Option<Timestamp>,
}

/// What becomes of a refresh token that is presented.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RefreshOutcome {
    /// It stays good.
    Keep,
    /// It was replaced a moment ago: its successor is given again.
    Repeat,
    /// It is a copy: the session ends.
    Reuse,
    /// It is replaced.
    Rotate {
        /// Generation of its successor.
        to: u32,
    },
}

impl RefreshState {
    /// The state of a new session.
    pub const FIRST: Self = Self { generation: 1, rotated_at: None };

    /// What becomes of a token of generation `presented`, whose MAC or signature was right.
    pub fn present(&self, presented: u32, policy: RefreshPolicy, now: Timestamp) -> RefreshOutcome {
        // A generation that has not been reached: the database was set back, by a restore or a failover that lost its last
        // moments. The token is ours, so its owner goes on from there.
        if presented >= self.generation {
            return if policy.rotates {
                RefreshOutcome::Rotate { to: presented.saturating_add(1) }
            } else {
                RefreshOutcome::Keep
            };
        }
        let in_grace = self.rotated_at.is_some_and(|rotated_at| now < rotated_at + policy.grace);
        if in_grace && presented + 1 == self.generation { RefreshOutcome::Repeat } else { RefreshOutcome::Reuse }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{RefreshOutcome::*, *};

    const GRACE: i64 = 30;

    /// The current token is of generation 5 and 10 seconds old.
    fn present(presented: u32, rotates: bool, seconds_later: i64) -> RefreshOutcome {
        let rotated_at = Timestamp::from_timestamp_secs(1_800_000_000).unwrap();
        let state = RefreshState { generation: 5, rotated_at: Some(rotated_at) };
        let policy = RefreshPolicy { rotates, grace: Duration::seconds(GRACE) };
        state.present(presented, policy, rotated_at + Duration::seconds(seconds_later))
    }

    #[rstest]
    #[case::the_current_one(5, 0, Rotate { to: 6 })]
    #[case::the_current_one_however_old(5, 1_000_000, Rotate { to: 6 })]
    #[case::the_one_before_at_once(4, 0, Repeat)]
    #[case::the_one_before_by_a_clock_that_runs_late(4, -5, Repeat)]
    #[case::the_one_before_in_the_last_second(4, GRACE - 1, Repeat)]
    #[case::the_one_before_too_late(4, GRACE, Reuse)]
    #[case::an_older_one_at_once(3, 0, Reuse)]
    #[case::the_first(1, 0, Reuse)]
    #[case::one_that_the_database_has_forgotten(7, 0, Rotate { to: 8 })]
    fn a_token_that_rotates(#[case] presented: u32, #[case] seconds_later: i64, #[case] expected: RefreshOutcome) {
        assert_eq!(present(presented, true, seconds_later), expected);
    }

    #[rstest]
    #[case(5, 1_000_000, Keep)]
    #[case(4, GRACE - 1, Repeat)]
    #[case(4, GRACE, Reuse)]
    #[case(7, 0, Keep)]
    fn a_token_that_does_not(#[case] presented: u32, #[case] seconds_later: i64, #[case] expected: RefreshOutcome) {
        assert_eq!(present(presented, false, seconds_later), expected);
    }

    #[test]
    fn without_a_grace_period_there_is_no_second_answer() {
        let policy = RefreshPolicy { rotates: true, grace: Duration::zero() };
        let now = Timestamp::UNIX_EPOCH;
        let state = RefreshState { generation: 2, rotated_at: Some(now) };
        assert_eq!(state.present(1, policy, now), Reuse);
    }
}
