//! What all benchmarks of a run go by: the arguments, the end of its time, and the tables.

use std::{
    fmt::Display,
    io::{self, Write as _},
    time::{Duration, Instant},
};

use crate::{
    Arguments,
    service::{DatabaseKind, Service},
};

pub(crate) struct Run {
    databases: Vec<DatabaseKind>,
    rounds: u32,
    pub(crate) seconds: f64,
    pub(crate) users: usize,
    pub(crate) sizes: Vec<usize>,
    last_beginning: Instant,
}

impl Run {
    pub(crate) fn begin(arguments: &Arguments, limit: Duration) -> Self {
        Self {
            databases: arguments.database.map_or_else(|| DatabaseKind::ALL.to_vec(), |kind| vec![kind]),
            rounds: arguments.rounds,
            seconds: arguments.seconds.into(),
            users: arguments.users.into(),
            sizes: arguments.sizes.iter().map(|size| usize::try_from(*size).unwrap()).collect(),
            last_beginning: Instant::now() + limit,
        }
    }

    /// The service on each database that was asked for and is there, with its users.
    pub(crate) fn services(&self) -> Vec<Service> {
        self.databases.iter().filter_map(|kind| Service::set_up(*kind, self.users)).collect()
    }

    /// The databases that were asked for.
    pub(crate) fn databases(&self) -> &[DatabaseKind] {
        &self.databases
    }

    /// The rounds there is time for; the first one always.
    pub(crate) fn rounds(&self, what: &str) -> impl Iterator<Item = u32> {
        let in_time = |round: &u32| *round == 1 || Instant::now() < self.last_beginning;
        (1..=self.rounds).take_while(in_time).inspect(move |round| say(format!("{what}: round {round}")))
    }
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
