//! Refusals as bodies (contract section 7): never empty, always an object, in one of two families.

use http::{StatusCode, header};
use serde_json::{Map, Value, json};

use super::words::{Form, Place, Words, words};
use crate::{
    proto::{ErrorReason, PendingAuthentication},
    rest::{
        failure::{Failure, Refusal},
        incoming::Head,
        plain_status,
        reply::Reply,
    },
};

/// What a field of the API is called here.
const NAMES: [(&str, &str); 11] = [
    ("given_name", "first_name"),
    ("family_name", "last_name"),
    ("display_name", "name"),
    ("page_size", "limit"),
    ("after_user_id", "after"),
    ("before_user_id", "before"),
    ("after_session_id", "after"),
    ("before_session_id", "before"),
    ("metadata_merge", "metadata"),
    ("password_reset_token", "token"),
    // What a new password is held against. Of these the caller gives the address.
    ("identifiers", "email"),
];

/// Fields that hold the id of what a call is about: one that cannot be read is an object that is not there (contract section 3).
const IDS: [(&str, ErrorReason); 6] = [
    ("user_id", ErrorReason::UserNotFound),
    ("session_id", ErrorReason::SessionNotFound),
    ("email_verification_id", ErrorReason::EmailVerificationNotFound),
    ("password_reset_id", ErrorReason::PasswordResetNotFound),
    ("client_id", ErrorReason::ClientNotFound),
    ("project_id", ErrorReason::ClientNotFound),
];

/// A refusal in the words of `WorkOS`.
pub(super) fn refuse(head: &Head, refusal: Refusal) -> Reply {
    let status = plain_status(&refusal);
    match refusal {
        Refusal::Said(reply) => *reply,
        Refusal::Api(failure) => {
            let subject = head.parameters.first().map_or("", |(_, value)| value.as_str());
            told(Place::of(head), subject, &failure)
        }
        Refusal::Body(why) if Place::of(head) == Place::Authenticate => {
            oauth_body(StatusCode::BAD_REQUEST, "invalid_request", &why)
        }
        Refusal::Body(why) => invalid_body("body_invalid", &why),
        Refusal::BodyTooLarge => plain_body(status, "body_too_large", "The body is larger than this server takes."),
        Refusal::Internal => {
            plain_body(status, "internal_error", "Internal error. The log has the cause under the request id.")
        }
        Refusal::MethodNotAllowed => plain_body(status, "method_not_allowed", "This path takes another method."),
        Refusal::NotFound => plain_body(status, "not_found", "There is nothing at this path."),
    }
}

/// Turns the refusal of a call into words about `subject`, which is not in the path.
pub(super) fn about<'a>(head: &'a Head, subject: &'a str) -> impl Fn(tonic::Status) -> Refusal + 'a {
    move |status| told(Place::of(head), subject, &status.into()).into()
}

/// A field that is wrong in itself.
pub(super) fn invalid(code: &str, message: &str) -> Refusal {
    invalid_body(code, message).into()
}

/// A refusal of the family `code` and `message`.
pub(super) fn plain(status: StatusCode, code: &str, message: &str) -> Refusal {
    plain_body(status, code, message).into()
}

/// A refusal of the family `error` and `error_description`.
pub(super) fn oauth(code: &str, description: &str) -> Refusal {
    oauth_body(StatusCode::BAD_REQUEST, code, description).into()
}

/// An object that is not there.
pub(super) fn no_user(subject: &str) -> Refusal {
    body(&words(Place::Other, ErrorReason::UserNotFound), subject, Map::new()).into()
}

/// The rules that a password breaks, as the API names them.
pub(super) fn weak_password<'a>(rules: impl Iterator<Item = &'a str>, length_min: Option<u64>) -> Refusal {
    let words = words(Place::Other, ErrorReason::PasswordRejected);
    body(&words, "", Map::from_iter([errors(weaknesses(rules, length_min))])).into()
}

fn told(place: Place, subject: &str, failure: &Failure) -> Reply {
    let reason = reason_of(place, failure);
    let mut words = words(place, reason);
    if place == Place::UpdateUser {
        words = of_a_field(words, reason, failure);
    }
    let reply = body(&words, subject, extras(place, reason, failure));
    match failure.retry_after_seconds() {
        Some(seconds) => reply.with(header::RETRY_AFTER, &seconds.to_string()),
        None => reply,
    }
}

/// The reason as this dialect tells it.
fn reason_of(place: Place, failure: &Failure) -> ErrorReason {
    let id = |field: &str| match field {
        // Where it is not written, it is looked for.
        "external_id" if place == Place::Other => Some(ErrorReason::UserNotFound),
        _ => IDS.iter().find(|(name, _)| *name == field).map(|(_, reason)| *reason),
    };
    match failure.reason {
        // Slowed down, not dead.
        ErrorReason::CodeAttemptsExhausted if failure.retry_after.is_some() => ErrorReason::CodeSentRecently,
        ErrorReason::InvalidField if place != Place::Authenticate => match failure.violations.as_slice() {
            [(field, _)] => id(field).unwrap_or(ErrorReason::InvalidField),
            _ => ErrorReason::InvalidField,
        },
        other => other,
    }
}

/// An update has a code of its own for some fields.
fn of_a_field(words: Words, reason: ErrorReason, failure: &Failure) -> Words {
    let is_about = |name: &str| failure.violations.iter().any(|(field, _)| wire_name(field) == name);
    let (code, message) = match reason {
        ErrorReason::IdentifierTaken if is_about("external_id") => {
            ("external_id_already_used", "This external ID is already used.")
        }
        ErrorReason::InvalidField if is_about("email") => ("invalid_email", "The email address is not valid."),
        ErrorReason::InvalidField if is_about("locale") => ("invalid_locale", "The locale is not valid."),
        _ => return words,
    };
    Words { status: StatusCode::BAD_REQUEST, code, message, ..words }
}

/// What a body holds beyond code and message.
fn extras(place: Place, reason: ErrorReason, failure: &Failure) -> Map<String, Value> {
    let mut extras = Map::new();
    match reason {
        ErrorReason::EmailVerificationRequired | ErrorReason::PasswordChangeRequired => {
            if let Some(pending) = &failure.pending {
                extras.extend(pending_members(pending));
            }
        }
        ErrorReason::PasswordRejected => {
            let rules = failure.metadata.get("rules").map_or("", String::as_str);
            let length_min = failure.metadata.get("length_min").and_then(|text| text.parse().ok());
            let rules = rules.split(',').map(str::trim).filter(|rule| !rule.is_empty());
            extras.extend([errors(weaknesses(rules, length_min))]);
        }
        ErrorReason::IdentifierTaken if place == Place::CreateUser => {
            let taken = failure.violations.iter().map(|(field, _)| match wire_name(field) {
                "external_id" => {
                    json!({ "code": "external_id_already_used", "message": "This external ID is already used." })
                }
                _ => json!({ "code": "email_not_available", "message": "This email is not available." }),
            });
            extras.extend([errors(taken.collect())]);
        }
        ErrorReason::SignOutUrlNotAllowed => {
            let message = "return_to is not one of the pages that are allowed.";
            extras.extend([errors(vec![json!({ "code": "return_to_invalid", "message": message })])]);
        }
        ErrorReason::InvalidField | ErrorReason::NotSupported | ErrorReason::ResourceNotAllowed => {
            let wrong = failure.violations.iter().map(|(field, description)| {
                let name = wire_name(field);
                json!({ "code": format!("{name}_invalid"), "message": format!("{name} {description}") })
            });
            extras.extend([errors(wrong.collect())]);
        }
        _ => {}
    }
    extras
}

fn pending_members(pending: &PendingAuthentication) -> Map<String, Value> {
    let email = pending.user.as_ref().map_or("", |user| user.email.as_str());
    let members = [
        ("pending_authentication_token", pending.pending_authentication_token.as_str()),
        ("email", email),
        ("email_verification_id", pending.email_verification_id.as_str()),
    ];
    // What the step does not have is absent.
    let present = members.into_iter().filter(|(_, text)| !text.is_empty());
    present.map(|(name, text)| (name.to_owned(), text.into())).collect()
}

fn errors(errors: Vec<Value>) -> (String, Value) {
    ("errors".to_owned(), errors.into())
}

fn weaknesses<'a>(rules: impl Iterator<Item = &'a str>, length_min: Option<u64>) -> Vec<Value> {
    let weakness = |rule| match rule {
        "TOO_SHORT" => {
            let length = length_min.unwrap_or(1);
            let message = format!("Password must be at least {length} characters in length.");
            json!({ "code": "password_too_short", "minimum_length": length, "message": message })
        }
        "TOO_LONG" => json!({ "code": "password_too_long", "message": "Password is too long." }),
        "TOO_COMMON" => json!({
            "code": "password_too_weak",
            "message": "Password is one of the most common.",
            "suggestions": ["Add another word or two. Uncommon words are better."],
        }),
        "RESEMBLES_IDENTIFIER" => json!({
            "code": "password_too_weak",
            "message": "Password is too similar to the email address.",
            "suggestions": ["Avoid your own name and address."],
        }),
        _ => json!({ "code": "password_too_weak", "message": "Password is too weak.", "suggestions": [] }),
    };
    rules.map(weakness).collect()
}

/// The name of a field here, from its path in the API.
fn wire_name(field: &str) -> &str {
    let name = field.rsplit('.').next().unwrap_or(field);
    NAMES.iter().find(|(theirs, _)| *theirs == name).map_or(name, |(_, ours)| ours)
}

fn body(words: &Words, subject: &str, extras: Map<String, Value>) -> Reply {
    let message = words.message.replace("{}", subject);
    let mut members = match words.form {
        Form::Plain => json!({ "code": words.code, "message": message }),
        Form::Oauth => json!({ "error": words.code, "error_description": message }),
        Form::Bare => json!({ "message": message }),
        Form::NotFound => {
            let message = format!("{message} not found: '{subject}'.");
            json!({ "code": words.code, "message": message, "entity_id": subject })
        }
    };
    if let Value::Object(members) = &mut members {
        members.extend(extras);
    }
    Reply::json(words.status, &members)
}

fn plain_body(status: StatusCode, code: &str, message: &str) -> Reply {
    Reply::json(status, &json!({ "code": code, "message": message }))
}

fn oauth_body(status: StatusCode, code: &str, description: &str) -> Reply {
    Reply::json(status, &json!({ "error": code, "error_description": description }))
}

fn invalid_body(code: &str, message: &str) -> Reply {
    let errors = [json!({ "code": code, "message": message })];
    let body = json!({ "code": "invalid_request_parameters", "message": "Validation failed", "errors": errors });
    Reply::json(StatusCode::UNPROCESSABLE_ENTITY, &body)
}
