//! Memory, and the time from start to ready.

use std::{thread, time::Duration};

use crate::{
    numbers::{Figure, Rounds, met},
    proc,
    run::{Run, Table},
    service::Service,
};

/// In MB.
const IDLE_GOAL: f64 = 25.0;
/// In milliseconds, on SQLite.
const READY_GOAL: f64 = 100.0;
/// How long a process is left alone before its memory counts as idle.
const REST: Duration = Duration::from_secs(3);

/// Starts on one database.
#[derive(Default)]
struct Starts {
    ready_ms: Rounds,
    idle_mb: Rounds,
}

pub(crate) fn measure(run: &Run) {
    let services = run.services();
    let mut starts: Vec<_> = services.iter().map(|_| Starts::default()).collect();
    for _ in run.rounds("footprint") {
        for (service, starts) in services.iter().zip(&mut starts) {
            let replica = service.replica();
            starts.ready_ms.push(replica.ready_after.as_secs_f64() * 1e3);
            thread::sleep(REST);
            starts.idle_mb.push(proc::rss(replica.pid()) as f64 / 1e6);
        }
    }
    for (service, starts) in services.iter().zip(&starts) {
        starts.print(service);
    }
}

impl Starts {
    fn print(&self, service: &Service) {
        let mut table = Table::new(&["Figure", "Goal", "Median", "Rounds", ""]);
        let mut row = |name: &str, goal: f64, rounds: &Rounds| {
            let median = rounds.median();
            table.row(&[&name, &format!("< {goal}"), &Figure(median), &rounds.spread(), &met(median < goal)]);
        };
        row("start to ready, ms", READY_GOAL, &self.ready_ms);
        row("memory when idle, MB", IDLE_GOAL, &self.idle_mb);
        table.print(&format!("Footprint on {}", service.kind));
    }
}
