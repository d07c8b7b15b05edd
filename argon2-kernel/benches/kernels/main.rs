//! Ways to compute Argon2id against each other: CPU time for a hash, as ratios from one interleaved run.
//!
//! A round computes one hash with each contender, so that a bad moment of the machine meets all of them; the figure is
//! the median over the rounds. All run on one thread, whose CPU time is what counts, and all must give the same tag.
//! `--help` tells the rest.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the figures are what it is for")]

mod arguments;
mod contenders;
mod figures;

use std::{env, num::NonZeroUsize, process::ExitCode, time::Duration};

use rustix::time::{ClockId, clock_gettime};

use arguments::{Arguments, HELP};
use contenders::{ARGON2_PLAIN, Contender, Cost};
use figures::{goal, quartiles};

/// What Signet takes if it is not told otherwise.
const DEFAULT: Cost = Cost { memory_kib: 19456, passes: 2 };
/// OWASP's sets, all meant to be as hard on an attacker: memory in KiB and passes.
const COSTS: [Cost; 5] = [
    DEFAULT,
    Cost { memory_kib: 47104, passes: 1 },
    Cost { memory_kib: 12288, passes: 3 },
    Cost { memory_kib: 9216, passes: 4 },
    Cost { memory_kib: 7168, passes: 5 },
];
/// What a program ends with that was called wrongly (sysexits.h).
const EX_USAGE: u8 = 64;

fn main() -> ExitCode {
    match Arguments::parse(env::args().skip(1)) {
        Ok(Arguments::Help) => println!("{HELP}"),
        Ok(Arguments::Measure(rounds)) => compare(rounds),
        Err(argument) => {
            eprintln!("`{argument}` is neither a number of rounds nor an option. `--help` tells what there is.");
            return EX_USAGE.into();
        }
    }
    ExitCode::SUCCESS
}

/// Measures all contenders with all costs, and prints what came of it.
fn compare(rounds: NonZeroUsize) {
    println!(
        "CPU time for a hash, p = 1, {rounds} rounds: how many times as long as the first line of the set \
         (quartiles of the ratios within a round).\n"
    );
    for cost in COSTS {
        let mut contenders = contenders::all(cost);
        let times = measure(&mut contenders, rounds.get());
        println!("| m = {} KiB, t = {} | ratio | quartiles | ms |\n|---|---|---|---|", cost.memory_kib, cost.passes);
        let mut plain = None;
        for (contender, own) in contenders.iter().zip(&times) {
            let ratios = own.iter().zip(&times[0]).map(|(own, first)| own.as_secs_f64() / first.as_secs_f64());
            let ratios = quartiles(ratios.collect());
            let [low, middle, high] = ratios;
            let [_, milliseconds, _] = quartiles(own.iter().map(|time| time.as_secs_f64() * 1e3).collect());
            println!("| {} | {middle:.2} | {low:.2} – {high:.2} | {milliseconds:.2} |", contender.name);
            plain = plain.or((contender.name == ARGON2_PLAIN).then_some(ratios));
        }
        println!();
        if let Some(ratios) = plain.filter(|_| cost == DEFAULT) {
            println!("{}\n", goal(ratios, rounds.get()));
        }
    }
}

/// CPU times of each contender, round by round. The first round is not counted: memory is new to everybody there.
fn measure(contenders: &mut [Contender], rounds: usize) -> Vec<Vec<Duration>> {
    let mut times = vec![Vec::with_capacity(rounds); contenders.len()];
    for round in 0..=rounds {
        let password = format!("password {round}");
        let mut expected = None;
        for (contender, times) in contenders.iter_mut().zip(&mut times) {
            let before = cpu_time();
            let tag = (contender.hash)(password.as_bytes());
            let taken = cpu_time().saturating_sub(before);
            assert_eq!(*expected.get_or_insert(tag), tag, "{} computes something else", contender.name);
            if round > 0 {
                times.push(taken);
            }
        }
    }
    times
}

/// CPU time of this thread.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("a clock that counts from nothing")
}
