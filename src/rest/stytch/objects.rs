//! Users and sessions in the shapes of Stytch (contract, section 3).
#![expect(clippy::struct_field_names, reason = "the vendor's names")]

use prost_types::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    id_form, proto,
    rest::value::{object_of, rfc3339_seconds},
};

/// What this service keeps none of. The client libraries want the lists nevertheless.
type Empty = [(); 0];

/// The role that every user has.
const ROLES: [&str; 1] = ["stytch_user"];

/// An id of the API in the form of Stytch.
pub(super) fn id(kind: &str, text: &str) -> String {
    // Both begin with the same word.
    id_form::parse_canonical(kind, text).map_or_else(String::new, |id| id_form::stytch(kind, id))
}

/// The UUID behind the id of a user, from which the ids of what belongs to them follow: each user has one of each kind.
fn uuid_of(user: &proto::User) -> Uuid {
    id_form::parse_canonical("user", &user.user_id).unwrap_or_default()
}

/// Id of a user's email address.
pub(super) fn email_id(user_id: &str) -> String {
    id_form::parse_canonical("user", user_id).map_or_else(String::new, |id| id_form::stytch("email", id))
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Email {
    pub(super) email_id: String,
    email: String,
    verified: bool,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct PhoneNumber {
    pub(super) phone_id: String,
    phone_number: String,
    verified: bool,
}

#[derive(Clone, Debug, Serialize)]
struct Name {
    first_name: String,
    middle_name: String,
    last_name: String,
}

#[derive(Clone, Debug, Serialize)]
struct Password {
    password_id: String,
    requires_reset: bool,
}

/// A user.
#[derive(Clone, Debug, Serialize)]
pub(super) struct User {
    pub(super) user_id: String,
    pub(super) status: &'static str,
    pub(super) emails: Vec<Email>,
    name: Name,
    password: Option<Password>,
    pub(super) phone_numbers: Vec<PhoneNumber>,
    webauthn_registrations: Empty,
    providers: Empty,
    totps: Empty,
    pub(super) crypto_wallets: Empty,
    biometric_registrations: Empty,
    is_locked: bool,
    lock_created_at: Option<String>,
    lock_expires_at: Option<String>,
    roles: [&'static str; 1],
    external_id: Option<String>,
    trusted_metadata: Map<String, Value>,
    untrusted_metadata: Map<String, Value>,
    created_at: Option<String>,
}

impl From<&proto::User> for User {
    fn from(user: &proto::User) -> Self {
        let uuid = uuid_of(user);
        let email = user.email.clone().map(|email| Email {
            email_id: id_form::stytch("email", uuid),
            email,
            verified: user.email_verified,
        });
        let phone_number = user.phone_number.clone().map(|phone_number| PhoneNumber {
            phone_id: id_form::stytch("phone-number", uuid),
            phone_number,
            verified: user.phone_number_verified,
        });
        let password =
            Password { password_id: id_form::stytch("password", uuid), requires_reset: user.password_must_change };
        Self {
            user_id: id("user", &user.user_id),
            status: "active",
            emails: email.into_iter().collect(),
            name: Name {
                first_name: user.given_name.clone().unwrap_or_default(),
                middle_name: user.middle_name.clone().unwrap_or_default(),
                last_name: user.family_name.clone().unwrap_or_default(),
            },
            password: user.has_password.then_some(password),
            phone_numbers: phone_number.into_iter().collect(),
            webauthn_registrations: [],
            providers: [],
            totps: [],
            crypto_wallets: [],
            biometric_registrations: [],
            // The vendor has no users who are disabled for good; being locked comes closest.
            is_locked: user.status() == proto::UserStatus::Disabled,
            lock_created_at: None,
            lock_expires_at: None,
            roles: ROLES,
            external_id: user.external_id.clone(),
            trusted_metadata: object_of(user.metadata.as_ref()),
            untrusted_metadata: object_of(user.untrusted_metadata.as_ref()),
            created_at: user.created_at.as_ref().map(rfc3339_seconds),
        }
    }
}

#[derive(Clone, Debug, Serialize)]
struct Attributes {
    ip_address: String,
    user_agent: String,
}

#[derive(Clone, Debug, Serialize)]
struct EmailFactor {
    email_id: String,
    email_address: String,
}

/// How the user has proved who they are.
#[derive(Clone, Debug, Serialize)]
struct Factor {
    r#type: &'static str,
    delivery_method: &'static str,
    last_authenticated_at: Option<String>,
    created_at: Option<String>,
    updated_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email_factor: Option<EmailFactor>,
}

/// A session.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Session {
    session_id: String,
    user_id: String,
    started_at: Option<String>,
    last_accessed_at: Option<String>,
    expires_at: Option<String>,
    attributes: Attributes,
    authentication_factors: Vec<Factor>,
    roles: [&'static str; 1],
    custom_claims: Map<String, Value>,
}

/// When a session ends unless it is used or extended. Never after its last end.
pub(super) fn end_of(session: &proto::Session) -> Option<&Timestamp> {
    session.idle_expires_at.as_ref().or(session.expires_at.as_ref())
}

impl Session {
    /// A session of `user`.
    pub(super) fn of(session: &proto::Session, user: &proto::User) -> Self {
        let connection = session.client_context.clone().unwrap_or_default();
        let factors = methods(session).into_iter().filter_map(|method| Factor::of(method, session, user));
        Self {
            session_id: id("session", &session.session_id),
            user_id: id("user", &session.user_id),
            started_at: session.created_at.as_ref().map(rfc3339_seconds),
            last_accessed_at: session.last_used_at.as_ref().map(rfc3339_seconds),
            expires_at: end_of(session).map(rfc3339_seconds),
            attributes: Attributes { ip_address: connection.ip_address, user_agent: connection.user_agent },
            authentication_factors: factors.collect(),
            roles: ROLES,
            custom_claims: object_of(session.custom_claims.as_ref()),
        }
    }
}

impl Factor {
    /// The words are closed lists in the client library for Python. A session JWT tells the same of each factor.
    fn of(method: proto::AuthenticationMethod, session: &proto::Session, user: &proto::User) -> Option<Self> {
        let (r#type, delivery_method, updated_at) = match method {
            proto::AuthenticationMethod::Password => ("password", "knowledge", user.password_updated_at.as_ref()),
            proto::AuthenticationMethod::EmailCode => ("otp", "email", None),
            proto::AuthenticationMethod::Unspecified => return None,
        };
        let created_at = user.created_at.as_ref();
        let email_factor =
            user.email.clone().map(|email_address| EmailFactor { email_id: email_id(&user.user_id), email_address });
        Some(Self {
            r#type,
            delivery_method,
            last_authenticated_at: session.authenticated_at.as_ref().map(rfc3339_seconds),
            created_at: created_at.map(rfc3339_seconds),
            updated_at: updated_at.or(created_at).map(rfc3339_seconds),
            email_factor,
        })
    }
}

/// The methods of a session, each once, however often it was used.
fn methods(session: &proto::Session) -> Vec<proto::AuthenticationMethod> {
    let mut methods = Vec::new();
    for method in session.authentication_methods() {
        if !methods.contains(&method) {
            methods.push(method);
        }
    }
    methods
}

/// What a sign-in answers (contract, section 3.3). Without a session both tokens are empty, not null.
#[derive(Clone, Serialize)]
pub(super) struct Authenticated {
    pub(super) user_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) email_id: Option<String>,
    user: User,
    session: Option<Session>,
    pub(super) session_token: String,
    pub(super) session_jwt: String,
    user_device: Option<()>,
}

impl Authenticated {
    pub(super) fn new(user: &proto::User, session: Option<&proto::Session>, tokens: Option<proto::TokenSet>) -> Self {
        let tokens = tokens.unwrap_or_default();
        Self {
            user_id: id("user", &user.user_id),
            email_id: None,
            user: user.into(),
            session: session.map(|session| Session::of(session, user)),
            session_token: tokens.refresh_token,
            session_jwt: tokens.session_token.unwrap_or_default(),
            user_device: None,
        }
    }

    /// The same, naming the address as the answer to a creation does.
    pub(super) fn with_email_id(mut self, user: &proto::User) -> Self {
        self.email_id = Some(email_id(&user.user_id));
        self
    }
}
