//! Memory when idle, under a flood of sign-ins and after it, and the time from start to ready.

use std::{
    process, thread,
    time::{Duration, Instant},
};

use signet::crypto::argon2_kernel::Argon2Cost;

use crate::{
    caller::Caller,
    flood::{self, CONNECTIONS},
    numbers::{Figure, Rounds, met},
    proc,
    replica::Replica,
    run::{Run, Table},
    service::{DatabaseKind, Service},
};

/// In MB.
const IDLE_GOAL: f64 = 25.0;
/// Over what the idle process and the arenas of its hash workers take together.
const FLOOD_GOAL: f64 = 1.1;
/// In milliseconds, on SQLite. None is set for PostgreSQL.
const READY_GOAL: f64 = 100.0;
/// How long a process is left alone before its memory counts as idle: it gives back what its start took.
const REST_BEFORE: Duration = Duration::from_secs(15);
/// How long after the flood it is looked at again.
const REST_AFTER: Duration = Duration::from_secs(45);
/// How often memory is looked at during the flood.
const PAUSE: Duration = Duration::from_millis(100);

/// Memory in MB, and times in milliseconds, on one database.
#[derive(Default)]
struct Found {
    ready_ms: Rounds,
    idle: Rounds,
    /// With what the arenas take.
    idle_and_arenas: Rounds,
    flood: Rounds,
    /// Over the idle process and its arenas.
    flood_ratio: Rounds,
    after: Rounds,
}

pub(crate) fn measure(run: &Run) {
    let services = run.services();
    let mut found: Vec<_> = services.iter().map(|_| Found::default()).collect();
    for _ in run.rounds("footprint") {
        let replicas: Vec<_> = services.iter().map(Service::replica).collect();
        thread::sleep(REST_BEFORE);
        for (replica, found) in replicas.iter().zip(&mut found) {
            found.ready_ms.push(replica.ready_after.as_secs_f64() * 1e3);
            let (idle, mut caller) = (memory(replica), replica.caller(CONNECTIONS));
            let most = flood(run, replica, &mut caller);
            let idle_and_arenas = idle + arenas(replica);
            found.idle.push(idle);
            found.idle_and_arenas.push(idle_and_arenas);
            found.flood.push(most);
            found.flood_ratio.push(most / idle_and_arenas);
        }
        thread::sleep(REST_AFTER);
        for (replica, found) in replicas.iter().zip(&mut found) {
            found.after.push(memory(replica));
        }
    }
    for (service, found) in services.iter().zip(&found) {
        found.print(service);
    }
}

fn memory(replica: &Replica<'_>) -> f64 {
    proc::rss(replica.pid()) as f64 / 1e6
}

/// What the arenas of its hash workers take.
fn arenas(replica: &Replica<'_>) -> f64 {
    replica.hash_workers() as f64 * f64::from(Argon2Cost::OWASP.memory_kib) * 1024.0 / 1e6
}

/// The most memory that it takes during a flood.
fn flood(run: &Run, replica: &Replica<'_>, caller: &mut Caller) -> f64 {
    let capacity = flood::capacity(replica, caller, run.seconds);
    caller.call(run.seconds, flood::from_one_client(capacity));
    caller.begun();
    let (before, started) = (accounted_for(replica, caller), Instant::now());
    let length = Duration::from_secs_f64(run.seconds);
    let mut most: f64 = 0.0;
    while started.elapsed() < length {
        most = most.max(memory(replica));
        thread::sleep(PAUSE);
    }
    let accounted = accounted_for(replica, caller).saturating_sub(before);
    run.note_others((proc::cpus() - accounted.as_secs_f64() / started.elapsed().as_secs_f64()).max(0.0));
    caller.ended();
    caller.outcomes();
    most
}

/// CPU time that is not that of others: of the service, its database and its caller, of the look at its memory, and
/// what nobody used or the hypervisor took away.
fn accounted_for(replica: &Replica<'_>, caller: &Caller) -> Duration {
    let (idle, stolen) = proc::idle_and_stolen();
    let processes = [replica.pid(), caller.pid(), process::id()].map(proc::cpu);
    processes.iter().sum::<Duration>() + replica.service.database_cpu() + idle + stolen
}

impl Found {
    fn print(&self, service: &Service) {
        let mut table = Table::new(&["Figure", "Goal", "Median", "Rounds", ""]);
        let mut row = |name: &str, goal: Option<f64>, rounds: &Rounds| {
            let median = rounds.median();
            let is_met = goal.map_or("", |goal| met(median < goal));
            let goal = goal.map_or_else(String::new, |goal| format!("< {goal}"));
            table.row(&[&name, &goal, &Figure(median), &rounds.spread(), &is_met]);
        };
        let ready_goal = (service.kind == DatabaseKind::Sqlite).then_some(READY_GOAL);
        row("start to ready, ms", ready_goal, &self.ready_ms);
        row("memory when idle, MB", Some(IDLE_GOAL), &self.idle);
        row("most memory during a flood ÷ (idle + an arena for each worker)", Some(FLOOD_GOAL), &self.flood_ratio);
        row("… in MB", None, &self.flood);
        row("… idle + an arena for each worker, MB", None, &self.idle_and_arenas);
        row("memory 45 s after the flood, MB", None, &self.after);
        table.print(&format!("Footprint on {}", service.kind));
    }
}
