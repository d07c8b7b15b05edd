//! The spans of a password in the lane: its wait, and the work on it by another thread. They are made for a collector
//! alone, and within a request alone.

use tracing::{Span, field::Empty, span::EnteredSpan};

use crate::trace_context::wants_details;

/// The wait of a job for its turn to be prepared; it ends when the span is dropped.
pub(super) fn turn() -> Span {
    if !wants_details() || Span::current().is_none() {
        return Span::none();
    }
    tracing::debug_span!("hash_lane.turn", otel.status_code = Empty, error.r#type = Empty)
}

/// A wait was in vain.
pub(super) fn refused(wait: &Span) {
    wait.record("otel.status_code", "ERROR");
    wait.record("error.type", "overloaded");
}

pub(super) struct LaneTrace {
    request: Span,
    /// Ends when it is dropped: also with the job of a caller who went away.
    wait: Span,
}

impl LaneTrace {
    /// The wait begins.
    pub(super) fn begin() -> Self {
        let request = if wants_details() { Span::current() } else { Span::none() };
        if request.is_none() {
            return Self { wait: Span::none(), request };
        }
        let wait =
            tracing::debug_span!(parent: &request, "hash_lane.wait", otel.status_code = Empty, error.r#type = Empty);
        Self { request, wait }
    }

    /// The wait is over, and the work begins, on this thread.
    pub(super) fn work(self) -> EnteredSpan {
        if self.request.is_none() {
            return Span::none().entered();
        }
        tracing::debug_span!(parent: &self.request, "hash_lane.work", scheme = "argon2id").entered()
    }

    /// The wait was in vain.
    pub(super) fn refused(self) {
        refused(&self.wait);
    }
}
