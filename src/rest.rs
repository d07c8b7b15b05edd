//! The REST listener: a translation of the gRPC API, in five dialects. The canonical one follows from the descriptors; the others speak
//! the JSON of WorkOS, Stytch, Descope and Transmit Security, so that their client libraries work against this service.
//!
//! It is a client of the gRPC API and nothing else, so that it can run in the same process or in front of another one. Every request
//! goes the same way: it is named and read ([`Incoming`]), its dialect is found ([`dialect`]), the route's handler calls the API
//! and answers with a [`Reply`], or with a [`Refusal`] that the dialect puts into its own words.

mod all_sessions;
mod api;
mod canonical;
mod connection;
mod cors;
mod descope;
mod dialect;
mod failure;
mod incoming;
mod keys;
mod reading;
mod reply;
mod rest_span;
mod route;
#[cfg(test)]
mod stub_upstream;
mod stytch;
mod text;
mod transmit;
pub mod upstream;
mod value;
mod workos;

use std::time::{Duration, Instant};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use bytes::Bytes;
use futures_util::FutureExt as _;
use http_body_util::LengthLimitError;
use tokio::time;
use tracing::Instrument as _;

use self::{
    api::Api,
    dialect::{DIALECTS, Dialect, dialect_of},
    failure::{Failure, Refusal},
    incoming::{Head, Incoming},
    reply::Reply,
    upstream::Upstream,
};
use crate::{metrics::Metrics, proto::ErrorReason, random::Random, request_id};

/// How much longer than its deadline a request is waited for: the gRPC API answers at the deadline, and says more than we can.
const GRACE: Duration = Duration::from_millis(500);

/// What the REST API has to know beside its upstream.
#[derive(Clone, Debug)]
pub struct RestSettings {
    /// Largest body of a request, in bytes.
    pub body_bytes_max: usize,
    /// How long a request may take, its body included.
    pub deadline: Duration,
    /// The project whose keys lie at the root; empty for the only one there is.
    pub default_project: String,
    /// Where requests are counted.
    pub metrics: Metrics,
}

impl Default for RestSettings {
    fn default() -> Self {
        Self {
            body_bytes_max: 256 * 1024,
            deadline: Duration::from_secs(30),
            default_project: String::new(),
            metrics: Metrics::default(),
        }
    }
}

#[derive(Clone)]
struct Rest {
    api: Api,
    random: Random,
    metrics: Metrics,
    body_bytes_max: usize,
    deadline: Duration,
}

/// The REST API in front of `upstream`. `random` names the requests that come without a name.
pub fn router(upstream: Upstream, random: Random, settings: RestSettings) -> Router {
    let RestSettings { body_bytes_max, deadline, default_project, metrics } = settings;
    let rest = Rest { api: Api::new(upstream, default_project), random, metrics, body_bytes_max, deadline };
    Router::new().fallback(answer).with_state(rest)
}

/// Every route as (name of the dialect, method, pattern of the path): what the documents and the tests are held against.
#[doc(hidden)]
pub fn routes() -> Vec<(&'static str, &'static str, &'static str)> {
    let rows = |dialect: &'static Dialect| {
        dialect.routes.iter().map(|route| (dialect.name, route.method.as_str(), route.path))
    };
    DIALECTS.iter().flat_map(|dialect| rows(dialect())).collect()
}

/// Answers any request at all.
async fn answer(State(rest): State<Rest>, request: Request) -> Response {
    let started = Instant::now();
    let (parts, body) = request.into_parts();
    let request_id = request_id::of(&parts.headers, &rest.random);
    let mut head = Head::new(parts, request_id);
    head.deadline = Some(started + rest.deadline);
    let dialect = dialect_of(&head);
    let span = rest_span::begin(dialect.name, &mut head);
    let response = answer_in(&rest, dialect, head, body).instrument(span.clone()).await;
    let seconds = started.elapsed().as_secs_f64();
    rest_span::end(&span, response.status());
    rest.metrics.rest_finished(dialect.name, response.status().as_u16(), seconds);
    response
}

async fn answer_in(rest: &Rest, dialect: &'static Dialect, head: Head, body: Body) -> Response {
    let started = Instant::now();
    let reply = if cors::is_preflight(&head) {
        cors::preflight(&head)
    } else {
        let answering = time::timeout(rest.deadline + GRACE, answered(rest, dialect, &head, body));
        answering.await.unwrap_or_else(|_| {
            (dialect.refuse)(&head, Refusal::Api(Box::new(Failure::of(ErrorReason::DeadlineExceeded))))
        })
    };
    tracing::debug!(
        dialect = dialect.name,
        method = %head.method,
        status = reply.status.as_u16(),
        request_id = head.request_id,
        seconds = started.elapsed().as_secs_f64(),
        "request answered"
    );
    let mut response = cors::opened(&head, reply).into_response();
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(id) = HeaderValue::try_from(&head.request_id) {
        response.headers_mut().insert(request_id::HEADER, id);
    }
    response
}

/// Reads the body, and answers.
async fn answered(rest: &Rest, dialect: &'static Dialect, head: &Head, body: Body) -> Reply {
    match read(head, body, rest.body_bytes_max).await {
        Ok(body) => routed(&rest.api, dialect, head.clone().with_body(body)).await,
        Err(refusal) => (dialect.refuse)(head, refusal),
    }
}

async fn read(head: &Head, body: Body, bytes_max: usize) -> Result<Bytes, Refusal> {
    let announced = head.header(header::CONTENT_LENGTH.as_str()).and_then(|length| length.parse::<usize>().ok());
    // Without this the caller would be asked to go on, only to be refused.
    if announced.is_some_and(|length| length > bytes_max) {
        return Err(Refusal::BodyTooLarge);
    }
    to_bytes(body, bytes_max).await.map_err(|error| {
        let mut causes = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
        if causes.any(<dyn std::error::Error>::is::<LengthLimitError>) {
            Refusal::BodyTooLarge
        } else {
            Refusal::Body("the body cannot be read".into())
        }
    })
}

/// Finds the route and runs its handler. A panic there is a fault of ours, told in the words of the dialect.
async fn routed(api: &Api, dialect: &'static Dialect, mut incoming: Incoming) -> Reply {
    let route = match route::find(dialect.routes, &incoming.head) {
        Ok((route, parameters)) => {
            incoming.head.parameters = parameters;
            incoming.head.route = route.path;
            rest_span::found(&incoming.head);
            route
        }
        Err(refusal) => {
            let is_known = matches!(refusal, Refusal::MethodNotAllowed);
            let reply = (dialect.refuse)(&incoming.head, refusal);
            if !is_known {
                return reply;
            }
            return reply.with(header::ALLOW, &route::methods(dialect.routes, &incoming.head.path));
        }
    };
    let handled = std::panic::AssertUnwindSafe((route.handler)(api, &incoming)).catch_unwind().await;
    match handled {
        Ok(Ok(reply)) => reply,
        Ok(Err(refusal)) => (dialect.refuse)(&incoming.head, refusal),
        Err(_) => {
            tracing::error!(path = route.path, request_id = incoming.head.request_id, "a handler panicked");
            (dialect.refuse)(&incoming.head, Refusal::Internal)
        }
    }
}

/// The status of a refusal that has nothing to do with a dialect.
const fn plain_status(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::Api(_) | Refusal::Internal | Refusal::Said(_) => StatusCode::INTERNAL_SERVER_ERROR,
        Refusal::Body(_) => StatusCode::BAD_REQUEST,
        Refusal::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Refusal::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Refusal::NotFound => StatusCode::NOT_FOUND,
    }
}
