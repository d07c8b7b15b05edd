//! The canonical API described in `OpenAPI` 3.1, made from the descriptors and their comments.

mod schemas;

use std::{collections::BTreeMap, sync::LazyLock};

use http::StatusCode;
use prost_reflect::{EnumDescriptor, MessageDescriptor};
use serde_json::{Map, Value, json};

use self::schemas::{Schemas, is_plain};
use super::{
    binding::{Binding, POOL, RPCS},
    comments::{comment, summary},
};
use crate::{
    error::wire,
    proto::{CallerKind, ErrorReason},
    rest::{api::Api, failure::Refusal, incoming::Incoming, reply::Reply},
};

const INTRODUCTION: &str = "\
Every RPC of the gRPC API `auth.v1` as an HTTP call, in proto3 JSON. Requests take lowerCamelCase and snake_case; answers have \
lowerCamelCase, and leave out what has its default value: a number that is 0, a text or a list that is empty, `false`. Fields \
and parameters that are not known are refused.

A refusal has a `Status` as its body. Look at the `reason` of its `google.rpc.ErrorInfo`, not at its text. Paths that do not exist \
(404), methods that a path does not take (405) and bodies that are too large (413) are refused in the same form.

Every answer has an `x-request-id`; send your own to find a request in the logs. Calls that change something take an \
`idempotency-key`: the same key with the same request gets the same answer.";

/// The description, as it is sent.
static DOCUMENT: LazyLock<Vec<u8>> = LazyLock::new(|| serde_json::to_vec(&document()).unwrap_or_default());

/// `/api/v1/openapi.json`.
pub(super) async fn serve(_: &Api, _: &Incoming) -> Result<Reply, Refusal> {
    Ok(Reply::file("application/json", &DOCUMENT))
}

fn document() -> Value {
    let mut schemas = Schemas::default();
    let mut paths = Map::new();
    for rpc in RPCS.iter() {
        let operations = paths.entry(rpc.path).or_insert_with(|| Map::new().into());
        operations[rpc.method.as_str().to_lowercase()] = operation(rpc, &mut schemas);
    }
    if let Some(pending) = POOL.get_message_by_name("auth.v1.PendingAuthentication") {
        schemas.reference(&pending);
    }
    let tags = RPCS.iter().map(|rpc| rpc.descriptor.parent_service());
    let tags: BTreeMap<String, &str> =
        tags.map(|service| (service.name().to_owned(), comment(&service.parent_file(), service.path()))).collect();
    let tags: Vec<Value> =
        tags.iter().map(|(name, description)| json!({ "name": name, "description": description })).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Signet",
            "description": INTRODUCTION,
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": schemas.finish(status_schema()),
            "parameters": {
                "IdempotencyKey": {
                    "name": "idempotency-key",
                    "in": "header",
                    "description": "The same key with the same request gets the same answer, so that a call can be repeated.",
                    "schema": { "type": "string" },
                },
            },
            "headers": {
                "RequestId": { "description": "Names the request in the logs.", "schema": { "type": "string" } },
                "RetryAfter": { "description": "Seconds after which to try again.", "schema": { "type": "integer" } },
                "Authenticate": { "description": "How to authenticate.", "schema": { "type": "string" } },
            },
            "securitySchemes": {
                "clientSecret": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "Id and secret of a client. A public client has no secret: leave it empty.",
                },
                "clientToken": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Access token of a client, from `IssueClientToken`, or the secret of a client alone.",
                },
            },
        },
    })
}

fn operation(rpc: &Binding, schemas: &mut Schemas) -> Value {
    let (method, service) = (&rpc.descriptor, rpc.descriptor.parent_service());
    let said = comment(&service.parent_file(), method.path());
    let (caller, security) = match rpc.rpc.caller {
        CallerKind::Anyone => ("Open to everybody.", json!([])),
        CallerKind::PublicClient => ("For any client of a project.", credentials()),
        CallerKind::ConfidentialClient => ("For confidential clients of a project.", credentials()),
        CallerKind::ConfidentialClientOrOperator => {
            ("For confidential clients of a project, and for operators.", credentials())
        }
        CallerKind::Operator | CallerKind::Unspecified => ("For operators.", credentials()),
    };
    let mut operation = json!({
        "operationId": format!("{}_{}", service.name(), method.name()),
        "tags": [service.name()],
        "summary": summary(said),
        "description": format!("{said}\n\n{caller}"),
        "security": security,
        "parameters": parameters(rpc, schemas),
        "responses": responses(rpc, schemas),
    });
    if rpc.has_body {
        let schema = schemas.without(&method.input(), rpc.parameters());
        operation["requestBody"] = json!({ "content": { "application/json": { "schema": schema } } });
    }
    operation
}

fn credentials() -> Value {
    json!([{ "clientSecret": [] }, { "clientToken": [] }])
}

fn parameters(rpc: &Binding, schemas: &mut Schemas) -> Vec<Value> {
    let input = rpc.descriptor.input();
    let mut parameters = Vec::new();
    for name in rpc.parameters() {
        if let Some(field) = input.get_field_by_name(name) {
            let description = comment(&input.parent_file(), field.path());
            let schema = schemas.of_field(&field);
            parameters.push(
                json!({ "name": name, "in": "path", "required": true, "description": description, "schema": schema }),
            );
        }
    }
    if rpc.has_body {
        parameters.push(json!({ "$ref": "#/components/parameters/IdempotencyKey" }));
    } else {
        let in_path: Vec<&str> = rpc.parameters().collect();
        query(&input, "", &in_path, schemas, &mut parameters);
    }
    parameters
}

/// Parameters of the query: those of nested messages by dots.
fn query(message: &MessageDescriptor, prefix: &str, but: &[&str], schemas: &mut Schemas, parameters: &mut Vec<Value>) {
    for field in message.fields().filter(|field| !but.contains(&field.name())) {
        let name = format!("{prefix}{}", field.json_name());
        match field.kind().as_message() {
            Some(inner) if !is_plain(inner) => query(inner, &format!("{name}."), &[], schemas, parameters),
            _ => parameters.push(json!({
                "name": name,
                "in": "query",
                "description": comment(&message.parent_file(), field.path()),
                "schema": schemas.of_field(&field),
            })),
        }
    }
}

/// The answers: one for success, one for each HTTP status of the reasons of failure.
fn responses(rpc: &Binding, schemas: &mut Schemas) -> Value {
    let request_id = json!({ "$ref": "#/components/headers/RequestId" });
    let output = rpc.descriptor.output();
    let mut responses = Map::new();
    let success = json!({
        "description": comment(&output.parent_file(), output.path()),
        "headers": { "x-request-id": request_id },
        "content": { "application/json": { "schema": schemas.reference(&output) } },
    });
    responses.insert("200".into(), success);
    let mut reasons = BTreeMap::<u16, Vec<ErrorReason>>::new();
    for reason in rpc.reasons() {
        reasons.entry(wire(reason).http_status).or_default().push(reason);
    }
    for (status, reasons) in reasons {
        let lines: Vec<String> =
            reasons.iter().map(|reason| format!("- `{}`: {}", reason.wire_name(), meaning(*reason))).collect();
        let mut headers = json!({ "x-request-id": request_id });
        match StatusCode::from_u16(status) {
            Ok(StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) => {
                headers["retry-after"] = json!({ "$ref": "#/components/headers/RetryAfter" });
            }
            Ok(StatusCode::UNAUTHORIZED) => {
                headers["www-authenticate"] = json!({ "$ref": "#/components/headers/Authenticate" });
            }
            _ => {}
        }
        let response = json!({
            "description": lines.join("\n"),
            "x-reasons": reasons.iter().map(|reason| reason.wire_name()).collect::<Vec<_>>(),
            "headers": headers,
            "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Status" } } },
        });
        responses.insert(status.to_string(), response);
    }
    responses.into()
}

/// What a reason means, from its comment.
fn meaning(reason: ErrorReason) -> &'static str {
    static REASONS: LazyLock<Option<EnumDescriptor>> = LazyLock::new(|| POOL.get_enum_by_name("auth.v1.ErrorReason"));
    let value = REASONS.as_ref().and_then(|reasons| reasons.get_value(reason.into()));
    value.map_or("", |value| {
        let said = comment(&value.parent_enum().parent_file(), value.path());
        said.split("\n\n").next().unwrap_or_default()
    })
}

fn status_schema() -> Value {
    json!({
        "type": "object",
        "description": "Why a call was refused (`google.rpc.Status`).",
        "required": ["code", "message", "details"],
        "properties": {
            "code": { "type": "integer", "format": "int32", "description": "The code of gRPC." },
            "message": { "type": "string", "description": "Text for people." },
            "details": {
                "type": "array",
                "description": "`google.rpc.ErrorInfo` with the reason, `google.rpc.BadRequest` with the fields that are wrong, \
                    `google.rpc.RetryInfo` with the time to come back, `google.rpc.RequestInfo`, and `auth.v1.PendingAuthentication`.",
                "items": {
                    "type": "object",
                    "required": ["@type"],
                    "properties": { "@type": { "type": "string", "description": "`type.googleapis.com/` and the type." } },
                    "additionalProperties": true,
                },
            },
        },
    })
}

#[cfg(test)]
mod tests;
