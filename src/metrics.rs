//! What the service counts, in the names of Prometheus: prefix `signet_`, base units.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64},
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
        info::Info,
    },
    registry::{Registry, Unit},
};

use crate::proto::Rpc;

type Seconds = Gauge<f64, AtomicU64>;
type Timed<L> = Family<L, Histogram, fn() -> Histogram>;
type Refresh = Arc<dyn Fn(&Metrics) + Send + Sync>;

/// Everything that is counted. Clones count into the same numbers.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    refreshes: Mutex<Vec<Refresh>>,
    clock_offset: Seconds,
    connections: Family<State, Gauge>,
    event_watches: Gauge,
    hash_duration: Timed<Scheme>,
    key_age: Seconds,
    lane_queued: Gauge,
    lane_refused: Family<Cause, Counter>,
    lane_running: Gauge,
    lane_wait: Histogram,
    mails: Family<Outcome, Counter>,
    rpc_duration: Timed<RpcLabel>,
    rpcs: Family<RpcOutcome, Counter>,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Cause {
    cause: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct RpcLabel {
    rpc: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct RpcOutcome {
    rpc: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Scheme {
    scheme: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct State {
    state: &'static str,
}

impl Metrics {
    /// The media type of [`Self::encode`].
    pub const CONTENT_TYPE: &'static str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    /// All metrics, at zero.
    pub fn new() -> Self {
        let mut inner = Inner {
            registry: Registry::with_prefix("signet"),
            refreshes: Mutex::default(),
            clock_offset: Gauge::default(),
            connections: Family::default(),
            event_watches: Gauge::default(),
            hash_duration: Family::new_with_constructor(durations),
            key_age: Gauge::default(),
            lane_queued: Gauge::default(),
            lane_refused: Family::default(),
            lane_running: Gauge::default(),
            lane_wait: durations(),
            mails: Family::default(),
            rpc_duration: Family::new_with_constructor(durations),
            rpcs: Family::default(),
        };
        inner.register();
        Self(Arc::new(inner))
    }

    /// An RPC was answered. `rpc` is the path of the request; RPCs that are not ours are counted as `other`, so that
    /// strangers cannot make up labels. `outcome` is `OK`, the reason of the failure, or its code if it has none.
    pub fn rpc_finished(&self, rpc: &str, outcome: &'static str, seconds: f64) {
        let rpc = Rpc::by_path(rpc).map_or("other", |known| known.path.trim_start_matches('/'));
        self.0.rpcs.get_or_create(&RpcOutcome { rpc, outcome }).inc();
        self.0.rpc_duration.get_or_create(&RpcLabel { rpc }).observe(seconds);
    }

    /// So many hashes wait for a worker now.
    pub fn lane_queued(&self, hashes: i64) {
        self.0.lane_queued.set(hashes);
    }

    /// So many more (or fewer, when negative) hashes are being computed.
    pub fn lane_running_add(&self, delta: i64) {
        self.0.lane_running.inc_by(delta);
    }

    /// A hash was refused: the lane is full, or would be too late.
    pub fn lane_refused(&self, cause: &'static str) {
        self.0.lane_refused.get_or_create(&Cause { cause }).inc();
    }

    /// A hash waited so long for its worker.
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

    /// The database pool has `open` connections, of which `idle` are free.
    pub fn pool(&self, open: u32, idle: usize) {
        let idle = i64::try_from(idle).unwrap_or(i64::MAX);
        self.0.connections.get_or_create(&State { state: "idle" }).set(idle);
        self.0.connections.get_or_create(&State { state: "used" }).set((i64::from(open) - idle).max(0));
    }

    /// So many watch the audit trail now.
    pub fn event_watches(&self, watches: u32) {
        self.0.event_watches.set(watches.into());
    }

    /// The newest signing key was made so long ago.
    pub fn newest_key_age(&self, seconds: f64) {
        self.0.key_age.set(seconds);
    }

    /// The clock of this machine is so far ahead of the database's; negative if it is behind.
    pub fn clock_offset(&self, seconds: f64) {
        self.0.clock_offset.set(seconds);
    }

    /// Calls `refresh` before every [`Self::encode`], for numbers that are read rather than counted, such as the state
    /// of the pool. It must not hold these metrics itself: it is handed them.
    pub fn refresh_with(&self, refresh: impl Fn(&Self) + Send + Sync + 'static) {
        self.0.refreshes.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::new(refresh));
    }

    /// All numbers as `OpenMetrics` text.
    pub fn encode(&self) -> String {
        let refreshes = self.0.refreshes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for refresh in &refreshes {
            refresh(self);
        }
        let mut page = String::new();
        text::encode(&mut page, &self.0.registry).expect("writing to a string does not fail");
        page
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

impl Inner {
    fn register(&mut self) {
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))].to_vec());
        let registry = &mut self.registry;
        registry.register("build", "The running program", build);
        registry.register_with_unit(
            "clock_offset",
            "How far the clock of this machine is ahead of the database's",
            Unit::Seconds,
            self.clock_offset.clone(),
        );
        registry.register("database_connections", "Connections to the database, by state", self.connections.clone());
        registry.register("event_watches", "Streams of events that are open", self.event_watches.clone());
        registry.register_with_unit(
            "hash_duration",
            "Time a worker spends on one password hash, by scheme",
            Unit::Seconds,
            self.hash_duration.clone(),
        );
        registry.register("lane_queued", "Password hashes that wait for a worker", self.lane_queued.clone());
        registry.register("lane_refused", "Password hashes refused at once, by cause", self.lane_refused.clone());
        registry.register("lane_running", "Password hashes being computed", self.lane_running.clone());
        registry.register_with_unit(
            "lane_wait",
            "Time a password hash waits for a worker",
            Unit::Seconds,
            self.lane_wait.clone(),
        );
        registry.register("mails", "Attempts to send a mail, by outcome", self.mails.clone());
        registry.register_with_unit(
            "rpc_duration",
            "Time from request to answer, by RPC",
            Unit::Seconds,
            self.rpc_duration.clone(),
        );
        registry.register("rpcs", "Answered RPCs, by RPC and outcome", self.rpcs.clone());
        registry.register_with_unit(
            "signing_key_age",
            "Age of the newest signing key",
            Unit::Seconds,
            self.key_age.clone(),
        );
    }
}

/// From half a millisecond to 16 seconds, each bound twice the one before.
fn durations() -> Histogram {
    Histogram::new(exponential_buckets(0.0005, 2.0, 16))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_has(page: &str, line: &str) {
        assert!(page.lines().any(|each| each == line), "no line {line:?} in\n{page}");
    }

    #[test]
    fn what_is_recorded_is_in_the_text() {
        let metrics = Metrics::new();
        metrics.clone().rpc_finished("/auth.v1.AuthService/SignIn", "OK", 0.25);
        metrics.rpc_finished("/auth.v1.AuthService/SignIn", "INVALID_CREDENTIALS", 0.5);
        metrics.lane_queued(7);
        metrics.lane_running_add(2);
        metrics.lane_running_add(-1);
        metrics.lane_refused("queue_full");
        metrics.lane_waited(0.001);
        metrics.hash_finished("argon2id", 0.03);
        metrics.mail_finished("given_up");
        metrics.pool(10, 4);
        metrics.event_watches(3);
        metrics.newest_key_age(86_400.5);
        metrics.clock_offset(-1.5);

        let page = metrics.encode();
        for line in [
            "signet_rpcs_total{rpc=\"auth.v1.AuthService/SignIn\",outcome=\"OK\"} 1",
            "signet_rpcs_total{rpc=\"auth.v1.AuthService/SignIn\",outcome=\"INVALID_CREDENTIALS\"} 1",
            "signet_rpc_duration_seconds_sum{rpc=\"auth.v1.AuthService/SignIn\"} 0.75",
            "signet_lane_queued 7",
            "signet_lane_running 1",
            "signet_lane_refused_total{cause=\"queue_full\"} 1",
            "signet_lane_wait_seconds_count 1",
            "signet_hash_duration_seconds_bucket{le=\"0.032\",scheme=\"argon2id\"} 1",
            "signet_mails_total{outcome=\"given_up\"} 1",
            "signet_database_connections{state=\"idle\"} 4",
            "signet_event_watches 3",
            "signet_database_connections{state=\"used\"} 6",
            "signet_signing_key_age_seconds 86400.5",
            "signet_clock_offset_seconds -1.5",
            "# EOF",
        ] {
            assert_has(&page, line);
        }
        assert!(page.contains(&format!("signet_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"))), "{page}");
    }

    #[test]
    fn a_path_that_is_no_rpc_makes_no_label() {
        let metrics = Metrics::new();
        metrics.rpc_finished("/made.up/By.A.Stranger", "UNIMPLEMENTED", 0.0);
        let page = metrics.encode();
        assert_has(&page, "signet_rpcs_total{rpc=\"other\",outcome=\"UNIMPLEMENTED\"} 1");
        assert!(!page.contains("made.up"), "{page}");
    }

    #[test]
    fn numbers_that_are_read_are_fresh_in_every_text() {
        let metrics = Metrics::new();
        let reads = Counter::<u64>::default();
        let counted = reads.clone();
        metrics.refresh_with(move |metrics| metrics.lane_queued(i64::try_from(counted.inc() + 1).unwrap()));
        assert_has(&metrics.encode(), "signet_lane_queued 1");
        assert_has(&metrics.encode(), "signet_lane_queued 2");
    }
}
