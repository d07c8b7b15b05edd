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
    /// Requests of which the caller still owes a part, so that nothing is owed to the caller.
    unfinished: usize,
    /// Requests that came whole, and are not answered.
    unanswered: usize,
    /// When a request began, or was answered.
    last: Instant,
    /// When the caller took some bytes.
    taken: Instant,
}

/// A request that is not answered as long as this lives.
pub(super) struct Unanswered {
    activity: Arc<Activity>,
    is_whole: bool,
}

impl Connections {
    /// A connection that has just come.
    pub(super) fn enter(&self) -> Arc<Activity> {
        let now = Instant::now();
        let state = State { begun: false, received: 0, unfinished: 0, unanswered: 0, last: now, taken: now };
        let activity = Arc::new(Activity { state: Mutex::new(state), evicted: CancellationToken::new() });
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() == all.capacity() {
            all.retain(|known| known.strong_count() > 0);
        }
        all.push(Arc::downgrade(&activity));
        activity
    }

    /// Ends the connection that has been idle longest; first of all those whose caller has shown nothing yet, last of all those
    /// that are in the middle of a request. False if all of them have requests to answer.
    pub(super) fn evict(&self) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = all.iter().filter_map(Weak::upgrade).filter_map(|activity| {
            let state = activity.state();
            let can_go = state.unanswered == 0 && !activity.evicted.is_cancelled();
            let key = can_go.then_some((state.begun, state.unfinished > 0, state.last));
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

    /// The head of a request has come.
    pub(super) fn request(self: &Arc<Self>) -> Unanswered {
        let mut state = self.state();
        state.begun = true;
        state.unfinished += 1;
        state.last = Instant::now();
        drop(state);
        Unanswered { activity: Arc::clone(self), is_whole: false }
    }

    /// A piece of an answer was made.
    pub(super) fn answered(&self) {
        self.state().last = Instant::now();
    }

    /// The caller has taken some bytes of an answer: a slow one is not a frozen one.
    pub(super) fn taken(&self) {
        self.state().taken = Instant::now();
    }

    /// Waits until there was nothing to answer, and no piece of an answer was made or taken, for that long from now on.
    pub(super) async fn quiet_for(&self, length: Duration) {
        let since = Instant::now();
        loop {
            let quiet_since = {
                let state = self.state();
                if state.unanswered == 0 { state.last.max(state.taken).max(since) } else { Instant::now() }
            };
            if quiet_since.elapsed() >= length {
                return;
            }
            time::sleep(LOOK_INTERVAL).await;
        }
    }
}

impl Unanswered {
    /// The rest of the request has come.
    pub(super) fn is_whole(&mut self) {
        if !self.is_whole {
            let mut state = self.activity.state();
            state.unfinished -= 1;
            state.unanswered += 1;
            self.is_whole = true;
        }
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        let mut state = self.activity.state();
        if self.is_whole {
            state.unanswered -= 1;
        } else {
            state.unfinished -= 1;
        }
        state.last = Instant::now();
    }
}
