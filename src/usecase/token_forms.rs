//! What tokens look like on the wire: in the standard form, or in the form that the client libraries of another vendor verify. Each
//! form is written and read in one file. A vendor that has no such token gets the standard one.
//!
//! Whatever the form, a token says in the private claim `token_kind` what it is for, and is taken only in its own place.

mod descope;
mod standard;
mod stytch;
mod transmit;
mod workos;

pub(super) use self::standard::user_claim;

use chrono::Duration;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, de::IgnoredAny};
use ulid::Ulid;

use super::{Error, Services};
use crate::{
    clock::Timestamp,
    crypto::{
        jwt::{self, Expected, TokenError, TokenKind, VerifiedToken},
        project_keys::{JwtKey, ProjectKeys},
        signing_key::SigningKeyError,
    },
    domain::{
        caller::ClientCaller,
        challenge::TokenWishes,
        claims::CustomClaims,
        client::{Client, ClientType, TokenProfile},
        id::ClientId,
        project::Project,
        session::Session,
        user::User,
    },
    random::Random,
};

/// Whom tokens are about.
pub(super) struct Subject<'a> {
    pub(super) project: &'a Project,
    /// The client that opened the session, which need not be the one that calls.
    pub(super) client: &'a Client,
    pub(super) user: &'a User,
    pub(super) session: &'a Session,
    issuer: String,
    public_url: &'a str,
}

impl<'a> Subject<'a> {
    pub(super) fn new(
        services: &'a Services,
        project: &'a Project,
        client: &'a Client,
        user: &'a User,
        session: &'a Session,
    ) -> Self {
        Self { project, client, user, session, issuer: services.issuer(project), public_url: &services.public_url }
    }

    fn profile(&self) -> TokenProfile {
        self.session.token_profile
    }
}

/// From when to when a token is good, and what it is called.
pub(super) struct Stamp {
    pub(super) now: Timestamp,
    pub(super) expires_at: Timestamp,
    pub(super) jti: String,
}

impl Stamp {
    pub(super) fn new(now: Timestamp, expires_at: Timestamp, random: &Random) -> Self {
        Self { now, expires_at, jti: Ulid::from_bytes(random.bytes()).to_string() }
    }
}

/// Refuses custom claims that the session's tokens have no room for, or that would pass for claims of ours.
pub(super) fn check_custom_claims(profile: TokenProfile, claims: &CustomClaims) -> Result<(), Error> {
    let bytes_max = profile.custom_claims_bytes_max();
    if claims.bytes() > bytes_max {
        return Err(Error::field("custom_claims", format!("must be at most {bytes_max} bytes of JSON")));
    }
    let mut names = claims.as_object().keys();
    match names.find(|name| claims_stand_at_the_top(profile) && stytch::is_reserved(name)) {
        None => Ok(()),
        Some(name) => {
            Err(Error::field(&format!("custom_claims.{name}"), "must be absent: it is a claim of the service's own"))
        }
    }
}

/// Refuses claims that only a back end may give: those of an application without a secret are what whoever runs it wants them to be,
/// and at the top level of a token they would be read as the service's word.
pub(super) fn check_may_claim(
    caller: &ClientCaller,
    profile: TokenProfile,
    claims: &CustomClaims,
) -> Result<(), Error> {
    let is_public = caller.client.client_type == ClientType::Public;
    if is_public && !claims.is_empty() && claims_stand_at_the_top(profile) {
        return Err(Error::field("custom_claims", "only a back end may give claims to sessions of this profile"));
    }
    Ok(())
}

/// True if custom claims stand beside those of the service, and not under one name of their own.
const fn claims_stand_at_the_top(profile: TokenProfile) -> bool {
    match profile {
        TokenProfile::Stytch => true,
        TokenProfile::Descope | TokenProfile::Standard | TokenProfile::Transmit | TokenProfile::WorkOs => false,
    }
}

pub(super) fn access_token(
    key: &JwtKey,
    subject: &Subject<'_>,
    resource: Option<&str>,
    stamp: &Stamp,
) -> Result<String, SigningKeyError> {
    match subject.profile() {
        TokenProfile::WorkOs => workos::access_token(key, subject, stamp),
        TokenProfile::Transmit => transmit::access_token(key, subject, resource, stamp),
        TokenProfile::Descope | TokenProfile::Standard | TokenProfile::Stytch => {
            standard::access_token(key, subject, resource, stamp)
        }
    }
}

pub(super) fn session_token(key: &JwtKey, subject: &Subject<'_>, stamp: &Stamp) -> Result<String, SigningKeyError> {
    match subject.profile() {
        TokenProfile::Descope => descope::session_token(key, subject, stamp),
        TokenProfile::Stytch => stytch::session_token(key, subject, stamp),
        TokenProfile::Standard | TokenProfile::Transmit | TokenProfile::WorkOs => {
            standard::session_token(key, subject, stamp)
        }
    }
}

/// The refresh token of a generation, as a JWT.
pub(super) fn refresh_token(
    key: &JwtKey,
    subject: &Subject<'_>,
    generation: u32,
    (made_at, expires_at): (Timestamp, Timestamp),
) -> Result<String, SigningKeyError> {
    // The same each time it is made.
    let jti = format!("{}.{generation}", subject.session.id);
    let stamp = Stamp { now: made_at, expires_at, jti };
    match subject.profile() {
        TokenProfile::Descope => descope::refresh_token(key, subject, generation, &stamp),
        TokenProfile::Standard | TokenProfile::Stytch | TokenProfile::Transmit | TokenProfile::WorkOs => {
            standard::refresh_token(key, subject, generation, &stamp)
        }
    }
}

/// The ID token that belongs to an access token, and lasts as long.
pub(super) fn id_token(
    key: &JwtKey,
    subject: &Subject<'_>,
    wishes: &TokenWishes,
    access_token: &str,
    stamp: &Stamp,
) -> Result<String, SigningKeyError> {
    let claims = standard::id_claims(key, subject, wishes, access_token, stamp);
    match subject.profile() {
        TokenProfile::Transmit => transmit::id_token(key, subject, wishes, claims),
        TokenProfile::Descope | TokenProfile::Standard | TokenProfile::Stytch | TokenProfile::WorkOs => {
            jwt::sign(key, TokenKind::Id, &claims)
        }
    }
}

/// The token of a client itself.
pub(super) fn client_token(
    services: &Services,
    key: &JwtKey,
    caller: &ClientCaller,
    resource: Option<&str>,
    stamp: &Stamp,
) -> Result<String, SigningKeyError> {
    let issuer = services.issuer(&caller.project);
    match caller.client.token_profile {
        TokenProfile::Transmit => transmit::client_token(key, caller, issuer, resource, stamp),
        TokenProfile::Descope | TokenProfile::Standard | TokenProfile::Stytch | TokenProfile::WorkOs => {
            standard::client_token(key, caller, issuer, resource, stamp)
        }
    }
}

/// What an unverified token says of its form. That is believed just enough to choose how to verify it: as what it says it is, whole.
#[derive(Deserialize)]
struct SaidForm {
    iss: String,
    client_id: Option<String>,
    tid: Option<IgnoredAny>,
}

/// Checks a token of a session of the project, in whatever form.
pub(super) fn verify(
    services: &Services,
    project: &Project,
    keys: &ProjectKeys,
    token: &SecretString,
    (kind, now, late_by_max): (TokenKind, Timestamp, Duration),
) -> Result<VerifiedToken, TokenError> {
    let token = token.expose_secret();
    let said: SaidForm = jwt::peek(token).ok_or(TokenError::Malformed(None))?;
    let expected = |issuer, audiences| Expected { kind, issuer, audiences, now, late_by_max };
    if kind == TokenKind::Access
        && let Some(client_id) = said.client_id.as_deref().and_then(|id| ClientId::parse(id).ok())
        && said.iss == workos::issuer(&services.public_url, client_id)
    {
        return jwt::verify::<workos::AccessClaims>(token, keys, &expected(&said.iss, &[]));
    }
    if kind == TokenKind::Session && said.iss == stytch::issuer(project) {
        let audiences = [stytch::project_id(project)];
        return jwt::verify::<stytch::SessionTokenClaims>(token, keys, &expected(&said.iss, &audiences));
    }
    if matches!(kind, TokenKind::Refresh | TokenKind::Session) && said.iss == descope::issuer(project) {
        return jwt::verify::<descope::Claims>(token, keys, &expected(&said.iss, &[]));
    }
    let issuer = services.issuer(project);
    if kind == TokenKind::Access && said.tid.is_some() {
        let audiences = transmit::audiences(project);
        return jwt::verify::<transmit::AccessClaims>(token, keys, &expected(&issuer, &audiences));
    }
    let audiences = standard::audiences(project, kind);
    jwt::verify::<jwt::SessionClaims>(token, keys, &expected(&issuer, &audiences))
}

/// Checks the token of a client of that profile.
pub(super) fn verify_client(
    services: &Services,
    (project, profile): (&Project, TokenProfile),
    keys: &ProjectKeys,
    token: &str,
    now: Timestamp,
) -> Result<ClientId, TokenError> {
    let issuer = services.issuer(project);
    let audiences = match profile {
        TokenProfile::Transmit => vec![transmit::OWN_AUDIENCE.to_owned()],
        TokenProfile::Descope | TokenProfile::Standard | TokenProfile::Stytch | TokenProfile::WorkOs => {
            vec![project.id.to_string(), project.own_audience()]
        }
    };
    let late_by_max = Duration::zero();
    let expected = Expected { kind: TokenKind::Client, issuer: &issuer, audiences: &audiences, now, late_by_max };
    match profile {
        TokenProfile::Transmit => jwt::verify_client::<transmit::ClientClaims>(token, keys, &expected),
        TokenProfile::Descope | TokenProfile::Standard | TokenProfile::Stytch | TokenProfile::WorkOs => {
            jwt::verify_client::<jwt::ClientClaims>(token, keys, &expected)
        }
    }
}

#[cfg(test)]
#[path = "token_forms_tests.rs"]
mod tests;
