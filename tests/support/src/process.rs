//! Running a binary of the service, with bounds on every wait.

use std::{
    env,
    io::{BufRead as _, BufReader, Read, Write as _},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// No step of these tests takes longer, on a busy machine either.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// What a command left behind.
#[derive(Debug)]
pub struct Finished {
    /// Exit code.
    pub code: i32,
    /// All that it said on standard output and was not yet read.
    pub stdout: String,
    /// The same of standard error.
    pub stderr: String,
}

impl Finished {
    /// The one JSON object that was printed. Fails unless the command succeeded.
    pub fn json(&self) -> Value {
        let [object] = &self.json_lines()[..] else { panic!("not one line: {self:?}") };
        object.clone()
    }

    /// The JSON objects that were printed. Fails unless the command succeeded.
    pub fn json_lines(&self) -> Vec<Value> {
        assert_eq!(self.code, 0, "{self:?}");
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{self:?}"))).collect()
    }

    /// Fails unless the command ended with `code` and said all of `parts` on standard error, and nothing on the other.
    #[track_caller]
    pub fn refused(&self, code: i32, parts: &[&str]) {
        assert_eq!((self.code, self.stdout.as_str()), (code, ""), "{self:?}");
        for part in parts {
            assert!(self.stderr.contains(part), "{part:?} is not in {self:?}");
        }
    }
}

/// That binary, in a directory of its own, on a machine without settings.
pub fn signet(binary: &Path, directory: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(binary);
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SIGNET_")) {
        command.env_remove(name);
    }
    command.args(args).current_dir(directory).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a command to its end.
pub fn run(mut command: Command) -> Finished {
    finish(command.spawn().unwrap())
}

/// Runs a command to its end, with `input` on its standard input.
pub fn run_with_input(mut command: Command, input: &str) -> Finished {
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    finish(child)
}

fn finish(mut child: Child) -> Finished {
    let (stdout, stderr) = (collect(child.stdout.take().unwrap()), collect(child.stderr.take().unwrap()));
    let code = wait(&mut child).code().expect("ends by itself");
    Finished { code, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
}

fn collect(mut stream: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    })
}

fn wait(child: &mut Child) -> ExitStatus {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if started.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("still running after {PATIENCE:?}");
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// A service that runs until it is told to stop, or forgotten.
pub struct Running {
    child: Child,
    stdout: Receiver<String>,
    stderr: Arc<Mutex<String>>,
    /// Ends with standard error.
    stderr_reader: Option<JoinHandle<()>>,
}

impl Running {
    /// Starts a command that serves.
    pub fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let (sender, stdout) = channel();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let stderr = Arc::new(Mutex::new(String::new()));
        let (kept, lines) = (Arc::clone(&stderr), BufReader::new(child.stderr.take().unwrap()).lines());
        let reader = thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                kept.lock().unwrap().extend([line.as_str(), "\n"]);
            }
        });
        Self { child, stdout, stderr, stderr_reader: Some(reader) }
    }

    /// The next line of standard output.
    pub fn line(&self) -> String {
        self.stdout.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no line; it said: {}", self.stderr()))
    }

    /// The first line of standard error that holds `part`.
    pub fn log_line(&self, part: &str) -> String {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            if let Some(line) = self.stderr().lines().find(|line| line.contains(part)) {
                return line.to_owned();
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("{part:?} is not in {}", self.stderr());
    }

    /// What it has said on standard error until now.
    pub fn stderr(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Its arguments, as everybody on the machine can read them.
    pub fn command_line(&self) -> String {
        std::fs::read_to_string(format!("/proc/{}/cmdline", self.child.id())).unwrap()
    }

    /// Asks it to stop; gives its exit code, all that it had not yet been asked for on standard output, and standard error.
    pub fn terminate(self) -> Finished {
        self.ask_to_stop();
        self.ended()
    }

    /// Asks it to stop, and does not wait. Asked twice, it stops at once.
    pub fn ask_to_stop(&self) {
        kill_process(self.pid(), Signal::TERM).unwrap();
    }

    /// Waits until it has ended; gives what [`Self::terminate`] gives.
    pub fn ended(mut self) -> Finished {
        let code = wait(&mut self.child).code().expect("ends by itself, not by the signal");
        self.stderr_reader.take().unwrap().join().unwrap();
        Finished { code, stdout: self.stdout.iter().collect(), stderr: self.stderr() }
    }

    /// Ends it in the middle of whatever it does.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        wait(&mut self.child);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Has ended already in a test that went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
