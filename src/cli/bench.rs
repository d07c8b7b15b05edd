//! `signet bench`.

mod measure;
mod report;
mod room;
mod suggest;

use std::{
    io::{self, Write as _},
    time::Duration,
};

use tracing::Level;

use self::{
    measure::{Bench, Measured},
    report::{Label, Row},
    room::Room,
    suggest::{Goal, Search, Verdict},
};
use super::output::Output;
use crate::{
    app,
    config::{duration_within, passwords::PasswordConfig},
    crypto::argon2_kernel::Argon2Cost,
};

const EXAMPLES: &str = "\
Examples:
  signet bench
  signet bench --latency-goal 30ms --logins-per-second 100
  signet bench --duration 2m --hash-workers 8
  signet bench --json | jq 'select(.name == \"suggested\")'

A sign-in costs what its password hash costs, and so does every guess of whoever steals the hashes: take as dear a one as you can \
afford. The suggestion is the dearest that meets the goal, with memory before passes, because memory is what guessing machines lack; \
never less than OWASP advises.

It hashes as `signet serve` would, with the same workers at the same priority, all of them at once, so give it the same settings. It \
needs no database and no master key. Run it where the service will run, under the same limits, while nothing else runs there: what \
else is busy shows in the figures. Beside a serving instance it takes CPU from the hashes of that, and memory: it takes no more than \
half of what is left (of the memory limit, or of the machine), and tells what it leaves out for that.

What the figures mean: PASSES are --argon2-iterations, LANES --argon2-parallelism. LOGINS/S are hashes that this machine computes in a \
second, PER WORKER those of one thread; P50 and P99 are times of one hash while all workers are busy; MEMORY is that of all workers. They \
leave out the rest of a sign-in (statements, signatures, network: a few milliseconds), and the wait for a worker while there are more \
sign-ins than that.";

/// How often each set is measured. They take turns, so that a bad moment of the machine meets them all.
const ROUNDS: u32 = 5;
/// How many candidates are measured before the search ends.
const TRIES: u32 = 4;
/// How often what was found is measured again.
const CHECKS: u32 = 2;

/// Well-known costs: memory in KiB, passes, and who names them. The first five are OWASP's, of about the same strength.
const KNOWN: [(u32, u32, &str); 6] = [
    (47_104, 1, "OWASP"),
    (19_456, 2, "OWASP"),
    (12_288, 3, "OWASP"),
    (9_216, 4, "OWASP"),
    (7_168, 5, "OWASP"),
    (65_536, 3, "stronger"),
];

/// Measure how fast this machine hashes passwords, and suggest a cost for a latency goal
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct BenchArgs {
    /// What the hash of a sign-in may take: 99 of 100, with all workers busy
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "50ms",
        value_parser = duration_within(Duration::from_millis(1), Duration::from_mins(1))
    )]
    latency_goal: Duration,
    /// How many sign-ins this machine has to manage in a second
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    logins_per_second: Option<u32>,
    /// How long to measure, about; the longer, the steadier the figures
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "20s",
        value_parser = duration_within(Duration::from_secs(1), Duration::from_hours(1))
    )]
    duration: Duration,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    passwords: PasswordConfig,
}

pub(super) fn run(args: &BenchArgs) -> anyhow::Result<()> {
    // A self-test that failed, and a priority that could not be lowered, are told in the log. Nothing else has begun one here.
    let _ = tracing_subscriber::fmt().with_writer(io::stderr).with_max_level(Level::WARN).try_init();
    let lane = app::lane_settings(&args.passwords);
    let room = Room::new(app::memory_left(), lane.workers.get())?;
    let (sets, left_out): (Vec<Set>, Vec<Set>) = sets(lane.cost).into_iter().partition(|set| room.holds(&set.cost));
    let left_out: Vec<Argon2Cost> = left_out.iter().map(|set| set.cost).collect();
    let mut bench = Bench::new(&lane)?;
    bench.warm_up(sets.iter().map(|set| set.cost.memory_kib).max().unwrap_or_default())?;
    let mut figures = vec![Measured::default(); sets.len()];
    // The other half of the time is for the suggestion.
    let slot = args.duration / 2 / ROUNDS / u32::try_from(sets.len()).unwrap_or(u32::MAX);
    for round in 1..=ROUNDS {
        progress(&format!("round {round} of {ROUNDS}: {} sets of parameters", sets.len()))?;
        for (set, figures) in sets.iter().zip(&mut figures) {
            bench.measure(&set.cost, slot, figures)?;
        }
    }
    let goal = Goal {
        latency: args.latency_goal,
        logins_per_second: args.logins_per_second.map(f64::from),
        workers: lane.workers.get(),
        arenas_max: room.within(app::arenas_max()),
    };
    let known = sets.iter().zip(&figures).map(|(set, figures)| (set.cost, figures.p99()));
    let search = Search::new(&goal, known, TRIES);
    let (cost, suggested, verdict) = suggest(&mut bench, &goal, search, args.duration / 2)?;

    let row = |name, cost: &Argon2Cost, figures: &Measured| {
        let label =
            Label { name, is_configured: *cost == lane.cost, is_met: goal.is_met(figures.p99(), figures.rate()) };
        Row::new(label, cost, figures, &bench)
    };
    let mut rows: Vec<Row> =
        sets.iter().zip(&figures).map(|(set, figures)| row(set.name, &set.cost, figures)).collect();
    rows.push(row("suggested", &cost, &suggested));
    let mut notes: Vec<String> = room.note(&left_out).into_iter().collect();
    let cpu_share = rows.iter().map(Row::cpu_share).fold(1.0, f64::min);
    notes.extend(report::notes(cpu_share, suggested.hashes(), args.duration));
    report::print(args.output, &bench, &rows, &notes, &report::conclusion(&goal, &cost, &suggested, verdict))
}

/// Measures one candidate after the other, and longer what was found.
fn suggest(
    bench: &mut Bench,
    goal: &Goal,
    mut search: Search,
    time: Duration,
) -> anyhow::Result<(Argon2Cost, Measured, Verdict)> {
    let slot = time / (TRIES + CHECKS);
    let is_met = |figures: &Measured| goal.is_met(figures.p99(), figures.rate());
    let mut met = None;
    let (cost, mut figures) = loop {
        let cost = search.candidate();
        progress(&format!("trying {} KiB with {} passes", cost.memory_kib, cost.iterations))?;
        let mut figures = Measured::default();
        bench.warm_up(cost.memory_kib)?;
        bench.measure(&cost, slot, &mut figures)?;
        let goes_on = search.goes_on_after(figures.p99(), figures.rate());
        // What meets the goal is dearer than whatever did before.
        if is_met(&figures) {
            met = Some((cost, figures.clone()));
        }
        if !goes_on {
            break met.unwrap_or((cost, figures));
        }
    };
    if !is_met(&figures) {
        return Ok((cost, figures, Verdict::Missed));
    }
    progress(&format!("measuring {} KiB with {} passes for longer", cost.memory_kib, cost.iterations))?;
    for _ in 0..CHECKS {
        bench.measure(&cost, slot, &mut figures)?;
    }
    let verdict = match is_met(&figures) {
        true => Verdict::Met,
        false if cost == Argon2Cost::OWASP => Verdict::Missed,
        false => Verdict::Unsteady,
    };
    Ok((cost, figures, verdict))
}

struct Set {
    name: &'static str,
    cost: Argon2Cost,
}

/// The well-known costs, and what is configured.
fn sets(configured: Argon2Cost) -> Vec<Set> {
    let known = |&(memory_kib, iterations, name): &(u32, u32, &'static str)| Set {
        name,
        cost: Argon2Cost { memory_kib, iterations, parallelism: 1 },
    };
    let mut sets: Vec<Set> = KNOWN.iter().map(known).collect();
    if !sets.iter().any(|set| set.cost == configured) {
        sets.push(Set { name: "configured", cost: configured });
    }
    sets
}

/// Tells whoever waits that something happens. Standard output is for the figures.
fn progress(text: &str) -> io::Result<()> {
    writeln!(io::stderr(), "{text}")
}
