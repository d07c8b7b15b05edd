//! Running the binary of this package.

use std::{
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use signet_test_support::process::{PATIENCE, Running, run_with_input, signet};

/// Starts a command that serves, and waits until it is ready; gives what it says of itself then.
pub(crate) fn start(directory: &Path, arguments: &[&str], environment: &[(&str, String)]) -> (Running, Value) {
    let running = Running::start(command(directory, arguments, environment));
    let ready = serde_json::from_str(&running.log_line("\"message\":\"ready\"")).unwrap();
    (running, ready)
}

/// Runs a command to its end; gives the JSON it printed, if it did.
pub(crate) fn run(directory: &Path, arguments: &[&str], environment: &[(&str, String)], input: &str) -> Value {
    let finished = run_with_input(command(directory, arguments, environment), input);
    assert_eq!(finished.code, 0, "{finished:?}");
    serde_json::from_str(&finished.stdout).unwrap_or_default()
}

/// Asks again until there is an answer.
#[track_caller]
pub(crate) fn wait_for<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "nothing came");
        thread::sleep(Duration::from_millis(50));
    }
}

fn command(directory: &Path, arguments: &[&str], environment: &[(&str, String)]) -> Command {
    let mut command = signet(env!("CARGO_BIN_EXE_signet").as_ref(), directory, arguments);
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    command
}
