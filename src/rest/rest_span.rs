//! The span of a request, in the trace of the caller. It is made for a collector alone; the log of a request is that of its call.

use http::{Method, StatusCode};
use tracing::{Span, field::Empty};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::incoming::Head;
use crate::trace_context;

/// Begins the span of a request, and lets its calls go on from there. The path is left out: it may hold identifiers, and tokens.
pub(super) fn begin(dialect: &'static str, head: &mut Head) -> Span {
    let method = method_name(&head.method);
    let span = tracing::debug_span!(
        "rest",
        otel.name = method,
        otel.kind = "server",
        http.request.method = method,
        http.route = Empty,
        http.response.status_code = Empty,
        signet.dialect = dialect,
        request_id = head.request_id,
        otel.status_code = Empty,
    );
    if !span.is_disabled() {
        // Without a trace to join, the span starts its own.
        let _ = span.set_parent(trace_context::parent_from_headers(&head.headers));
        trace_context::inject(&span, &mut head.headers);
    }
    span
}

/// Names the span by the route that was found.
pub(super) fn found(head: &Head) {
    let span = Span::current();
    if !span.is_disabled() {
        span.record("http.route", head.route);
        // A span that has begun takes no other name by its fields.
        trace_context::in_trace(&span, |traced| {
            traced.update_name(format!("{} {}", method_name(&head.method), head.route));
        });
    }
}

/// Notes the answer. What the caller did wrong is no error of ours.
pub(super) fn end(span: &Span, status: StatusCode) {
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
}

/// The name of a method; of one that nobody knows, which a stranger could make up, the conventions' `_OTHER`.
fn method_name(method: &Method) -> &'static str {
    let known = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"];
    known.into_iter().find(|name| *name == method.as_str()).unwrap_or("_OTHER")
}
