//! The whole service, measured as its callers meet it: the real binary on a real database, called over TCP by processes
//! of their own.
//!
//! Every figure that counts is a ratio of two measurements of one run that took turns, so that a busy moment of the
//! machine hits both.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on has failed")]
#![expect(clippy::cast_precision_loss, reason = "counts of calls and bytes are far below 2^52")]

mod answers;
mod bare_kernel;
mod caller;
mod calls;
mod echo;
mod fill;
mod flood;
mod footprint;
mod growth;
mod machine;
mod numbers;
mod orders;
mod proc;
mod replica;
mod run;
mod service;
mod sign_in;
mod streams;
mod tokens;

use std::{env, path::PathBuf, time::Duration};

use clap::{CommandFactory as _, Parser, ValueEnum, error::ErrorKind};

use crate::{run::Run, service::DatabaseKind};

const EXAMPLES: &str = "\
Examples:
  cargo bench --bench service -- sign-in
  cargo bench --bench service -- sign-in --database sqlite --rounds 3
  cargo bench --bench service -- growth --sizes 1000,10000000 --time-limit 120
  cargo bench --profile dev --bench service -- sign-in --seconds 2 --users 100   # a quick look, without a release build

Tables go to standard output, ready for docs/performance.md; progress goes to standard error. Nothing else should run on
the machine: the last column of each table says how far the rounds were apart.";

/// Measures the service: its own binary, called over gRPC by client processes
#[derive(Debug, Parser)]
#[command(name = "cargo bench --bench service --", after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// What to measure; everything if none is named
    #[arg(value_enum, value_name = "BENCHMARK")]
    benchmarks: Vec<Benchmark>,

    /// The database to measure on; both if none is named. PostgreSQL is started from the system's programs, with its
    /// files in /tmp
    #[arg(long, value_enum)]
    database: Option<DatabaseKind>,

    /// Rounds, in each of which everything is measured once, in turn
    #[arg(long, value_name = "COUNT", default_value = "5", value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,

    /// How long each measurement of a round takes; 5 if it is not said, but 20 in `flood`: a p99 needs many calls
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u16).range(1..=600))]
    seconds: Option<u16>,

    /// Users, each with a password and a session of their own, who are signed in in turn; `flood` needs 512
    #[arg(long, value_name = "COUNT", default_value = "512", value_parser = clap::value_parser!(u16).range(16..=16384))]
    users: u16,

    /// Users and sessions there are in `growth`, a database for each. Databases of one kind take 1.2 KB of disk for
    /// each at a time: SQLite's where temporary files are, PostgreSQL's in /tmp. Where 2 GB would not be left free
    /// there, the kind is left out
    #[arg(long, value_name = "COUNTS", value_delimiter = ',', default_value = "1000,1000000")]
    #[arg(value_parser = clap::value_parser!(u32).range(100..=20_000_000))]
    sizes: Vec<u32>,

    /// No round begins later than that: what was measured until then is reported
    #[arg(long, value_name = "MINUTES", default_value = "60", value_parser = clap::value_parser!(u16).range(1..=1440))]
    time_limit: u16,

    /// Another binary of the service, to compare versions; else the one that was built for this run
    #[arg(long, value_name = "PATH", default_value = env!("CARGO_BIN_EXE_signet"), hide_default_value = true)]
    binary: PathBuf,

    /// What `cargo bench` says to every benchmark
    #[arg(long = "bench", hide = true)]
    _bench: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Benchmark {
    /// Sign-ins per second against hashes per second of the bare kernel
    SignIn,
    /// Token checks, refreshes and other clients beside ten times more sign-ins than can be hashed
    Flood,
    /// Memory, idle and under a flood, and the time from start to ready
    Footprint,
    /// Token checks, refreshes and client tokens per second per core against a bare echo
    Tokens,
    /// Sign-ins, refreshes and token checks with few and with many users and sessions, and bytes for each
    Growth,
}

impl Benchmark {
    fn measure(self, run: &Run) {
        match self {
            Self::SignIn => sign_in::measure(run),
            Self::Flood => flood::measure(run),
            Self::Footprint => footprint::measure(run),
            Self::Growth => growth::measure(run),
            Self::Tokens => tokens::measure(run),
        }
    }
}

fn main() {
    // The client processes, and the echo, are this program, started once more.
    match env::args().nth(1).as_deref() {
        Some(caller::ARGUMENT) => return answers::serve(),
        Some(echo::ARGUMENT) => return echo::serve(),
        _ => {}
    }
    let arguments = Arguments::parse();
    let limit = Duration::from_mins(arguments.time_limit.into());
    let chosen = match arguments.benchmarks.as_slice() {
        [] => Benchmark::value_variants(),
        some => some,
    };
    // Before anything is measured: a run takes long.
    if chosen.contains(&Benchmark::Flood) && usize::from(arguments.users) < flood::USERS_MIN {
        let why = format!(
            "`flood` needs --users {} or more: a session for each refresh that may be under way",
            flood::USERS_MIN
        );
        Arguments::command().error(ErrorKind::ValueValidation, why).exit();
    }
    let run = Run::begin(&arguments, limit);
    run::print(machine::in_words());
    for benchmark in chosen {
        benchmark.measure(&run);
        run.say_if_disturbed();
    }
}
