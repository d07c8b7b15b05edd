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
    /// The `typ` of the header; `at+jwt` is RFC 9068, section 2.1.
    const fn typ(self) -> &'static str {
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
    typ: &'static str,
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

/// The claims by which it is decided whether a token is taken, of whatever kind.
struct Decisive<'c> {
    iss: &'c str,
    aud: &'c str,
    nbf: i64,
    exp: i64,
    token_kind: TokenKind,
}

/// Claims of a token that opens something.
trait BearerClaims: DeserializeOwned {
    fn decisive(&self) -> Decisive<'_>;
}

impl BearerClaims for ClientClaims {
    fn decisive(&self) -> Decisive<'_> {
        Decisive { iss: &self.iss, aud: &self.aud, nbf: self.nbf, exp: self.exp, token_kind: self.token_kind }
    }
}

impl BearerClaims for SessionClaims {
    fn decisive(&self) -> Decisive<'_> {
        Decisive { iss: &self.iss, aud: &self.aud, nbf: self.nbf, exp: self.exp, token_kind: self.token_kind }
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
    /// How they did.
    pub amr: Vec<AuthenticationMethod>,
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
    /// Audiences, of which its own must be one.
    pub audiences: &'a [String],
    /// The time now.
    pub now: Timestamp,
    /// How long after its end it is still taken; zero for a token that opens something by itself.
    pub late_by_max: Duration,
}

/// Writes a token (RFC 7515, section 3.1).
pub fn sign<C: Serialize>(key: &JwtKey, kind: TokenKind, claims: &C) -> Result<String, SigningKeyError> {
    let header = Header { alg: key.signing.algorithm(), typ: kind.typ(), kid: &key.json_web_key.kid };
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

/// The client that a token says it belongs to. Nothing of it has been checked: this tells whose keys to check it with.
pub fn named_client(token: &str) -> Option<ClientId> {
    #[derive(Deserialize)]
    struct Named {
        client_id: String,
    }
    let claims = token.split('.').nth(1).filter(|_| token.len() <= TOKEN_BYTES_MAX)?;
    let named: Named = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    ClientId::parse(&named.client_id).ok()
}

/// Reads an access, session or refresh token, whatever it claims to be checked against what is expected.
pub fn verify(token: &str, keys: &ProjectKeys, expected: &Expected<'_>) -> Result<VerifiedToken, TokenError> {
    let claims: SessionClaims = verified_claims(token, keys, expected)?;
    let malformed = || TokenError::Malformed(None);
    Ok(VerifiedToken {
        session_id: SessionId::parse(&claims.sid).map_err(|_| malformed())?,
        user_id: UserId::parse(&claims.sub).map_err(|_| malformed())?,
        refresh_generation: claims.refresh_generation,
        expires_at: Timestamp::from_timestamp_secs(claims.exp).ok_or_else(malformed)?,
    })
}

/// Reads the access token of a client, checked likewise: gives the client.
pub fn verify_client(token: &str, keys: &ProjectKeys, expected: &Expected<'_>) -> Result<ClientId, TokenError> {
    let claims: ClientClaims = verified_claims(token, keys, expected)?;
    let client_id = ClientId::parse(&claims.client_id).map_err(|_| TokenError::Malformed(None))?;
    if claims.sub == claims.client_id { Ok(client_id) } else { Err(TokenError::NotForThisUse("sub")) }
}

/// The claims of a token of any kind, once everything about it is as expected.
fn verified_claims<C: BearerClaims>(token: &str, keys: &ProjectKeys, expected: &Expected<'_>) -> Result<C, TokenError> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(TokenError::Malformed(None));
    }
    let header = jsonwebtoken::decode_header(token).map_err(|error| TokenError::Malformed(Some(error)))?;
    if header.typ.as_deref() != Some(expected.kind.typ()) {
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
        || now < said.nbf.saturating_sub(CLOCK_SKEW_MAX.num_seconds())
    {
        return Err(TokenError::Expired);
    }
    let wrong = [
        (said.token_kind != expected.kind, "token_kind"),
        (said.iss != expected.issuer, "iss"),
        (!expected.audiences.iter().any(|audience| audience == said.aud), "aud"),
    ];
    if let Some((_, claim)) = wrong.into_iter().find(|(is_wrong, _)| *is_wrong) {
        return Err(TokenError::NotForThisUse(claim));
    }
    Ok(claims)
}
