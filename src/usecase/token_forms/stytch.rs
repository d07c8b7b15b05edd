//! The session token of Stytch, which that vendor calls a session JWT (contract section 5). Custom claims stand at its top level.

use chrono::SecondsFormat;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Stamp, Subject};
use crate::{
    clock::Timestamp,
    crypto::{
        jwt::{self, BearerClaims, Decisive, SessionBearer, TokenKind},
        project_keys::JwtKey,
        signing_key::SigningKeyError,
    },
    domain::{
        id::{SessionId, UserId},
        identifier::IdentifierKind,
        project::Project,
        session::AuthenticationMethod,
        user::User,
    },
    id_form,
};

const SESSION: &str = "https://stytch.com/session";

/// Names of claims that are ours, or may become so (RFC 7519, section 4.1), or that readers of our tokens in other forms decide by:
/// who is meant, and what they may do. They cannot be custom ones.
pub(super) const RESERVED: &[&str] = &[
    "amr",
    "aud",
    "azp",
    "client_id",
    "drn",
    "exp",
    SESSION,
    "iat",
    "iss",
    "jti",
    "nbf",
    "org_id",
    "permissions",
    "role",
    "roles",
    "scope",
    "sid",
    "sub",
    "tid",
    "token_kind",
];

/// The vendor's own names, of which there may be more.
const RESERVED_PREFIX: &str = "https://stytch.com/";

pub(super) fn is_reserved(name: &str) -> bool {
    name.starts_with(RESERVED_PREFIX) || RESERVED.contains(&name)
}

/// Largest claims, in bytes of JSON, with which header and signature keep the token below 4000 characters.
const CLAIMS_BYTES_MAX: usize = 2600;

pub(super) fn project_id(project: &Project) -> String {
    id_form::stytch("project", project.id.into())
}

pub(super) fn issuer(project: &Project) -> String {
    format!("stytch.com/{}", project_id(project))
}

#[derive(Serialize)]
struct Written<'a> {
    iss: String,
    aud: [String; 1],
    sub: String,
    iat: i64,
    nbf: i64,
    exp: i64,
    token_kind: TokenKind,
    #[serde(rename = "https://stytch.com/session")]
    session: SessionObject,
    #[serde(flatten)]
    custom_claims: &'a Map<String, Value>,
}

#[derive(Serialize)]
struct SessionObject {
    id: String,
    started_at: String,
    last_accessed_at: String,
    expires_at: String,
    attributes: Attributes,
    authentication_factors: Vec<AuthenticationFactor>,
    roles: [&'static str; 1],
}

#[derive(Default, Serialize)]
struct Attributes {
    ip_address: String,
    user_agent: String,
}

#[derive(Serialize)]
struct AuthenticationFactor {
    #[serde(rename = "type")]
    kind: &'static str,
    delivery_method: &'static str,
    last_authenticated_at: String,
    created_at: String,
    updated_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    email_factor: Option<EmailFactor>,
}

#[derive(Serialize)]
struct EmailFactor {
    email_id: String,
    email_address: String,
}

pub(super) fn session_token(key: &JwtKey, subject: &Subject<'_>, stamp: &Stamp) -> Result<String, SigningKeyError> {
    let mut claims = claims(subject, stamp);
    let bytes = serde_json::to_vec(&claims).map_or(usize::MAX, |json| json.len());
    if bytes > CLAIMS_BYTES_MAX {
        // What is only told for information makes room; the service itself still tells it.
        claims.session.attributes = Attributes::default();
        for factor in &mut claims.session.authentication_factors {
            factor.email_factor = None;
        }
    }
    jwt::sign(key, TokenKind::Session, &claims)
}

fn claims<'a>(subject: &Subject<'a>, stamp: &Stamp) -> Written<'a> {
    let session = subject.session;
    let context = &session.client_context;
    let mut methods: Vec<AuthenticationMethod> = Vec::new();
    for method in &session.methods {
        if !methods.contains(method) {
            methods.push(*method);
        }
    }
    Written {
        iss: issuer(subject.project),
        aud: [project_id(subject.project)],
        sub: id_form::stytch("user", subject.user.id.into()),
        iat: stamp.now.timestamp(),
        nbf: stamp.now.timestamp(),
        exp: stamp.expires_at.timestamp(),
        token_kind: TokenKind::Session,
        session: SessionObject {
            id: id_form::stytch("session", session.id.into()),
            started_at: time(session.created_at),
            last_accessed_at: time(session.last_used_at),
            expires_at: time(session.ends_at().unwrap_or(stamp.now)),
            attributes: Attributes {
                ip_address: context.ip_address.map(|address| address.to_string()).unwrap_or_default(),
                user_agent: context.user_agent.clone().unwrap_or_default(),
            },
            authentication_factors: methods
                .into_iter()
                .map(|method| factor(method, subject.user, session.authenticated_at))
                .collect(),
            roles: ["stytch_user"],
        },
        custom_claims: session.custom_claims.as_object(),
    }
}

fn factor(method: AuthenticationMethod, user: &User, authenticated_at: Timestamp) -> AuthenticationFactor {
    let (kind, delivery_method, updated_at) = match method {
        AuthenticationMethod::EmailCode => ("otp", "email", None),
        AuthenticationMethod::Password => ("password", "knowledge", user.password.map(|password| password.updated_at)),
    };
    let email = user.identifier(IdentifierKind::Email);
    AuthenticationFactor {
        kind,
        delivery_method,
        last_authenticated_at: time(authenticated_at),
        created_at: time(user.created_at),
        updated_at: time(updated_at.unwrap_or(user.created_at)),
        email_factor: email.map(|email| EmailFactor {
            email_id: id_form::stytch("email", user.id.into()),
            email_address: email.identifier.display().to_owned(),
        }),
    }
}

fn time(time: Timestamp) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// What of such a token decides and tells whose it is.
#[derive(Deserialize)]
pub(super) struct SessionTokenClaims {
    iss: String,
    aud: [String; 1],
    sub: String,
    nbf: i64,
    exp: i64,
    token_kind: TokenKind,
    #[serde(rename = "https://stytch.com/session")]
    session: NamedSession,
}

#[derive(Deserialize)]
struct NamedSession {
    id: String,
}

impl BearerClaims for SessionTokenClaims {
    fn decisive(&self) -> Decisive<'_> {
        let Self { iss, aud: [aud], nbf, exp, token_kind, .. } = self;
        Decisive { iss, aud: Some(aud), nbf: Some(*nbf), exp: *exp, token_kind: *token_kind }
    }
}

impl SessionBearer for SessionTokenClaims {
    fn bearer(&self) -> Option<(SessionId, UserId)> {
        let read =
            |kind, text| id_form::parse_stytch(kind, text).filter(|id: &Uuid| id_form::stytch(kind, *id) == text);
        Some((read("session", &self.session.id)?.into(), read("user", &self.sub)?.into()))
    }
}
