//! Refusals in the words of Transmit Security (contract, sections 3.3 and 7). The vendor has several forms of error bodies, and which
//! one an endpoint uses is part of its contract.

use http::{StatusCode, header};
use serde_json::{Value, json};

use super::plain;
use crate::{
    error::wire,
    proto::ErrorReason as R,
    rest::{
        failure::{Failure, Refusal},
        incoming::Head,
        plain_status,
        reply::Reply,
    },
};

/// The forms of error bodies that are in use.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Form {
    /// E1: a message, and the status as a number.
    Classic,
    /// E2: a code that is a word, and a message.
    Coded,
    /// E5: as RFC 6749 has it, with the members of E1 beside it.
    OAuth,
}

fn form_of(path: &str) -> Form {
    let path = plain(path);
    if path.starts_with("/oidc/") {
        Form::OAuth
    } else if path == "/v1/auth/password/authenticate"
        || (path.starts_with("/v1/users/") && path.ends_with("/password"))
    {
        Form::Coded
    } else {
        Form::Classic
    }
}

/// What is said, in every form's words.
struct Said {
    status: StatusCode,
    /// The code of form E2.
    code: &'static str,
    /// The error of form E5.
    oauth: &'static str,
    message: String,
}

/// Puts a refusal into the words of the endpoint.
pub(super) fn refuse(head: &Head, refusal: Refusal) -> Reply {
    let failure = match refusal {
        Refusal::Said(reply) => return *reply,
        // Ids are opaque to clients: one that cannot be read is one that is not there.
        Refusal::Api(failure) if failure.names("user_id") && !head.parameter("user_id").is_empty() => {
            Box::new(Failure::of(R::UserNotFound))
        }
        Refusal::Api(failure) => failure,
        other => return unread(head, &other),
    };
    if failure.reason == R::PasswordChangeRequired {
        return password_change(&failure);
    }
    let form = form_of(&head.path);
    let mut said = said(&failure, form);
    // On the JSON call a bad refresh token is a bad request; elsewhere a bad token is a bad credential.
    if plain(&head.path) == "/v1/auth/token/refresh" && is_bad_refresh_token(failure.reason) {
        said = Said { status: StatusCode::BAD_REQUEST, message: "Invalid refresh token".into(), ..said };
    }
    if plain(&head.path) == "/oidc/token" {
        said.status = of_token_endpoint(said.status);
    }
    let mut reply = written(&said, form, &failure);
    if said.status == StatusCode::UNAUTHORIZED {
        reply = reply.with(header::WWW_AUTHENTICATE, challenge(head, form));
    }
    if let Some(seconds) = failure.retry_after_seconds() {
        reply = reply.with(header::RETRY_AFTER, &seconds.to_string());
    }
    reply
}

/// A client is told 400 or 401 there and nothing else (RFC 6749, section 5.2), but when to come back.
fn of_token_endpoint(status: StatusCode) -> StatusCode {
    let stays = status.is_server_error() || [StatusCode::UNAUTHORIZED, StatusCode::TOO_MANY_REQUESTS].contains(&status);
    if stays { status } else { StatusCode::BAD_REQUEST }
}

const fn is_bad_refresh_token(reason: R) -> bool {
    matches!(reason, R::TokenInvalid | R::SessionNotActive | R::RefreshTokenReused)
}

fn challenge(head: &Head, form: Form) -> &'static str {
    if form == Form::OAuth && plain(&head.path) == "/oidc/token" {
        "Basic realm=\"signet\""
    } else {
        "Bearer error=\"invalid_token\""
    }
}

/// The status, code and message for a failure.
fn said(failure: &Failure, form: Form) -> Said {
    let wire = wire(failure.reason);
    let status = StatusCode::from_u16(wire.http_status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let bad = StatusCode::BAD_REQUEST;
    let (status, code, oauth, message) = match failure.reason {
        // Without a secret the API takes the call for one of a public client, which has no tokens of its own.
        R::CallerUnauthenticated | R::CallerNotPermitted if form == Form::OAuth => {
            (StatusCode::UNAUTHORIZED, "", "invalid_client", "Client authentication failed".to_owned())
        }
        R::TokenInvalid | R::SessionNotActive | R::RefreshTokenReused if form == Form::OAuth => {
            (bad, "", "invalid_grant", "The token is not valid".to_owned())
        }
        R::CallerUnauthenticated | R::TokenInvalid => {
            (StatusCode::UNAUTHORIZED, "", "invalid_token", "Invalid token".to_owned())
        }
        R::SessionNotActive | R::SessionNotFound => (bad, "", "invalid_grant", "Session not found".to_owned()),
        R::InvalidCredentials => (bad, "auth_invalid_credentials", "invalid_grant", "Invalid credentials".to_owned()),
        R::ResourceNotAllowed => (bad, "system_invalid_input", "invalid_target", failure.message.clone()),
        R::InvalidField | R::NotSupported | R::InvitationInvalid => {
            (bad, "system_invalid_input", "invalid_request", failure.message.clone())
        }
        R::PasswordRejected => (bad, "auth_password_weak", "invalid_request", failure.message.clone()),
        // The vendor's own code for both, though its text says the opposite of the second (contract, section 4.1).
        R::PasswordAlreadySet | R::PasswordMissing => {
            (StatusCode::CONFLICT, "auth_password_already_configured", "invalid_request", failure.message.clone())
        }
        R::UserNotFound => (status, "user_not_found", "invalid_request", "User not found".to_owned()),
        R::CallerNotPermitted | R::OriginNotAllowed => (status, "", "unauthorized_client", failure.message.clone()),
        R::Overloaded | R::CodeSentRecently | R::CodeAttemptsExhausted => {
            (StatusCode::TOO_MANY_REQUESTS, "", "temporarily_unavailable", "Too many requests".to_owned())
        }
        R::Unavailable => (status, "", "temporarily_unavailable", wire.message.to_owned()),
        _ if status.is_server_error() => (status, "", "server_error", wire.message.to_owned()),
        _ => (status, "", "invalid_request", failure.message.clone()),
    };
    Said { status, code, oauth, message: in_vendor_words(message) }
}

/// Names of fields as the vendor's documents have them.
fn in_vendor_words(message: String) -> String {
    ["client_context.", "token_options."]
        .into_iter()
        .fold(message, |message, prefix| message.replace(prefix, ""))
        .replace("organization_id", "org_id")
        .replace("external_id", "external_user_id")
}

fn written(said: &Said, form: Form, failure: &Failure) -> Reply {
    let number = said.status.as_u16();
    let body = match form {
        Form::OAuth => oauth_body(said.oauth, &said.message, number),
        Form::Coded if !said.code.is_empty() => json!({ "error_code": said.code, "message": said.message }),
        Form::Classic if failure.reason == R::IdentifierTaken => {
            json!({ "message": said.message, "error_code": number, "ts_error_code": "user_already_exists" })
        }
        // Of a field that is wrong the message is a list (contract, section 7).
        Form::Classic if said.status == StatusCode::BAD_REQUEST && !failure.violations.is_empty() => {
            let words = |(field, problem): &(String, String)| in_vendor_words(format!("{field} {problem}"));
            let messages: Vec<String> = failure.violations.iter().map(words).collect();
            json!({ "message": messages, "error_code": number })
        }
        Form::Coded | Form::Classic => json!({ "message": said.message, "error_code": number }),
    };
    Reply::json(said.status, &body)
}

/// E5 with the members of E1, so that both kinds of reader work.
fn oauth_body(error: &str, description: &str, status: u16) -> Value {
    json!({ "error": error, "error_description": description, "message": description, "error_code": status })
}

/// E6: the password was right, but is temporary.
fn password_change(failure: &Failure) -> Reply {
    let token = failure.pending.as_ref().map(|pending| pending.pending_authentication_token.as_str());
    let body = json!({ "message": "temporary_password", "error_code": 403, "reset_token": token });
    Reply::json(StatusCode::FORBIDDEN, &body)
}

/// A request that never reached the API.
fn unread(head: &Head, refusal: &Refusal) -> Reply {
    let status = plain_status(refusal);
    let message = match refusal {
        Refusal::Body(why) => format!("the body cannot be read: {why}"),
        Refusal::BodyTooLarge => "the body is larger than this server takes".to_owned(),
        Refusal::MethodNotAllowed => "this path takes another method".to_owned(),
        Refusal::NotFound => "there is nothing at this path".to_owned(),
        Refusal::Api(_) | Refusal::Internal | Refusal::Said(_) => wire(R::Internal).message.to_owned(),
    };
    let number = status.as_u16();
    let body = match form_of(&head.path) {
        Form::OAuth => {
            let error = if status.is_server_error() { "server_error" } else { "invalid_request" };
            oauth_body(error, &message, number)
        }
        Form::Coded if status == StatusCode::BAD_REQUEST => {
            json!({ "error_code": "system_invalid_input", "message": message })
        }
        Form::Classic if status == StatusCode::BAD_REQUEST => json!({ "message": [message], "error_code": number }),
        Form::Coded | Form::Classic => json!({ "message": message, "error_code": number }),
    };
    Reply::json(status, &body)
}

/// The refusal of a field that the API does not know of.
pub(super) fn field(head: &Head, field: &str, problem: &str) -> Refusal {
    refuse(head, Refusal::Body(format!("{field} {problem}"))).into()
}

/// The refusal of an OAuth request (RFC 6749, section 5.2).
pub(super) fn oauth(error: &str, description: &str) -> Refusal {
    let status = StatusCode::BAD_REQUEST;
    Reply::json(status, &oauth_body(error, description, status.as_u16())).into()
}
