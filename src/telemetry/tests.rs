use std::{
    sync::{Arc, Mutex},
    time::Instant,
};

use http::HeaderMap;
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
    trace_service_server::{TraceService, TraceServiceServer},
};
use tokio::{
    net::TcpListener,
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};
use tokio_stream::wrappers::TcpListenerStream;
use tracing::subscriber::with_default;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::*;
use crate::{config::defaults, trace_context::parent_from_headers};

const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

struct Collector(UnboundedSender<ExportTraceServiceRequest>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        self.0.send(request.into_inner()).unwrap();
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

/// A collector on a port of its own, and what is sent to it.
async fn collector() -> (TelemetryConfig, UnboundedReceiver<ExportTraceServiceRequest>) {
    let (sender, received) = unbounded_channel();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = config(&format!("http://{}", listener.local_addr().unwrap()));
    let service = TraceServiceServer::new(Collector(sender));
    let server = tonic::transport::Server::builder().add_service(service);
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    (config, received)
}

/// Traces go to the endpoint, and hardly anything is logged.
fn config(endpoint: &str) -> TelemetryConfig {
    TelemetryConfig {
        log: "error".parse().unwrap(),
        otlp_endpoint: Some(endpoint.parse().unwrap()),
        ..defaults::<TelemetryConfig>()
    }
}

fn headers(traceparent: &str) -> HeaderMap {
    HeaderMap::from_iter([(http::HeaderName::from_static("traceparent"), traceparent.parse().unwrap())])
}

#[tokio::test]
async fn spans_reach_a_collector_as_children_of_the_caller_s_trace() {
    let (config, mut received) = collector().await;
    let (subscriber, guard) = build(&config, io::sink, false).unwrap();
    with_default(subscriber, || {
        let span = tracing::info_span!("sign_in", otel.kind = "server", outcome = "OK");
        let caller = headers(&format!("00-{TRACE_ID}-00f067aa0ba902b7-01"));
        span.set_parent(parent_from_headers(&caller)).unwrap();
        span.in_scope(|| tracing::info_span!(target: "h2", "not_ours").in_scope(|| ()));
    });
    guard.shutdown().await;

    let request = received.recv().await.unwrap();
    let resource = &request.resource_spans[0];
    let attributes = format!("{:?}", resource.resource);
    assert!(attributes.contains("service.name") && attributes.contains("\"signet\""), "{attributes}");
    let spans = &resource.scope_spans[0].spans;
    assert_eq!(spans.iter().map(|span| span.name.as_str()).collect::<Vec<_>>(), ["sign_in"]);
    assert_eq!(spans[0].trace_id, u128::from_str_radix(TRACE_ID, 16).unwrap().to_be_bytes());
    assert_eq!(spans[0].parent_span_id, 0x00f0_67aa_0ba9_02b7_u64.to_be_bytes());
    assert!(format!("{:?}", spans[0].attributes).contains("outcome"));
}

#[tokio::test]
async fn a_collector_that_never_answers_holds_the_end_up_for_a_bounded_time() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = config(&format!("http://{}", silent.local_addr().unwrap()));
    let (subscriber, guard) = build(&config, io::sink, false).unwrap();
    with_default(subscriber, || tracing::info_span!("lost").in_scope(|| ()));
    let start = Instant::now();
    guard.shutdown().await;
    assert!(start.elapsed() < FLUSH_TIMEOUT * 2, "{:?}", start.elapsed());
}

#[test]
fn a_malformed_traceparent_is_no_parent() {
    let valid = |traceparent: &str| parent_from_headers(&headers(traceparent)).span().span_context().is_valid();
    assert!(valid(&format!("00-{TRACE_ID}-00f067aa0ba902b7-01")));
    for malformed in ["", "00", "00-00000000000000000000000000000000-00f067aa0ba902b7-01", "00-xyz-00f067aa0ba902b7-01"]
    {
        assert!(!valid(malformed), "{malformed}");
    }
    assert!(!parent_from_headers(&HeaderMap::new()).span().span_context().is_valid());
}

/// What is logged in a form by `log`, under a filter.
fn logged(log_format: LogFormat, filter: &str, log: impl FnOnce()) -> String {
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let lines = Lines::default();
    let writer = lines.clone();
    let config = TelemetryConfig { log: filter.parse().unwrap(), log_format, ..defaults::<TelemetryConfig>() };
    let (subscriber, _guard) = build(&config, move || writer.clone(), false).unwrap();
    with_default(subscriber, log);
    let bytes = lines.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_json_line_is_one_object_with_the_fields_of_the_event_and_its_span() {
    let lines = logged(LogFormat::Json, "info", || {
        tracing::info_span!("rpc", request_id = "r1").in_scope(|| tracing::info!(user = 7, "signed in"));
    });
    let line: serde_json::Value = serde_json::from_str(&lines).unwrap();
    assert_eq!((&line["message"], &line["user"]), (&"signed in".into(), &7.into()), "{line}");
    assert_eq!(line["span"]["request_id"], "r1", "{line}");
}

#[test]
fn the_filter_holds_lines_back() {
    let lines = logged(LogFormat::Text, "warn,signet::telemetry=debug", || {
        tracing::debug!("kept");
        tracing::info!(target: "other", "dropped");
    });
    assert!(lines.contains("kept") && !lines.contains("dropped") && !lines.contains('\x1b'), "{lines}");
}
