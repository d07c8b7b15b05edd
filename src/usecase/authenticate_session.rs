//! Is this token, or session, still good? And if it is, on request: a later end, a fresh session token.

use chrono::Duration;
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    Call, Error, IssuedToken, Services,
    mint_tokens::mint_session_token,
    token_forms::{self, Subject},
};
use crate::{
    clock::Timestamp,
    crypto::{
        jwt::{self, TokenKind, VerifiedToken},
        project_keys::ProjectKeys,
    },
    domain::{
        caller::ClientCaller,
        id::SessionId,
        project::LATE_TOKEN_MAX,
        session::{NotLive, Session, SessionDuration},
        user::User,
    },
};

/// What stands for a session.
#[derive(Debug)]
pub enum SessionCredential {
    /// A refresh token, in either form: enough to end its session, not to use it.
    RefreshToken(SecretString),
    /// A JWT of that kind.
    Token(TokenKind, SecretString),
    /// Its id.
    Id(SessionId),
}

/// What to do with a session that is still good. Nothing is written if nothing is wished.
#[derive(Clone, Copy, Debug, Default)]
pub struct SessionWishes {
    /// The session shall last that long from now, and no longer.
    pub duration: Option<SessionDuration>,
    /// Issue a fresh session token; take an expired one for it, too.
    pub renew_session_token: bool,
}

/// A session that can be used, and whose it is.
#[derive(Debug)]
pub struct LiveSession {
    /// The session.
    pub session: Session,
    /// Its user.
    pub user: User,
    /// End of the token that was presented.
    pub token_expires_at: Option<Timestamp>,
    /// Fresh session token, if it was asked for.
    pub session_token: Option<IssuedToken>,
    /// When all of this was true.
    pub checked_at: Timestamp,
}

/// Checks the credential, then the session itself in the database: a revoked one is refused at once.
pub async fn authenticate_session(
    services: &Services,
    call: &Call,
    credential: SessionCredential,
    wishes: SessionWishes,
) -> Result<LiveSession, Error> {
    let (caller, now) = (call.client()?, services.clock.now());
    let (session_id, token) = match credential {
        SessionCredential::Id(id) => (id, None),
        SessionCredential::RefreshToken(_) => return Err(Error::TokenInvalid),
        SessionCredential::Token(kind, token) => {
            let is_renewal = wishes.renew_session_token && kind == TokenKind::Session;
            let late_by_max = if is_renewal { LATE_TOKEN_MAX } else { Duration::zero() };
            let token = verify_token(services, caller, kind, &token, now, late_by_max).await?;
            (token.session_id, Some(token))
        }
    };
    let view = services.store.view();
    let session = view.sessions().find(caller.project_id(), session_id).await?;
    let mut session = session.filter(|session| session.is_live_at(now)).ok_or(Error::SessionNotActive)?;
    if token.as_ref().is_some_and(|token| token.user_id != session.user_id) {
        return Err(Error::TokenInvalid);
    }
    let user = view.users().find(caller.project_id(), session.user_id).await?;
    let user = user.filter(User::is_active).ok_or(Error::SessionNotActive)?;

    if let Some(duration) = wishes.duration {
        session.state = session.extended(now, duration).map_err(|NotLive| Error::SessionNotActive)?;
    }
    let session_token = if wishes.renew_session_token {
        let project = &caller.project;
        let keys = services.key_ring.keys(&services.store, project.id, now).await?;
        // No form of a session token tells about the client.
        let subject = Subject::new(services, project, &caller.client, &user, &session);
        Some(mint_session_token(&keys, &subject, now, &services.random)?)
    } else {
        None
    };
    if wishes.duration.is_some() {
        let tx = services.store.begin().await?;
        // Whoever disables or deletes the user ends the session, so asking the session alone is enough.
        if !tx.sessions().extend(&session, now).await? {
            return Err(Error::SessionNotActive);
        }
        tx.commit().await?;
    }
    let token_expires_at = token.map(|token| token.expires_at);
    Ok(LiveSession { session, user, token_expires_at, session_token, checked_at: now })
}

/// Checks a JWT of the caller's project.
pub(super) async fn verify_token(
    services: &Services,
    caller: &ClientCaller,
    kind: TokenKind,
    token: &SecretString,
    now: Timestamp,
    late_by_max: Duration,
) -> Result<VerifiedToken, Error> {
    let named = jwt::named_key(token.expose_secret());
    let keys = services.key_ring.keys_for(&services.store, caller.project_id(), named, now).await?;
    verify_with(services, caller, &keys, kind, token, now, late_by_max)
}

/// The same with keys that are there already.
pub(super) fn verify_with(
    services: &Services,
    caller: &ClientCaller,
    keys: &ProjectKeys,
    kind: TokenKind,
    token: &SecretString,
    now: Timestamp,
    late_by_max: Duration,
) -> Result<VerifiedToken, Error> {
    token_forms::verify(services, &caller.project, keys, token, (kind, now, late_by_max)).map_err(|error| {
        tracing::debug!(%error, "a token was refused");
        Error::TokenInvalid
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_not_printed() {
        let credential = SessionCredential::Token(TokenKind::Access, "eyJhbGciOi".into());
        assert!(!format!("{credential:?}").contains("eyJ"));
    }
}
