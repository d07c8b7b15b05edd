//! Every reason of the API with its gRPC code, HTTP status and text, side by side. The dialects of `rest` have tables of their own for
//! the words of their vendors.

use tonic::Code;
use tonic_types::StatusExt as _;

use crate::proto::{ERROR_DOMAIN, ErrorReason};

/// How a reason looks on the wire.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct WireError {
    /// gRPC status code.
    pub code: Code,
    /// HTTP status of the canonical REST API.
    pub http_status: u16,
    /// Text for people, without details.
    pub message: &'static str,
}

/// How a reason looks on the wire.
#[expect(clippy::too_many_lines, reason = "a table, one row a reason")]
pub const fn wire(reason: ErrorReason) -> WireError {
    use ErrorReason as R;
    let (code, http_status, message) = match reason {
        R::CallerUnauthenticated => (
            Code::Unauthenticated,
            401,
            "send the client's credentials: authorization: Basic base64(client_id:client_secret), or Bearer with a client token",
        ),
        R::CallerNotPermitted => (Code::PermissionDenied, 403, "this client may not make this call"),
        R::InvalidField => (Code::InvalidArgument, 400, "a field of the request is wrong"),
        R::NotSupported => (Code::Unimplemented, 501, "this version cannot do that yet"),
        R::InvalidCredentials => (Code::Unauthenticated, 401, "identifier and password do not match"),
        R::EmailVerificationRequired => {
            (Code::FailedPrecondition, 403, "the email address has to be verified first; a code was mailed")
        }
        R::PendingAuthenticationInvalid => {
            (Code::Unauthenticated, 401, "the pending authentication is not valid; start again with the password")
        }
        R::CodeIncorrect => (Code::Unauthenticated, 401, "the code is wrong"),
        R::CodeExpired => (Code::Unauthenticated, 401, "the code has expired; ask for a new one"),
        R::CodeAttemptsExhausted => {
            (Code::ResourceExhausted, 429, "the code was guessed wrong too often; start again later with the password")
        }
        R::TokenInvalid => (Code::Unauthenticated, 401, "the token is not valid"),
        R::AuthenticationTooOld => {
            (Code::FailedPrecondition, 403, "the user signed in too long ago for this; sign in again")
        }
        R::SessionNotActive => (Code::Unauthenticated, 401, "the session is over"),
        R::RefreshTokenReused => (
            Code::Unauthenticated,
            401,
            "the refresh token was replaced long ago, so the session has ended; sign in again",
        ),
        R::PasswordResetInvalid => {
            (Code::Unauthenticated, 401, "the password reset is not valid, or its code is wrong; start again")
        }
        R::SessionNotFound => (Code::NotFound, 404, "no session with that id"),
        R::PasswordResetUrlNotAllowed => {
            (Code::InvalidArgument, 400, "the page is not one of the project's password_reset_urls")
        }
        R::UserNotFound => (Code::NotFound, 404, "no user with that id"),
        R::ProjectNotFound => (Code::NotFound, 404, "no project with that id"),
        R::ClientNotFound => (Code::NotFound, 404, "no client with that id"),
        R::ClientSecretNotFound => (Code::NotFound, 404, "no secret with that id"),
        R::IdentifierTaken => (Code::AlreadyExists, 409, "another user has that identifier"),
        R::PasswordRejected => (Code::InvalidArgument, 400, "the password does not meet the policy"),
        R::EmailAlreadyVerified => (Code::FailedPrecondition, 400, "the email address is verified already"),
        R::EmailMissing => (Code::FailedPrecondition, 400, "the user has no email address"),
        R::ResourceNotAllowed => {
            (Code::InvalidArgument, 400, "the resource is not one of the project's allowed_resources")
        }
        R::CodeSentRecently => (Code::ResourceExhausted, 429, "a code was sent a moment ago"),
        R::OriginNotAllowed => {
            (Code::PermissionDenied, 403, "the web page's origin is not one of the project's allowed_origins")
        }
        R::IdempotencyKeyReused => (Code::InvalidArgument, 422, "the idempotency-key was used for another request"),
        R::IdempotentCallRunning => (Code::Aborted, 409, "the call with this idempotency-key is still running"),
        R::InvitationInvalid => (Code::InvalidArgument, 400, "there is no such invitation"),
        R::PasswordChangeRequired => (Code::FailedPrecondition, 403, "the password has to be changed first"),
        R::SignUpNotAllowed => (Code::PermissionDenied, 403, "the project's applications may not sign users up"),
        R::PasswordAlreadySet => (Code::FailedPrecondition, 409, "the user has a password already"),
        R::PasswordMissing => (Code::FailedPrecondition, 409, "the user has no password"),
        R::EmailVerificationNotFound => (Code::NotFound, 404, "no code with that id"),
        R::PasswordResetNotFound => (Code::NotFound, 404, "no password reset with that id"),
        R::SignOutUrlNotAllowed => (Code::InvalidArgument, 400, "the page is not one of the project's sign_out_urls"),
        R::EventCursorExpired => {
            (Code::OutOfRange, 410, "what follows the cursor is not kept any more; begin again without one")
        }
        R::Overloaded => (Code::ResourceExhausted, 429, "the server has too much to do; come back a little later"),
        R::DeadlineExceeded => (Code::DeadlineExceeded, 504, "the deadline of the call passed"),
        R::Unavailable => (Code::Unavailable, 503, "the database does not answer, or the server stops; try again"),
        R::Internal | R::Unspecified => {
            (Code::Internal, 500, "internal error; the log has the cause under the request id")
        }
    };
    WireError { code, http_status, message }
}

/// The name of a gRPC code, as in the specification, for metrics and logs.
pub const fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// The code of an answer, if it stands in these headers or trailers.
pub fn code(headers: &http::HeaderMap) -> Option<Code> {
    headers.get("grpc-status").map(|value| Code::from_bytes(value.as_bytes()))
}

/// True for answers that tell what the call did, or what kept it from being done: successes, and refusals by what there is. Whether a
/// secret was right, a caller may call and a field is fine is judged anew each time: the answer may be about that moment only (a
/// sign-in that is slowed down is refused like a wrong one), and to find it out costs nothing that must not be done twice.
pub const fn is_final(code: Code) -> bool {
    match code {
        Code::Ok | Code::NotFound | Code::AlreadyExists | Code::FailedPrecondition => true,
        Code::Aborted
        | Code::Cancelled
        | Code::DataLoss
        | Code::DeadlineExceeded
        | Code::Internal
        | Code::InvalidArgument
        | Code::OutOfRange
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::Unauthenticated
        | Code::Unavailable
        | Code::Unimplemented
        | Code::Unknown => false,
    }
}

/// True for the answer of a call that did what it was asked for.
pub const fn is_success(code: Code) -> bool {
    matches!(code, Code::Ok)
}

/// Why tonic itself refused a call, if it did: it could not read the request. Its own refusals carry no details, unlike ours.
pub fn unreadable(headers: &http::HeaderMap) -> Option<&'static str> {
    if headers.contains_key("grpc-status-details-bin") {
        return None;
    }
    match Code::from_bytes(headers.get("grpc-status")?.as_bytes()) {
        Code::Internal => Some("the request is not a message of this RPC"),
        Code::OutOfRange => Some("the request is larger than this server takes"),
        _ => None,
    }
}

/// The answer to a call of something that is not there.
pub fn unknown_path() -> tonic::Status {
    tonic::Status::unimplemented("there is no such RPC")
}

/// The outcome of a call, from its headers: the reason of a failure if it is one of ours, else the name of its code. A call
/// without a `grpc-status` has succeeded so far.
pub fn outcome(headers: &http::HeaderMap) -> &'static str {
    let Some(status) = tonic::Status::from_header_map(headers) else { return code_name(Code::Ok) };
    let info = status.get_details_error_info().filter(|info| info.domain == ERROR_DOMAIN);
    let reason = info.and_then(|info| ErrorReason::from_str_name(&format!("ERROR_REASON_{}", info.reason)));
    reason.map_or_else(|| code_name(status.code()), ErrorReason::wire_name)
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use tonic::Status;
    use tonic_types::ErrorDetails;

    use super::*;

    fn outcome_of(status: &Status) -> &'static str {
        let mut headers = HeaderMap::new();
        status.add_header(&mut headers).unwrap();
        outcome(&headers)
    }

    #[test]
    fn the_outcome_of_a_failure_is_its_reason_and_without_one_of_ours_its_code() {
        let with = |reason: &str, domain: &str| {
            let details = ErrorDetails::with_error_info(reason, domain, []);
            Status::with_error_details(Code::Unauthenticated, "", details)
        };
        assert_eq!(outcome(&HeaderMap::new()), "OK");
        assert_eq!(outcome_of(&with("INVALID_CREDENTIALS", ERROR_DOMAIN)), "INVALID_CREDENTIALS");
        assert_eq!(outcome_of(&with("MADE_UP", ERROR_DOMAIN)), "UNAUTHENTICATED");
        assert_eq!(outcome_of(&with("INVALID_CREDENTIALS", "elsewhere.example")), "UNAUTHENTICATED");
        assert_eq!(outcome_of(&unknown_path()), "UNIMPLEMENTED");
    }
}
