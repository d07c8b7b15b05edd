//! The system lets the service open no more files.

use std::{fs, time::Duration};

use rustix::process::{Resource, Rlimit, prlimit};
use signet_test_support::Engine;
use tokio::{net::TcpStream, time::sleep};

use crate::{
    attacker::Siege,
    calls::get,
    service::{EMAIL, Replica, Service, eventually},
};

/// Beyond what is open before.
const FREE: u64 = 40;
/// How long the processor time is measured, in which it must not be busy.
const WATCHED: Duration = Duration::from_secs(3);
/// `sysconf(_SC_CLK_TCK)` on every Linux.
const TICKS_PER_SECOND: u64 = 100;

/// Processor time that it has used, in ticks.
fn ticks(replica: &Replica) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", replica.running.pid().as_raw_nonzero())).unwrap();
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    // `utime` and `stime` (proc_pid_stat(5)), without the two fields before.
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_file_descriptors_nothing_spins_and_idle_connections_make_room() {
    let Some(service) = Service::on(Engine::Postgres).await else { return };
    let siege = Siege::of(&service, &["--database-connections=2"]).await;
    let replica = &siege.replica;
    let most = u64::try_from(replica.open_files()).unwrap() + FREE;
    let limit = Rlimit { current: Some(most), maximum: Some(most) };
    prlimit(Some(replica.running.pid()), Resource::Nofile, limit).unwrap();

    let mut idle = Vec::new();
    for _ in 0..FREE {
        for address in [&replica.grpc, &replica.rest, &replica.ops] {
            idle.push(TcpStream::connect(address).await.unwrap());
        }
    }
    siege.goes_on().await;
    // Of those who wait, one after the other has room.
    service.back_end(&replica.grpc).sign_in(EMAIL).await.unwrap();
    eventually("ready", async || get(&replica.ops, "/readyz").await.is_some_and(|(status, _)| status == 200)).await;
    drop(idle);
    siege.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_that_cannot_accept_waits() {
    let Some(service) = Service::on(Engine::Sqlite).await else { return };
    let replica = service.replica(&[]);
    let busy = service.back_end(&replica.grpc);
    busy.sign_in(EMAIL).await.unwrap();
    // What is open stays open, and no number below is free.
    let most = Some(3);
    prlimit(Some(replica.running.pid()), Resource::Nofile, Rlimit { current: most, maximum: most }).unwrap();
    let mut waiting = Vec::new();
    for address in [&replica.grpc, &replica.rest, &replica.ops] {
        waiting.push(TcpStream::connect(address).await.unwrap());
    }
    let before = ticks(&replica);
    sleep(WATCHED).await;
    let used = ticks(&replica) - before;
    assert!(used < WATCHED.as_secs() * TICKS_PER_SECOND / 10, "{used} ticks of doing nothing");
    drop(waiting);
    assert_eq!(replica.running.terminate().code, 0);
}
