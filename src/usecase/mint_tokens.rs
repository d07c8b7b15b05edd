//! The tokens of a session. They say only what the database says; `token_forms` writes them down.

use secrecy::SecretString;

use super::{
    Error,
    token_forms::{self, Stamp, Subject, check_custom_claims},
};
use crate::{
    clock::Timestamp,
    crypto::{project_keys::ProjectKeys, refresh_token::RefreshGrant},
    domain::{challenge::TokenWishes, client::RefreshTokenFormat, session::Session},
    random::Random,
};

/// A token and its end.
#[derive(Clone, Debug)]
pub struct IssuedToken {
    /// The token.
    pub token: SecretString,
    /// Not valid from then on.
    pub expires_at: Timestamp,
}

/// The tokens of a sign-in.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// Access token.
    pub access: IssuedToken,
    /// ID token, if it was asked for.
    pub id: Option<SecretString>,
    /// Session token, if it was asked for.
    pub session: Option<IssuedToken>,
    /// Refresh token.
    pub refresh: IssuedToken,
    /// When they were made.
    pub issued_at: Timestamp,
}

/// Whether the tokens of a sign-in can be made: to be asked before what they are for is written.
pub(super) fn check_mintable(keys: &ProjectKeys, session: Option<&Session>, now: Timestamp) -> Result<(), Error> {
    keys.device_token_key(now)?;
    let Some(session) = session else { return Ok(()) };
    keys.signer(now)?;
    keys.refresh_token_key(now)?;
    check_custom_claims(session.token_profile, &session.custom_claims)
}

pub(super) fn mint_tokens(
    keys: &ProjectKeys,
    subject: &Subject<'_>,
    wishes: &TokenWishes,
    now: Timestamp,
    random: &Random,
) -> Result<Tokens, Error> {
    let (key, settings, session) = (keys.signer(now)?, &subject.project.settings, subject.session);
    check_custom_claims(session.token_profile, &session.custom_claims)?;
    let resource = wishes.resource.as_deref().or(session.resource.as_deref());
    // No token outlives its session.
    let expires_at = (now + settings.access_token_lifetime()).min(session.ends_at().unwrap_or(now));
    let stamp = Stamp::new(now, expires_at, random);
    let access = token_forms::access_token(key, subject, resource, &stamp)?;
    let session_token = wishes.session_token.then(|| mint_session_token(keys, subject, now, random));
    let id = wishes.id_token.then(|| token_forms::id_token(key, subject, wishes, &access, &stamp).map(Into::into));
    Ok(Tokens {
        access: IssuedToken { token: access.into(), expires_at },
        id: id.transpose()?,
        session: session_token.transpose()?,
        refresh: mint_refresh_token(keys, subject, now)?,
        issued_at: now,
    })
}

/// The refresh token of the session's generation: the same one however often it is asked for. So it is made as of the moment in
/// which that generation began, with the key of then. As a JWT it also says when the session ends, which may be moved in
/// between, and a signature of ES256 is another one each time; it still stands for the same generation.
fn mint_refresh_token(keys: &ProjectKeys, subject: &Subject<'_>, now: Timestamp) -> Result<IssuedToken, Error> {
    let Subject { project, session, .. } = subject;
    let expires_at = session.ends_at().unwrap_or(now);
    let grant = RefreshGrant { session_id: session.id, generation: session.refresh.generation };
    let made_at = if session.token_profile.refresh_policy(&project.settings).rotates {
        session.refresh.rotated_at.unwrap_or(session.created_at)
    } else {
        // It stays good for as long as its session, which may be longer than the key of its first day is kept.
        now
    };
    let token = match session.refresh_token_format {
        RefreshTokenFormat::Opaque => {
            keys.refresh_token_key(made_at).or_else(|_| keys.refresh_token_key(now))?.mint(grant)
        }
        RefreshTokenFormat::Jwt => {
            let key = keys.signer(made_at).or_else(|_| keys.signer(now))?;
            token_forms::refresh_token(key, subject, grant.generation, (made_at, expires_at))?.into()
        }
    };
    Ok(IssuedToken { token, expires_at })
}

/// A session token alone.
pub(super) fn mint_session_token(
    keys: &ProjectKeys,
    subject: &Subject<'_>,
    now: Timestamp,
    random: &Random,
) -> Result<IssuedToken, Error> {
    let Subject { project, session, .. } = subject;
    check_custom_claims(session.token_profile, &session.custom_claims)?;
    let session_end = session.ends_at().unwrap_or(now);
    let expires_at = session.token_profile.session_token_end(&project.settings, now, session_end);
    let stamp = Stamp::new(now, expires_at, random);
    let token = token_forms::session_token(keys.signer(now)?, subject, &stamp)?;
    Ok(IssuedToken { token: token.into(), expires_at })
}
