//! The binary as a process of its own.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use serde_json::Value;

/// How long something may take that must happen. Generous: the machine may be busy.
const WAIT_MAX: Duration = Duration::from_mins(1);

/// A running service; it is killed with this value.
pub(crate) struct Signet {
    process: Child,
    log: Arc<Mutex<Vec<String>>>,
}

impl Signet {
    /// Starts a command that serves.
    pub(crate) fn start(arguments: &[&str], environment: &[(&str, String)]) -> Self {
        let mut command = command(arguments, environment);
        let mut process = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let log = Arc::<Mutex<Vec<String>>>::default();
        let kept = Arc::clone(&log);
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| kept.lock().unwrap().push(line)));
        Self { process, log }
    }

    /// Waits for the first line of the log with this text.
    pub(crate) fn log_line(&self, text: &str) -> Value {
        let line = wait_for(|| self.log.lock().unwrap().iter().find(|line| line.contains(text)).cloned());
        serde_json::from_str(&line).unwrap()
    }

    /// Ends it in the middle of whatever it does.
    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Signet {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Runs a command to its end; gives the JSON it printed, if it did.
pub(crate) fn run(arguments: &[&str], environment: &[(&str, String)], input: &str) -> Value {
    let mut command = command(arguments, environment);
    let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    process.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = process.wait_with_output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

/// Asks again until there is an answer.
#[track_caller]
pub(crate) fn wait_for<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + WAIT_MAX;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "nothing came");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn command(arguments: &[&str], environment: &[(&str, String)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_signet"));
    command.args(arguments).envs(environment.iter().map(|(name, value)| (name, value)));
    command
}
