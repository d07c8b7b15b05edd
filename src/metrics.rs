//! What the service counts, in the names of Prometheus: prefix `signet_`, base units. `docs/metrics.md` lists it all.

mod exposition;
mod labels;
mod late;
mod registration;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use prometheus_client::{
    encoding::text,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

pub use self::exposition::Form;
use self::{
    labels::{
        Cause, Dependency, Dialect, DialectStatus, Event, Kernel, Operation, Outcome, RpcLabel, RpcOutcome, Scheme,
        State,
    },
    late::Late,
};
use crate::proto::Rpc;

type Timed<L> = Family<L, Histogram, fn() -> Histogram>;
type Refresh = Arc<dyn Fn(&Metrics) + Send + Sync>;

/// Everything that is counted. Clones count into the same numbers.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    refreshes: Mutex<Vec<Refresh>>,
    certificate_expiry: Late<i64>,
    clock_offset: Late<f64>,
    database_connections: Family<State, Gauge>,
    database_connections_max: Late<i64>,
    database_duration: Timed<Operation>,
    database_failures: Family<Cause, Counter>,
    database_wait: Histogram,
    dependency_up: Family<Dependency, Gauge>,
    event_watches: Late<i64>,
    events: Family<Event, Counter>,
    hash_duration: Timed<Scheme>,
    key_age: Late<f64>,
    keys_overdue: Late<i64>,
    lane_info: Family<Kernel, Gauge>,
    lane_queue_max: Late<i64>,
    lane_queued: Late<i64>,
    lane_refused: Family<Cause, Counter>,
    lane_running: Late<i64>,
    lane_wait: Histogram,
    lane_workers: Late<i64>,
    mails: Family<Outcome, Counter>,
    mails_oldest_age: Late<f64>,
    mails_overdue: Late<f64>,
    mails_waiting: Late<i64>,
    ready: Late<i64>,
    rest_duration: Timed<Dialect>,
    rest_requests: Family<DialectStatus, Counter>,
    rpc_duration: Timed<RpcLabel>,
    rpcs: Family<RpcOutcome, Counter>,
}

/// What waits in the outbox.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct OutboxState {
    /// Mails that are neither sent nor given up.
    pub waiting: i64,
    /// How long ago the oldest of them was put there.
    pub oldest_age_seconds: f64,
    /// How long ago the one that is due the longest should have been tried; 0 if none is due.
    pub overdue_seconds: f64,
}

/// What is done with the database, beside waiting for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DatabaseOperation {
    /// The end of a unit of work.
    Commit,
    /// One statement. Outside of a unit of work it may wait for a connection first.
    Statement,
}

/// Why the database did not do what it was asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DatabaseFailure {
    /// No connection was free in time.
    NoConnection,
    /// It refused the statement, or answered with what cannot be read.
    Query,
    /// It cannot be reached, or does not take the work now.
    Unavailable,
}

impl Metrics {
    /// All metrics, at zero.
    pub fn new() -> Self {
        let mut inner = Inner {
            registry: Registry::with_prefix("signet"),
            refreshes: Mutex::default(),
            certificate_expiry: Late::default(),
            clock_offset: Late::default(),
            database_connections: Family::default(),
            database_connections_max: Late::default(),
            database_duration: Family::new_with_constructor(durations),
            database_failures: Family::default(),
            database_wait: durations(),
            dependency_up: Family::default(),
            event_watches: Late::default(),
            events: Family::default(),
            hash_duration: Family::new_with_constructor(durations),
            key_age: Late::default(),
            keys_overdue: Late::default(),
            lane_info: Family::default(),
            lane_queue_max: Late::default(),
            lane_queued: Late::default(),
            lane_refused: Family::default(),
            lane_running: Late::default(),
            lane_wait: durations(),
            lane_workers: Late::default(),
            mails: Family::default(),
            mails_oldest_age: Late::default(),
            mails_overdue: Late::default(),
            mails_waiting: Late::default(),
            ready: Late::default(),
            rest_duration: Family::new_with_constructor(durations),
            rest_requests: Family::default(),
            rpc_duration: Family::new_with_constructor(durations),
            rpcs: Family::default(),
        };
        inner.register();
        Self(Arc::new(inner))
    }

    /// An RPC was answered. Those that are not ours, of which none is given, are counted as `other`, so that strangers
    /// cannot make up labels. `outcome` is `OK`, the reason of the failure, or its code if it has none.
    pub fn rpc_finished(&self, rpc: Option<&Rpc>, outcome: &'static str, seconds: f64) {
        let rpc = rpc.map_or("other", |known| known.path.trim_start_matches('/'));
        self.0.rpcs.get_or_create(&RpcOutcome { rpc, outcome }).inc();
        self.0.rpc_duration.get_or_create(&RpcLabel { rpc }).observe(seconds);
    }

    /// A REST request was answered, in the words of `dialect`, with an HTTP `status`.
    pub fn rest_finished(&self, dialect: &'static str, status: u16, seconds: f64) {
        let status = match status {
            0..=199 => "1xx",
            200..=299 => "2xx",
            300..=399 => "3xx",
            400..=499 => "4xx",
            500.. => "5xx",
        };
        self.0.rest_requests.get_or_create(&DialectStatus { dialect, status }).inc();
        self.0.rest_duration.get_or_create(&Dialect { dialect }).observe(seconds);
    }

    /// Whether requests should be sent here, and whether what the service cannot do without answered.
    pub fn readiness(&self, ready: bool, dependency: &'static str, is_up: bool) {
        self.0.ready.set(ready.into());
        self.0.dependency_up.get_or_create(&Dependency { dependency }).set(is_up.into());
    }

    /// The hash lane has so many threads, and room for so many hashes that wait. Refusals are counted from zero from
    /// now on.
    pub fn lane_started(&self, workers: usize, queue_length_max: usize) {
        self.0.lane_workers.set(number(workers));
        self.0.lane_queue_max.set(number(queue_length_max));
        for cause in ["deadline", "memory", "queue_full"] {
            drop(self.0.lane_refused.get_or_create(&Cause { cause }));
        }
        self.lane_queued(0);
        self.lane_running_add(0);
    }

    /// How hashes are computed here.
    pub fn lane_kernel(&self, kernel: &'static str) {
        self.0.lane_info.get_or_create(&Kernel { kernel }).set(1);
    }

    /// So many hashes wait for a worker now, or are on their way to it.
    pub fn lane_queued(&self, hashes: usize) {
        self.0.lane_queued.set(number(hashes));
    }

    /// So many more (or fewer, when negative) hashes are being computed.
    pub fn lane_running_add(&self, delta: i64) {
        self.0.lane_running.add(delta);
    }

    /// A call for a hash was refused: the lane is full, or would be too late, or there is no memory for it.
    pub fn lane_refused(&self, cause: &'static str) {
        self.0.lane_refused.get_or_create(&Cause { cause }).inc();
    }

    /// A hash waited so long for its worker, and before that for its turn to be prepared.
    pub fn lane_waited(&self, seconds: f64) {
        self.0.lane_wait.observe(seconds);
    }

    /// A hash was computed, in so many seconds of its worker.
    pub fn hash_finished(&self, scheme: &'static str, seconds: f64) {
        self.0.hash_duration.get_or_create(&Scheme { scheme }).observe(seconds);
    }

    /// An attempt to send a mail ended: `sent`, `retried` (will be tried again) or `given_up`.
    pub fn mail_finished(&self, outcome: &'static str) {
        self.0.mails.get_or_create(&Outcome { outcome }).inc();
    }

    /// What waits in the outbox, of all replicas. Outcomes are counted from zero from now on.
    pub fn outbox(&self, state: OutboxState) {
        for outcome in ["given_up", "retried", "sent"] {
            drop(self.0.mails.get_or_create(&Outcome { outcome }));
        }
        self.0.mails_waiting.set(state.waiting);
        self.0.mails_oldest_age.set(state.oldest_age_seconds);
        self.0.mails_overdue.set(state.overdue_seconds);
    }

    /// The database may be kept so many connections to. Failures are counted from zero from now on.
    pub fn pool_started(&self, connections_max: u32) {
        self.0.database_connections_max.set(connections_max.into());
        for failure in [DatabaseFailure::NoConnection, DatabaseFailure::Query, DatabaseFailure::Unavailable] {
            drop(self.0.database_failures.get_or_create(&failure.label()));
        }
    }

    /// The database pool has `open` connections, of which `idle` are free.
    pub fn pool(&self, open: u32, idle: usize) {
        let idle = number(idle);
        self.0.database_connections.get_or_create(&State { state: "idle" }).set(idle);
        self.0.database_connections.get_or_create(&State { state: "used" }).set((i64::from(open) - idle).max(0));
    }

    /// A unit of work waited so long for its connection and its beginning, or gave up after so long.
    pub fn database_waited(&self, seconds: f64) {
        self.0.database_wait.observe(seconds);
    }

    /// The database took so long, whatever came of it.
    pub fn database_finished(&self, operation: DatabaseOperation, seconds: f64) {
        self.0.database_duration.get_or_create(&operation.label()).observe(seconds);
    }

    /// The database did not do what it was asked for.
    pub fn database_failed(&self, failure: DatabaseFailure) {
        self.0.database_failures.get_or_create(&failure.label()).inc();
    }

    /// An event was written to the audit trail; `cause` is empty for one without. Both are words of the program.
    pub fn event_recorded(&self, kind: &'static str, cause: &'static str) {
        self.0.events.get_or_create(&Event { kind, cause }).inc();
    }

    /// These events, by kind and cause, are counted from zero from now on: a series that begins with its first event
    /// hides that event from rates and increases.
    pub fn events_started(&self, events: impl IntoIterator<Item = (&'static str, &'static str)>) {
        for (kind, cause) in events {
            drop(self.0.events.get_or_create(&Event { kind, cause }));
        }
    }

    /// So many watch the audit trail now.
    pub fn event_watches(&self, watches: u32) {
        self.0.event_watches.set(watches.into());
    }

    /// The newest signing key was made so long ago.
    pub fn newest_key_age(&self, seconds: f64) {
        self.0.key_age.set(seconds);
    }

    /// So many projects have a signing key that is older than they let it become, and that could not be replaced.
    pub fn keys_overdue(&self, keys: usize) {
        self.0.keys_overdue.set(number(keys));
    }

    /// The clock of this machine is so far ahead of the database's; negative if it is behind.
    pub fn clock_offset(&self, seconds: f64) {
        self.0.clock_offset.set(seconds);
    }

    /// The certificate of the gRPC listener ends then, in seconds since the Unix epoch.
    pub fn certificate_expiry(&self, unix_seconds: i64) {
        self.0.certificate_expiry.set(unix_seconds);
    }

    /// Calls `refresh` before every [`Self::encode`], for numbers that are read rather than counted, such as the state
    /// of the pool. It must not hold these metrics itself: it is handed them.
    pub fn refresh_with(&self, refresh: impl Fn(&Self) + Send + Sync + 'static) {
        self.0.refreshes.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::new(refresh));
    }

    /// All numbers as `OpenMetrics` text.
    pub fn encode(&self) -> String {
        self.encode_as(Form::OpenMetrics)
    }

    /// All numbers as text.
    pub fn encode_as(&self, form: Form) -> String {
        let refreshes = self.0.refreshes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for refresh in &refreshes {
            refresh(self);
        }
        let mut page = String::new();
        text::encode(&mut page, &self.0.registry).expect("writing to a string does not fail");
        match form {
            Form::Classic => exposition::to_classic(&page),
            Form::OpenMetrics => page,
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// From half a millisecond to 16 seconds, each bound twice the one before.
fn durations() -> Histogram {
    Histogram::new(exponential_buckets(0.0005, 2.0, 16))
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
