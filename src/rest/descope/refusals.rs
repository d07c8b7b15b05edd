//! Refusals in the words of Descope (contract, section 7).

use http::{StatusCode, header};
use serde::Serialize;

use crate::{
    proto::ErrorReason,
    rest::{
        failure::{Failure, Refusal},
        incoming::Head,
        plain_status,
        reply::Reply,
    },
};

/// What every refusal says, in three members that are never empty.
#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "errorCode")]
    code: &'a str,
    #[serde(rename = "errorDescription")]
    description: &'a str,
    #[serde(rename = "errorMessage")]
    message: &'a str,
}

/// A refusal that a handler finds by itself.
pub(super) fn said(status: StatusCode, code: &str, message: &str) -> Reply {
    Reply::json(status, &Body { code, description: described(code), message })
}

/// The request asks for something that this service does not do. Better than to leave it out in silence.
pub(super) fn not_supported(what: &str) -> Refusal {
    said(StatusCode::BAD_REQUEST, "E011004", &format!("{what} is not supported")).into()
}

/// A refusal in the words of Descope.
pub(super) fn refuse(head: &Head, refusal: Refusal) -> Reply {
    match refusal {
        Refusal::Said(reply) => *reply,
        Refusal::Api(failure) => refused_by_api(head, &failure),
        Refusal::Body(why) => said(StatusCode::BAD_REQUEST, "E011001", &why),
        other => {
            // A library repeats a call that is answered with 503, and waits for seconds in between.
            let status = Some(plain_status(&other)).filter(|status| *status != StatusCode::SERVICE_UNAVAILABLE);
            let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let code = match status {
                StatusCode::TOO_MANY_REQUESTS => "E130429",
                status if status.is_server_error() => "E010000",
                _ => "E011001",
            };
            said(status, code, status.canonical_reason().unwrap_or("refused"))
        }
    }
}

fn refused_by_api(head: &Head, failure: &Failure) -> Reply {
    let (status, code) = status_and_code(&head.path, failure.reason);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let reply = said(status, code, message(failure));
    // Of other refusals it would tell more than they say.
    match failure.retry_after_seconds() {
        Some(seconds) if status == StatusCode::TOO_MANY_REQUESTS => {
            reply.with(header::RETRY_AFTER, &seconds.to_string())
        }
        None if status == StatusCode::TOO_MANY_REQUESTS => reply.with(header::RETRY_AFTER, "1"),
        _ => reply,
    }
}

/// The table of the contract. Where the contract has nothing the code is ours.
fn status_and_code(path: &str, reason: ErrorReason) -> (u16, &'static str) {
    use ErrorReason as R;
    let below = |prefix: &str| path.starts_with(prefix);
    let is_management = below("/v1/mgmt/") || below("/v2/mgmt/");
    match reason {
        R::CallerUnauthenticated if is_management => (401, "E111119"),
        R::CallerUnauthenticated => (401, "E011005"),
        R::CallerNotPermitted => (401, "E111119"),
        R::OriginNotAllowed => (403, "E011006"),
        R::InvalidField => (400, "E011003"),
        R::ProjectNotFound => (404, "E011005"),
        R::InvalidCredentials => (401, "E062903"),
        R::PasswordChangeRequired => (401, "E062909"),
        R::PasswordRejected => (400, "E062910"),
        // What the project does not let its applications do, or only after more than this dialect can ask for.
        R::SignUpNotAllowed | R::EmailVerificationRequired => (400, "E061001"),
        R::CodeIncorrect => (401, "E061102"),
        R::CodeAttemptsExhausted => (401, "E061103"),
        R::CodeExpired => (401, "E061104"),
        // Not of the sessions of this dialect.
        R::TokenInvalid | R::AuthenticationTooOld => (401, "E061005"),
        R::SessionNotActive | R::RefreshTokenReused => (401, "E064001"),
        R::UserNotFound if is_management => (404, "E112102"),
        R::UserNotFound => (400, "E062108"),
        R::IdentifierTaken if below("/v1/auth/otp/") => (400, "E062125"),
        R::IdentifierTaken if below("/v1/mgmt/user/update") => (400, "E111127"),
        R::IdentifierTaken => (400, "E062107"),
        R::PendingAuthenticationInvalid | R::PasswordResetInvalid => (401, "E062504"),
        R::CodeSentRecently | R::Overloaded | R::IdempotentCallRunning => (429, "E130429"),
        R::NotSupported
        | R::ResourceNotAllowed
        | R::PasswordResetUrlNotAllowed
        | R::SignOutUrlNotAllowed
        | R::EventCursorExpired
        | R::IdempotencyKeyReused
        | R::InvitationInvalid
        | R::EmailMissing
        | R::EmailAlreadyVerified
        | R::PasswordAlreadySet
        | R::PasswordMissing
        | R::SessionNotFound
        | R::ClientNotFound
        | R::ClientSecretNotFound
        | R::EmailVerificationNotFound
        | R::PasswordResetNotFound => (400, "E011004"),
        // Never 503: see `refuse`.
        R::DeadlineExceeded | R::Unavailable | R::Internal | R::Unspecified => (500, "E010000"),
    }
}

/// What each code means.
fn described(code: &str) -> &'static str {
    match code {
        "E010000" => "Internal error",
        "E011001" => "Bad request",
        "E011003" => "Request is invalid",
        "E011004" => "Invalid argument",
        "E011005" => "Unknown project",
        "E011006" => "Origin not allowed",
        "E061001" => "Method not enabled",
        "E061005" => "Invalid token",
        "E061102" => "Wrong code",
        "E061103" => "Too many wrong codes",
        "E061104" => "Code expired",
        "E062107" => "User already exists",
        "E062108" | "E112102" => "User not found",
        "E062125" | "E111127" => "Identifier already used",
        "E062504" => "Token expired",
        "E062903" => "Password signin failed",
        "E062909" => "Password expired",
        "E062910" => "Password refused",
        "E064001" => "Session ended",
        "E111119" => "Invalid management key",
        "E130429" => "Rate limit exceeded",
        _ => "Request failed",
    }
}

/// Text for people, which names the fields that are wrong. Of a failed sign-in it is always the same.
fn message(failure: &Failure) -> &str {
    if failure.reason == ErrorReason::InvalidCredentials { "Invalid signin credentials" } else { &failure.message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_code_with_a_meaning_and_none_makes_libraries_repeat_the_call() {
        let reasons: Vec<_> = (0..100).filter_map(|number| ErrorReason::try_from(number).ok()).collect();
        assert!(reasons.len() > 30, "{reasons:?}");
        for path in [
            "/v1/auth/password/signin",
            "/v1/auth/otp/update/email",
            "/v1/mgmt/user/create",
            "/v1/mgmt/user/update/status",
        ] {
            for reason in &reasons {
                let (status, code) = status_and_code(path, *reason);
                assert!((400..=500).contains(&status), "{reason:?}: {status}");
                assert_ne!(described(code), "Request failed", "{reason:?}: {code}");
            }
        }
    }
}
