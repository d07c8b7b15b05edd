//! Refusals of the canonical API: a `google.rpc.Status` as JSON, with the HTTP status of its reason.

use http::{StatusCode, header};
use prost_reflect::DynamicMessage;
use prost_types::Any;
use serde_json::{Value, json};

use super::binding::POOL;
use crate::{
    error::wire,
    proto::{ERROR_DOMAIN, ErrorReason},
    rest::{
        failure::{Failure, Refusal},
        incoming::Head,
        plain_status,
        reply::Reply,
    },
};

/// Says how to authenticate (RFC 9110, section 11.6.1). Every 401 has to, whatever it is about.
const CHALLENGES: [&str; 2] = ["Basic realm=\"signet\", charset=\"UTF-8\"", "Bearer realm=\"signet\""];

/// A refusal in the words of the canonical API.
pub(super) fn refuse(head: &Head, refusal: Refusal) -> Reply {
    let plain = plain_status(&refusal);
    match refusal {
        Refusal::Said(reply) => *reply,
        Refusal::Api(failure) => of_api(&failure),
        Refusal::Body(why) => invalid(head, "", &why),
        Refusal::BodyTooLarge => of_field(head, plain, "", "the body is larger than this server takes"),
        Refusal::Internal => bare(head, plain, ErrorReason::Internal, wire(ErrorReason::Internal).message),
        Refusal::MethodNotAllowed => {
            without_reason(head, plain, tonic::Code::Unimplemented, "this path takes another method")
        }
        Refusal::NotFound => without_reason(head, plain, tonic::Code::NotFound, "there is nothing at this path"),
    }
}

/// A field that is wrong; without a name it is the whole request.
pub(super) fn invalid(head: &Head, field: &str, why: &str) -> Reply {
    of_field(head, StatusCode::BAD_REQUEST, field, why)
}

fn of_field(head: &Head, status: StatusCode, field: &str, why: &str) -> Reply {
    let wire = wire(ErrorReason::InvalidField);
    let named = format!("{field} {why}");
    let details = vec![
        error_info(ErrorReason::InvalidField),
        json!({
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{ "field": field, "description": why }],
        }),
    ];
    reply(head, status, wire.code, &format!("{}: {}", wire.message, named.trim_start()), details)
}

fn bare(head: &Head, status: StatusCode, reason: ErrorReason, message: &str) -> Reply {
    reply(head, status, wire(reason).code, message, vec![error_info(reason)])
}

/// Our reasons are those of the RPCs, and no RPC was called.
fn without_reason(head: &Head, status: StatusCode, code: tonic::Code, message: &str) -> Reply {
    reply(head, status, code, message, Vec::new())
}

fn of_api(failure: &Failure) -> Reply {
    let wire = wire(failure.reason);
    let status = StatusCode::from_u16(wire.http_status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut details: Vec<Value> = failure.details.iter().filter_map(detail).collect();
    if details.is_empty() {
        details.push(error_info(failure.reason));
    }
    let body = Body { code: wire.code, message: &failure.message, details };
    let mut reply = body.reply(status);
    if let Some(seconds) = failure.retry_after_seconds() {
        reply = reply.with(header::RETRY_AFTER, &seconds.to_string());
    }
    if status != StatusCode::UNAUTHORIZED {
        return reply;
    }
    // Credentials of the client help with one of the reasons; the others are about what the client asks for.
    let challenges =
        if failure.reason == ErrorReason::CallerUnauthenticated { &CHALLENGES[..] } else { &CHALLENGES[1..] };
    challenges.iter().fold(reply, |reply, challenge| reply.and(header::WWW_AUTHENTICATE, challenge))
}

/// A detail of a status as JSON with its `@type`; none if it is of a type that is not in our descriptors.
fn detail(any: &Any) -> Option<Value> {
    let name = any.type_url.rsplit('/').next()?;
    let message = DynamicMessage::decode(POOL.get_message_by_name(name)?, any.value.as_slice()).ok()?;
    let mut json = serde_json::to_value(&message).ok()?;
    json.as_object_mut()?.insert("@type".into(), any.type_url.clone().into());
    Some(json)
}

fn error_info(reason: ErrorReason) -> Value {
    json!({
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason.wire_name(),
        "domain": ERROR_DOMAIN,
    })
}

fn reply(head: &Head, status: StatusCode, code: tonic::Code, message: &str, mut details: Vec<Value>) -> Reply {
    details.push(json!({ "@type": "type.googleapis.com/google.rpc.RequestInfo", "requestId": head.request_id }));
    Body { code, message, details }.reply(status)
}

struct Body<'b> {
    code: tonic::Code,
    message: &'b str,
    details: Vec<Value>,
}

impl Body<'_> {
    fn reply(self, status: StatusCode) -> Reply {
        let Self { code, message, details } = self;
        Reply::json(status, &json!({ "code": i32::from(code), "message": message, "details": details }))
    }
}
