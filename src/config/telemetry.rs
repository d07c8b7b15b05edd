use std::{fmt, str::FromStr};

use tracing_subscriber::EnvFilter;
use url::Url;

/// Logs and traces.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Logs and traces")]
pub struct TelemetryConfig {
    /// What is logged: a level (`error`, `warn`, `info`, `debug`, `trace`), or levels by module such as `info,signet::mail=debug`
    #[arg(id = "log", long = "log", env = "SIGNET_LOG", value_name = "FILTER", default_value = "info")]
    pub log: LogFilter,

    /// Form of the log lines on standard error
    #[arg(
        id = "log-format",
        long = "log-format",
        env = "SIGNET_LOG_FORMAT",
        value_name = "FORM",
        value_enum,
        default_value = "text"
    )]
    pub log_format: LogFormat,

    /// OpenTelemetry collector to send traces to, by OTLP over gRPC, such as `http://localhost:4317`
    #[arg(
        id = "otlp-endpoint",
        long = "otlp-endpoint",
        env = "SIGNET_OTLP_ENDPOINT",
        value_name = "URL",
        value_parser = otlp_endpoint
    )]
    pub otlp_endpoint: Option<Url>,

    /// Share of the requests without a trace of their caller's that are traced, from 0 to 1. A caller's trace is joined if the caller collects it
    #[arg(
        id = "trace-ratio",
        long = "trace-ratio",
        env = "SIGNET_TRACE_RATIO",
        value_name = "RATIO",
        default_value = "1",
        value_parser = ratio
    )]
    pub trace_ratio: f64,
}

/// Form of a log line.
#[derive(clap::ValueEnum, Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogFormat {
    /// One JSON object a line, for machines.
    Json,
    /// For people.
    Text,
}

/// A well-formed filter of log lines.
#[derive(Clone, Debug)]
pub struct LogFilter(String);

impl LogFilter {
    /// The filter, in the form of [`EnvFilter`].
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LogFilter {
    type Err = tracing_subscriber::filter::ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        EnvFilter::builder().parse(text)?;
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn ratio(text: &str) -> Result<f64, &'static str> {
    text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio)).ok_or("must be a number from 0 to 1, such as 0.05")
}

fn otlp_endpoint(text: &str) -> Result<Url, &'static str> {
    let form = "must be http://HOST:PORT; for a collector behind TLS, run one beside the service that forwards";
    Url::parse(text).ok().filter(|url| url.scheme() == "http" && url.has_host()).ok_or(form)
}
