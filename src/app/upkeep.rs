//! What is done now and then: clearing away, and looking up numbers for the metrics.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::clock_check::ClockCheck;
use crate::{
    clock::Timestamp,
    metrics::{Metrics, OutboxState},
    store::Backlog,
    usecase::{
        Services,
        key_rotation::rotate_keys_of_age,
        sweep::{Swept, sweep},
    },
};

/// How often what has expired is cleared away.
const SWEEP_INTERVAL: Duration = Duration::from_mins(10);
/// When to go on if there is more: not at once, so that keys have their turn and the database does not do this alone.
const SWEEP_PAUSE: Duration = Duration::from_secs(2);
/// How often the newest key is looked up, and the clock compared.
const KEY_INTERVAL: Duration = Duration::from_secs(30);
/// How often a page of projects is looked through for keys that have come of age. Intervals are a day or longer.
const ROTATION_INTERVAL: Duration = Duration::from_mins(1);

/// The housekeeping of one process. Nothing depends on it, so a failure is logged and the next round tries again.
pub(super) struct Upkeep {
    services: Arc<Services>,
    /// When the newest signing key was made, once it is known.
    newest_key: Arc<Mutex<Option<Timestamp>>>,
    /// What waits in the outbox, once it is known.
    backlog: Arc<Mutex<Option<Backlog>>>,
    /// Keys that could not be replaced in this pass over the projects, and in the last one that is complete.
    overdue: (usize, Arc<AtomicUsize>),
    clock_check: ClockCheck,
}

impl Upkeep {
    pub(super) fn new(services: Arc<Services>) -> Self {
        let (newest_key, backlog, overdue) = (Arc::default(), Arc::default(), (0, Arc::default()));
        Self { services, newest_key, backlog, overdue, clock_check: ClockCheck::default() }
    }

    /// Shows numbers that are read rather than counted.
    pub(super) fn refresh_metrics(&self, metrics: &Metrics) {
        let (store, clock) = (self.services.store.clone(), self.services.clock.clone());
        let newest_key = Arc::clone(&self.newest_key);
        let (clock_check, watches) = (self.clock_check.clone(), Arc::clone(&self.services.watches));
        let (backlog, overdue) = (Arc::clone(&self.backlog), Arc::clone(&self.overdue.1));
        metrics.refresh_with(move |metrics| {
            let (open, idle) = store.pool();
            metrics.pool(open, idle);
            metrics.event_watches(watches.open());
            clock_check.show(metrics);
            metrics.keys_overdue(overdue.load(Ordering::Relaxed));
            if let Some(backlog) = *backlog.lock().unwrap_or_else(PoisonError::into_inner) {
                metrics.outbox(outbox_state(backlog, clock.now()));
            }
            if let Some(made_at) = *newest_key.lock().unwrap_or_else(PoisonError::into_inner) {
                metrics.newest_key_age((clock.now() - made_at).as_seconds_f64());
            }
        });
    }

    /// Runs until told to stop. The first round comes at once.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let (mut sweeps, mut keys) = (interval(SWEEP_INTERVAL), interval(KEY_INTERVAL));
        let mut rotations = interval(ROTATION_INTERVAL);
        let mut next_project = None;
        sweeps.set_missed_tick_behavior(MissedTickBehavior::Delay);
        keys.set_missed_tick_behavior(MissedTickBehavior::Delay);
        rotations.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = sweeps.tick() => tokio::select! {
                    // Nor is it worth waiting for.
                    () = stop.cancelled() => return,
                    more = self.sweep() => if more { sweeps.reset_after(SWEEP_PAUSE) },
                },
                _ = keys.tick() => {
                    self.look_up_newest_key().await;
                    self.look_into_outbox().await;
                    self.clock_check.run(&self.services).await;
                }
                _ = rotations.tick() => tokio::select! {
                    // Many keys take a while. What is not committed has not happened.
                    () = stop.cancelled() => return,
                    next = self.rotate_keys(next_project) => next_project = next,
                },
            }
        }
    }

    /// Says whether there is more to clear away now.
    async fn sweep(&self) -> bool {
        match sweep(&self.services).await {
            Ok(Swept { rows, more }) => {
                if rows > 0 {
                    tracing::info!(rows, more, "cleared away what has expired");
                }
                more
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "cannot clear away what has expired; will try again"
                );
                false
            }
        }
    }

    /// Gives where the next round goes on.
    async fn rotate_keys(&mut self, after: Option<Uuid>) -> Option<Uuid> {
        match rotate_keys_of_age(&self.services, after).await {
            Ok(round) => {
                self.overdue.0 += round.failed;
                if round.next.is_none() {
                    self.overdue.1.store(std::mem::take(&mut self.overdue.0), Ordering::Relaxed);
                }
                round.next
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "cannot look for signing keys that have come of age; will try again"
                );
                after
            }
        }
    }

    async fn look_into_outbox(&self) {
        match self.services.store.view().outbox().backlog().await {
            Ok(backlog) => *self.backlog.lock().unwrap_or_else(PoisonError::into_inner) = Some(backlog),
            Err(error) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "cannot look up how many mails wait; will try again"
            ),
        }
    }

    async fn look_up_newest_key(&self) {
        match self.services.store.view().signing_keys().newest_created_at().await {
            Ok(newest) => *self.newest_key.lock().unwrap_or_else(PoisonError::into_inner) = newest,
            Err(error) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "cannot look up the age of the newest signing key; will try again"
            ),
        }
    }
}

fn outbox_state(backlog: Backlog, now: Timestamp) -> OutboxState {
    let since = |time: Option<Timestamp>| time.map_or(0.0, |time| (now - time).as_seconds_f64().max(0.0));
    OutboxState {
        waiting: backlog.count,
        oldest_age_seconds: since(backlog.oldest_created_at),
        overdue_seconds: since(backlog.next_attempt_at),
    }
}
