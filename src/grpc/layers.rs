//! What every call passes through.

use std::{
    any::Any,
    convert::Infallible,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{extract::Request, response::Response, routing::Route};
use futures_util::FutureExt as _;
use http::{HeaderValue, header::ORIGIN};
use tonic::service::Routes;
use tower::{Service as _, layer::layer_fn, service_fn};
use tracing::Instrument as _;

use super::{
    ApiSettings,
    caller::{caller_for, claimed_client},
    deadline,
    idempotency::{self, idempotency},
    rpc_span, status,
};
use crate::{
    crypto::hash_lane::Ticket,
    error,
    metrics::Metrics,
    proto::{ErrorReason, Rpc},
    request_id,
    usecase::{Call, Error, Services, check_origin::check_origin},
};

/// The layers, outermost first. Panics are caught inside of what counts and names a call, so that those see them too.
/// Answers are kept for those alone who could have made the call.
pub const ORDER: [&str; 10] = [
    "name",
    "observe",
    "known",
    "catch_panic",
    "deadline",
    "overload",
    "authenticate",
    "origin",
    "idempotency",
    "unreadable",
];

/// Services beside ours that are open to everybody: health checks, and descriptors where reflection is on.
const OPEN: [&str; 2] = ["/grpc.health.v1.Health/", "/grpc.reflection."];

/// What all calls share.
pub(super) struct Shared {
    pub(super) services: Arc<Services>,
    metrics: Metrics,
    deadline_max: Duration,
    pub(super) message_bytes_max: usize,
}

/// What every layer knows of a call from its head.
pub(super) struct Head<'a> {
    pub(super) shared: &'a Shared,
    /// Names the call.
    request_id: String,
    /// None of what is open to everybody, or not there.
    pub(super) rpc: Option<&'static Rpc>,
    /// When the call's answer becomes worthless.
    deadline: Instant,
}

impl<'a> Head<'a> {
    fn of(shared: &'a Shared, request: &Request) -> Self {
        let headers = request.headers();
        let allowed = deadline::requested(headers).unwrap_or(shared.deadline_max).min(shared.deadline_max);
        Self {
            shared,
            request_id: request_id::of(headers, &shared.services.random),
            rpc: Rpc::by_path(request.uri().path()),
            deadline: Instant::now() + allowed,
        }
    }
}

/// Wraps the services.
pub(super) fn apply(routes: Routes, services: Arc<Services>, metrics: Metrics, settings: &ApiSettings) -> Routes {
    let ApiSettings { deadline_max, message_bytes_max, .. } = *settings;
    let shared = Arc::new(Shared { services, metrics, deadline_max, message_bytes_max });
    let layered = layer_fn(move |route: Route| {
        let shared = Arc::clone(&shared);
        // Not within an `async` block, which would have room for the call twice.
        service_fn(move |request| pass(Arc::clone(&shared), route.clone(), Box::new(request)).map(Ok::<_, Infallible>))
    });
    Routes::from(routes.into_axum_router().layer(layered)).prepare()
}

/// Takes a call through the layers: [`ORDER`] from its end, as each is given what comes after it. All of them are one
/// future: as layers of tower, each would be boxed anew for each call. The request is on the heap, or each layer would have
/// room for it more than once.
async fn pass(shared: Arc<Shared>, mut route: Route, request: Box<Request>) -> Response {
    let head = &Head::of(&shared, &request);
    let next = move |request: Box<Request>| route.call(*request).map(|Ok(response)| response);
    let next = move |request: Box<Request>| unreadable(head, request, next);
    let next = move |request: Box<Request>| idempotency(head, request, next);
    let next = move |request: Box<Request>| origin(head, request, next);
    let next = move |request: Box<Request>| authenticate(head, request, next);
    let next = move |request: Box<Request>| overload(head, request, next);
    let next = move |request: Box<Request>| deadline(head, request, next);
    let next = move |request: Box<Request>| catch_panic(request, next);
    let next = move |request: Box<Request>| known(head, request, next);
    let next = move |request: Box<Request>| observe(head, request, next);
    name(head, request, next).await
}

/// Tells the caller the name of the call: its own if it is well-formed.
async fn name(head: &Head<'_>, request: Box<Request>, next: impl AsyncFnOnce(Box<Request>) -> Response) -> Response {
    let mut response = next(request).await;
    if let Ok(value) = HeaderValue::from_str(&head.request_id) {
        response.headers_mut().insert(request_id::HEADER, value);
    }
    response
}

/// Counts, times, traces and logs the call. Never its contents.
async fn observe(head: &Head<'_>, request: Box<Request>, next: impl AsyncFnOnce(Box<Request>) -> Response) -> Response {
    let started = Instant::now();
    let span = rpc_span::begin(head.rpc, request.uri().path(), &head.request_id, request.headers());
    let response = next(request).instrument(span.clone()).await;
    let (outcome, seconds) = (error::outcome(response.headers()), started.elapsed().as_secs_f64());
    head.shared.metrics.rpc_finished(head.rpc, outcome, seconds);
    rpc_span::end(&span, response.headers(), outcome);
    // Of what there can be thousands a second: successes, and what the hash lane refuses in a flood, of which it tells
    // in sum. Whatever else is overloaded has no other line than this one.
    let is_quiet = outcome == "OK" || status::is_refused_by_lane(&response);
    span.in_scope(|| {
        if is_quiet {
            tracing::debug!(outcome, seconds, "call finished");
        } else {
            tracing::info!(outcome, seconds, "call finished");
        }
    });
    response
}

/// Refuses what is neither an RPC of ours nor open to everybody, so that nothing is served that the layers below do not
/// guard.
async fn known(head: &Head<'_>, request: Box<Request>, next: impl AsyncFnOnce(Box<Request>) -> Response) -> Response {
    let path = request.uri().path();
    if head.rpc.is_some() || OPEN.iter().any(|open| path.starts_with(open)) {
        return next(request).await;
    }
    error::unknown_path().into_http()
}

/// Turns a panic into an answer. Its message goes to the log only.
async fn catch_panic(request: Box<Request>, next: impl AsyncFnOnce(Box<Request>) -> Response) -> Response {
    // Nothing of the call is used after a panic.
    AssertUnwindSafe(next(request)).catch_unwind().await.unwrap_or_else(|panic| panicked(&*panic))
}

fn panicked(panic: &(dyn Any + Send)) -> Response {
    let message = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let message = message.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    tracing::error!(panic = message, "a call panicked");
    status::bare(ErrorReason::Internal, "").into_http()
}

/// Ends the call when its time is over; dropping it rolls back, and frees its place in the hash lane.
async fn deadline(
    head: &Head<'_>,
    request: Box<Request>,
    next: impl AsyncFnOnce(Box<Request>) -> Response,
) -> Response {
    // Until the head of the answer: what is watched may go on for as long as the connection lives.
    match tokio::time::timeout_at(head.deadline.into(), next(request)).await {
        Ok(response) => response,
        Err(_) => status::bare(ErrorReason::DeadlineExceeded, &head.request_id).into_http(),
    }
}

/// Refuses a call that begins with a password hash while the hash lane would let no hash of that client come. In a
/// flood it would else take CPU from the hashes to find out who calls.
///
/// The client is the one that the caller claims to be; who names none is let pass. That is safe: nothing is decided for
/// it but a refusal, which the client itself would get as well, and the lane gives no place to anybody who is not
/// authenticated, so that nobody can push a client out by naming it. For those who are let pass the lane has the last
/// word.
async fn overload(
    head: &Head<'_>,
    request: Box<Request>,
    next: impl AsyncFnOnce(Box<Request>) -> Response,
) -> Response {
    let hashes_first = head.rpc.is_some_and(|rpc| rpc.hashes_first);
    // An answer that was kept needs no hash.
    let is_asked = hashes_first && !request.headers().contains_key(idempotency::HEADER);
    let claimed = if is_asked { claimed_client(request.headers()) } else { None };
    let ticket = claimed.map(|client| Ticket { client: client.into(), deadline: head.deadline });
    match ticket.map_or(Ok(()), |ticket| head.shared.services.lane.peek(ticket)) {
        Ok(()) => next(request).await,
        Err(refused) => status::status(&refused.into(), &head.request_id).into_http(),
    }
}

/// Finds out who is calling, and refuses whom the RPC is not open to.
async fn authenticate(
    head: &Head<'_>,
    mut request: Box<Request>,
    next: impl AsyncFnOnce(Box<Request>) -> Response,
) -> Response {
    let Some(rpc) = head.rpc else {
        // Health or reflection: anything else has been refused.
        return next(request).await;
    };
    // On the heap, as it is over before the call may have to wait.
    match Box::pin(caller_for(&head.shared.services, rpc.caller, request.headers())).await {
        Ok(caller) => {
            let call = Call { caller, request_id: head.request_id.clone(), deadline: head.deadline };
            request.extensions_mut().insert(call);
            next(request).await
        }
        Err(error) => status::status(&error, &head.request_id).into_http(),
    }
}

/// Refuses calls of web pages that may not make them.
async fn origin(head: &Head<'_>, request: Box<Request>, next: impl AsyncFnOnce(Box<Request>) -> Response) -> Response {
    let refused = request.extensions().get::<Call>().and_then(|call| {
        let mut origins = request.headers().get_all(ORIGIN).iter();
        // A browser sends one at most. Of several, or of one that is no text, none is allowed.
        let origin = origins.next()?.to_str().unwrap_or_default();
        let origin = if origins.next().is_some() { "" } else { origin };
        check_origin(&head.shared.services, call, origin).err()
    });
    match refused {
        Some(refused) => status::status(&refused, &head.request_id).into_http(),
        None => next(request).await,
    }
}

/// Gives a reason to what tonic refuses by itself: it calls a request that it cannot read an internal error, and tells
/// what its decoder thinks of it.
async fn unreadable(
    head: &Head<'_>,
    request: Box<Request>,
    next: impl AsyncFnOnce(Box<Request>) -> Response,
) -> Response {
    let response = next(request).await;
    match error::unreadable(response.headers()) {
        // No field is to blame: the whole is.
        Some(why) if head.rpc.is_some() => status::status(&Error::field("", why), &head.request_id).into_http(),
        _ => response,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<F>(_: impl FnOnce(Arc<Shared>, Route, Box<Request>) -> F) -> usize {
        size_of::<F>()
    }

    /// Hundreds of these wait in a flood.
    #[test]
    fn the_way_through_the_layers_is_small() {
        assert!(bytes(pass) < 2048, "{} bytes", bytes(pass));
    }
}
