//! Logs on standard error, and traces to an OpenTelemetry collector when one is set.
//!
//! Logs and traces are filtered apart: a quiet log still traces. Only spans of this crate are traced, so that the
//! exporter's own requests never make traces of their own.

use std::{
    fmt::Debug,
    io::{self, IsTerminal as _},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use opentelemetry::{KeyValue, trace::TracerProvider as _};
use opentelemetry_otlp::{ExporterBuildError, WithExportConfig as _};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{SdkTracerProvider, SpanData, SpanExporter},
};
use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    EnvFilter, Layer as _, Registry,
    filter::Targets,
    fmt,
    layer::SubscriberExt as _,
    util::{SubscriberInitExt as _, TryInitError},
};

use crate::config::telemetry::{LogFormat, TelemetryConfig};

/// How long the end of the process waits for a collector to take the last traces.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the collector has for one batch of traces.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// Telemetry is set up already.
    #[error("logging is set up already")]
    AlreadyInstalled(#[source] TryInitError),
    /// The exporter does not take the endpoint or the `OTEL_EXPORTER_OTLP_*` variables.
    #[error("cannot export traces")]
    Exporter(#[source] ExporterBuildError),
    /// The filter of log lines is malformed.
    #[error("the filter of log lines is malformed")]
    Filter(#[source] tracing_subscriber::filter::ParseError),
}

/// Sends the last traces when it goes, within two seconds. Keep it until the end of the process.
#[derive(Debug)]
#[must_use = "dropping it ends the export of traces"]
pub struct TelemetryGuard {
    provider: Option<SdkTracerProvider>,
}

impl TelemetryGuard {
    /// Sends the last traces without blocking the runtime; to drop the guard does it, too, but blocks.
    pub async fn shutdown(mut self) {
        if let Some(provider) = self.provider.take() {
            // A collector that does not answer was reported by the exporter. A panic in there is none of our business.
            let _ = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FLUSH_TIMEOUT)).await;
        }
    }
}

impl Drop for TelemetryGuard {
    fn drop(&mut self) {
        if let Some(provider) = self.provider.take() {
            let _ = provider.shutdown_with_timeout(FLUSH_TIMEOUT);
        }
    }
}

/// Sets up logs and traces for the whole process. Call it once, inside the runtime: the exporter runs on it.
pub fn init(config: &TelemetryConfig) -> Result<TelemetryGuard, TelemetryError> {
    let (subscriber, guard) = build(config, io::stderr, io::stderr().is_terminal())?;
    subscriber.try_init().map_err(TelemetryError::AlreadyInstalled)?;
    Ok(guard)
}

fn build<W>(
    config: &TelemetryConfig,
    writer: W,
    colours: bool,
) -> Result<(impl Subscriber + Send + Sync, TelemetryGuard), TelemetryError>
where
    W: for<'w> fmt::MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder().parse(config.log.as_str()).map_err(TelemetryError::Filter)?;
    let lines = fmt::layer().with_writer(writer).with_ansi(colours);
    let lines = match config.log_format {
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).boxed(),
        LogFormat::Text => lines.boxed(),
    };
    let provider = config.otlp_endpoint.as_ref().map(|endpoint| provider(endpoint.as_str())).transpose()?;
    let traces = provider.as_ref().map(|provider| {
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("signet"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(Targets::new().with_target("signet", LevelFilter::INFO))
    });
    let subscriber = Registry::default().with(lines.with_filter(filter)).with(traces);
    Ok((subscriber, TelemetryGuard { provider }))
}

fn provider(endpoint: &str) -> Result<SdkTracerProvider, TelemetryError> {
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(EXPORT_TIMEOUT)
        .build()
        .map_err(TelemetryError::Exporter)?;
    let resource = Resource::builder()
        .with_service_name("signet")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    let exporter = Reporting { exporter, failing: AtomicBool::new(false) };
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}

/// An exporter that logs when the collector goes away and when it comes back, not every time it is missing.
#[derive(Debug)]
struct Reporting<E> {
    exporter: E,
    failing: AtomicBool,
}

impl<E: SpanExporter> SpanExporter for Reporting<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let result = self.exporter.export(batch).await;
        let was_failing = self.failing.swap(result.is_err(), Ordering::Relaxed);
        match &result {
            Err(error) if !was_failing => {
                tracing::warn!(
                    error = error as &dyn std::error::Error,
                    "traces are lost: the collector does not take them"
                );
            }
            Ok(()) if was_failing => tracing::info!("the collector takes traces again"),
            _ => {}
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

#[cfg(test)]
mod tests;
