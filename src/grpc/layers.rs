//! What every call passes through.

use std::{
    any::Any,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::{Request, State},
    middleware::{Next, from_fn, from_fn_with_state},
    response::Response,
};
use http::{HeaderValue, header::ORIGIN};
use tonic::service::Routes;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument as _;

use super::{ApiSettings, caller::caller_for, deadline, idempotency::idempotency, rpc_span, status};
use crate::{
    error,
    metrics::Metrics,
    proto::{ErrorReason, Rpc},
    request_id,
    usecase::{Call, Error, Services, check_origin::check_origin},
};

/// The layers, outermost first. Panics are caught inside of what counts and names a call, so that those see them too. Answers are
/// kept for those alone who could have made the call.
pub const ORDER: [&str; 9] =
    ["name", "observe", "known", "catch_panic", "deadline", "authenticate", "origin", "idempotency", "unreadable"];

/// Services beside ours that are open to everybody: health checks, and descriptors where reflection is on.
const OPEN: [&str; 2] = ["/grpc.health.v1.Health/", "/grpc.reflection."];

#[derive(Clone)]
pub(super) struct Shared {
    pub(super) services: Arc<Services>,
    metrics: Metrics,
    deadline_max: Duration,
    pub(super) message_bytes_max: usize,
}

/// Id of a call.
#[derive(Clone)]
struct RequestId(String);

/// When a call's answer becomes worthless.
#[derive(Clone, Copy)]
struct Deadline(Instant);

/// Wraps the services; axum applies layers from the inside out, so that this is [`ORDER`] from its end.
pub(super) fn apply(routes: Routes, services: Arc<Services>, metrics: Metrics, settings: &ApiSettings) -> Routes {
    let ApiSettings { deadline_max, message_bytes_max, .. } = *settings;
    let shared = Shared { services, metrics, deadline_max, message_bytes_max };
    let layered = routes
        .into_axum_router()
        .layer(from_fn(unreadable))
        .layer(from_fn_with_state(shared.clone(), idempotency))
        .layer(from_fn_with_state(shared.clone(), origin))
        .layer(from_fn_with_state(shared.clone(), authenticate))
        .layer(from_fn_with_state(shared.clone(), deadline))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn(known))
        .layer(from_fn_with_state(shared.clone(), observe))
        .layer(from_fn_with_state(shared, name));
    Routes::from(layered).prepare()
}

/// Names the call: by the caller's own id if it is well-formed.
async fn name(State(shared): State<Shared>, mut request: Request, next: Next) -> Response {
    let id = request_id::of(request.headers(), &shared.services.random);
    request.extensions_mut().insert(RequestId(id.clone()));
    let mut response = next.run(request).await;
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(request_id::HEADER, value);
    }
    response
}

fn id_of(request: &Request) -> String {
    request.extensions().get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default()
}

/// Counts, times, traces and logs the call. Never its contents.
async fn observe(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let (path, started) = (request.uri().path().to_owned(), Instant::now());
    let span = rpc_span::begin(&path, &id_of(&request), request.headers());
    let response = next.run(request).instrument(span.clone()).await;
    let (outcome, seconds) = (error::outcome(response.headers()), started.elapsed().as_secs_f64());
    shared.metrics.rpc_finished(&path, outcome, seconds);
    rpc_span::end(&span, response.headers(), outcome);
    span.in_scope(|| {
        if outcome == "OK" {
            tracing::debug!(outcome, seconds, "call finished");
        } else {
            tracing::info!(outcome, seconds, "call finished");
        }
    });
    response
}

/// Refuses what is neither an RPC of ours nor open to everybody, so that nothing is served that the layers below do not guard.
async fn known(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if Rpc::by_path(path).is_some() || OPEN.iter().any(|open| path.starts_with(open)) {
        return next.run(request).await;
    }
    error::unknown_path().into_http()
}

/// Turns a panic into an answer. Its message goes to the log only.
#[expect(clippy::needless_pass_by_value, reason = "the signature tower-http asks for")]
fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let message = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let message = message.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    tracing::error!(panic = message, "a call panicked");
    status::bare(ErrorReason::Internal, "").into_http()
}

/// Ends the call when its time is over; dropping it rolls back, and frees its place in the hash lane.
async fn deadline(State(shared): State<Shared>, mut request: Request, next: Next) -> Response {
    let allowed = deadline::requested(request.headers()).unwrap_or(shared.deadline_max).min(shared.deadline_max);
    request.extensions_mut().insert(Deadline(Instant::now() + allowed));
    let id = id_of(&request);
    // Until the head of the answer: what is watched may go on for as long as the connection lives.
    match tokio::time::timeout(allowed, next.run(request)).await {
        Ok(response) => response,
        Err(_) => status::bare(ErrorReason::DeadlineExceeded, &id).into_http(),
    }
}

/// Finds out who is calling, and refuses whom the RPC is not open to.
async fn authenticate(State(shared): State<Shared>, mut request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let Some(rpc) = Rpc::by_path(path) else {
        // Health or reflection: anything else has been refused.
        return next.run(request).await;
    };
    let request_id = id_of(&request);
    let deadline = request.extensions().get::<Deadline>().map_or_else(Instant::now, |deadline| deadline.0);
    match caller_for(&shared.services, rpc.caller, request.headers()).await {
        Ok(caller) => {
            request.extensions_mut().insert(Call { caller, request_id, deadline });
            next.run(request).await
        }
        Err(error) => status::status(&error, &request_id).into_http(),
    }
}

/// Refuses calls of web pages that may not make them.
async fn origin(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let refused = request.extensions().get::<Call>().and_then(|call| {
        let mut origins = request.headers().get_all(ORIGIN).iter();
        // A browser sends one at most. Of several, or of one that is no text, none is allowed.
        let origin = origins.next()?.to_str().unwrap_or_default();
        let origin = if origins.next().is_some() { "" } else { origin };
        let refused = check_origin(&shared.services, call, origin).err()?;
        Some(status::status(&refused, &call.request_id).into_http())
    });
    match refused {
        Some(refused) => refused,
        None => next.run(request).await,
    }
}

/// Gives a reason to what tonic refuses by itself: it calls a request that it cannot read an internal error, and tells what
/// its decoder thinks of it.
async fn unreadable(request: Request, next: Next) -> Response {
    let (id, is_ours) = (id_of(&request), Rpc::by_path(request.uri().path()).is_some());
    let response = next.run(request).await;
    match error::unreadable(response.headers()) {
        // No field is to blame: the whole is.
        Some(why) if is_ours => status::status(&Error::field("", why), &id).into_http(),
        _ => response,
    }
}
