//! What the benchmark is told on its command line.

use std::num::NonZeroUsize;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Measures the ways to compute Argon2id that this machine has against each other, one hash on one thread: each path of
this kernel that the processor can take, the crates `argon2` and `argon2-rust`, and libargon2 where the system has it.

Usage: cargo bench -p signet-argon2-kernel -- [OPTIONS] [ROUNDS]

Arguments:
  [ROUNDS]    Rounds for each of OWASP's five sets of parameters: one hash with each contender, so that a bad moment of
              the machine meets all of them [default: 60]

Options:
  -h, --help  Print help

Examples:
  cargo bench -p signet-argon2-kernel             # some minutes
  cargo bench -p signet-argon2-kernel -- 200      # steadier figures
  cargo bench -p signet-argon2-kernel -- 3        # a first look

There is a table for each set: CPU time of a hash, as a multiple of that of the first line, which is the path that
Signet takes here; ratio and ms are medians over the rounds. The table in docs/performance.md has a column for each set,
which is the column of ratios here. All contenders must give the same tag, or the run fails. Below the table of the
default parameters stands what the kernel is held to: how many times as long the crate `argon2` takes, used as its
documentation shows. Nothing else should run on the machine: the further the quartiles are apart, the less the figures
say.";

const ROUNDS_DEFAULT: NonZeroUsize = NonZeroUsize::new(60).expect("it is not zero");

/// What to do.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Arguments {
    Help,
    /// So many rounds.
    Measure(NonZeroUsize),
}

impl Arguments {
    /// Reads what follows the program's name. An argument that means nothing is given back.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut rounds = None;
        for argument in arguments {
            match argument.as_str() {
                "-h" | "--help" => return Ok(Self::Help),
                // What `cargo bench` says to every benchmark.
                "--bench" => {}
                number if rounds.is_none() => rounds = Some(number.parse().map_err(|_| argument)?),
                _ => return Err(argument),
            }
        }
        Ok(Self::Measure(rounds.unwrap_or(ROUNDS_DEFAULT)))
    }
}
