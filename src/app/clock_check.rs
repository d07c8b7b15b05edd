//! Do the clocks of the replicas agree? Each compares its own with the database's, which they share.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crate::{metrics::Metrics, usecase::Services};

/// How far a clock may be off before it is worth a warning, in seconds: well within the grace period of a refresh, which is
/// measured with the clocks of two replicas.
const OFFSET_SECONDS_MAX: f64 = 5.0;

/// The last comparison. Clones share it.
#[derive(Clone, Default)]
pub(super) struct ClockCheck {
    /// The bits of an `f64`.
    offset_seconds: Arc<AtomicU64>,
}

impl ClockCheck {
    /// Compares the clocks, and warns if they are apart.
    pub(super) async fn run(&self, services: &Services) {
        let before = services.clock.now();
        let theirs = match services.store.time().await {
            Ok(Some(theirs)) => theirs,
            Ok(None) => return,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                return tracing::warn!(error, "cannot compare the clock with the database's; will try again");
            }
        };
        // The database read its clock somewhere in between.
        let half_way = before + (services.clock.now() - before) / 2;
        let offset_seconds = (half_way - theirs).as_seconds_f64();
        self.offset_seconds.store(offset_seconds.to_bits(), Ordering::Relaxed);
        if offset_seconds.abs() > OFFSET_SECONDS_MAX {
            tracing::warn!(
                offset_seconds,
                "the clock of this machine differs from the database's: tokens expire early or late, and a repeated refresh \
                 may end a session; synchronise the clocks"
            );
        }
    }

    /// Shows the last comparison.
    pub(super) fn show(&self, metrics: &Metrics) {
        metrics.clock_offset(f64::from_bits(self.offset_seconds.load(Ordering::Relaxed)));
    }
}
