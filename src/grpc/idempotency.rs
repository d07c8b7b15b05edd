//! The `idempotency-key` metadata: the same answer for the same request, as it went over the wire.

use axum::{body::Body, extract::Request, response::Response};
use bytes::Bytes;
use chrono::Duration;
use futures_util::StreamExt as _;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::{BodyExt as _, Full};
use prost::Message as _;
use zeroize::Zeroizing;

use super::{
    layers::{Head, Shared},
    status,
};
use crate::{
    domain::{
        caller::Caller,
        client::ClientType,
        idempotency::{ANSWER_KEPT, ANSWER_KEPT_BRIEFLY, IdempotencyKey},
        violation::InField as _,
    },
    error,
    proto::{AnswerKept, Rpc},
    usecase::{
        Call, Error,
        idempotency::{Admission, admit},
    },
};

/// Metadata with the key.
pub(super) const HEADER: &str = "idempotency-key";
/// What a message is framed with on the wire.
const FRAME_BYTES: usize = 5;

/// An answer as it is kept.
#[derive(Clone, PartialEq, prost::Message)]
struct KeptAnswer {
    #[prost(message, repeated, tag = "1")]
    headers: Vec<KeptHeader>,
    #[prost(bytes = "bytes", tag = "2")]
    body: Bytes,
    #[prost(message, repeated, tag = "3")]
    trailers: Vec<KeptHeader>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct KeptHeader {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// Gives a repeated call the answer of the first. For clients that send a key, and RPCs of which twice is not the same as once.
pub(super) async fn idempotency(
    head: &Head<'_>,
    request: Box<Request>,
    next: impl AsyncFnOnce(Box<Request>) -> Response,
) -> Response {
    let kept_for = match head.rpc.map_or(AnswerKept::Never, Rpc::answer_kept) {
        AnswerKept::Briefly => Some(ANSWER_KEPT_BRIEFLY),
        AnswerKept::ForADay => Some(ANSWER_KEPT),
        AnswerKept::Never => None,
    };
    let Some(kept_for) = kept_for.filter(|_| request.headers().contains_key(HEADER)) else {
        return next(request).await;
    };
    let call = request.extensions().get::<Call>().filter(|call| matches!(call.caller, Caller::Client(_))).cloned();
    let Some(call) = call else { return next(request).await };
    // Boxed, so that calls without a key need no room for it.
    let answered = Box::pin(once(head.shared, &call, request, next, kept_for)).await;
    answered.unwrap_or_else(|error| status::status(&error, &call.request_id).into_http())
}

async fn once(
    shared: &Shared,
    call: &Call,
    request: Box<Request>,
    next: impl AsyncFnOnce(Box<Request>) -> Response,
    kept_for: Duration,
) -> Result<Response, Error> {
    let client_type = call.client()?.client.client_type;
    let key = key_of(request.headers())?;
    let (head, body) = request.into_parts();
    let body = read(body, shared.message_bytes_max.saturating_add(FRAME_BYTES)).await?;
    match admit(&shared.services, call, &key, &[head.uri.path().as_bytes(), &body]).await? {
        Admission::Answered(answer) => replayed(&answer),
        Admission::Run(claim) => {
            let response = next(Box::new(Request::from_parts(head, Body::from(body)))).await;
            let (response, kept) = kept(response, client_type).await?;
            let kept = kept.map(|kept| Zeroizing::new(kept.encode_to_vec()));
            claim.settle(&shared.services, kept, kept_for).await;
            Ok(response)
        }
    }
}

/// The key, of which there is exactly one.
fn key_of(headers: &HeaderMap) -> Result<IdempotencyKey, Error> {
    let mut values = headers.get_all(HEADER).iter();
    let value = values.next().filter(|_| values.next().is_none());
    Ok(IdempotencyKey::parse(value.map(HeaderValue::as_bytes).unwrap_or_default()).in_field(HEADER)?)
}

/// Reads a request. What is too large is refused as the RPC itself would refuse it.
async fn read(body: Body, bytes_max: usize) -> Result<Bytes, Error> {
    let mut read = Vec::new();
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Error::field("", "the request is not a message of this RPC"))?;
        if read.len() + chunk.len() > bytes_max {
            return Err(Error::field("", "the request is larger than this server takes"));
        }
        read.extend_from_slice(&chunk);
    }
    Ok(read.into())
}

/// The answer, and what is to be kept of it: nothing if it would be another one the next time.
async fn kept(response: Response, client_type: ClientType) -> Result<(Response, Option<KeptAnswer>), Error> {
    let (head, body) = response.into_parts();
    let collected = body.collect().await.map_err(|error| Error::Internal(Box::new(error)))?;
    let trailers = collected.trailers().cloned().unwrap_or_default();
    let body = collected.to_bytes();
    let code = error::code(&head.headers).or_else(|| error::code(&trailers));
    let is_kept = code.is_some_and(|code| match client_type {
        ClientType::Confidential => error::is_final(code),
        // Anybody could fill the table with refusals.
        ClientType::Public => error::is_success(code),
    });
    let kept = is_kept.then(|| KeptAnswer {
        headers: written(&head.headers),
        body: body.clone(),
        trailers: written(&trailers),
    });
    Ok((Response::from_parts(head, with_trailers(body, trailers)), kept))
}

fn with_trailers(body: Bytes, trailers: HeaderMap) -> Body {
    let trailers = (!trailers.is_empty()).then_some(Ok(trailers));
    if body.is_empty() && trailers.is_none() {
        // The status stands in the headers.
        return Body::empty();
    }
    Body::new(Full::new(body).with_trailers(std::future::ready(trailers)))
}

fn written(headers: &HeaderMap) -> Vec<KeptHeader> {
    let header = |(name, value): (&HeaderName, &HeaderValue)| KeptHeader {
        name: name.as_str().to_owned(),
        value: value.as_bytes().to_vec(),
    };
    headers.iter().map(header).collect()
}

/// The answer that was kept.
fn replayed(kept: &[u8]) -> Result<Response, Error> {
    let kept = KeptAnswer::decode(kept).map_err(|error| Error::Internal(Box::new(error)))?;
    let mut response = Response::new(with_trailers(kept.body, read_back(kept.trailers)?));
    *response.headers_mut() = read_back(kept.headers)?;
    Ok(response)
}

fn read_back(written: Vec<KeptHeader>) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::with_capacity(written.len());
    for header in written {
        let name = HeaderName::try_from(header.name).map_err(|error| Error::Internal(Box::new(error)))?;
        let value = HeaderValue::try_from(header.value).map_err(|error| Error::Internal(Box::new(error)))?;
        headers.append(name, value);
    }
    Ok(headers)
}
