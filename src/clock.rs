//! The time of day, injected so that tests can hold it.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use chrono::{DateTime, SubsecRound as _, Utc};

/// A point in time, UTC, with microsecond precision (what both databases keep).
pub type Timestamp = DateTime<Utc>;

/// Where the time of day comes from.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    System,
    /// A clock that moves only when told to.
    Manual(ManualClock),
}

impl Clock {
    /// The time now.
    pub fn now(&self) -> Timestamp {
        match self {
            #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
            Self::System => Utc::now().trunc_subsecs(6),
            Self::Manual(clock) => clock.now(),
        }
    }
}

/// A clock for tests. Clones show the same time.
#[derive(Clone, Debug)]
pub struct ManualClock {
    micros: Arc<AtomicI64>,
}

impl ManualClock {
    /// A clock that stands at `start`.
    pub fn starting_at(start: Timestamp) -> Self {
        Self { micros: Arc::new(AtomicI64::new(start.timestamp_micros())) }
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: chrono::Duration) {
        self.micros.fetch_add(
            by.num_microseconds().expect("a test moves the clock by less than 290000 years"),
            Ordering::SeqCst,
        );
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_timestamp_micros(self.micros.load(Ordering::SeqCst))
            .expect("a test stays within chrono's years")
    }
}
