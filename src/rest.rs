//! The REST listener: a translation of the gRPC API, in five dialects. The canonical one follows from the descriptors; the others speak
//! the JSON of WorkOS, Stytch, Descope and Transmit Security, so that their client libraries work against this service.
//!
//! It is a client of the gRPC API and nothing else, so that it can run in the same process or in front of another one. Every request
//! goes the same way: it is named and read ([`Incoming`]), its dialect is found ([`dialect`]), the route's handler calls the API
//! and answers with a [`Reply`], or with a [`Refusal`] that the dialect puts into its own words.

mod api;
mod canonical;
mod cors;
mod descope;
mod dialect;
mod failure;
mod incoming;
mod keys;
mod reply;
mod route;
mod stytch;
mod transmit;
pub mod upstream;
mod value;
mod workos;

use std::io;

use axum::{
    Router,
    body::to_bytes,
    extract::{Request, State},
    http::{HeaderValue, StatusCode},
    response::Response,
};
use futures_util::FutureExt as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::{
    api::Api,
    dialect::{Dialect, dialect_of},
    failure::Refusal,
    incoming::{Head, Incoming},
    reply::Reply,
    upstream::Upstream,
};
use crate::{random::Random, request_id};

/// Bounds of the REST listener.
#[derive(Clone, Debug)]
pub struct RestSettings {
    /// Largest body of a request, in bytes.
    pub body_bytes_max: usize,
}

impl Default for RestSettings {
    fn default() -> Self {
        Self { body_bytes_max: 256 * 1024 }
    }
}

#[derive(Clone)]
struct Rest {
    api: Api,
    random: Random,
    settings: RestSettings,
}

/// The REST API in front of `upstream`. `random` names the requests that come without a name.
pub fn router(upstream: Upstream, random: Random, settings: RestSettings) -> Router {
    Router::new().fallback(answer).with_state(Rest { api: Api::new(upstream), random, settings })
}

/// Serves until `stop` is cancelled and the requests that are running then are answered.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) -> io::Result<()> {
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
}

/// Answers any request at all.
async fn answer(State(rest): State<Rest>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let request_id = request_id::of(&parts.headers, &rest.random);
    let head = Head::new(parts, request_id);
    let dialect = dialect_of(&head);
    let reply = if cors::is_preflight(&head) {
        cors::preflight(&head)
    } else {
        match to_bytes(body, rest.settings.body_bytes_max).await {
            Ok(body) => routed(&rest.api, dialect, head.clone().with_body(body)).await,
            Err(_) => (dialect.refuse)(&head, Refusal::BodyTooLarge),
        }
    };
    let mut response = cors::opened(&head, reply).into_response();
    if let Ok(id) = HeaderValue::try_from(&head.request_id) {
        response.headers_mut().insert(request_id::HEADER, id);
    }
    response
}

/// Finds the route and runs its handler. A panic there is a fault of ours, told in the words of the dialect.
async fn routed(api: &Api, dialect: &'static Dialect, mut incoming: Incoming) -> Reply {
    let route = match route::find(dialect.routes, &incoming.head) {
        Ok((route, parameters)) => {
            incoming.head.parameters = parameters;
            route
        }
        Err(refusal) => return (dialect.refuse)(&incoming.head, refusal),
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
