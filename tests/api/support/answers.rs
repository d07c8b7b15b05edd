//! Reading refusals, and checking that each RPC refuses only for reasons it declares.

use axum::{
    extract::Request,
    middleware::{Next, from_fn},
    response::Response,
};
use http::{HeaderName, HeaderValue};
use prost::Message;
use signet::proto::{ERROR_DOMAIN, Rpc};
use tonic::{Code, Status, service::Routes};
use tonic_types::pb::{BadRequest, ErrorInfo, RequestInfo};

/// What a client library takes as headers and trailers at least: the default of Java, and the soft limit of the C core.
const HEADER_BYTES_MAX: usize = 8192;

/// A message from the details of a status.
pub(crate) fn detail<M: Message + Default>(status: &Status, name: &str) -> Option<M> {
    let body = tonic_types::pb::Status::decode(status.details()).unwrap();
    let wanted = format!("type.googleapis.com/{name}");
    let any = body.details.into_iter().find(|any| any.type_url == wanted)?;
    Some(M::decode(any.value.as_slice()).unwrap())
}

/// The reason of a refusal, as it stands on the wire.
pub(crate) fn reason(status: &Status) -> String {
    detail::<ErrorInfo>(status, "google.rpc.ErrorInfo").map(|info| info.reason).unwrap_or_default()
}

/// The fields that a refusal names.
pub(crate) fn field_violations(status: &Status) -> Vec<String> {
    let violations = detail::<BadRequest>(status, "google.rpc.BadRequest").unwrap_or_default().field_violations;
    violations.into_iter().map(|violation| violation.field).collect()
}

/// What a refused call looks like, with nothing in it that differs from call to call.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Refused {
    pub(crate) code: Code,
    pub(crate) reason: String,
    message: String,
    details: Vec<Vec<u8>>,
    metadata: Vec<String>,
}

impl From<&Status> for Refused {
    fn from(status: &Status) -> Self {
        let body = tonic_types::pb::Status::decode(status.details()).unwrap();
        let lasting = body.details.iter().filter(|any| !any.type_url.ends_with("RequestInfo"));
        let mut metadata: Vec<String> = status.metadata().keys().map(|key| format!("{key:?}")).collect();
        metadata.sort();
        Self {
            code: status.code(),
            reason: reason(status),
            message: status.message().to_owned(),
            details: lasting.map(Message::encode_to_vec).collect(),
            metadata,
        }
    }
}

/// The routes, with a check of every refusal.
pub(crate) fn checked(routes: Routes) -> Routes {
    Routes::from(routes.into_axum_router().layer(from_fn(check)))
}

async fn check(request: Request, next: Next) -> Response {
    let rpc = Rpc::by_path(request.uri().path());
    let response = next.run(request).await;
    assert!(response.headers().contains_key("x-request-id"), "every answer has a request id");
    let Some((rpc, status)) = rpc.zip(Status::from_header_map(response.headers())) else { return response };
    if status.code() == Code::Ok {
        return response;
    }
    let info = detail::<ErrorInfo>(&status, "google.rpc.ErrorInfo").expect("an ErrorInfo in every refusal");
    assert_eq!(info.domain, ERROR_DOMAIN);
    let declared = rpc.error_reasons.iter().chain(&Rpc::COMMON_REASONS);
    assert!(
        declared.map(|reason| reason.wire_name()).any(|name| name == info.reason),
        "{} answered with {}, which it does not declare",
        rpc.path,
        info.reason
    );
    let size = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + 32;
    let bytes: usize = response.headers().iter().map(size).sum();
    assert!(bytes < HEADER_BYTES_MAX, "{} is refused with {bytes} bytes of headers", rpc.path);
    assert!(detail::<RequestInfo>(&status, "google.rpc.RequestInfo").is_some(), "a RequestInfo in every refusal");
    response
}
