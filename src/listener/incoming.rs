//! The body of a request, which tells when all of it has come: until then the caller owes us something, and not we the caller.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hyper::{
    Error,
    body::{Body, Frame, Incoming, SizeHint},
};

use super::activity::Unanswered;

pub(super) struct Received {
    body: Incoming,
    /// Empty once the request is answered.
    request: Arc<Mutex<Option<Unanswered>>>,
}

impl Received {
    pub(super) fn new(body: Incoming, request: Arc<Mutex<Option<Unanswered>>>) -> Self {
        let received = Self { body, request };
        received.look();
        received
    }

    fn look(&self) {
        if self.body.is_end_stream() {
            self.ended();
        }
    }

    fn ended(&self) {
        if let Some(request) = &mut *self.request.lock().unwrap_or_else(PoisonError::into_inner) {
            request.is_whole();
        }
    }
}

impl Body for Received {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.body).poll_frame(cx));
        match &frame {
            None => this.ended(),
            Some(_) => this.look(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
