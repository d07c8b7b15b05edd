//! JSON Web Tokens: writing and reading (RFC 7515, 7519, 9068, OIDC Core 2).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::Duration;
use jsonwebtoken::Validation;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::{
    project_keys::{CLOCK_SKEW_MAX, JwtKey, ProjectKeys},
    signing_key::SigningKeyError,
};
use crate::{
    clock::Timestamp,
    domain::{
        claims::CustomClaims,
        id::{ClientId, SessionId, SigningKeyId, UserId},
        session::AuthenticationMethod,
        signing_key::SigningAlgorithm,
    },
};

/// Longest token that is looked at, in bytes. Custom claims and metadata are bounded well below.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// What a token is for. Stands in the claim `token_kind` and, by `typ`, in the header; both are checked.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenKind {
    /// Access token of a user.
    Access,
    /// Access token of a client: stands for the client itself, never for a user.
    Client,
    /// ID token: tells a client who signed in, opens nothing.
    Id,
    /// Refresh token, for clients that ask for it in this form.
    Refresh,
    /// Session token: what an application shows to its own back end.
    Session,
}

impl TokenKind {
    /// The `typ` of the header in the standard form; `at+jwt` is RFC 9068, section 2.1.
    pub const fn typ(self) -> &'static str {
        match self {
            Self::Access | Self::Client => "at+jwt",
            Self::Id | Self::Refresh | Self::Session => "JWT",
        }
    }
}

/// A token was refused. Callers are told no more than that.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Its time is over, or has not come.
    #[error("the token is expired or not yet valid")]
    Expired,
    /// Cut, changed, not a JWT, or with claims of the wrong type.
    #[error("the token is malformed or its signature is wrong")]
    Malformed(#[source] Option<jsonwebtoken::errors::Error>),
    /// Of another kind, issuer or audience, or made with an unknown key.
    #[error("the token is not for this use: {0}")]
    NotForThisUse(&'static str),
}

#[derive(Serialize)]
struct Header<'a> {
    alg: SigningAlgorithm,
    typ: &'a str,
    kid: &'a str,
}

/// Claims of access, session and refresh tokens. Absent members are left out.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct SessionClaims {
    /// Issuer.
    pub iss: String,
    /// User id.
    pub sub: String,
    /// Audience.
    pub aud: String,
    /// Client that opened the session.
    pub client_id: String,
    /// Time of issue, in seconds since 1970.
    pub iat: i64,
    /// Not valid before.
    pub nbf: i64,
    /// Not valid from then on.
    pub exp: i64,
    /// Id of the token.
    pub jti: String,
    /// Session id.
    pub sid: String,
    /// When the user last proved who they are.
    pub auth_time: i64,
    /// How they did.
    pub amr: Vec<AuthenticationMethod>,
    /// What the token is for.
    pub token_kind: TokenKind,
    /// Which of the session's refresh tokens it is; only in a refresh token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_generation: Option<u32>,
    /// Claims from the application.
    #[serde(default, skip_serializing_if = "CustomClaims::is_empty")]
    pub custom_claims: CustomClaims,
}

/// Claims of the access token of a client (RFC 9068, section 2.2).
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ClientClaims {
    /// Issuer.
    pub iss: String,
    /// The client: there is no user.
    pub sub: String,
    /// Audience.
    pub aud: String,
    /// The client.
    pub client_id: String,
    /// Time of issue, in seconds since 1970.
    pub iat: i64,
    /// Not valid before.
    pub nbf: i64,
    /// Not valid from then on.
    pub exp: i64,
    /// Id of the token.
    pub jti: String,
    /// Always [`TokenKind::Client`].
    pub token_kind: TokenKind,
}

/// The claims by which it is decided whether a token is taken, of whatever kind and form.
#[derive(Clone, Copy, Debug)]
pub struct Decisive<'c> {
    /// Issuer.
    pub iss: &'c str,
    /// Audience; a form may have none.
    pub aud: Option<&'c str>,
    /// Not valid before; a form may do without.
    pub nbf: Option<i64>,
    /// Not valid from then on.
    pub exp: i64,
    /// What the token is for.
    pub token_kind: TokenKind,
}

/// Claims of a token that opens something, in one of the forms that tokens have.
pub trait BearerClaims: DeserializeOwned {
    /// The `typ` of the header of such a token.
    fn typ(kind: TokenKind) -> &'static str {
        kind.typ()
    }

    /// What decides.
    fn decisive(&self) -> Decisive<'_>;
}

/// Claims of a token that stands for a session.
pub trait SessionBearer: BearerClaims {
    /// The session and its user; none if the token does not name them as it should.
    fn bearer(&self) -> Option<(SessionId, UserId)>;

    /// Which of the session's refresh tokens it is.
    fn refresh_generation(&self) -> Option<u32> {
        None
    }
}

/// Claims of a token that stands for a client.
pub trait ClientBearer: BearerClaims {
    /// The client, which is also the subject; none if the token does not name it as it should.
    fn client(&self) -> Option<ClientId>;
}

impl BearerClaims for ClientClaims {
    fn decisive(&self) -> Decisive<'_> {
        let Self { iss, aud, nbf, exp, token_kind, .. } = self;
        Decisive { iss, aud: Some(aud), nbf: Some(*nbf), exp: *exp, token_kind: *token_kind }
    }
}

impl ClientBearer for ClientClaims {
    fn client(&self) -> Option<ClientId> {
        ClientId::parse(&self.client_id).ok().filter(|_| self.sub == self.client_id)
    }
}

impl BearerClaims for SessionClaims {
    fn decisive(&self) -> Decisive<'_> {
        let Self { iss, aud, nbf, exp, token_kind, .. } = self;
        Decisive { iss, aud: Some(aud), nbf: Some(*nbf), exp: *exp, token_kind: *token_kind }
    }
}

impl SessionBearer for SessionClaims {
    fn bearer(&self) -> Option<(SessionId, UserId)> {
        Some((SessionId::parse(&self.sid).ok()?, UserId::parse(&self.sub).ok()?))
    }

    fn refresh_generation(&self) -> Option<u32> {
        self.refresh_generation
    }
}

/// Claims of an ID token.
#[derive(Clone, Debug, Serialize)]
pub struct IdClaims {
    /// Issuer.
    pub iss: String,
    /// User id.
    pub sub: String,
    /// The client.
    pub aud: String,
    /// Time of issue.
    pub iat: i64,
    /// Not valid from then on.
    pub exp: i64,
    /// When the user last proved who they are.
    pub auth_time: i64,
    /// How they did, in the words of the token's profile.
    pub amr: Vec<&'static str>,
    /// Session id.
    pub sid: String,
    /// Binds the access token (OIDC Core 3.1.3.6); left out for `EdDSA`, for which no hash is standard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_hash: Option<String>,
    /// Always [`TokenKind::Id`].
    pub token_kind: TokenKind,
    /// Claims that were asked for.
    #[serde(flatten)]
    pub requested: Map<String, Value>,
}

/// What a valid token says.
#[derive(Clone, Debug)]
pub struct VerifiedToken {
    /// The session it belongs to.
    pub session_id: SessionId,
    /// The user.
    pub user_id: UserId,
    /// Which of the session's refresh tokens it is.
    pub refresh_generation: Option<u32>,
    /// Its end.
    pub expires_at: Timestamp,
}

/// What a token must say.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// Kind.
    pub kind: TokenKind,
    /// Issuer.
    pub issuer: &'a str,
    /// Audiences, of which its own must be one; empty if it must have none.
    pub audiences: &'a [String],
    /// The time now.
    pub now: Timestamp,
    /// How long after its end it is still taken; zero for a token that opens something by itself.
    pub late_by_max: Duration,
}

/// Writes a token in the standard form.
pub fn sign<C: Serialize>(key: &JwtKey, kind: TokenKind, claims: &C) -> Result<String, SigningKeyError> {
    sign_as(key, kind.typ(), claims)
}

/// Writes a token (RFC 7515, section 3.1) with that `typ` in its header.
pub fn sign_as<C: Serialize>(key: &JwtKey, typ: &str, claims: &C) -> Result<String, SigningKeyError> {
    let header = Header { alg: key.signing.algorithm(), typ, kid: &key.json_web_key.kid };
    let encode = |json: serde_json::Result<Vec<u8>>| {
        URL_SAFE_NO_PAD.encode(json.expect("claims are strings, numbers and maps with string keys"))
    };
    let mut token = format!("{}.{}", encode(serde_json::to_vec(&header)), encode(serde_json::to_vec(claims)));
    let signature = key.signing.sign(token.as_bytes())?;
    token.push('.');
    token.push_str(&URL_SAFE_NO_PAD.encode(signature));
    Ok(token)
}

/// `at_hash` of an access token: the left half of its hash.
pub fn access_token_hash(algorithm: SigningAlgorithm, access_token: &str) -> Option<String> {
    match algorithm {
        SigningAlgorithm::EdDsa => None,
        SigningAlgorithm::Es256 | SigningAlgorithm::Rs256 => {
            Some(URL_SAFE_NO_PAD.encode(&Sha256::digest(access_token)[..16]))
        }
    }
}

/// The key that a token says it was made with. Nothing of it has been checked.
pub fn named_key(token: &str) -> Option<SigningKeyId> {
    let is_short = token.len() <= TOKEN_BYTES_MAX;
    let header = is_short.then(|| jsonwebtoken::decode_header(token).ok()).flatten()?;
    SigningKeyId::parse(&header.kid?).ok()
}

/// What a token says. Nothing of it has been checked: this tells how, and with whose keys, to check it.
pub fn peek<T: DeserializeOwned>(token: &str) -> Option<T> {
    let claims = token.split('.').nth(1).filter(|_| token.len() <= TOKEN_BYTES_MAX)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
}

/// The client that a token says it belongs to. Nothing of it has been checked: this tells whose keys to check it with.
pub fn named_client(token: &str) -> Option<ClientId> {
    #[derive(Deserialize)]
    struct Named {
        client_id: String,
    }
    ClientId::parse(&peek::<Named>(token)?.client_id).ok()
}

/// Reads an access, session or refresh token of that form, whatever it claims to be checked against what is expected.
pub fn verify<C: SessionBearer>(
    token: &str,
    keys: &ProjectKeys,
    expected: &Expected<'_>,
) -> Result<VerifiedToken, TokenError> {
    let claims: C = verified_claims(token, keys, expected)?;
    let malformed = || TokenError::Malformed(None);
    let (session_id, user_id) = claims.bearer().ok_or_else(malformed)?;
    let expires_at = Timestamp::from_timestamp_secs(claims.decisive().exp).ok_or_else(malformed)?;
    Ok(VerifiedToken { session_id, user_id, refresh_generation: claims.refresh_generation(), expires_at })
}

/// Reads the access token of a client in that form, checked likewise: gives the client.
pub fn verify_client<C: ClientBearer>(
    token: &str,
    keys: &ProjectKeys,
    expected: &Expected<'_>,
) -> Result<ClientId, TokenError> {
    let claims: C = verified_claims(token, keys, expected)?;
    claims.client().ok_or(TokenError::NotForThisUse("sub"))
}

/// The claims of a token of any kind, once everything about it is as expected.
fn verified_claims<C: BearerClaims>(token: &str, keys: &ProjectKeys, expected: &Expected<'_>) -> Result<C, TokenError> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(TokenError::Malformed(None));
    }
    let header = jsonwebtoken::decode_header(token).map_err(|error| TokenError::Malformed(Some(error)))?;
    if header.typ.as_deref() != Some(C::typ(expected.kind)) {
        return Err(TokenError::NotForThisUse("typ"));
    }
    let key = header.kid.as_deref().and_then(|kid| keys.verifier(kid, expected.now));
    let key = key.ok_or(TokenError::NotForThisUse("kid"))?;

    // The key decides the algorithm, not the token. Times are checked below, against our own clock.
    let mut validation = Validation::new(key.algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    let claims = jsonwebtoken::decode::<C>(token, &key.key, &validation)
        .map_err(|error| TokenError::Malformed(Some(error)))?
        .claims;

    let (now, said) = (expected.now.timestamp(), claims.decisive());
    if now.saturating_sub(said.exp) >= expected.late_by_max.num_seconds()
        || said.nbf.is_some_and(|nbf| now < nbf.saturating_sub(CLOCK_SKEW_MAX.num_seconds()))
    {
        return Err(TokenError::Expired);
    }
    let for_us = match said.aud {
        Some(said) => expected.audiences.iter().any(|audience| audience == said),
        None => expected.audiences.is_empty(),
    };
    let wrong =
        [(said.token_kind != expected.kind, "token_kind"), (said.iss != expected.issuer, "iss"), (!for_us, "aud")];
    if let Some((_, claim)) = wrong.into_iter().find(|(is_wrong, _)| *is_wrong) {
        return Err(TokenError::NotForThisUse(claim));
    }
    Ok(claims)
}
