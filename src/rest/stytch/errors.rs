//! Refusals in the words of Stytch (contract, section 7).
#![expect(clippy::struct_field_names, reason = "the vendor's names")]

use http::{StatusCode, header};
use serde::Serialize;

use super::answer::request_id;
use crate::{
    proto::ErrorReason,
    rest::{
        failure::{Failure, Refusal},
        incoming::Head,
        plain_status,
        reply::Reply,
    },
};

/// The vendor's pages on its error types, which are what is told here.
const PAGES: &str = "https://stytch.com/docs/api/errors";

/// An error of Stytch: the same on both surfaces, never inside of `data`. A key called `error` or `body` would be read as something
/// else by one client library or another.
#[derive(Serialize)]
struct Error<'a> {
    status_code: u16,
    request_id: String,
    error_type: &'a str,
    error_message: &'a str,
    error_url: String,
}

/// An error as a reply. `status` is told in the body, too.
fn reply(head: &Head, status: u16, error_type: &str, error_message: &str) -> Reply {
    let code = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let error = Error {
        status_code: code.as_u16(),
        request_id: request_id(head),
        error_type,
        error_message,
        error_url: format!("{PAGES}/{}#{error_type}", code.as_u16()),
    };
    Reply::json(code, &error)
}

/// An error that a handler finds by itself: the request cannot be translated.
pub(super) fn said(head: &Head, status: u16, error_type: &str, error_message: &str) -> Refusal {
    reply(head, status, error_type, error_message).into()
}

/// A refusal in the words of Stytch.
pub(in crate::rest) fn refuse(head: &Head, refusal: Refusal) -> Reply {
    let plain = plain_status(&refusal).as_u16();
    match refusal {
        Refusal::Said(reply) => *reply,
        Refusal::Api(failure) => {
            let (status, error_type) = words(head, &failure);
            let reply = reply(head, status, error_type, &message(&failure));
            match failure.retry_after_seconds() {
                Some(seconds) => reply.with(header::RETRY_AFTER, &seconds.to_string()),
                None => reply,
            }
        }
        Refusal::Body(why) => reply(head, plain, "bad_request", &why),
        Refusal::BodyTooLarge => reply(head, plain, "bad_request", "the body is larger than this server takes"),
        Refusal::Internal => {
            let message = "internal error; the log has the cause under the request id";
            reply(head, plain, "internal_server_error", message)
        }
        Refusal::MethodNotAllowed => reply(head, plain, "route_not_found", "this path takes another method"),
        Refusal::NotFound => reply(head, plain, "route_not_found", "there is nothing at this path"),
    }
}

/// What the API said; of fields, without the names that they have there.
fn message(failure: &Failure) -> String {
    if failure.violations.is_empty() {
        return failure.message.clone();
    }
    failure.violations.iter().map(|(_, problem)| problem.as_str()).collect::<Vec<_>>().join("; ")
}

/// The table of errors: status and `error_type` for whatever the API refuses.
fn words(head: &Head, failure: &Failure) -> (u16, &'static str) {
    let is_browser = head.path.starts_with("/sdk/");
    match failure.reason {
        ErrorReason::CallerUnauthenticated if is_browser => (404, "public_token_not_found"),
        ErrorReason::CallerUnauthenticated | ErrorReason::InvalidCredentials => (401, "unauthorized_credentials"),
        ErrorReason::CallerNotPermitted | ErrorReason::SignUpNotAllowed => (401, "endpoint_not_authorized_for_sdk"),
        ErrorReason::OriginNotAllowed => (400, "bad_domain_for_stytch_sdk"),
        ErrorReason::InvalidField => (400, wrong_field(failure)),
        ErrorReason::IdentifierTaken => (400, taken(failure)),
        ErrorReason::PasswordRejected => (400, "weak_password"),
        ErrorReason::PasswordAlreadySet => (400, "password_already_exists"),
        ErrorReason::PasswordChangeRequired => (401, "reset_password"),
        ErrorReason::PasswordMissing => (401, "no_user_password"),
        ErrorReason::PasswordResetInvalid => (401, "unable_to_auth_password_reset_token"),
        ErrorReason::PasswordResetUrlNotAllowed => (400, "invalid_password_reset_redirect_url"),
        ErrorReason::EmailVerificationRequired => (401, "email_verification_required"),
        // One type for all: it is among the few that end a browser's background refresh (section 6.8).
        ErrorReason::TokenInvalid
        | ErrorReason::SessionNotActive
        | ErrorReason::SessionNotFound
        | ErrorReason::RefreshTokenReused => (404, "session_not_found"),
        ErrorReason::UserNotFound => (404, "user_not_found"),
        ErrorReason::ProjectNotFound => (404, "project_not_found"),
        ErrorReason::CodeSentRecently | ErrorReason::IdempotentCallRunning | ErrorReason::Overloaded => {
            (429, "too_many_requests")
        }
        ErrorReason::Unavailable => (503, "internal_server_error"),
        ErrorReason::DeadlineExceeded => (504, "internal_server_error"),
        ErrorReason::Internal | ErrorReason::Unspecified => (500, "internal_server_error"),
        // What no route of this dialect asks for, and what it cannot do.
        ErrorReason::NotSupported
        | ErrorReason::AuthenticationTooOld
        | ErrorReason::IdempotencyKeyReused
        | ErrorReason::PendingAuthenticationInvalid
        | ErrorReason::CodeIncorrect
        | ErrorReason::CodeExpired
        | ErrorReason::CodeAttemptsExhausted
        | ErrorReason::InvitationInvalid
        | ErrorReason::ClientNotFound
        | ErrorReason::ClientSecretNotFound
        | ErrorReason::EmailAlreadyVerified
        | ErrorReason::EmailMissing
        | ErrorReason::ResourceNotAllowed
        | ErrorReason::EmailVerificationNotFound
        | ErrorReason::PasswordResetNotFound
        | ErrorReason::EventCursorExpired
        | ErrorReason::SignOutUrlNotAllowed => (400, "bad_request"),
    }
}

/// The last segment of the name of the first field that is wrong: `duration` of `session_options.duration`.
fn field(failure: &Failure) -> &str {
    let name = failure.violations.first().map_or("", |(name, _)| name.as_str());
    name.rsplit('.').next().unwrap_or(name)
}

fn wrong_field(failure: &Failure) -> &'static str {
    // It names the claim.
    if failure.violations.iter().any(|(name, _)| name.contains("custom_claims.")) {
        return "reserved_claims_in_custom_claims";
    }
    match field(failure) {
        "custom_claims" => "custom_claims_too_large",
        "duration" | "session_duration" => "invalid_session_duration_minutes",
        "email" | "emails" | "login_id" => "invalid_email",
        "ip_address" => "invalid_ip_address",
        "lifetime" => "invalid_expiration",
        "locale" => "invalid_locale",
        "metadata" | "metadata_merge" | "untrusted_metadata" | "untrusted_metadata_merge" => "metadata_too_large",
        "page_token" => "user_search_invalid_cursor",
        "phone_number" | "phone_numbers" => "invalid_phone_number",
        "reset_url" => "invalid_password_reset_redirect_url",
        "text" => "user_search_full_name_fuzzy_too_short",
        "user_id" | "user_ids" => "invalid_user_id",
        _ => "bad_request",
    }
}

fn taken(failure: &Failure) -> &'static str {
    match field(failure) {
        "external_id" => "duplicate_user_external_id",
        "phone_number" => "duplicate_phone_number",
        _ => "duplicate_email",
    }
}

#[cfg(test)]
mod tests {
    use http::Request;
    use serde_json::json;
    use tonic::{Code, Status};
    use tonic_types::{ErrorDetails, StatusExt as _};

    use crate::{proto::ERROR_DOMAIN, rest::stub_upstream::Stubbed};

    #[tokio::test]
    async fn what_fails_here_is_an_internal_server_error() {
        for (code, reason, status) in [
            (Code::Unavailable, "UNAVAILABLE", 503),
            (Code::DeadlineExceeded, "DEADLINE_EXCEEDED", 504),
            (Code::Internal, "INTERNAL", 500),
        ] {
            let details = ErrorDetails::with_error_info(reason, ERROR_DOMAIN, []);
            let stub = Stubbed::refusing(Status::with_error_details(code, "no", details));
            // `project-live-00000000-0000-0000-0000-000000000000:secret`
            let basic = "Basic cHJvamVjdC1saXZlLTAwMDAwMDAwLTAwMDAtMDAwMC0wMDAwLTAwMDAwMDAwMDAwMDpzZWNyZXQ=";
            let request = Request::post("/v1/users/search").header("authorization", basic);
            let (told, _, body) = stub.send(request.body("").unwrap()).await;
            assert_eq!((told.as_u16(), &body["status_code"]), (status, &json!(status)), "{reason}: {body}");
            assert_eq!(body["error_type"], "internal_server_error", "{reason}: {body}");
        }
    }
}
