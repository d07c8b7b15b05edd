//! What is to become of a mail after a try.

use std::fmt::Display;

use chrono::Duration;
use tracing::Span;

use super::Outcome;
use crate::{
    clock::Timestamp,
    domain::{event::Cause, message::DueMail},
    random::Random,
};

/// How often a mail is tried: more often than fits into the longest life of a mail, a day, so that a mail server may be away for as
/// long as the mail is good. What it ends are mails over which the process dies.
pub(super) const ATTEMPTS_MAX: i32 = 600;
/// Shortest pause before a mail is tried again.
const PAUSE_MIN: Duration = Duration::seconds(5);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::minutes(5);

/// A try that failed. The texts are stored and logged; they hold nothing of the mail.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Failure {
    /// Trying again cannot help.
    Hopeless { cause: Cause, error: String },
    /// Trying again may help.
    Transient { error: String },
}

impl Failure {
    pub(super) fn hopeless(cause: Cause, error: &impl Display) -> Self {
        Self::Hopeless { cause, error: error.to_string() }
    }

    pub(super) fn transient(error: &impl Display) -> Self {
        Self::Transient { error: error.to_string() }
    }
}

/// What is to become of a mail.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// It will not be tried again.
    GivenUp { cause: Cause, error: String },
    /// It will be tried again.
    Postponed { until: Timestamp, error: String },
    /// It is in other hands.
    Sent,
}

impl Verdict {
    /// Judges a try that ended `now`.
    pub(super) fn of(tried: Result<(), Failure>, mail: &DueMail, now: Timestamp, random: &Random) -> Self {
        let error = match tried {
            Ok(()) => return Self::Sent,
            Err(Failure::Hopeless { cause, error }) => return Self::GivenUp { cause, error },
            Err(Failure::Transient { error }) => error,
        };
        let until = now + pause_after(mail.attempts, random);
        if mail.attempts >= ATTEMPTS_MAX {
            Self::GivenUp { cause: Cause::TooManyAttempts, error }
        } else if until >= mail.expires_at {
            Self::GivenUp { cause: Cause::Expired, error }
        } else {
            Self::Postponed { until, error }
        }
    }

    pub(super) const fn outcome(&self) -> Outcome {
        match self {
            Self::GivenUp { .. } => Outcome::GivenUp,
            Self::Postponed { .. } => Outcome::Retried,
            Self::Sent => Outcome::Sent,
        }
    }

    /// Tells the span of the try. Never what the mail server said.
    pub(super) fn show_in(&self, span: &Span) {
        span.record("mail.outcome", self.outcome().as_str());
        let problem = match self {
            Self::GivenUp { cause, .. } => cause.as_str(),
            Self::Postponed { .. } => "postponed",
            Self::Sent => return,
        };
        span.record("otel.status_code", "ERROR");
        span.record("error.type", problem);
    }

    /// Never logs the recipient, who is no business of whoever reads logs.
    pub(super) fn log(&self, mail: &DueMail) {
        let (id, project, attempt) = (mail.id, mail.project_id, mail.attempts);
        match self {
            Self::GivenUp { cause, error } => {
                let cause = cause.as_str();
                tracing::warn!(mail.id = %id, project.id = %project, mail.attempt = attempt, cause, error, "gave up a mail");
            }
            Self::Postponed { until, error } => {
                tracing::warn!(mail.id = %id, project.id = %project, mail.attempt = attempt, %until, error, "postponed a mail");
            }
            Self::Sent => tracing::info!(mail.id = %id, project.id = %project, mail.attempt = attempt, "sent a mail"),
        }
    }
}

/// Finds the mails that are not worth a try.
pub(super) fn check_worth_sending(mail: &DueMail, now: Timestamp) -> Result<(), Failure> {
    if now >= mail.expires_at {
        return Err(Failure::hopeless(Cause::Expired, &"the mail expired before it could be sent"));
    }
    // More tries than were noted: each time the process died over it.
    if mail.attempts > ATTEMPTS_MAX {
        return Err(Failure::hopeless(
            Cause::TooManyAttempts,
            &"sending the mail ended again and again without an outcome",
        ));
    }
    Ok(())
}

/// Doubles with each attempt, and is drawn from the upper half of its range, so that mails that failed together do not come
/// back together: 5 to 10 s after the first attempt, 10 to 20 s after the second, 2.5 to 5 min at the end.
fn pause_after(attempts: i32, random: &Random) -> Duration {
    let doublings = attempts.clamp(1, 10).unsigned_abs();
    let longest = (PAUSE_MIN * 2_i32.pow(doublings)).min(PAUSE_MAX);
    let half = longest / 2;
    let span = u32::try_from(half.num_milliseconds()).expect("a pause has few milliseconds");
    half + Duration::milliseconds(random.below(span + 1).into())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use uuid::Uuid;

    use super::*;

    fn mail(attempts: i32, expires_in: Duration) -> DueMail {
        DueMail {
            id: Uuid::from_u128(7).into(),
            project_id: Uuid::from_u128(8).into(),
            recipient: "ada@example.com".to_owned(),
            sealed: Vec::new(),
            attempts,
            expires_at: now() + expires_in,
            traceparent: None,
        }
    }

    fn now() -> Timestamp {
        "2026-11-21T20:28:00Z".parse().unwrap()
    }

    fn after_failure(mail: &DueMail) -> Verdict {
        Verdict::of(Err(Failure::transient(&"away")), mail, now(), &Random::seeded(1))
    }

    #[rstest]
    #[case(1, 5_000, 10_000)]
    #[case(2, 10_000, 20_000)]
    #[case(5, 80_000, 160_000)]
    #[case(6, 150_000, 300_000)]
    #[case(12, 150_000, 300_000)]
    #[case(i32::MAX, 150_000, 300_000)]
    #[case(0, 5_000, 10_000)]
    fn pauses_grow_from_5_seconds_to_5_minutes(#[case] attempts: i32, #[case] least: i64, #[case] most: i64) {
        let random = Random::seeded(7);
        let pauses: Vec<i64> = (0..200).map(|_| pause_after(attempts, &random).num_milliseconds()).collect();
        assert!(pauses.iter().all(|pause| (least..=most).contains(pause)), "{pauses:?}");
        // They are spread over the range, not bunched.
        let (first, last) = (pauses.iter().min().unwrap(), pauses.iter().max().unwrap());
        assert!(last - first > (most - least) / 2, "{pauses:?}");
    }

    #[test]
    fn a_transient_failure_postpones() {
        let Verdict::Postponed { until, error } = after_failure(&mail(1, Duration::minutes(10))) else {
            panic!("given up")
        };
        assert!(until >= now() + PAUSE_MIN && until <= now() + PAUSE_MIN * 2);
        assert_eq!(error, "away");
    }

    #[test]
    fn tries_end_but_not_before_the_longest_life_of_a_mail() {
        let day = Duration::days(1);
        let tries = day.num_seconds() / (PAUSE_MAX / 2).num_seconds();
        assert!(i64::from(ATTEMPTS_MAX) > tries + 10, "the first pauses are shorter");
        assert!(matches!(after_failure(&mail(ATTEMPTS_MAX - 1, day)), Verdict::Postponed { .. }));
        assert!(matches!(
            after_failure(&mail(ATTEMPTS_MAX, day)),
            Verdict::GivenUp { cause: Cause::TooManyAttempts, .. }
        ));
    }

    #[test]
    fn a_mail_that_would_expire_first_is_not_postponed() {
        let verdict = after_failure(&mail(1, Duration::seconds(5)));
        assert_eq!(verdict, Verdict::GivenUp { cause: Cause::Expired, error: "away".to_owned() });
    }

    #[test]
    fn what_expired_or_kills_the_process_is_not_sent() {
        assert!(check_worth_sending(&mail(ATTEMPTS_MAX, Duration::seconds(1)), now()).is_ok());
        assert!(check_worth_sending(&mail(1, Duration::zero()), now()).is_err());
        assert!(check_worth_sending(&mail(ATTEMPTS_MAX + 1, Duration::hours(1)), now()).is_err());
    }
}
