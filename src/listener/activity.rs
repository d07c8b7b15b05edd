//! What the connections of a listener are doing, so that it knows which of them can go.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::time::{self, Instant};
use tokio_util::sync::CancellationToken;

/// How often it is looked whether a connection is quiet.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// The connections of a listener.
#[derive(Default)]
pub(super) struct Connections(Mutex<Vec<Weak<Activity>>>);

/// What one connection is doing.
pub(super) struct Activity {
    state: Mutex<State>,
    /// Cancelled when the connection has to make room.
    evicted: CancellationToken,
}

struct State {
    /// Whether its caller has shown what it is here for.
    begun: bool,
    /// Bytes that the caller has sent, until it has begun.
    received: usize,
    /// Requests without an answer.
    unanswered: usize,
    /// When a request began, or a piece of an answer was made.
    last: Instant,
}

/// A request that is not answered as long as this lives.
pub(super) struct Unanswered(Arc<Activity>);

impl Connections {
    /// A connection that has just come.
    pub(super) fn enter(&self) -> Arc<Activity> {
        let state = State { begun: false, received: 0, unanswered: 0, last: Instant::now() };
        let activity = Arc::new(Activity { state: Mutex::new(state), evicted: CancellationToken::new() });
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() == all.capacity() {
            all.retain(|known| known.strong_count() > 0);
        }
        all.push(Arc::downgrade(&activity));
        activity
    }

    /// Ends the connection that has been idle longest; first of all those whose caller has shown nothing yet. False if all of
    /// them have requests to answer.
    pub(super) fn evict(&self) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = all.iter().filter_map(Weak::upgrade).filter_map(|activity| {
            let state = activity.state();
            let key = (state.unanswered == 0 && !activity.evicted.is_cancelled()).then_some((state.begun, state.last));
            drop(state);
            Some((key?, activity))
        });
        let Some((_, activity)) = idle.min_by_key(|(key, _)| *key) else { return false };
        activity.evicted.cancel();
        true
    }
}

impl Activity {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the connection has to make room.
    pub(super) async fn evicted(&self) {
        self.evicted.cancelled().await;
    }

    pub(super) fn has_begun(&self) -> bool {
        self.state().begun
    }

    /// The caller has sent that many bytes more; with `enough` of them it has begun.
    pub(super) fn received(&self, bytes: usize, enough: usize) {
        let mut state = self.state();
        state.received = state.received.saturating_add(bytes);
        state.begun |= state.received >= enough;
    }

    /// A request has come.
    pub(super) fn request(self: &Arc<Self>) -> Unanswered {
        let mut state = self.state();
        state.begun = true;
        state.unanswered += 1;
        state.last = Instant::now();
        drop(state);
        Unanswered(Arc::clone(self))
    }

    /// A piece of an answer was made.
    pub(super) fn answered(&self) {
        self.state().last = Instant::now();
    }

    /// Waits until there was nothing to answer, and no piece of an answer was made, for that long from now on.
    pub(super) async fn quiet_for(&self, length: Duration) {
        let since = Instant::now();
        loop {
            let quiet_since = {
                let state = self.state();
                if state.unanswered == 0 { state.last.max(since) } else { Instant::now() }
            };
            if quiet_since.elapsed() >= length {
                return;
            }
            time::sleep(LOOK_INTERVAL).await;
        }
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.unanswered -= 1;
        state.last = Instant::now();
    }
}
