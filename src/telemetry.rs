//! Logs on standard error, and traces to an OpenTelemetry collector when one is set.
//!
//! Logs and traces are filtered apart: a quiet log still traces. Only spans of this crate are traced, so that the
//! exporter's own requests never make traces of their own. Spans of level `debug` are made for a collector alone: without one
//! they cost next to nothing.

use std::{
    fmt::Debug,
    io::{self, IsTerminal as _},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use opentelemetry::{Key, KeyValue, trace::TracerProvider as _};
use opentelemetry_otlp::{ExporterBuildError, WithExportConfig as _};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{Sampler, SdkTracerProvider, SpanData, SpanExporter},
};
use tracing::{Level, Metadata, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    EnvFilter, Layer as _, Registry,
    filter::filter_fn,
    fmt,
    layer::SubscriberExt as _,
    util::{SubscriberInitExt as _, TryInitError},
};

use crate::{
    config::telemetry::{LogFormat, TelemetryConfig},
    random::Random,
    trace_context::UNTRACED,
};

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
    let provider =
        config.otlp_endpoint.as_ref().map(|endpoint| provider(endpoint.as_str(), config.trace_ratio)).transpose()?;
    let traces = provider.as_ref().map(|provider| {
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("signet"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(is_traced).with_max_level_hint(LevelFilter::DEBUG))
    });
    let subscriber = Registry::default().with(lines.with_filter(filter)).with(traces);
    Ok((subscriber, TelemetryGuard { provider }))
}

/// Spans of ours, and what is said in them that is worth a line in the log of a quiet service.
fn is_traced(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    let is_ours = target == "signet" || target.starts_with("signet::");
    let least = if metadata.is_span() { Level::DEBUG } else { Level::INFO };
    is_ours && target != UNTRACED && *metadata.level() <= least
}

fn provider(endpoint: &str, trace_ratio: f64) -> Result<SdkTracerProvider, TelemetryError> {
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(EXPORT_TIMEOUT)
        .build()
        .map_err(TelemetryError::Exporter)?;
    let exporter = Reporting { exporter, failing: AtomicBool::new(false) };
    // A caller that collects its trace finds our part of it there, whatever the ratio; one that does not makes us collect nothing.
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(trace_ratio)));
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_sampler(sampler)
        .with_resource(resource())
        .build())
}

/// Which process the spans come from. What `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` say is taken, and goes before.
fn resource() -> Resource {
    let said = Resource::builder().build();
    let (name, instance) = (Key::from_static_str("service.name"), Key::from_static_str("service.instance.id"));
    let is_named = said.get(&name).is_some_and(|name| !name.as_str().starts_with("unknown_service"));
    let own = [
        (!is_named).then(|| KeyValue::new(name, "signet")),
        said.get(&instance).is_none().then(|| KeyValue::new(instance, instance_id())),
    ];
    Resource::builder()
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attributes(own.into_iter().flatten())
        .build()
}

/// An id of this process, new at every start.
fn instance_id() -> String {
    uuid::Builder::from_random_bytes(Random::System.bytes()).into_uuid().to_string()
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
