//! Callers who are up to no good.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use rustix::process::{Resource, getrlimit, setrlimit};
use signet_test_support::process::PATIENCE;
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpStream, tcp::OwnedReadHalf},
    task::JoinSet,
    time::timeout,
};

use crate::{
    load::{Load, nothing},
    service::{Replica, Service},
};

/// Memory that no attack may cost beyond what the service had before, in MiB.
pub(crate) const MEMORY_MIB_MAX: u64 = 256;
/// How many more connections may be open after an attack: of calls that were made meanwhile.
const CONNECTIONS_LEFT: usize = 2;

/// A replica under attack, and honest callers who must not notice.
pub(crate) struct Siege {
    pub(crate) replica: Replica,
    load: Load,
    memory_mib: u64,
    open_sockets: usize,
}

/// Attackers who do the same again and again.
pub(crate) struct Attack {
    stop: Arc<AtomicBool>,
    rounds: Arc<AtomicUsize>,
    attackers: JoinSet<()>,
}

impl Siege {
    pub(crate) async fn of(service: &Service, settings: &[&str]) -> Self {
        let replica = service.replica(settings);
        let load = Load::start(&service.back_end(&replica.grpc), nothing).await;
        load.successes(2).await;
        let (memory_mib, open_sockets) = (replica.memory_mib(), replica.open_sockets());
        Self { replica, load, memory_mib, open_sockets }
    }

    /// Honest callers have had some calls answered from now on, and the memory is bounded.
    pub(crate) async fn goes_on(&self) {
        self.load.successes(2).await;
        let memory = self.replica.memory_mib();
        assert!(memory < self.memory_mib + MEMORY_MIB_MAX, "{memory} MiB, and {} before", self.memory_mib);
    }

    /// Whatever the attackers held is free again, and nothing has broken.
    pub(crate) async fn ends(self) {
        self.goes_on().await;
        self.replica.wait_for_open_sockets(self.open_sockets + CONNECTIONS_LEFT).await;
        self.load.finish().await;
        let ended = self.replica.running.terminate();
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    }
}

impl Attack {
    /// Starts so many attackers, each of whom does that until they are stopped.
    pub(crate) fn start<A>(attackers: usize, attack: impl Fn(usize) -> A + Clone + Send + 'static) -> Self
    where
        A: Future<Output = ()> + Send,
    {
        let (stop, rounds) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut tasks = JoinSet::new();
        for number in 0..attackers {
            let (stop, rounds, attack) = (Arc::clone(&stop), Arc::clone(&rounds), attack.clone());
            tasks.spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    timeout(PATIENCE, attack(number)).await.expect("the service does not let go of an attacker");
                    rounds.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        Self { stop, rounds, attackers: tasks }
    }

    /// Waits until they have done it so many times in all.
    pub(crate) async fn rounds(&self, count: usize) {
        crate::service::eventually("rounds of the attack", async || self.rounds.load(Ordering::SeqCst) >= count).await;
    }

    pub(crate) async fn stop(mut self) {
        self.stop.store(true, Ordering::SeqCst);
        while let Some(ended) = self.attackers.join_next().await {
            ended.unwrap();
        }
    }
}

/// A connection; `None` while the service does not take any.
pub(crate) async fn connect(address: &str) -> Option<TcpStream> {
    TcpStream::connect(address).await.ok()
}

/// Reads until the service hangs up.
pub(crate) async fn until_closed(mut connection: TcpStream) {
    let mut bytes = Vec::new();
    let _ = connection.read_to_end(&mut bytes).await;
}

/// Reads and forgets, so that the service never waits to write.
pub(crate) async fn drain(mut connection: OwnedReadHalf) {
    let mut bytes = vec![0; 64 * 1024];
    while connection.read(&mut bytes).await.is_ok_and(|length| length > 0) {}
}

/// Lets this process open as many connections as it may; gives how many.
pub(crate) fn many_files() -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}
