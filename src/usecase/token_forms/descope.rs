//! The session token and the refresh token of Descope (contract section 4). They have no audience; the issuer is the project.

use chrono::SecondsFormat;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Stamp, Subject};
use crate::{
    crypto::{
        jwt::{self, BearerClaims, Decisive, SessionBearer, TokenKind},
        project_keys::JwtKey,
        signing_key::SigningKeyError,
    },
    domain::{
        claims::CustomClaims,
        id::{SessionId, UserId},
        project::Project,
    },
    id_form,
};

pub(super) fn issuer(project: &Project) -> String {
    id_form::descope('P', project.id.into())
}

#[derive(Deserialize, Serialize)]
pub(super) struct Claims {
    iss: String,
    sub: String,
    /// By this the libraries tell the two apart.
    drn: String,
    amr: Vec<String>,
    iat: i64,
    exp: i64,
    /// Not theirs: the session.
    sid: String,
    token_kind: TokenKind,
    #[serde(flatten)]
    rest: Rest,
    /// Never written: a token that has one is of another form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    aud: Option<String>,
    /// Never written, but heeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nbf: Option<i64>,
}

/// What only one of the two has.
#[derive(Deserialize, Serialize)]
#[serde(untagged)]
enum Rest {
    Refresh { refresh_generation: u32 },
    Session(SessionRest),
}

#[derive(Deserialize, Serialize)]
struct SessionRest {
    /// When the refresh token expires.
    rexp: String,
    permissions: Vec<String>,
    roles: Vec<String>,
    tenants: Map<String, Value>,
    #[serde(default, skip_serializing_if = "CustomClaims::is_empty")]
    nsec: CustomClaims,
}

pub(super) fn session_token(key: &JwtKey, subject: &Subject<'_>, stamp: &Stamp) -> Result<String, SigningKeyError> {
    let refresh_expires_at = subject.session.ends_at().unwrap_or(stamp.now);
    let rest = SessionRest {
        rexp: refresh_expires_at.to_rfc3339_opts(SecondsFormat::Secs, true),
        permissions: Vec::new(),
        roles: Vec::new(),
        tenants: Map::new(),
        nsec: subject.session.custom_claims.clone(),
    };
    jwt::sign(key, TokenKind::Session, &claims(subject, TokenKind::Session, "DS", Rest::Session(rest), stamp))
}

pub(super) fn refresh_token(
    key: &JwtKey,
    subject: &Subject<'_>,
    refresh_generation: u32,
    stamp: &Stamp,
) -> Result<String, SigningKeyError> {
    let rest = Rest::Refresh { refresh_generation };
    jwt::sign(key, TokenKind::Refresh, &claims(subject, TokenKind::Refresh, "DSR", rest, stamp))
}

fn claims(subject: &Subject<'_>, token_kind: TokenKind, drn: &str, rest: Rest, stamp: &Stamp) -> Claims {
    let session = subject.session;
    Claims {
        iss: issuer(subject.project),
        sub: id_form::descope('U', subject.user.id.into()),
        drn: drn.to_owned(),
        amr: session.token_profile.amr(&session.methods).into_iter().map(str::to_owned).collect(),
        iat: stamp.now.timestamp(),
        exp: stamp.expires_at.timestamp(),
        sid: session.id.to_string(),
        token_kind,
        rest,
        aud: None,
        nbf: None,
    }
}

impl BearerClaims for Claims {
    fn decisive(&self) -> Decisive<'_> {
        let Self { iss, aud, nbf, exp, token_kind, .. } = self;
        Decisive { iss, aud: aud.as_deref(), nbf: *nbf, exp: *exp, token_kind: *token_kind }
    }
}

impl SessionBearer for Claims {
    fn bearer(&self) -> Option<(SessionId, UserId)> {
        Some((SessionId::parse(&self.sid).ok()?, id_form::parse_descope('U', &self.sub)?.into()))
    }

    fn refresh_generation(&self) -> Option<u32> {
        match self.rest {
            Rest::Refresh { refresh_generation } => Some(refresh_generation),
            Rest::Session(_) => None,
        }
    }
}
