//! The access token of `WorkOS` (contract section 9). It has no audience, and its issuer names the client.

use serde::{Deserialize, Serialize};

use super::{Stamp, Subject};
use crate::{
    crypto::{
        jwt::{self, BearerClaims, Decisive, SessionBearer, TokenKind},
        project_keys::JwtKey,
        signing_key::SigningKeyError,
    },
    domain::id::{ClientId, SessionId, UserId},
};

/// Its libraries know no other.
const TYP: &str = "JWT";

pub(super) fn issuer(public_url: &str, client_id: ClientId) -> String {
    format!("{public_url}/user_management/{client_id}")
}

#[derive(Deserialize, Serialize)]
pub(super) struct AccessClaims {
    iss: String,
    sub: String,
    sid: String,
    jti: String,
    client_id: String,
    iat: i64,
    exp: i64,
    auth_time: i64,
    token_kind: TokenKind,
    /// Never written: a token that has one is of another form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    aud: Option<String>,
    /// Never written, but heeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nbf: Option<i64>,
}

pub(super) fn access_token(key: &JwtKey, subject: &Subject<'_>, stamp: &Stamp) -> Result<String, SigningKeyError> {
    let session = subject.session;
    let claims = AccessClaims {
        iss: issuer(subject.public_url, session.client_id),
        sub: subject.user.id.to_string(),
        sid: session.id.to_string(),
        jti: stamp.jti.clone(),
        client_id: session.client_id.to_string(),
        iat: stamp.now.timestamp(),
        exp: stamp.expires_at.timestamp(),
        auth_time: session.authenticated_at.timestamp(),
        token_kind: TokenKind::Access,
        aud: None,
        nbf: None,
    };
    jwt::sign_as(key, TYP, &claims)
}

impl BearerClaims for AccessClaims {
    fn typ(_: TokenKind) -> &'static str {
        TYP
    }

    fn decisive(&self) -> Decisive<'_> {
        let Self { iss, aud, nbf, exp, token_kind, .. } = self;
        Decisive { iss, aud: aud.as_deref(), nbf: *nbf, exp: *exp, token_kind: *token_kind }
    }
}

impl SessionBearer for AccessClaims {
    fn bearer(&self) -> Option<(SessionId, UserId)> {
        Some((SessionId::parse(&self.sid).ok()?, UserId::parse(&self.sub).ok()?))
    }
}
