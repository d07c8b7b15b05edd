//! A server that belongs to one test, which stops it.

use super::cluster::Cluster;
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
    /// Starts a server. `None`, after saying so, where the machine has no PostgreSQL; with `CI=true` that is a failure instead.
    ///
    /// # Panics
    /// If it does not start, or cannot be had and `CI=true`.
    pub fn start() -> Option<Self> {
        let cluster = Cluster::start(&["-c", "synchronous_commit=on"]).expect("PostgreSQL starts");
        if cluster.is_none() {
            report_skip("a PostgreSQL server to stop", "the machine has no PostgreSQL server programs");
        }
        cluster.map(Self)
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
