//! Is this token, or session, still good?

use secrecy::{ExposeSecret as _, SecretString};

use super::{Call, Error, Services};
use crate::{
    clock::Timestamp,
    crypto::{
        jwt::{self, Expected, TokenKind, VerifiedToken},
        project_keys::ProjectKeys,
    },
    domain::{caller::ClientCaller, id::SessionId, session::Session, user::User},
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

/// A session that can be used, and whose it is.
#[derive(Debug)]
pub struct LiveSession {
    /// The session.
    pub session: Session,
    /// Its user.
    pub user: User,
    /// End of the token that was presented.
    pub token_expires_at: Option<Timestamp>,
}

/// Checks the credential, then the session itself in the database: a revoked one is refused at once.
pub async fn authenticate_session(
    services: &Services,
    call: &Call,
    credential: SessionCredential,
) -> Result<LiveSession, Error> {
    let (caller, now) = (call.client()?, services.clock.now());
    let (session_id, token) = match credential {
        SessionCredential::Id(id) => (id, None),
        SessionCredential::RefreshToken(_) => return Err(Error::TokenInvalid),
        SessionCredential::Token(kind, token) => {
            let token = verify_token(services, caller, kind, &token, now, false).await?;
            (token.session_id, Some(token))
        }
    };
    let view = services.store.view();
    let session = view.sessions().find(caller.project_id(), session_id).await?;
    let session = session.filter(|session| session.is_live_at(now)).ok_or(Error::SessionNotActive)?;
    if token.as_ref().is_some_and(|token| token.user_id != session.user_id) {
        return Err(Error::TokenInvalid);
    }
    let user = view.users().find(caller.project_id(), session.user_id).await?;
    let user = user.filter(User::is_active).ok_or(Error::SessionNotActive)?;
    Ok(LiveSession { session, user, token_expires_at: token.map(|token| token.expires_at) })
}

/// Checks a JWT of the caller's project.
pub(super) async fn verify_token(
    services: &Services,
    caller: &ClientCaller,
    kind: TokenKind,
    token: &SecretString,
    now: Timestamp,
    expired_too: bool,
) -> Result<VerifiedToken, Error> {
    let keys = services.key_ring.keys(&services.store, caller.project_id(), now).await?;
    verify_with(services, caller, &keys, kind, token, now, expired_too)
}

/// The same with keys that are there already.
pub(super) fn verify_with(
    services: &Services,
    caller: &ClientCaller,
    keys: &ProjectKeys,
    kind: TokenKind,
    token: &SecretString,
    now: Timestamp,
    expired_too: bool,
) -> Result<VerifiedToken, Error> {
    let project = &caller.project;
    let mut audiences = vec![project.id.to_string()];
    if kind == TokenKind::Access {
        audiences.push(project.default_audience());
        audiences.extend(project.settings.allowed_resources.iter().cloned());
    }
    let issuer = services.issuer(project);
    let expected = Expected { kind, issuer: &issuer, audiences: &audiences, now, expired_too };
    jwt::verify(token.expose_secret(), keys, &expected).map_err(|error| {
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
