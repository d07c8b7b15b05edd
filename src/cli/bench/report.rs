//! What `signet bench` prints.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    time::Duration,
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
/// Of fewer hashes P99 is the slowest one, whatever it was slow for.
const P99_HASHES: usize = 200;

/// What a cost is here.
#[derive(Clone, Copy)]
pub(super) struct Label {
    /// Who names it.
    pub(super) name: &'static str,
    /// Whether it is what this command was configured with.
    pub(super) is_configured: bool,
    /// Whether it meets the goal.
    pub(super) is_met: bool,
}

/// The figures of one cost.
#[derive(Serialize)]
pub(super) struct Row {
    name: &'static str,
    /// Whether it is what this command was configured with.
    configured: bool,
    /// Whether it meets the goal.
    met: bool,
    memory_kib: u32,
    iterations: u32,
    parallelism: u32,
    logins_per_second: f64,
    logins_per_second_per_worker: f64,
    p50_seconds: f64,
    p99_seconds: f64,
    memory_of_all_workers_kib: u64,
    /// The part of the time in which the workers were on a CPU, of 1.
    cpu_share: f64,
    /// `disturbed`: the workers were kept from the CPU. `rough_p99`: the hashes are too few for the time that 99 of 100 stay within.
    warnings: Vec<&'static str>,
    hashes: usize,
    workers: usize,
    kernel: &'static str,
}

impl Row {
    pub(super) fn new(label: Label, cost: &Argon2Cost, figures: &Measured, bench: &Bench) -> Self {
        let disturbed = (figures.cpu_share() < UNDISTURBED).then_some("disturbed");
        let warnings = disturbed.into_iter().chain((figures.hashes() < P99_HASHES).then_some("rough_p99")).collect();
        let (workers, logins_per_second) = (bench.workers(), figures.rate());
        #[expect(clippy::cast_precision_loss, reason = "they are few")]
        let per_worker = logins_per_second / workers as f64;
        Self {
            name: label.name,
            configured: label.is_configured,
            met: label.is_met,
            memory_kib: cost.memory_kib,
            iterations: cost.iterations,
            parallelism: cost.parallelism,
            logins_per_second,
            logins_per_second_per_worker: per_worker,
            p50_seconds: figures.p50().as_secs_f64(),
            p99_seconds: figures.p99().as_secs_f64(),
            memory_of_all_workers_kib: u64::from(cost.memory_kib) * u64::try_from(workers).unwrap_or(u64::MAX),
            cpu_share: figures.cpu_share(),
            warnings,
            hashes: figures.hashes(),
            workers,
            kernel: bench.kernel(),
        }
    }
}

impl Row {
    pub(super) const fn cpu_share(&self) -> f64 {
        self.cpu_share
    }
}

impl Record for Row {
    const HEADINGS: &'static [&'static str] =
        &["memory KiB", "passes", "lanes", "logins/s", "per worker", "p50", "p99", "memory", ""];

    fn cells(&self) -> Vec<String> {
        vec![
            self.memory_kib.to_string(),
            self.iterations.to_string(),
            self.parallelism.to_string(),
            format!("{:.1}", self.logins_per_second),
            format!("{:.1}", self.logins_per_second_per_worker),
            millis(self.p50_seconds),
            millis(self.p99_seconds),
            format!("{} MiB", self.memory_of_all_workers_kib.div_ceil(1024)),
            if self.configured && self.name != "configured" {
                format!("{}, configured", self.name)
            } else {
                self.name.to_owned()
            },
        ]
    }
}

fn millis(seconds: f64) -> String {
    format!("{:.1} ms", seconds * 1e3)
}

/// Prints the table and what follows from it. Only the rows are for machines; people who read along see the notes in any case.
pub(super) fn print(
    output: Output,
    bench: &Bench,
    rows: &[Row],
    notes: &[String],
    conclusion: &str,
) -> anyhow::Result<()> {
    if output.is_json() {
        output.table().page(rows)?;
        for note in notes {
            writeln!(io::stderr(), "{note}")?;
        }
        return Ok(());
    }
    let (workers, kernel) = (bench.workers(), bench.kernel());
    let threads = if workers == 1 { "worker" } else { "workers" };
    // What stands in for our kernel has an article.
    let kernel = if kernel.starts_with("the ") { kernel.to_owned() } else { format!("the {kernel} kernel") };
    writeln!(io::stdout(), "{workers} {threads}, niceness {}, with {kernel}\n", bench.niceness())?;
    output.table().page(rows)?;
    for note in notes {
        writeln!(io::stdout(), "\n{note}")?;
    }
    writeln!(io::stdout(), "\n{conclusion}")?;
    Ok(())
}

/// What makes the figures less than they look, with what helps: the least part of the time on a CPU, hashes of the suggestion, and how
/// long was measured.
pub(super) fn notes(cpu_share: f64, hashes: usize, duration: Duration) -> Vec<String> {
    let mut notes = Vec::new();
    if cpu_share < UNDISTURBED {
        notes.push(format!(
            "THE WORKERS WERE ON A CPU FOR {:.0} % OF THE TIME ONLY: other work, or a CPU limit, slows them down. These figures are\n\
             of a machine that is shared in this way; its hashes alone would be faster.",
            cpu_share * 100.0
        ));
    }
    if hashes < P99_HASHES {
        // Whole ten seconds, a little more than it takes.
        let times = u32::try_from(P99_HASHES.div_ceil(hashes.max(1))).unwrap_or(u32::MAX);
        let enough = Duration::from_secs((duration.saturating_mul(times).as_secs() / 10 + 1) * 10);
        let enough = humantime::format_duration(enough).to_string().replace(' ', "");
        notes.push(format!(
            "P99 of the suggestion is the slowest of {hashes} hashes, and not yet what 99 of 100 take: `--duration {enough}` measures enough.",
        ));
    }
    notes
}

/// What the figures mean for the goal, with the settings to paste.
pub(super) fn conclusion(goal: &Goal, cost: &Argon2Cost, figures: &Measured, verdict: Verdict) -> String {
    let Argon2Cost { memory_kib, iterations, parallelism } = cost;
    let rate = goal.logins_per_second.map_or_else(String::new, |rate| format!(" and {rate:.0} logins a second"));
    let goal_text = format!("{}{rate}", humantime::format_duration(goal.latency));
    let lacking = lacking(goal, figures);
    let head = match verdict {
        Verdict::Met => format!("The dearest cost found for {goal_text}:"),
        Verdict::Missed => format!("NOTHING THAT THIS SERVICE TAKES MEETS {goal_text} here{lacking}. The nearest:"),
        Verdict::Unsteady => format!(
            "NO COST WAS FOUND THAT STAYS WITHIN {goal_text}{lacking}, after less at first. Measure for longer (`--duration 2m`, or\n\
             more), while nothing else runs here. The nearest:"
        ),
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
    if let Some(wanted) = goal.logins_per_second.filter(|wanted| *wanted > figures.rate()) {
        let machines = (wanted / figures.rate()).ceil();
        let _ = write!(lacking, "; so many logins take {machines:.0} such machines");
    }
    lacking
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn figures_that_are_what_they_seem_need_no_note() {
        assert!(notes(0.95, P99_HASHES, MINUTE).is_empty());
    }

    #[test]
    fn what_makes_figures_less_than_they_seem_is_told() {
        assert!(notes(0.5, P99_HASHES, MINUTE)[0].contains("50 % OF THE TIME ONLY"));
        let rough = notes(0.95, 70, MINUTE);
        assert!(rough[0].contains("70 hashes") && rough[0].contains("--duration 3m10s"), "{rough:?}");
        assert_eq!(notes(0.5, 1, MINUTE).len(), 2);
    }

    #[test]
    fn only_what_is_sure_is_called_too_much() {
        let goal = Goal { latency: Duration::from_millis(50), logins_per_second: None, workers: 1, arenas_max: None };
        let told = |verdict| conclusion(&goal, &Argon2Cost::OWASP, &Measured::default(), verdict);
        assert!(told(Verdict::Met).starts_with("The dearest cost found for 50ms"));
        assert!(told(Verdict::Missed).contains("NOTHING"));
        assert!(!told(Verdict::Unsteady).contains("NOTHING") && told(Verdict::Unsteady).contains("--duration"));
    }
}
