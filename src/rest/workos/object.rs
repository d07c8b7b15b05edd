//! The objects of `WorkOS`, from the messages of the API (contract section 4). A member that may be null is always there.

use prost_types::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    proto::{self, AuthenticationMethod},
    rest::value::{object_of, rfc3339_millis},
};

/// A person.
#[derive(Serialize)]
pub(super) struct User {
    object: &'static str,
    pub(super) id: String,
    pub(super) email: String,
    pub(super) email_verified: bool,
    first_name: Option<String>,
    last_name: Option<String>,
    name: Option<String>,
    profile_picture_url: Option<String>,
    external_id: Option<String>,
    last_sign_in_at: Option<String>,
    locale: Option<String>,
    metadata: Map<String, Value>,
    created_at: String,
    updated_at: String,
}

/// `{"user": {...}}`.
#[derive(Serialize)]
pub(super) struct Envelope {
    user: User,
}

/// A session.
#[derive(Serialize)]
pub(super) struct Session {
    object: &'static str,
    pub(super) id: String,
    user_id: String,
    ip_address: Option<String>,
    user_agent: Option<String>,
    auth_method: &'static str,
    status: &'static str,
    expires_at: String,
    ended_at: Option<String>,
    created_at: String,
    updated_at: String,
}

/// A code on its way.
#[derive(Serialize)]
pub(super) struct EmailVerification {
    object: &'static str,
    id: String,
    user_id: String,
    email: String,
    expires_at: String,
    code: String,
    created_at: String,
    updated_at: String,
}

/// A password reset on its way.
#[derive(Serialize)]
pub(super) struct PasswordReset {
    object: &'static str,
    id: String,
    user_id: String,
    email: String,
    #[serde(rename = "password_reset_token")]
    token: String,
    #[serde(rename = "password_reset_url")]
    url: String,
    expires_at: String,
    created_at: String,
}

/// The answer to a sign-in or a refresh.
#[derive(Serialize)]
pub(super) struct Authenticated {
    user: User,
    access_token: String,
    refresh_token: String,
    authentication_method: &'static str,
}

impl From<proto::User> for User {
    fn from(user: proto::User) -> Self {
        Self {
            object: "user",
            id: user.user_id,
            // Everybody has one there; the client libraries cannot read a user without.
            email: user.email.unwrap_or_default(),
            email_verified: user.email_verified,
            first_name: user.given_name,
            last_name: user.family_name,
            name: user.display_name,
            profile_picture_url: user.picture_url,
            external_id: user.external_id,
            last_sign_in_at: user.last_signed_in_at.as_ref().map(rfc3339_millis),
            locale: user.locale,
            metadata: object_of(user.metadata.as_ref())
                .into_iter()
                .map(|(name, value)| (name, text_of(value)))
                .collect(),
            created_at: time(user.created_at.as_ref()),
            updated_at: time(user.updated_at.as_ref()),
        }
    }
}

/// Values are strings there. What another API wrote otherwise is shown as JSON.
fn text_of(value: Value) -> Value {
    match value {
        Value::String(_) => value,
        other => Value::String(other.to_string()),
    }
}

impl From<Option<proto::User>> for Envelope {
    fn from(user: Option<proto::User>) -> Self {
        Self { user: user.unwrap_or_default().into() }
    }
}

impl From<proto::Session> for Session {
    fn from(session: proto::Session) -> Self {
        let auth_method = match first_factor(&session) {
            AuthenticationMethod::Password => "password",
            AuthenticationMethod::EmailCode => "magic_code",
            AuthenticationMethod::Unspecified => "unknown",
        };
        let context = session.client_context.unwrap_or_default();
        Self {
            object: "session",
            id: session.session_id,
            user_id: session.user_id,
            ip_address: Some(context.ip_address).filter(|text| !text.is_empty()),
            user_agent: Some(context.user_agent).filter(|text| !text.is_empty()),
            auth_method,
            // The API lists sessions that are live; one that it just ended says so.
            status: if session.revoked_at.is_some() { "revoked" } else { "active" },
            expires_at: time(session.expires_at.as_ref()),
            ended_at: session.revoked_at.as_ref().map(rfc3339_millis),
            created_at: time(session.created_at.as_ref()),
            updated_at: time(session.last_used_at.as_ref().or(session.created_at.as_ref())),
        }
    }
}

impl From<proto::EmailVerification> for EmailVerification {
    fn from(verification: proto::EmailVerification) -> Self {
        let created_at = time(verification.created_at.as_ref());
        Self {
            object: "email_verification",
            id: verification.email_verification_id,
            user_id: verification.user_id,
            email: verification.email,
            expires_at: time(verification.expires_at.as_ref()),
            code: verification.code,
            updated_at: created_at.clone(),
            created_at,
        }
    }
}

impl From<proto::PasswordReset> for PasswordReset {
    fn from(reset: proto::PasswordReset) -> Self {
        Self {
            object: "password_reset",
            id: reset.password_reset_id,
            user_id: reset.user_id,
            email: reset.email,
            token: reset.password_reset_token,
            url: reset.password_reset_url,
            expires_at: time(reset.expires_at.as_ref()),
            created_at: time(reset.created_at.as_ref()),
        }
    }
}

impl Authenticated {
    /// From the three parts of an answer, which are there whenever a session is.
    pub(super) fn new(
        user: Option<proto::User>,
        session: Option<&proto::Session>,
        tokens: Option<proto::TokenSet>,
    ) -> Self {
        let authentication_method = match session.map_or(AuthenticationMethod::Unspecified, first_factor) {
            AuthenticationMethod::EmailCode => "MagicAuth",
            AuthenticationMethod::Password | AuthenticationMethod::Unspecified => "Password",
        };
        let tokens = tokens.unwrap_or_default();
        Self {
            user: user.unwrap_or_default().into(),
            access_token: tokens.access_token,
            refresh_token: tokens.refresh_token,
            authentication_method,
        }
    }
}

/// What the sign-in began with: later steps do not change what a session is called by.
fn first_factor(session: &proto::Session) -> AuthenticationMethod {
    session.authentication_methods().next().unwrap_or(AuthenticationMethod::Unspecified)
}

fn time(time: Option<&Timestamp>) -> String {
    time.map(rfc3339_millis).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::rest::value::struct_of;

    #[test]
    fn every_member_of_a_user_is_there_and_metadata_holds_strings() {
        let Value::Object(metadata) = json!({"plan": "pro", "seats": 5, "flags": ["a"]}) else {
            unreachable!("an object")
        };
        let user = proto::User { metadata: Some(struct_of(&metadata)), ..Default::default() };
        let shown = serde_json::to_value(User::from(user)).unwrap();
        for name in
            ["first_name", "last_name", "name", "profile_picture_url", "external_id", "last_sign_in_at", "locale"]
        {
            assert_eq!(shown.get(name), Some(&Value::Null), "{name}");
        }
        assert_eq!(shown["metadata"], json!({"plan": "pro", "seats": "5", "flags": "[\"a\"]"}));
        assert_eq!(serde_json::to_value(User::from(proto::User::default())).unwrap()["metadata"], json!({}));
    }

    #[test]
    fn a_session_is_called_by_its_first_factor() {
        let with = |methods: &[AuthenticationMethod]| proto::Session {
            authentication_methods: methods.iter().map(|method| (*method).into()).collect(),
            ..Default::default()
        };
        let table: [(&[AuthenticationMethod], &str, &str); 3] = [
            (&[AuthenticationMethod::Password, AuthenticationMethod::EmailCode], "password", "Password"),
            (&[AuthenticationMethod::EmailCode], "magic_code", "MagicAuth"),
            (&[], "unknown", "Password"),
        ];
        for (methods, listed, answered) in table {
            assert_eq!(Authenticated::new(None, Some(&with(methods)), None).authentication_method, answered);
            assert_eq!(Session::from(with(methods)).auth_method, listed);
        }
    }
}
