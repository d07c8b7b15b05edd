//! The binary as a process of its own.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use serde_json::Value;

/// How long something may take that must happen. Generous: the machine may be busy.
const WAIT_MAX: Duration = Duration::from_mins(1);

/// A running service; it is killed with this value.
pub(crate) struct Signet {
    process: Child,
    stdout: mpsc::Receiver<String>,
    stderr: mpsc::Receiver<String>,
}

impl Signet {
    /// Starts a command that serves, on free ports.
    pub(crate) fn start(arguments: &[&str], environment: &[(&str, String)]) -> Self {
        let mut process = command(arguments, environment)
            .args(["--grpc-addr", "127.0.0.1:0", "--rest-addr", "127.0.0.1:0", "--ops-addr", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = lines(process.stdout.take().unwrap());
        let stderr = lines(process.stderr.take().unwrap());
        Self { process, stdout, stderr }
    }

    /// The line on standard output that says it is ready.
    pub(crate) fn ready_on_stdout(&self) -> Value {
        let line = self.stdout.recv_timeout(WAIT_MAX);
        let line = line.unwrap_or_else(|_| panic!("not ready: {:?}", self.stderr.try_iter().collect::<Vec<_>>()));
        serde_json::from_str(&line).unwrap()
    }

    /// Kills it; gives what it logged and nobody has read yet.
    pub(crate) fn kill_and_read_log(mut self) -> String {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        // The channel ends when the pipe does.
        self.stderr.iter().collect::<Vec<_>>().join("\n")
    }

    /// The line of the log that says it is ready.
    pub(crate) fn ready_in_log(&self) -> Value {
        let mut seen = Vec::new();
        loop {
            let Ok(line) = self.stderr.recv_timeout(WAIT_MAX) else { panic!("not ready: {seen:#?}") };
            match serde_json::from_str::<Value>(&line) {
                Ok(event) if event["message"] == "ready" => return event,
                _ => seen.push(line),
            }
        }
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
    let mut process = command(arguments, environment)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    process.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = process.wait_with_output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

/// Fetches JSON from a listener on this machine.
pub(crate) fn get_json(url: &str) -> Option<Value> {
    let (host, path) = url.strip_prefix("http://")?.split_once('/')?;
    let mut stream = TcpStream::connect(host).ok()?;
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
}

/// Asks again until there is an answer.
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

fn lines(stream: impl std::io::Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            // After the test has what it waited for, nobody listens; reading on keeps the pipe from filling up.
            drop(sender.send(line));
        }
    });
    receiver
}
