//! The spans of a password in the lane: its wait, and the work on it by another thread. They are made for a collector
//! alone, and within a request alone.

use tracing::{Span, field::Empty, span::EnteredSpan};

use crate::trace_context::wants_details;

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
        self.wait.record("otel.status_code", "ERROR");
        self.wait.record("error.type", "overloaded");
    }
}
