//! Running the binary of this package.

use std::{path::Path, process::Command};

pub(crate) use signet_test_support::process::{Finished, PATIENCE, Running, run, run_with_input};

/// The binary, in a directory of its own, on a machine without settings.
pub(crate) fn signet(directory: &Path, args: &[&str]) -> Command {
    signet_test_support::process::signet(env!("CARGO_BIN_EXE_signet").as_ref(), directory, args)
}
