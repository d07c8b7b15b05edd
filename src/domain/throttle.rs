//! How failed checks of a secret slow down the next ones: growing delays, never a permanent lock.
//!
//! Failures leak away: one is forgotten at each tick of a clock that ticks `free_failures` times in `memory`. The ticks are the
//! same for all buckets, counted from the Unix epoch, so that which of them have passed follows from the time of the last failure
//! alone: no part of a step is lost, however the failures are spread.
//!
//! An attempt is *reserved* before its secret is looked at and *settled* when the result is known. So guesses that are being
//! checked count already, and however many arrive together, on however many replicas, no more of them are checked than the
//! budget allows.

use chrono::Duration;

use crate::clock::Timestamp;

/// The bounds of one bucket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ThrottlePolicy {
    /// Failures that cost nothing.
    pub free_failures: u32,
    /// Delay after the first failure that is not free; it doubles with each one.
    pub first_delay: Duration,
    /// Longest delay.
    pub longest_delay: Duration,
    /// All failures are forgotten after this long without another, and as many as are free in any time this long.
    pub memory: Duration,
    /// A reservation that is older belongs to a process that died: longer than any call takes.
    pub reservation_lease: Duration,
}

impl ThrottlePolicy {
    /// The room that is plain to see at that time.
    pub fn plain_room(&self, now: Timestamp) -> PlainRoom {
        PlainRoom { bound: self.free_failures, reserved_after: now - self.reservation_lease }
    }

    /// How many ticks there were until that time, since the Unix epoch. One failure is forgotten at each.
    fn ticks(&self, at: Timestamp) -> i64 {
        let micros = |time: Duration| time.num_microseconds().unwrap_or(i64::MAX);
        let step = micros(self.memory) / i64::from(self.free_failures.max(1));
        at.timestamp_micros().div_euclid(step.max(1))
    }

    /// How long nothing is checked after that many failures.
    fn delay_after(&self, failures: u32) -> Option<Duration> {
        let over = failures.checked_sub(self.free_failures).filter(|over| *over > 0)?;
        // Doubling on the way, because no delay may overflow.
        let mut delay = self.first_delay;
        for _ in 1..over.min(64) {
            if delay >= self.longest_delay {
                break;
            }
            delay = delay + delay;
        }
        Some(delay.min(self.longest_delay))
    }
}

/// Room that is plain to see, for whoever cannot ask [`Throttle::admit`]: a statement of the database.
///
/// An attempt is admitted in any case while what is written down, failures and reservations together, is below the
/// bound, and no reservation is so old that it may count as a failure. What has leaked away only makes more room.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PlainRoom {
    /// Failures and reservations have to be fewer.
    pub bound: u32,
    /// Reservations, if there are any, have to be newer.
    pub reserved_after: Timestamp,
}

/// Failures that are remembered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Failures {
    /// How many there were when the last one was noted, at least one.
    pub count: u32,
    /// When the last one was.
    pub last_at: Timestamp,
}

impl Failures {
    /// How many are left at that time.
    pub fn left(&self, now: Timestamp, policy: &ThrottlePolicy) -> u32 {
        if now - self.last_at >= policy.memory {
            return 0;
        }
        // The clocks of replicas differ: time that goes back brings nothing back.
        let leaked = policy.ticks(now).saturating_sub(policy.ticks(self.last_at)).max(0);
        self.count.saturating_sub(u32::try_from(leaked).unwrap_or(u32::MAX))
    }

    /// When the delay is over that the last one began; its own time if it began none. What leaks away meanwhile does not shorten it.
    fn blocked_until(&self, policy: &ThrottlePolicy) -> Timestamp {
        policy.delay_after(self.count).map_or(self.last_at, |delay| self.last_at + delay)
    }
}

/// Attempts that are being checked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Reservations {
    /// How many, at least one.
    pub count: u32,
    /// When the last of them was made.
    pub newest_at: Timestamp,
}

/// What is known of the attempts at one bucket.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Throttle {
    /// Failures.
    pub failures: Option<Failures>,
    /// Attempts whose result is not known yet.
    pub reservations: Option<Reservations>,
}

/// Whether an attempt may be checked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Admission {
    /// It may, once it is reserved.
    Admitted,
    /// It may not. What comes in meanwhile does not prolong it.
    Blocked {
        /// From then on it may.
        until: Timestamp,
    },
    /// Not yet: the result of those that are being checked decides. Not a refusal, because the passwords that arrive together
    /// may all be right.
    Wait,
}

/// What became of a reserved attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The secret was wrong.
    Failed,
    /// The secret was right: the failures are forgotten.
    Succeeded,
    /// It was never looked at, or its result says nothing about the bucket.
    Withdrawn,
}

impl Throttle {
    /// One of which nothing is known but an attempt that is being checked from now on.
    pub const fn first(now: Timestamp) -> Self {
        Self { failures: None, reservations: Some(Reservations { count: 1, newest_at: now }) }
    }

    /// What of it still counts at that time.
    ///
    /// Reservations past their lease count as failures, at the time they were made: the process that held them died and may have
    /// looked at the secrets, and a guess that was looked at must not be free. They are forgotten like other failures.
    #[must_use]
    pub fn at(mut self, now: Timestamp, policy: &ThrottlePolicy) -> Self {
        if let Some(lapsed) = self.reservations.filter(|held| now - held.newest_at >= policy.reservation_lease) {
            self.reservations = None;
            self.count(lapsed.count, lapsed.newest_at, policy);
        }
        // What is over is kept while a delay is: a delay is never shortened.
        let counts = |failures: &Failures| failures.left(now, policy) > 0 || now < failures.blocked_until(policy);
        self.failures = self.failures.filter(counts);
        self
    }

    /// True if nothing is left to remember.
    pub const fn is_empty(&self) -> bool {
        self.failures.is_none() && self.reservations.is_none()
    }

    /// Whether one more attempt may be checked now.
    pub fn admit(&self, now: Timestamp, policy: &ThrottlePolicy) -> Admission {
        let known = self.at(now, policy);
        if let Some(until) = known.blocked_until(now, policy) {
            return Admission::Blocked { until };
        }
        let failed = known.failures.map_or(0, |failures| failures.left(now, policy));
        // At the bound one at a time: had it been let in with others, they would all be checked before the delay begins.
        let room = policy.free_failures.saturating_sub(failed).max(1);
        if known.reservations.map_or(0, |held| held.count) < room { Admission::Admitted } else { Admission::Wait }
    }

    /// Holds a place for an attempt that was admitted.
    pub fn reserve(&mut self, now: Timestamp, policy: &ThrottlePolicy) {
        let known = self.at(now, policy);
        let held = known.reservations.unwrap_or(Reservations { count: 0, newest_at: now });
        let reservations = Reservations { count: held.count.saturating_add(1), newest_at: held.newest_at.max(now) };
        *self = Self { reservations: Some(reservations), ..known };
    }

    /// Gives the place of an attempt back and notes what became of it.
    ///
    /// A place that is past its lease is not given back: it counts as a failure by then, or will, and the places that are held
    /// now belong to others.
    pub fn settle(&mut self, reserved_at: Timestamp, outcome: Outcome, now: Timestamp, policy: &ThrottlePolicy) {
        *self = self.at(now, policy);
        let is_held = now - reserved_at < policy.reservation_lease;
        if is_held {
            let given_back = |held: Reservations| Reservations { count: held.count.saturating_sub(1), ..held };
            self.reservations = self.reservations.map(given_back).filter(|held| held.count > 0);
        }
        match outcome {
            Outcome::Failed if is_held => self.count(1, now, policy),
            Outcome::Succeeded => self.failures = None,
            Outcome::Failed | Outcome::Withdrawn => {}
        }
    }

    /// Notes a failure of an attempt that was admitted, looked at and settled in one go.
    pub fn fail(&mut self, now: Timestamp, policy: &ThrottlePolicy) {
        *self = self.at(now, policy);
        self.count(1, now, policy);
    }

    /// Forgets the failures.
    pub fn forgive(&mut self) {
        self.failures = None;
    }

    /// When the next attempt may be checked, if that is later than `now`.
    pub fn blocked_until(&self, now: Timestamp, policy: &ThrottlePolicy) -> Option<Timestamp> {
        let until = self.at(now, policy).failures?.blocked_until(policy);
        (now < until).then_some(until)
    }

    fn count(&mut self, failures: u32, at: Timestamp, policy: &ThrottlePolicy) {
        let known = self.failures.unwrap_or(Failures { count: 0, last_at: at });
        let count = known.left(at, policy).saturating_add(failures);
        self.failures = Some(Failures { count, last_at: known.last_at.max(at) });
    }
}

#[cfg(test)]
#[path = "throttle_tests.rs"]
mod tests;
