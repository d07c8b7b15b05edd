//! What all benchmarks of a run go by: the arguments, the end of its time, and the tables.

use std::{
    cell::Cell,
    fmt::Display,
    io::{self, Write as _},
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use crate::{
    Arguments,
    numbers::Figure,
    proc,
    service::{DatabaseKind, Service},
};

pub(crate) struct Run {
    pub(crate) binary: PathBuf,
    databases: Vec<DatabaseKind>,
    rounds: u32,
    pub(crate) seconds: f64,
    /// The same for a measurement whose p99 counts.
    pub(crate) seconds_for_p99: f64,
    pub(crate) users: usize,
    pub(crate) sizes: Vec<usize>,
    last_beginning: Instant,
    /// Most CPUs that other programs were found to keep busy.
    others: Cell<f64>,
}

/// How long a measurement takes, if that is not said.
const SECONDS: u16 = 5;
/// The same where a p99 counts: a thousand calls of what comes fifty times a second, so that ten are beyond it.
const SECONDS_FOR_P99: u16 = 20;
/// CPUs that other programs may keep busy beside a measurement.
pub(crate) const OTHERS_MAX: f64 = 0.1;
/// How long they are looked for before a round.
const LOOK: Duration = Duration::from_millis(500);

impl Run {
    pub(crate) fn begin(arguments: &Arguments, limit: Duration) -> Self {
        Self {
            binary: arguments.binary.canonicalize().unwrap(),
            databases: arguments.database.map_or_else(|| DatabaseKind::ALL.to_vec(), |kind| vec![kind]),
            rounds: arguments.rounds,
            seconds: arguments.seconds.unwrap_or(SECONDS).into(),
            seconds_for_p99: arguments.seconds.unwrap_or(SECONDS_FOR_P99).into(),
            users: arguments.users.into(),
            sizes: arguments.sizes.iter().map(|size| usize::try_from(*size).unwrap()).collect(),
            last_beginning: Instant::now() + limit,
            others: Cell::new(0.0),
        }
    }

    /// The service on each database that was asked for and is there, with its users.
    pub(crate) fn services(&self) -> Vec<Service> {
        self.databases.iter().filter_map(|kind| Service::set_up(&self.binary, *kind, self.users)).collect()
    }

    /// The databases that were asked for.
    pub(crate) fn databases(&self) -> &[DatabaseKind] {
        &self.databases
    }

    /// The rounds there is time for; the first one always.
    pub(crate) fn rounds(&self, what: &str) -> impl Iterator<Item = u32> {
        let in_time = |round: &u32| *round == 1 || Instant::now() < self.last_beginning;
        (1..=self.rounds).take_while(in_time).inspect(move |round| {
            say(format!("{what}: round {round}"));
            self.note_others(busy_cpus());
        })
    }

    /// Notes how many CPUs other programs kept busy: before each round, and within one where a benchmark knows it.
    pub(crate) fn note_others(&self, cpus: f64) {
        self.others.set(self.others.get().max(cpus));
    }

    /// Says after a benchmark whether its figures count.
    pub(crate) fn say_if_disturbed(&self) {
        let others = self.others.take();
        if others > OTHERS_MAX {
            let others = Figure(others);
            print(format!(
                "**Disturbed:** between the rounds, or in one, other programs kept up to {others} CPUs busy. No figure \
                 above counts, whether it says met or not."
            ));
        }
    }
}

/// Those who are measured in a round. Whoever comes first in one comes last in the next, so that a machine that slows
/// down is nobody's disadvantage.
pub(crate) fn in_turn<T>(round: u32, all: impl IntoIterator<Item = T>) -> impl Iterator<Item = T> {
    let mut all: Vec<_> = all.into_iter().collect();
    if round.is_multiple_of(2) {
        all.reverse();
    }
    all.into_iter()
}

/// CPUs that are busy while nothing is measured.
fn busy_cpus() -> f64 {
    let (before, started) = (proc::idle_and_stolen().0, Instant::now());
    thread::sleep(LOOK);
    let idle = proc::idle_and_stolen().0.saturating_sub(before);
    (proc::cpus() - idle.as_secs_f64() / started.elapsed().as_secs_f64()).max(0.0)
}

/// A table in Markdown.
pub(crate) struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(head: &[&str]) -> Self {
        Self { head: head.iter().map(ToString::to_string).collect(), rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: &[&dyn Display]) {
        self.rows.push(cells.iter().map(ToString::to_string).collect());
    }

    /// Prints it under a heading.
    pub(crate) fn print(&self, heading: &str) {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let rule = line(&vec!["---".to_owned(); self.head.len()]);
        let rows: String = self.rows.iter().map(|row| line(row)).collect();
        print(format!("\n### {heading}\n\n{}{rule}{rows}", line(&self.head)));
    }
}

/// Writes to standard output.
pub(crate) fn print(text: impl Display) {
    io::stdout().write_all(format!("{text}\n").as_bytes()).unwrap();
}

/// Tells on standard error how far it is.
pub(crate) fn say(text: impl Display) {
    io::stderr().write_all(format!("{text}\n").as_bytes()).unwrap();
}
