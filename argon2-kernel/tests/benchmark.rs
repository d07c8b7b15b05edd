//! What of the benchmark is more than measuring: its arguments, and its verdict.

#[path = "../benches/kernels/arguments.rs"]
mod arguments;
#[path = "../benches/kernels/figures.rs"]
mod figures;

use std::num::NonZeroUsize;

use arguments::{Arguments, HELP};

fn parse(arguments: &[&str]) -> Result<Arguments, String> {
    Arguments::parse(arguments.iter().map(ToString::to_string))
}

fn rounds(rounds: usize) -> Arguments {
    Arguments::Measure(NonZeroUsize::new(rounds).expect("some rounds"))
}

#[test]
fn rounds_are_told_or_as_the_help_says() {
    assert_eq!(parse(&["200", "--bench"]), Ok(rounds(200)));
    assert!(HELP.contains("[default: 60]"));
    assert_eq!(parse(&["--bench"]), Ok(rounds(60)));
}

#[test]
fn who_asks_for_help_gets_it() {
    assert_eq!(parse(&["--help", "--bench"]), Ok(Arguments::Help));
    assert_eq!(parse(&["3", "-h"]), Ok(Arguments::Help));
}

#[test]
fn what_means_nothing_is_refused() {
    for wrong in [&["0"][..], &["many"], &["-3"], &["--rounds"], &["3", "4"]] {
        assert_eq!(parse(wrong), Err(wrong[wrong.len() - 1].to_owned()));
    }
}

#[test]
fn quartiles_are_of_what_was_measured() {
    let in_tenths = |values: &[f64]| figures::quartiles(values.to_vec()).map(|value| format!("{value:.1}"));
    assert_eq!(in_tenths(&[4.0, 8.0, 2.0, 6.0, 1.0, 3.0, 7.0, 5.0]), ["3.0", "5.0", "7.0"]);
    assert_eq!(in_tenths(&[2.5]), ["2.5", "2.5", "2.5"]);
}

#[test]
fn the_goal_itself_is_good_enough() {
    let met = "`argon2` plain ÷ ours at the default parameters: 2.200 (quartiles 2.100 – 2.400, rounds: 60; \
               goal ≥ 2.2: met)";
    assert_eq!(figures::goal([2.1, 2.2, 2.4], 60), met);
    assert_eq!(figures::goal([2.1, 2.1996, 2.4], 60), met, "what is printed is what decides");
    let missed = figures::goal([2.1, 2.196, 2.4], 60);
    assert!(missed.contains(": 2.196 (") && missed.ends_with("goal ≥ 2.2: **not met**)"), "{missed}");
}

#[test]
fn a_few_rounds_are_a_first_look() {
    let is_said = |rounds| figures::goal([2.3; 3], rounds).contains(&format!("rounds: {rounds}, a first look;"));
    assert_eq!([1, 3, 19, 20, 60].map(is_said), [true, true, true, false, false]);
}
