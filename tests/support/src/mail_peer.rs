//! A foreign mail server: `mail_peer.py`, by aiosmtpd.

use std::{
    ffi::OsStr,
    io::{BufRead as _, BufReader},
    net::Ipv4Addr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use serde_json::Value;
use tokio::net::TcpSocket;

use crate::python;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/python/mail_peer.py");
const REQUIREMENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/python/mail_peer.txt");
/// How long an event may take that must happen. Generous: the machine may be busy.
const EVENT_MAX: Duration = Duration::from_secs(30);
/// How long to look out for an event that must not happen.
const SILENCE: Duration = Duration::from_millis(300);

/// A running mail server. It ends with this value, and with the test process at the latest.
#[derive(Debug)]
pub struct Peer {
    process: Child,
    events: mpsc::Receiver<Value>,
    /// Port on 127.0.0.1.
    pub port: u16,
}

impl Peer {
    /// Starts a server with the options of `mail_peer.py`. `None`, after saying so, where Python cannot be had.
    ///
    /// # Panics
    /// If the server does not start.
    pub fn start<T: AsRef<OsStr>>(options: impl IntoIterator<Item = T>) -> Option<Self> {
        let mut process = Command::new(python::environment("mail-peer", Path::new(REQUIREMENTS))?)
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
        let ready = peer.events.recv_timeout(EVENT_MAX).expect("mail_peer.py says its port");
        peer.port = ready["port"].as_u64().unwrap().try_into().unwrap();
        Some(peer)
    }

    /// Waits for the next event of any kind.
    pub fn next_event(&self) -> Value {
        self.events.recv_timeout(EVENT_MAX).expect("mail_peer.py says what it does")
    }

    /// Waits for the next event of a kind, and skips others.
    pub fn next(&self, kind: &str) -> Value {
        loop {
            let event = self.events.recv_timeout(EVENT_MAX).unwrap_or_else(|_| panic!("no event `{kind}`"));
            if event["event"] == kind {
                return event;
            }
        }
    }

    /// Fails if an event of a kind has happened, or happens soon.
    pub fn expect_no(&self, kind: &str) {
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
pub fn reserve_port() -> (TcpSocket, u16) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let port = socket.local_addr().unwrap().port();
    (socket, port)
}
