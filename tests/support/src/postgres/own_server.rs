//! A server that belongs to one test, which stops it.

use super::cluster::{self, Cluster};
use crate::environment::report_skip;

/// A PostgreSQL server of one test. What was committed is there after a stop of any kind.
#[derive(Debug)]
pub struct OwnServer(Cluster);

/// How a server is stopped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StopKind {
    /// It rolls back what is running, tells its clients, and writes everything down: what an operator does.
    Fast,
    /// It hangs up, and recovers from its log when it starts again.
    Immediate,
    /// Its first process is killed, and the others notice.
    Killed,
}

impl OwnServer {
    /// Where each server has a directory of its own for its files.
    pub const PARENT_DIRECTORY: &str = cluster::PARENT_DIRECTORY;

    /// Version of the server that would be started; `None` where the machine has none.
    pub fn version() -> Option<String> {
        cluster::version()
    }

    /// Starts a server. `None`, after saying so, where the machine has no PostgreSQL; with `CI=true` that is a failure instead.
    ///
    /// # Panics
    /// If it does not start, or cannot be had and `CI=true`.
    pub fn start() -> Option<Self> {
        Self::start_with("a PostgreSQL server to stop", &["synchronous_commit=on"])
    }

    /// Starts a server that is as careful as its defaults: what was committed survives a power cut, too. For measurements.
    ///
    /// # Panics
    /// If it does not start, or cannot be had and `CI=true`.
    pub fn start_durable() -> Option<Self> {
        let careful =
            ["fsync=on", "full_page_writes=on", "synchronous_commit=on", "wal_level=replica", "autovacuum=on"];
        Self::start_with("a PostgreSQL server to measure on", &careful)
    }

    fn start_with(what: &str, settings: &[&str]) -> Option<Self> {
        let options: Vec<_> = settings.iter().flat_map(|setting| ["-c", setting]).collect();
        let cluster = Cluster::start(&options).expect("PostgreSQL starts");
        if cluster.is_none() {
            report_skip(what, "the machine has no PostgreSQL server programs");
        }
        cluster.map(Self)
    }

    /// The first process of the server, whose children are the others.
    ///
    /// # Panics
    /// If it is stopped.
    pub fn process_id(&self) -> u32 {
        self.0.process_id().expect("PostgreSQL runs")
    }

    /// URL of its only database.
    pub fn url(&self) -> String {
        self.0.url().into()
    }

    /// Stops it, and waits until it is gone.
    ///
    /// # Panics
    /// If it does not stop.
    pub fn stop(&mut self, kind: StopKind) {
        let signal = match kind {
            StopKind::Fast => "INT",
            StopKind::Immediate => "QUIT",
            StopKind::Killed => "KILL",
        };
        self.0.command(&format!("stop {signal}")).expect("PostgreSQL stops");
    }

    /// Starts it again, and waits until it takes connections.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start_again(&mut self) {
        self.0.command("start").expect("PostgreSQL starts again");
    }
}
