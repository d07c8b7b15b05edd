//! The OpenTelemetry collector, which writes what it is sent to a file. `tests/eyes/collector` says what it is built from.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use serde_json::Value;
use signet_test_support::programs;
use tempfile::TempDir;

use crate::{process::wait_for, spans::Span};

const PROGRAM: &str = "signet-otelcol-0.162.0";

/// A running collector; it ends with this value.
pub(crate) struct Collector {
    process: Child,
    program: PathBuf,
    directory: TempDir,
    port: u16,
}

impl Collector {
    /// `None`, after saying so, where there is no collector.
    pub(crate) fn start() -> Option<Self> {
        let program = programs::program(PROGRAM)?;
        let directory = tempfile::tempdir().unwrap();
        // Its port is in use between two starts by nobody: connections are refused.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let file = directory.path().join("spans.json");
        let config = format!(
            "receivers:\n  otlp:\n    protocols:\n      grpc:\n        endpoint: 127.0.0.1:{port}\n\
             exporters:\n  file:\n    path: {}\n    append: true\n    flush_interval: 100ms\n\
             service:\n  telemetry:\n    metrics:\n      level: none\n  pipelines:\n    traces:\n      \
             receivers: [otlp]\n      exporters: [file]\n",
            file.display()
        );
        fs::write(directory.path().join("config.yaml"), config).unwrap();
        let process = spawn(&program, &directory, port);
        Some(Self { process, program, directory, port })
    }

    /// The settings of a service that sends its spans here, soon after they end.
    pub(crate) fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("SIGNET_OTLP_ENDPOINT", format!("http://127.0.0.1:{}", self.port)),
            ("OTEL_BSP_SCHEDULE_DELAY", "100".to_owned()),
            ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=eyes".to_owned()),
        ]
    }

    /// Goes away, with whatever it was about to take.
    pub(crate) fn stop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Comes back at the same port.
    pub(crate) fn start_again(&mut self) {
        self.process = spawn(&self.program, &self.directory, self.port);
    }

    /// All that it was sent.
    pub(crate) fn text(&self) -> String {
        fs::read_to_string(self.directory.path().join("spans.json")).unwrap_or_default()
    }

    /// The spans of a trace, once `is_whole` finds them to be all.
    pub(crate) fn spans_of(&self, trace_id: &str, is_whole: impl Fn(&[Span]) -> bool) -> Vec<Span> {
        wait_for(|| {
            let spans = self.spans(trace_id);
            is_whole(&spans).then_some(spans)
        })
    }

    pub(crate) fn spans(&self, trace_id: &str) -> Vec<Span> {
        // The last line may not be whole yet.
        let text = self.text();
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.flat_map(|line| Span::all_in(&line)).filter(|span| span.trace_id == trace_id).collect()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Starts it, and waits until it listens.
fn spawn(program: &PathBuf, directory: &TempDir, port: u16) -> Child {
    let log = fs::File::create(directory.path().join("log.txt")).unwrap();
    let process = Command::new(program)
        .arg("--config")
        .arg(directory.path().join("config.yaml"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    wait_for(|| TcpStream::connect(("127.0.0.1", port)).ok());
    process
}
