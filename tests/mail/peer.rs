//! Starts `peer.py`, a mail server by aiosmtpd, in a virtual environment that is made once.

use std::{
    env,
    ffi::OsStr,
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Write as _},
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{OnceLock, mpsc},
    time::Duration,
};

use serde_json::Value;
use tokio::net::TcpSocket;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mail/peer.py");
const REQUIREMENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mail/requirements.txt");
/// How long an event may take that must happen. Generous: the machine may be busy.
const EVENT_MAX: Duration = Duration::from_secs(30);
/// How long to look out for an event that must not happen.
const SILENCE: Duration = Duration::from_millis(300);

/// A running mail server. It ends with this value, and with the test process at the latest.
pub(crate) struct Peer {
    process: Child,
    events: mpsc::Receiver<Value>,
    /// Port on 127.0.0.1.
    pub(crate) port: u16,
}

impl Peer {
    /// Starts a server with the options of `peer.py`. `None`, after saying so, where Python cannot be had.
    pub(crate) fn start<T: AsRef<OsStr>>(options: impl IntoIterator<Item = T>) -> Option<Self> {
        let mut process = Command::new(python()?)
            .arg(SCRIPT)
            .args(options)
            // The server ends when its standard input does: the pipe is closed even if this process is killed.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let (sender, events) = mpsc::channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let Ok(()) = sender.send(serde_json::from_str(&line).unwrap()) else { return };
            }
        });
        let mut peer = Self { process, events, port: 0 };
        let ready = peer.events.recv_timeout(EVENT_MAX).expect("peer.py says its port");
        peer.port = ready["port"].as_u64().unwrap().try_into().unwrap();
        Some(peer)
    }

    /// Waits for the next event of any kind.
    pub(crate) fn next_event(&self) -> Value {
        self.events.recv_timeout(EVENT_MAX).expect("peer.py says what it does")
    }

    /// Waits for the next event of a kind, and skips others.
    pub(crate) fn next(&self, kind: &str) -> Value {
        loop {
            let event = self.events.recv_timeout(EVENT_MAX).unwrap_or_else(|_| panic!("no event `{kind}`"));
            if event["event"] == kind {
                return event;
            }
        }
    }

    /// Fails if an event of a kind has happened, or happens soon.
    pub(crate) fn expect_no(&self, kind: &str) {
        while let Ok(event) = self.events.recv_timeout(SILENCE) {
            assert_ne!(event["event"], kind, "{event}");
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// A port on 127.0.0.1 where connections are refused, and which nobody else gets until the socket is dropped.
pub(crate) fn reserve_port() -> (TcpSocket, u16) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let port = socket.local_addr().unwrap().port();
    (socket, port)
}

/// The interpreter of the virtual environment.
fn python() -> Option<&'static Path> {
    static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();
    let python = PYTHON.get_or_init(|| match make_environment() {
        Ok(python) => Some(python),
        Err(reason) => {
            report_skip(&reason);
            None
        }
    });
    python.as_deref()
}

fn report_skip(reason: &str) {
    assert_ne!(env::var("CI").as_deref(), Ok("true"), "the SMTP tests must run in CI, but {reason}");
    // Not by a macro, whose output is shown of failed tests only.
    let message = format!("\n*** SKIPPED: the SMTP tests of tests/mail did not run: {reason}\n\n");
    io::stderr().write_all(message.as_bytes()).unwrap();
}

fn make_environment() -> Result<PathBuf, String> {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR"));
    // Other test processes may want it at the same time.
    let lock = File::create(root.join("mail-peer.lock")).map_err(|error| error.to_string())?;
    lock.lock().map_err(|error| error.to_string())?;
    let environment = root.join("mail-peer");
    let requirements = fs::read_to_string(REQUIREMENTS).map_err(|error| error.to_string())?;
    let python = environment.join("bin/python");
    let done = environment.join("installed.txt");
    if fs::read_to_string(&done).is_ok_and(|installed| installed == requirements) && python.exists() {
        return Ok(python);
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))?;
    run(Command::new(&python)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r"])
        .arg(REQUIREMENTS))?;
    fs::write(done, requirements).map_err(|error| error.to_string())?;
    Ok(python)
}

fn run(command: &mut Command) -> Result<(), String> {
    let output =
        command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?} does not start: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?} fails: {}", String::from_utf8_lossy(&output.stderr)))
}
