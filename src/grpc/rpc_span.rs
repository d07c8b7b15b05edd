//! The span of a call: in each of its lines in the log, and in the trace of the caller.

use opentelemetry::{KeyValue, trace::Status as SpanStatus};
use tonic::Code;
use tracing::{Span, field::Empty};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::{
    error,
    proto::Rpc,
    trace_context::{self, in_trace, wants_details},
};

/// Begins the span of a call. Health checks, reflection and what is not there make no traces: they would be most of all.
pub(super) fn begin(rpc: Option<&Rpc>, path: &str, request_id: &str, headers: &http::HeaderMap) -> Span {
    if rpc.is_none() {
        return tracing::info_span!(target: trace_context::UNTRACED, "rpc", rpc = %path, request_id, otel.kind = "server");
    }
    let span = tracing::info_span!("rpc", rpc = %path, request_id, otel.kind = "server", trace_id = Empty);
    if !wants_details() {
        // Nobody collects traces: there is none to join, and nobody to tell anything.
        return span;
    }
    // Without a trace to join, the span starts its own.
    let _ = span.set_parent(trace_context::parent_from_headers(headers));
    in_trace(&span, |traced| {
        let name = path.trim_start_matches('/');
        let (service, method) = name.split_once('/').unwrap_or((name, ""));
        traced.update_name(name.to_owned());
        for (key, value) in [("rpc.system", "grpc"), ("rpc.service", service), ("rpc.method", method)] {
            traced.set_attribute(KeyValue::new(key, value.to_owned()));
        }
        if traced.span_context().is_sampled() {
            span.record("trace_id", tracing::field::display(traced.span_context().trace_id()));
        }
    });
    span
}

/// Tells the trace how the call went. Its outcome is the reason of a failure, or the name of its code.
pub(super) fn end(span: &Span, headers: &http::HeaderMap, outcome: &'static str) {
    let code = error::code(headers).unwrap_or(Code::Ok);
    in_trace(span, |traced| {
        traced.set_attribute(KeyValue::new("rpc.grpc.status_code", i64::from(i32::from(code))));
        if code != Code::Ok {
            traced.set_attribute(KeyValue::new("error.type", outcome));
        }
        if is_fault(code) {
            traced.set_status(SpanStatus::error(outcome));
        }
    });
}

/// True for what counts as an error of the server (OpenTelemetry, conventions for gRPC). That a password is wrong is none.
const fn is_fault(code: Code) -> bool {
    matches!(
        code,
        Code::DataLoss
            | Code::DeadlineExceeded
            | Code::Internal
            | Code::Unavailable
            | Code::Unimplemented
            | Code::Unknown
    )
}
