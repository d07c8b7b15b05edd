//! Names and help texts.

use prometheus_client::{
    metrics::info::Info,
    registry::{Registry, Unit},
};

use super::Inner;

impl Inner {
    pub(super) fn register(&mut self) {
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))].to_vec());
        self.registry.register("build", "The running program", build);
        let up = self.dependency_up.clone();
        self.registry.register("dependency_up", "1 if what the process cannot do without answered last time", up);
        let events = self.events.clone();
        self.registry.register("events", "Events written to the audit trail, by kind and cause", events);
        let watches = self.event_watches.clone();
        self.registry.register("event_watches", "Streams of events that are open", watches);
        let ready = self.ready.clone();
        self.registry.register("ready", "1 if requests should be sent to this process", ready);
        self.register_clock_and_keys();
        self.register_database();
        self.register_lane();
        self.register_mails();
        self.register_requests();
    }

    fn register_clock_and_keys(&mut self) {
        let registry = &mut self.registry;
        let help = "How far the clock of this machine is ahead of the database's";
        seconds(registry, "clock_offset", help, self.clock_offset.clone());
        let help = "End of the certificate of the gRPC listener, in seconds since the Unix epoch";
        registry.register("grpc_certificate_expiry_timestamp_seconds", help, self.certificate_expiry.clone());
        seconds(registry, "signing_key_age", "Age of the newest signing key", self.key_age.clone());
        let help = "Signing keys older than their project lets them become, which could not be replaced";
        registry.register("signing_keys_overdue", help, self.keys_overdue.clone());
    }

    fn register_database(&mut self) {
        let registry = &mut self.registry;
        let connections = self.database_connections.clone();
        registry.register("database_connections", "Connections to the database, by state", connections);
        let help = "Most connections to the database that this process keeps";
        registry.register("database_connections_max", help, self.database_connections_max.clone());
        let help = "Time the database takes, by operation";
        seconds(registry, "database_duration", help, self.database_duration.clone());
        let help = "What the database did not do, by cause";
        registry.register("database_failures", help, self.database_failures.clone());
        let help = "Time a unit of work waits for its connection and its beginning";
        seconds(registry, "database_wait", help, self.database_wait.clone());
    }

    fn register_lane(&mut self) {
        let registry = &mut self.registry;
        let help = "Time a worker spends on one password hash, by scheme";
        seconds(registry, "hash_duration", help, self.hash_duration.clone());
        let help = "1: how password hashes are computed, the code that this processor runs fastest or the argon2 crate";
        registry.register("lane_info", help, self.lane_info.clone());
        registry.register(
            "lane_queue_max",
            "Most password hashes that may wait or be prepared",
            self.lane_queue_max.clone(),
        );
        registry.register(
            "lane_queued",
            "Password hashes that wait for a worker, or are being prepared, or wait for that",
            self.lane_queued.clone(),
        );
        registry.register(
            "lane_refused",
            "Calls for a password hash that were refused, also before it is known who calls, by cause: no room in the \
             queue, not to be done in the caller's time, or no memory",
            self.lane_refused.clone(),
        );
        registry.register("lane_running", "Password hashes being computed", self.lane_running.clone());
        seconds(
            registry,
            "lane_wait",
            "Time a password hash waits for a worker, and before that for its turn to be prepared",
            self.lane_wait.clone(),
        );
        registry.register("lane_workers", "Threads that compute password hashes", self.lane_workers.clone());
    }

    fn register_mails(&mut self) {
        let registry = &mut self.registry;
        registry.register("mails", "Attempts to send a mail, by outcome", self.mails.clone());
        let help = "Age of the oldest mail that waits in the outbox";
        seconds(registry, "mails_oldest_age", help, self.mails_oldest_age.clone());
        let help = "How long ago the mail that is due the longest should have been tried";
        seconds(registry, "mails_overdue", help, self.mails_overdue.clone());
        let help = "Mails that wait in the outbox, of all replicas";
        registry.register("mails_waiting", help, self.mails_waiting.clone());
    }

    fn register_requests(&mut self) {
        let registry = &mut self.registry;
        let help = "Time from request to answer of REST, by dialect";
        seconds(registry, "rest_duration", help, self.rest_duration.clone());
        let help = "Answered REST requests, by dialect and class of the status";
        registry.register("rest_requests", help, self.rest_requests.clone());
        seconds(registry, "rpc_duration", "Time from request to answer, by RPC", self.rpc_duration.clone());
        registry.register("rpcs", "Answered RPCs, by RPC and outcome", self.rpcs.clone());
    }
}

/// Registers what is counted in seconds; the unit becomes the end of its name.
fn seconds(registry: &mut Registry, name: &str, help: &str, metric: impl prometheus_client::registry::Metric) {
    registry.register_with_unit(name, help, Unit::Seconds, metric);
}
