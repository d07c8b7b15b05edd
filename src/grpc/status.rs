//! Errors as a `google.rpc.Status`: one function turns each into a reason of the API with its details.

use std::{error::Error as _, sync::Arc, time::Duration};

use axum::response::Response;
use prost::Message;
use prost_types::Any;
use tonic::Status;
use tonic_types::pb::{BadRequest, ErrorInfo, RequestInfo, RetryInfo, bad_request::FieldViolation};

use super::convert::{self, password_rule};
use crate::{
    domain::violation::Violation,
    error,
    proto::{ERROR_DOMAIN, ErrorReason, PendingStep},
    usecase::Error,
};

/// When to come back after a fault that heals by itself.
const RETRY_UNAVAILABLE: Duration = Duration::from_secs(1);

/// The answer for an error. What the caller must not know is logged here, and only here.
pub(super) fn status(error: &Error, request_id: &str) -> Status {
    let reason = reason(error);
    if matches!(error, Error::Internal(_) | Error::Unavailable(_)) {
        // The log shows the chain of causes, too.
        tracing::error!(error = error as &dyn std::error::Error, "a call failed");
    }
    let mut details = vec![any("google.rpc.ErrorInfo", &info(reason, error))];
    let violations = violations(error);
    if !violations.is_empty() {
        details.push(bad_request(&violations));
    }
    match error {
        Error::CodeAttemptsExhausted { retry_after: Some(retry_after) }
        | Error::CodeSentRecently { retry_after }
        | Error::IdempotentCallRunning { retry_after }
        | Error::LaneOverloaded { retry_after }
        | Error::Overloaded { retry_after } => details.push(retry(*retry_after)),
        Error::Stopping | Error::Unavailable(_) => details.push(retry(RETRY_UNAVAILABLE)),
        Error::EmailVerificationRequired(pending) => {
            let pending = convert::pending_authentication(pending, PendingStep::EmailVerification);
            details.push(any("auth.v1.PendingAuthentication", &pending));
        }
        Error::PasswordChangeRequired(pending) => {
            let pending = convert::pending_authentication(pending, PendingStep::PasswordChange);
            details.push(any("auth.v1.PendingAuthentication", &pending));
        }
        _ => {}
    }
    details.push(any("google.rpc.RequestInfo", &RequestInfo { request_id: request_id.into(), ..Default::default() }));
    let mut status = build(reason, &violations, details);
    if matches!(error, Error::LaneOverloaded { .. }) {
        status.set_source(Arc::new(RefusedByLane));
    }
    status
}

/// What stands behind an answer of the hash lane. It stays in the process.
#[derive(Debug, thiserror::Error)]
#[error("the hash lane refused a password")]
struct RefusedByLane;

/// True if the hash lane refused the call, which tells the log of that itself. The answer is the same as for others who
/// come at a bad time.
pub(super) fn is_refused_by_lane(response: &Response) -> bool {
    // Where tonic keeps the status of an answer that has no other part.
    let source = response.extensions().get::<Status>().and_then(|status| status.source());
    source.is_some_and(<dyn std::error::Error>::is::<RefusedByLane>)
}

/// The fields an error is about.
fn violations(error: &Error) -> Vec<Violation> {
    match error {
        Error::InvalidFields(violations) => violations.clone(),
        Error::NotSupported(field) => vec![Violation::new(*field, "is not supported by this version; leave it unset")],
        Error::IdentifierTaken { field, .. } => vec![Violation::new(field, "belongs to another user")],
        Error::ResourceNotAllowed(field) => {
            vec![Violation::new(*field, "is not one of the project's allowed_resources")]
        }
        Error::PasswordResetUrlNotAllowed => {
            vec![Violation::new("reset_url", "is not one of the project's password_reset_urls")]
        }
        Error::PasswordRejected { field, weaknesses, .. } => {
            weaknesses.iter().map(|weakness| Violation::new(*field, weakness)).collect()
        }
        _ => Vec::new(),
    }
}

/// The answer for a reason that stands for itself.
pub(super) fn bare(reason: ErrorReason, request_id: &str) -> Status {
    let info = ErrorInfo { reason: reason.wire_name().into(), domain: ERROR_DOMAIN.into(), ..Default::default() };
    let request = RequestInfo { request_id: request_id.into(), ..Default::default() };
    build(reason, &[], vec![any("google.rpc.ErrorInfo", &info), any("google.rpc.RequestInfo", &request)])
}

fn build(reason: ErrorReason, violations: &[Violation], details: Vec<Any>) -> Status {
    let wire = error::wire(reason);
    // Many a client shows nothing but the message.
    let name = |found: &Violation| format!("{} {}", found.field, found.description).trim_start().to_owned();
    let named: Vec<String> = violations.iter().map(name).collect();
    let message =
        if named.is_empty() { wire.message.to_owned() } else { format!("{}: {}", wire.message, named.join("; ")) };
    let body = tonic_types::pb::Status { code: wire.code.into(), message: message.clone(), details };
    Status::with_details(wire.code, message, body.encode_to_vec().into())
}

/// The reason of the API for an error.
fn reason(error: &Error) -> ErrorReason {
    match error {
        Error::CallerUnauthenticated => ErrorReason::CallerUnauthenticated,
        Error::CallerNotPermitted => ErrorReason::CallerNotPermitted,
        Error::ClientNotFound => ErrorReason::ClientNotFound,
        Error::ClientSecretNotFound => ErrorReason::ClientSecretNotFound,
        Error::CodeAttemptsExhausted { .. } => ErrorReason::CodeAttemptsExhausted,
        Error::CodeExpired => ErrorReason::CodeExpired,
        Error::CodeIncorrect { .. } => ErrorReason::CodeIncorrect,
        Error::CodeSentRecently { .. } => ErrorReason::CodeSentRecently,
        Error::EmailAlreadyVerified => ErrorReason::EmailAlreadyVerified,
        Error::EmailMissing => ErrorReason::EmailMissing,
        Error::EventCursorExpired => ErrorReason::EventCursorExpired,
        Error::EmailVerificationRequired(_) => ErrorReason::EmailVerificationRequired,
        Error::IdentifierTaken { .. } => ErrorReason::IdentifierTaken,
        Error::Internal(_) => ErrorReason::Internal,
        Error::InvalidCredentials => ErrorReason::InvalidCredentials,
        Error::InvalidFields(_) => ErrorReason::InvalidField,
        Error::NotSupported(_) => ErrorReason::NotSupported,
        Error::LaneOverloaded { .. } | Error::Overloaded { .. } => ErrorReason::Overloaded,
        Error::PasswordRejected { .. } => ErrorReason::PasswordRejected,
        Error::PendingAuthenticationInvalid => ErrorReason::PendingAuthenticationInvalid,
        Error::PasswordResetInvalid => ErrorReason::PasswordResetInvalid,
        Error::PasswordResetUrlNotAllowed => ErrorReason::PasswordResetUrlNotAllowed,
        Error::ProjectNotFound => ErrorReason::ProjectNotFound,
        Error::RefreshTokenReused => ErrorReason::RefreshTokenReused,
        Error::ResourceNotAllowed(_) => ErrorReason::ResourceNotAllowed,
        Error::SessionNotFound => ErrorReason::SessionNotFound,
        Error::SessionNotActive => ErrorReason::SessionNotActive,
        Error::AuthenticationTooOld => ErrorReason::AuthenticationTooOld,
        Error::TokenInvalid => ErrorReason::TokenInvalid,
        Error::Stopping | Error::Unavailable(_) => ErrorReason::Unavailable,
        Error::OriginNotAllowed => ErrorReason::OriginNotAllowed,
        Error::IdempotencyKeyReused => ErrorReason::IdempotencyKeyReused,
        Error::InvitationInvalid => ErrorReason::InvitationInvalid,
        Error::SignUpNotAllowed => ErrorReason::SignUpNotAllowed,
        Error::PasswordAlreadySet => ErrorReason::PasswordAlreadySet,
        Error::PasswordMissing => ErrorReason::PasswordMissing,
        Error::EmailVerificationNotFound => ErrorReason::EmailVerificationNotFound,
        Error::PasswordResetNotFound => ErrorReason::PasswordResetNotFound,
        Error::SignOutUrlNotAllowed => ErrorReason::SignOutUrlNotAllowed,
        Error::IdempotentCallRunning { .. } => ErrorReason::IdempotentCallRunning,
        Error::PasswordChangeRequired(_) => ErrorReason::PasswordChangeRequired,
        Error::UserNotFound => ErrorReason::UserNotFound,
    }
}

fn info(reason: ErrorReason, error: &Error) -> ErrorInfo {
    let mut info = ErrorInfo { reason: reason.wire_name().into(), domain: ERROR_DOMAIN.into(), ..Default::default() };
    match error {
        Error::CodeIncorrect { attempts_left: Some(attempts_left) } => {
            info.metadata.insert("attempts_left".into(), attempts_left.to_string());
        }
        Error::PasswordRejected { weaknesses, length_min, .. } => {
            let rules: Vec<_> = weaknesses.iter().map(|weakness| password_rule(weakness).wire_name()).collect();
            info.metadata.insert("rules".into(), rules.join(","));
            info.metadata.insert("length_min".into(), length_min.to_string());
        }
        _ => {}
    }
    info
}

fn bad_request(violations: &[Violation]) -> Any {
    let violation = |violation: &Violation| FieldViolation {
        field: violation.field.clone(),
        description: violation.description.clone(),
        ..Default::default()
    };
    any("google.rpc.BadRequest", &BadRequest { field_violations: violations.iter().map(violation).collect() })
}

fn retry(after: Duration) -> Any {
    any("google.rpc.RetryInfo", &RetryInfo { retry_delay: prost_types::Duration::try_from(after).ok() })
}

fn any(name: &str, message: &impl Message) -> Any {
    Any { type_url: format!("type.googleapis.com/{name}"), value: message.encode_to_vec() }
}
