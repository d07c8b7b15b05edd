//! A process of the service, and who calls it.

use std::{
    net::{Ipv4Addr, TcpListener},
    thread,
    time::{Duration, Instant},
};

use signet_test_support::process::{PATIENCE, Running};

use crate::{caller::Caller, orders::Target, proc, service::Service};

/// What the names of the hash workers begin with.
const HASH_WORKER: &str = "hash-lane";
/// What the names of the threads begin with on which SQLite works: the driver has one for each connection.
const SQLITE: &str = "sqlx-sqlite";

/// A process of the service. It is killed when dropped.
pub(crate) struct Replica<'a> {
    pub(crate) service: &'a Service,
    grpc: String,
    /// From its start to the first time that its readiness was asked and confirmed.
    pub(crate) ready_after: Duration,
    running: Running,
}

impl<'a> Replica<'a> {
    /// Starts one with its default settings, and waits until it is ready.
    pub(crate) fn start(service: &'a Service) -> Self {
        let grpc = format!("127.0.0.1:{}", free_port());
        let ops = format!("127.0.0.1:{}", free_port());
        let (grpc_addr, ops_addr) = (format!("--grpc-addr={grpc}"), format!("--ops-addr={ops}"));
        let command =
            service.command(&["serve", "--log-format=json", &grpc_addr, &ops_addr, "--rest-addr=127.0.0.1:0"]);
        let started = Instant::now();
        let running = Running::start(command);
        while !is_ready(&ops) {
            assert!(started.elapsed() < PATIENCE, "it does not get ready; it said: {}", running.stderr());
            thread::sleep(Duration::from_micros(500));
        }
        Self { service, grpc, ready_after: started.elapsed(), running }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.running.pid().as_raw_nonzero().get().unsigned_abs()
    }

    /// A client process that is connected to it.
    pub(crate) fn caller(&self, connections: usize) -> Caller {
        Caller::start(&self.service.target(&self.grpc, connections))
    }

    /// One that is connected to an echo, too.
    pub(crate) fn caller_beside_echo(&self, connections: usize, echo: &str) -> Caller {
        let target = self.service.target(&self.grpc, connections);
        Caller::start(&Target { echo: Some(echo.to_owned()), ..target })
    }

    /// Threads that hash.
    pub(crate) fn hash_workers(&self) -> usize {
        proc::threads(self.pid(), HASH_WORKER).1
    }

    /// CPU time of those.
    pub(crate) fn hash_cpu(&self) -> Duration {
        proc::threads(self.pid(), HASH_WORKER).0
    }

    /// CPU time of the threads of SQLite, where that is the database.
    pub(crate) fn sqlite_cpu(&self) -> Duration {
        proc::threads(self.pid(), SQLITE).0
    }
}

/// A port that nobody uses now.
fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// Asks as a load balancer does.
fn is_ready(ops: &str) -> bool {
    use std::io::{Read as _, Write as _};
    let Ok(mut connection) = std::net::TcpStream::connect(ops) else { return false };
    let mut answer = String::new();
    write!(connection, "GET /readyz HTTP/1.1\r\nhost: {ops}\r\nconnection: close\r\n\r\n").is_ok()
        && connection.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.1 200")
}
