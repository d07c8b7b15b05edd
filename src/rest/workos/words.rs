//! The error table of `WorkOS` (contract section 7): which status and which words a refusal of the API gets, and where.

use http::{Method, StatusCode};

use crate::{proto::ErrorReason, rest::incoming::Head};

/// Where a refusal is told, as far as it makes a difference.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Place {
    Authenticate,
    ConfirmCode,
    ConfirmReset,
    CreateUser,
    UpdateUser,
    /// Anywhere else.
    Other,
}

/// The family of a body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Form {
    /// `code` and `message`.
    Plain,
    /// `error` and `error_description` (RFC 6749, section 5.2).
    Oauth,
    /// `message` alone.
    Bare,
    /// Something that is not there; the message is its kind.
    NotFound,
}

/// What is said. `{}` in a message stands for what the request was about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words {
    pub(super) status: StatusCode,
    pub(super) form: Form,
    pub(super) code: &'static str,
    pub(super) message: &'static str,
}

impl Place {
    pub(super) fn of(head: &Head) -> Self {
        let path = head.path.as_str();
        match head.method {
            Method::POST if path == "/user_management/authenticate" => Self::Authenticate,
            Method::POST if path == "/user_management/users" => Self::CreateUser,
            Method::POST if path == "/user_management/password_reset/confirm" => Self::ConfirmReset,
            Method::POST if path.ends_with("/email_verification/confirm") => Self::ConfirmCode,
            Method::PUT => Self::UpdateUser,
            _ => Self::Other,
        }
    }
}

const fn plain(status: StatusCode, code: &'static str, message: &'static str) -> Words {
    Words { status, form: Form::Plain, code, message }
}

const fn oauth(code: &'static str, message: &'static str) -> Words {
    Words { status: StatusCode::BAD_REQUEST, form: Form::Oauth, code, message }
}

const fn bare(status: StatusCode, message: &'static str) -> Words {
    Words { status, form: Form::Bare, code: "", message }
}

const fn not_found(kind: &'static str) -> Words {
    Words { status: StatusCode::NOT_FOUND, form: Form::NotFound, code: "entity_not_found", message: kind }
}

/// How a refusal reads at a place.
pub(super) fn words(place: Place, reason: ErrorReason) -> Words {
    at_place(place, reason).unwrap_or_else(|| anywhere(reason))
}

/// Where one reason reads differently than elsewhere.
fn at_place(place: Place, reason: ErrorReason) -> Option<Words> {
    use ErrorReason as R;
    use Place as P;
    const BAD: StatusCode = StatusCode::BAD_REQUEST;
    Some(match (place, reason) {
        (P::Authenticate, R::CallerUnauthenticated) => oauth("invalid_client", "Invalid client ID or client secret."),
        (P::Authenticate, R::CallerNotPermitted) => {
            oauth("unauthorized_client", "This grant needs the client's secret, the API key.")
        }
        (P::Authenticate, R::IdempotencyKeyReused) => {
            oauth("invalid_request", "The Idempotency-Key was used for another request.")
        }
        (P::Authenticate, R::InvalidField | R::NotSupported) => oauth("invalid_request", "A parameter is not valid."),
        (P::CreateUser, R::IdentifierTaken) => plain(BAD, "user_creation_error", "Could not create user."),
        (P::ConfirmCode, R::CodeIncorrect) => {
            plain(BAD, "email_verification_code_incorrect", "The email verification code is incorrect.")
        }
        // A code that was guessed at too often is as dead as one that is too old.
        (P::ConfirmCode, R::CodeExpired | R::CodeAttemptsExhausted) => {
            plain(BAD, "email_verification_code_expired", "The email verification code has expired.")
        }
        (P::ConfirmCode, R::EmailAlreadyVerified) => {
            plain(BAD, "email_previously_verified", "The email address was verified before.")
        }
        (P::ConfirmReset, R::PasswordRejected) => plain(BAD, "password_reset_error", "Could not reset the password."),
        _ => return None,
    })
}

/// How a reason reads elsewhere.
fn anywhere(reason: ErrorReason) -> Words {
    use ErrorReason as R;
    use StatusCode as S;
    match reason {
        R::CallerUnauthenticated => bare(S::UNAUTHORIZED, "Unauthorized"),
        R::CallerNotPermitted => plain(S::FORBIDDEN, "forbidden", "This API key may not do that."),
        R::OriginNotAllowed => plain(S::FORBIDDEN, "origin_not_allowed", "The origin of the web page is not allowed."),
        R::InvalidField | R::NotSupported | R::SignOutUrlNotAllowed | R::ResourceNotAllowed | R::EventCursorExpired => {
            plain(S::UNPROCESSABLE_ENTITY, "invalid_request_parameters", "Validation failed")
        }
        R::IdempotencyKeyReused => plain(
            S::UNPROCESSABLE_ENTITY,
            "idempotency_key_reused",
            "The Idempotency-Key was used for another request.",
        ),
        // The libraries repeat a 429 by themselves, and then get the answer.
        R::IdempotentCallRunning => plain(
            S::TOO_MANY_REQUESTS,
            "rate_limit_exceeded",
            "The request with this Idempotency-Key is still running.",
        ),
        R::CodeSentRecently | R::Overloaded => {
            plain(S::TOO_MANY_REQUESTS, "rate_limit_exceeded", "Too many requests. Try again later.")
        }
        R::DeadlineExceeded => plain(S::GATEWAY_TIMEOUT, "timeout", "The request took too long."),
        R::Unavailable => plain(S::SERVICE_UNAVAILABLE, "service_unavailable", "Try again later."),
        R::Internal | R::Unspecified => plain(
            S::INTERNAL_SERVER_ERROR,
            "internal_error",
            "Internal error. The log has the cause under the request id.",
        ),
        R::UserNotFound => not_found("User"),
        R::ProjectNotFound => not_found("Project"),
        R::ClientNotFound => not_found("Client"),
        R::ClientSecretNotFound => not_found("Client secret"),
        R::SessionNotFound => not_found("Session"),
        R::EmailVerificationNotFound => not_found("Email verification"),
        R::PasswordResetNotFound => not_found("Password reset"),
        other => about_sign_in(other),
    }
}

/// How a reason reads that is about signing in, codes, or passwords.
fn about_sign_in(reason: ErrorReason) -> Words {
    use ErrorReason as R;
    use StatusCode as S;
    const BAD: StatusCode = StatusCode::BAD_REQUEST;
    match reason {
        R::InvalidCredentials => plain(BAD, "invalid_credentials", "Invalid credentials for '{}'."),
        R::EmailVerificationRequired => plain(
            S::FORBIDDEN,
            "email_verification_required",
            "Email ownership must be verified before authentication.",
        ),
        R::PasswordChangeRequired => {
            plain(S::FORBIDDEN, "password_change_required", "The password must be changed before authentication.")
        }
        R::PendingAuthenticationInvalid => plain(
            BAD,
            "invalid_pending_authentication_token",
            "The pending authentication token is invalid, used or expired.",
        ),
        R::CodeIncorrect => plain(BAD, "invalid_one_time_code", "The one-time code is incorrect."),
        R::CodeExpired => plain(BAD, "one_time_code_expired", "The one-time code has expired."),
        R::CodeAttemptsExhausted => {
            plain(BAD, "one_time_code_too_many_attempts", "The one-time code was tried too often.")
        }
        R::TokenInvalid | R::SessionNotActive => oauth("invalid_grant", "Invalid refresh token."),
        R::RefreshTokenReused => oauth("invalid_grant", "Refresh token already exchanged."),
        R::InvitationInvalid => oauth("invitation_invalid", "The invitation token is not valid."),
        R::SignUpNotAllowed => oauth("sign_up_not_allowed", "Sign-up is not allowed."),
        R::PasswordResetInvalid => plain(S::NOT_FOUND, "entity_not_found", "Password reset token not found."),
        R::PasswordResetUrlNotAllowed => {
            plain(S::FORBIDDEN, "password_reset_not_allowed", "The project has no page for password resets.")
        }
        R::IdentifierTaken => plain(BAD, "email_not_available", "This email is not available."),
        R::PasswordRejected => plain(BAD, "password_strength_error", "Password does not meet strength requirements."),
        R::EmailAlreadyVerified => plain(BAD, "email_already_verified", "This email has already been verified."),
        R::EmailMissing => plain(BAD, "email_missing", "This user has no email address."),
        R::PasswordAlreadySet => plain(S::CONFLICT, "password_already_set", "This user has a password."),
        R::PasswordMissing => plain(S::CONFLICT, "password_missing", "This user has no password."),
        R::AuthenticationTooOld => plain(S::FORBIDDEN, "authentication_too_old", "Sign in again before this."),
        // Told by `anywhere`.
        _ => plain(S::INTERNAL_SERVER_ERROR, "internal_error", "Internal error."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACES: [Place; 6] = [
        Place::Authenticate,
        Place::ConfirmCode,
        Place::ConfirmReset,
        Place::CreateUser,
        Place::UpdateUser,
        Place::Other,
    ];

    fn reasons() -> impl Iterator<Item = ErrorReason> {
        (0..100).filter_map(|number| ErrorReason::try_from(number).ok())
    }

    #[test]
    fn only_what_is_our_fault_is_said_to_be() {
        for place in PLACES {
            for reason in reasons() {
                let ours = matches!(
                    reason,
                    ErrorReason::Internal
                        | ErrorReason::Unspecified
                        | ErrorReason::Unavailable
                        | ErrorReason::DeadlineExceeded
                );
                let words = words(place, reason);
                assert_eq!(words.status.is_server_error(), ours, "{reason:?} at {place:?}");
                assert!(ours || words.status.is_client_error(), "{reason:?} at {place:?}");
                assert!(
                    !words.message.is_empty() && (words.form == Form::Bare || !words.code.is_empty()),
                    "{reason:?}"
                );
            }
        }
    }

    #[test]
    fn a_sign_in_never_answers_that_the_api_key_is_wrong_by_a_401() {
        for reason in reasons() {
            assert_ne!(words(Place::Authenticate, reason).status, StatusCode::UNAUTHORIZED, "{reason:?}");
        }
    }
}
