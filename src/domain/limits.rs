//! The bounds that an operator can move. What each one bounds stands in `docs/security.md`.

use chrono::Duration;

use super::{
    bucket::{Bucket, Subject},
    throttle::ThrottlePolicy,
};

/// The bounds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Wrong secrets of one user, or of one of their devices, before a delay.
    pub free_failures: u32,
    /// Wrong secrets from one address before a delay.
    pub free_failures_per_ip: u32,
    /// Mails to one user before a delay.
    pub free_mails: u32,
    /// Mails asked for from one address before a delay.
    pub free_mails_per_ip: u32,
    /// First delay.
    pub first_delay: Duration,
    /// Longest delay.
    pub longest_delay: Duration,
    /// As many failures as are free are forgotten in this time, and all after this long without another.
    pub memory: Duration,
    /// An attempt that is older than this and not settled was lost with its process: longer than any call takes.
    pub reservation_lease: Duration,
    /// Wrong tries at one code.
    pub code_attempts: u32,
    /// How long a code is good.
    pub code_lifetime: Duration,
    /// Least time between two codes that are asked for.
    pub code_resend_interval: Duration,
    /// How long the second step of a sign-in can be taken.
    pub pending_authentication_lifetime: Duration,
    /// How long a password reset can be completed.
    pub password_reset_lifetime: Duration,
    /// How long a device is known after a sign-in.
    pub device_lifetime: Duration,
    /// How long events are kept; none for ever.
    pub event_retention: Option<Duration>,
    /// Who may watch events at once, in one process.
    pub event_watches: u32,
    /// Of one client.
    pub event_watches_per_client: u32,
}

impl Default for Limits {
    /// The defaults of the settings.
    fn default() -> Self {
        Self {
            free_failures: 10,
            free_failures_per_ip: 100,
            free_mails: 10,
            free_mails_per_ip: 30,
            first_delay: Duration::seconds(30),
            longest_delay: Duration::minutes(15),
            memory: Duration::minutes(30),
            reservation_lease: Duration::seconds(60),
            code_attempts: 5,
            code_lifetime: Duration::minutes(10),
            code_resend_interval: Duration::seconds(30),
            pending_authentication_lifetime: Duration::minutes(10),
            password_reset_lifetime: Duration::minutes(30),
            device_lifetime: Duration::days(365),
            event_retention: Some(Duration::days(90)),
            event_watches: 100,
            event_watches_per_client: 5,
        }
    }
}

impl Limits {
    /// The bounds of one counter.
    pub const fn policy(&self, bucket: &Bucket) -> ThrottlePolicy {
        let free_failures = match (&bucket.subject, bucket.guarded.is_mail()) {
            (Subject::Ip(_), false) => self.free_failures_per_ip,
            (Subject::Ip(_), true) => self.free_mails_per_ip,
            (_, false) => self.free_failures,
            (_, true) => self.free_mails,
        };
        ThrottlePolicy {
            free_failures,
            first_delay: self.first_delay,
            longest_delay: self.longest_delay,
            memory: self.memory,
            reservation_lease: self.reservation_lease,
        }
    }

    /// After this long a counter that nothing was added to holds nothing any more.
    pub fn counter_lifetime(&self) -> Duration {
        self.memory.max(self.reservation_lease)
    }
}
