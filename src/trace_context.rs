//! The trace a caller is part of (W3C Trace Context).

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{
    Context,
    propagation::{Extractor, Injector, TextMapPropagator as _},
    trace::{SpanRef, TraceContextExt as _},
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::{Span, level_filters::LevelFilter};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Target of spans that belong into the log, but into no trace.
pub const UNTRACED: &str = "signet::untraced";
/// Header with the trace and the span that a request comes from.
const TRACEPARENT: &str = "traceparent";

/// The context of the caller's trace from the `traceparent` and `tracestate` headers; an empty one when they are
/// missing or malformed.
pub fn parent_from_headers(headers: &HeaderMap) -> Context {
    TraceContextPropagator::new().extract_with_context(&Context::new(), &Headers(headers))
}

/// Lets `span` go on with the trace of a `traceparent` that was kept; without one, or if it is malformed, it begins its
/// own.
pub fn continue_from(span: &Span, traceparent: Option<&str>) {
    let Some(Ok(value)) = traceparent.map(HeaderValue::from_str) else { return };
    let headers = HeaderMap::from_iter([(HeaderName::from_static(TRACEPARENT), value)]);
    // A span that nobody collects takes no parent.
    let _ = span.set_parent(parent_from_headers(&headers));
}

/// The `traceparent` of a span, to be kept for what comes of its request later; none where no traces are collected.
pub fn traceparent(span: &Span) -> Option<String> {
    let mut headers = HeaderMap::new();
    inject(span, &mut headers);
    headers.get(TRACEPARENT).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// Names `span` as the one that a request with these headers comes from. Where no traces are collected they stay as
/// they are, so that a trace goes through this process to the next.
pub fn inject(span: &Span, headers: &mut HeaderMap) {
    let context = span.context();
    if context.span().span_context().is_valid() {
        // A list that came with another parent must not be added to this one's.
        headers.remove("tracestate");
        TraceContextPropagator::new().inject_context(&context, &mut HeadersMut(headers));
    }
}

/// False if nobody wants spans of level `debug`, the details of a request. One look at a number: who asks it first
/// spends nothing without a collector.
pub fn wants_details() -> bool {
    LevelFilter::current() >= LevelFilter::DEBUG
}

/// Tells the trace alone something of `span`: in the log it would stand in every line. Nothing is done where no traces
/// are collected.
pub fn in_trace(span: &Span, tell: impl FnOnce(&SpanRef<'_>)) {
    if !wants_details() {
        return;
    }
    let context = span.context();
    if context.span().span_context().is_valid() {
        tell(&context.span());
    }
}

struct Headers<'h>(&'h HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

struct HeadersMut<'h>(&'h mut HeaderMap);

impl Injector for HeadersMut<'_> {
    fn set(&mut self, key: &str, value: String) {
        // An empty `tracestate` says nothing.
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(key), HeaderValue::try_from(value))
            && !value.is_empty()
        {
            self.0.insert(name, value);
        }
    }
}
