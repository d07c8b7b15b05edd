//! An upstream of one's own making, to see what is sent there and to answer anything at all.

use std::sync::{Arc, Mutex};

use axum::{Router, body::Body, response::Response};
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use prost::Message;
use serde_json::Value;
use tonic::Status;
use tower::{ServiceExt as _, service_fn, util::BoxCloneSyncService};

use super::{RestSettings, router, upstream::Upstream};
use crate::random::Random;

/// A call that was made: path of the RPC, metadata, and the encoded message.
#[derive(Clone, Debug)]
pub(super) struct Made {
    pub(super) path: String,
    pub(super) metadata: HeaderMap,
    pub(super) message: Vec<u8>,
}

/// The router in front of an upstream that answers every call so.
#[derive(Clone)]
pub(super) struct Stubbed {
    router: Router,
    made: Arc<Mutex<Vec<Made>>>,
}

impl Stubbed {
    /// Answers every call with that message, whatever its RPC.
    pub(super) fn answering(message: &impl Message) -> Self {
        let message = message.encode_to_vec();
        Self::new(RestSettings::default(), move || Ok(message.clone()))
    }

    /// Refuses every call.
    pub(super) fn refusing(status: Status) -> Self {
        Self::new(RestSettings::default(), move || Err(status.clone()))
    }

    pub(super) fn new(
        settings: RestSettings,
        answer: impl Fn() -> Result<Vec<u8>, Status> + Clone + Send + Sync + 'static,
    ) -> Self {
        let made = Arc::<Mutex<Vec<Made>>>::default();
        let log = Arc::clone(&made);
        let service = service_fn(move |request: Request<tonic::body::Body>| {
            let (answer, log) = (answer.clone(), Arc::clone(&log));
            async move {
                let (head, body) = request.into_parts();
                let message = body.collect().await.unwrap().to_bytes()[5..].to_vec();
                let made = Made { path: head.uri.path().to_owned(), metadata: head.headers, message };
                log.lock().unwrap().push(made);
                Ok(answer().map_or_else(Status::into_http, |message| framed(&message)))
            }
        });
        let upstream: Upstream = BoxCloneSyncService::new(service);
        Self { router: router(upstream, Random::System, settings), made }
    }

    /// What was called.
    pub(super) fn made(&self) -> Vec<Made> {
        self.made.lock().unwrap().clone()
    }

    /// Status, headers and JSON body of the answer to a request.
    pub(super) async fn send(&self, request: Request<&'static str>) -> (StatusCode, HeaderMap, Value) {
        let response = self.router.clone().oneshot(request.map(Body::from)).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (head.status, head.headers, serde_json::from_slice(&body).unwrap_or_default())
    }

    pub(super) async fn get(&self, path: &str) -> (StatusCode, HeaderMap, Value) {
        self.send(Request::get(path).body("").unwrap()).await
    }
}

/// A message as it stands on the wire, with the trailers of a success.
fn framed(message: &[u8]) -> Response<tonic::body::Body> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let body = [&[0], length.as_slice(), message].concat();
    let trailers =
        HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"))]);
    let body = Full::new(bytes::Bytes::from(body)).with_trailers(async { Some(Ok(trailers)) });
    let mut response = Response::new(tonic::body::Body::new(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}
