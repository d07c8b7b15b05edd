//! What `signet bench` prints.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
};

use serde::Serialize;

use super::{
    measure::{Bench, Measured},
    suggest::{Goal, Verdict},
};
use crate::{
    cli::output::{Output, Record},
    crypto::argon2_kernel::Argon2Cost,
};

/// From this part of the time on a CPU on, the figures are those of the machine and not of what else it does.
const UNDISTURBED: f64 = 0.9;

/// The figures of one cost.
#[derive(Serialize)]
pub(super) struct Row {
    name: String,
    memory_kib: u32,
    iterations: u32,
    parallelism: u32,
    logins_per_second: f64,
    logins_per_second_per_core: f64,
    p50_seconds: f64,
    p99_seconds: f64,
    memory_of_all_workers_kib: u64,
    /// The part of the time in which the workers were on a CPU, of 1.
    cpu_share: f64,
    hashes: usize,
    workers: usize,
    kernel: &'static str,
}

impl Row {
    pub(super) fn new(name: &str, cost: &Argon2Cost, figures: &Measured, bench: &Bench) -> Self {
        let (workers, logins_per_second) = (bench.workers(), figures.hashes_per_second());
        #[expect(clippy::cast_precision_loss, reason = "they are few")]
        let per_core = logins_per_second / workers as f64;
        Self {
            name: name.to_owned(),
            memory_kib: cost.memory_kib,
            iterations: cost.iterations,
            parallelism: cost.parallelism,
            logins_per_second,
            logins_per_second_per_core: per_core,
            p50_seconds: figures.p50().as_secs_f64(),
            p99_seconds: figures.p99().as_secs_f64(),
            memory_of_all_workers_kib: u64::from(cost.memory_kib) * u64::try_from(workers).unwrap_or(u64::MAX),
            cpu_share: figures.cpu_share(),
            hashes: figures.hashes(),
            workers,
            kernel: bench.kernel(),
        }
    }
}

impl Record for Row {
    const HEADINGS: &'static [&'static str] =
        &["memory KiB", "passes", "lanes", "logins/s", "per core", "p50", "p99", "memory", ""];

    fn cells(&self) -> Vec<String> {
        vec![
            self.memory_kib.to_string(),
            self.iterations.to_string(),
            self.parallelism.to_string(),
            format!("{:.1}", self.logins_per_second),
            format!("{:.1}", self.logins_per_second_per_core),
            millis(self.p50_seconds),
            millis(self.p99_seconds),
            format!("{} MiB", self.memory_of_all_workers_kib.div_ceil(1024)),
            self.name.clone(),
        ]
    }
}

fn millis(seconds: f64) -> String {
    format!("{:.1} ms", seconds * 1e3)
}

/// Prints the table and what follows from it. Nothing but the rows is for machines.
pub(super) fn print(
    output: Output,
    bench: &Bench,
    rows: &[Row],
    suggested: &Row,
    conclusion: &str,
) -> anyhow::Result<()> {
    if !output.is_json() {
        let workers = bench.workers();
        let threads = if workers == 1 { "worker" } else { "workers" };
        writeln!(io::stdout(), "{workers} {threads}, niceness {}, by {}\n", bench.niceness(), bench.kernel())?;
    }
    let mut table = output.table();
    table.page(&rows.iter().chain([suggested]).collect::<Vec<_>>())?;
    if !output.is_json() {
        let shares = rows.iter().chain([suggested]).map(|row| row.cpu_share);
        let least = shares.fold(1.0, f64::min);
        if least < UNDISTURBED {
            writeln!(
                io::stdout(),
                "\nTHE WORKERS WERE ON A CPU FOR {:.0} % OF THE TIME ONLY: other work, or a CPU limit, slows them down. These figures \
                 are\nof a machine that is shared in this way; its hashes alone would be faster.",
                least * 100.0
            )?;
        }
        writeln!(io::stdout(), "\n{conclusion}")?;
    }
    Ok(())
}

impl Record for &Row {
    const HEADINGS: &'static [&'static str] = Row::HEADINGS;

    fn cells(&self) -> Vec<String> {
        (*self).cells()
    }
}

/// What the figures mean for the goal, with the settings to paste.
pub(super) fn conclusion(goal: &Goal, cost: &Argon2Cost, figures: &Measured, verdict: Verdict) -> String {
    let Argon2Cost { memory_kib, iterations, parallelism } = cost;
    let rate = goal.logins_per_second.map_or_else(String::new, |rate| format!(" and {rate:.0} logins a second"));
    let goal_text = format!("{}{rate}", humantime::format_duration(goal.latency));
    let head = if verdict == Verdict::Met {
        format!("The dearest cost found for {goal_text}:")
    } else {
        format!("NOTHING THAT THIS SERVICE TAKES MEETS {goal_text} here{}. The nearest:", lacking(goal, figures))
    };
    format!(
        "{head}\n\n  \
         --argon2-memory-kib {memory_kib} --argon2-iterations {iterations} --argon2-parallelism {parallelism}\n\n  \
         SIGNET_ARGON2_MEMORY_KIB={memory_kib}\n  SIGNET_ARGON2_ITERATIONS={iterations}\n  \
         SIGNET_ARGON2_PARALLELISM={parallelism}\n\n\
         A login is one hash; the rest of a sign-in and the wait for a worker come on top. Plan for less than all of\n\
         LOGINS/S: near it sign-ins wait, beyond it they are refused. Rows below 19456 KiB or 2 passes are for comparison:\n\
         the service takes no less. `signet bench --help` says more."
    )
}

/// What is missing, with what would help.
fn lacking(goal: &Goal, figures: &Measured) -> String {
    let mut lacking = String::new();
    if figures.p99() > goal.latency {
        let _ = write!(lacking, ": a hash takes {}", millis(figures.p99().as_secs_f64()));
    }
    if let Some(wanted) = goal.logins_per_second.filter(|wanted| *wanted > figures.hashes_per_second()) {
        let machines = (wanted / figures.hashes_per_second()).ceil();
        let _ = write!(lacking, "; so many logins take {machines:.0} such machines");
    }
    lacking
}
