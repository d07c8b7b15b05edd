//! Is this token, or session, still good? And if it is, on request: a later end, a fresh session token.

use chrono::Duration;
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    Call, Error, IssuedToken, Services,
    mint_tokens::mint_session_token,
    refresh_tokens::{check_client, check_presented, read_refresh_token},
    token_forms::{self, Subject, check_custom_claims, check_may_claim},
};
use crate::{
    clock::Timestamp,
    crypto::{
        jwt::{self, TokenKind, VerifiedToken},
        project_keys::ProjectKeys,
        refresh_token::RefreshGrant,
    },
    domain::{
        caller::ClientCaller,
        claims::CustomClaims,
        client::ClientType,
        id::SessionId,
        project::LATE_TOKEN_MAX,
        session::{NotLive, Session, SessionDuration},
        user::User,
        violation::InField as _,
    },
};

/// What stands for a session.
#[derive(Debug)]
pub enum SessionCredential {
    /// A refresh token, in either form.
    RefreshToken(SecretString),
    /// A JWT of that kind.
    Token(TokenKind, SecretString),
    /// Its id.
    Id(SessionId),
}

/// What to do with a session that is still good. Nothing is written if nothing is wished.
#[derive(Clone, Debug, Default)]
pub struct SessionWishes {
    /// The session shall last that long from now, and no longer.
    pub duration: Option<SessionDuration>,
    /// Issue a fresh session token; take an expired one for it, too.
    pub renew_session_token: bool,
    /// Changes to the claims of the session.
    pub custom_claims: CustomClaims,
}

impl SessionWishes {
    /// True if the session is to be changed.
    fn change_it(&self) -> bool {
        self.duration.is_some() || !self.custom_claims.is_empty()
    }
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

/// What a credential says, once it is known to be ours.
enum Proof {
    Id(SessionId),
    Refresh(RefreshGrant),
    Token(VerifiedToken),
}

/// Checks the credential, then the session itself in the database: a revoked one is refused at once.
pub async fn authenticate_session(
    services: &Services,
    call: &Call,
    credential: SessionCredential,
    wishes: SessionWishes,
) -> Result<LiveSession, Error> {
    let (caller, now) = (call.client()?, services.clock.now());
    let (project, project_id) = (&caller.project, caller.project_id());
    let proof = prove(services, caller, credential, &wishes, now).await?;
    // Before the unit of work: whoever holds one connection must not wait for another.
    let keys = if wishes.renew_session_token {
        Some(services.key_ring.keys(&services.store, project_id, now).await?)
    } else {
        None
    };
    let (session, user) = if wishes.change_it() {
        let tx = services.store.begin().await?;
        // Held, so that of two changes to the claims none is lost.
        let session = tx.sessions().lock(project_id, proof.session_id()).await?;
        let mut session = proof.check(caller, session, true, now)?;
        change(caller, &mut session, &wishes, now)?;
        // Whoever disables or deletes the user ends the session, so asking the session alone is enough.
        if !tx.sessions().extend(&session, now).await? {
            return Err(Error::SessionNotActive);
        }
        let user = tx.users().find(project_id, session.user_id).await?;
        let user = user.filter(User::is_active).ok_or(Error::SessionNotActive)?;
        tx.commit().await?;
        (session, user)
    } else {
        let found = services.store.view().sessions().find_with_user(project_id, proof.session_id()).await?;
        let (session, user) = found.unzip();
        let session = proof.check(caller, session, wishes.renew_session_token, now)?;
        (session, user.filter(User::is_active).ok_or(Error::SessionNotActive)?)
    };
    let session_token = keys.map(|keys| {
        // No form of a session token tells about the client.
        let subject = Subject::new(services, project, &caller.client, &user, &session);
        mint_session_token(&keys, &subject, now, &services.random)
    });
    let token_expires_at = proof.expires_at(&session);
    Ok(LiveSession { session_token: session_token.transpose()?, session, user, token_expires_at, checked_at: now })
}

/// Checks that the credential is ours, and within its time.
async fn prove(
    services: &Services,
    caller: &ClientCaller,
    credential: SessionCredential,
    wishes: &SessionWishes,
    now: Timestamp,
) -> Result<Proof, Error> {
    match credential {
        // An id is no secret: only a client that keeps one may name a session by it.
        SessionCredential::Id(_) if caller.client.client_type == ClientType::Public => Err(Error::CallerNotPermitted),
        SessionCredential::Id(id) => Ok(Proof::Id(id)),
        // Tokens that are shown around must not change what they were made from: the refresh token alone is the application's own.
        SessionCredential::Token(..) if caller.client.client_type == ClientType::Public && wishes.change_it() => {
            Err(Error::CallerNotPermitted)
        }
        SessionCredential::RefreshToken(token) => {
            Ok(Proof::Refresh(read_refresh_token(services, caller, &token, now).await?.0))
        }
        SessionCredential::Token(kind, token) => {
            let is_renewal = wishes.renew_session_token && kind == TokenKind::Session;
            let late_by_max = if is_renewal { LATE_TOKEN_MAX } else { Duration::zero() };
            Ok(Proof::Token(verify_token(services, caller, kind, &token, now, late_by_max).await?))
        }
    }
}

impl Proof {
    const fn session_id(&self) -> SessionId {
        match self {
            Self::Id(id) => *id,
            Self::Refresh(grant) => grant.session_id,
            Self::Token(token) => token.session_id,
        }
    }

    /// The session, if it is live and the credential stands for it. Whoever gets more than an answer (`gains`) has to be its client,
    /// or a back end.
    fn check(
        &self,
        caller: &ClientCaller,
        session: Option<Session>,
        gains: bool,
        now: Timestamp,
    ) -> Result<Session, Error> {
        let session = session.filter(|session| session.is_live_at(now)).ok_or(Error::SessionNotActive)?;
        match self {
            Self::Refresh(grant) => check_presented(caller, &session, grant.generation, now)?,
            Self::Token(token) if token.user_id != session.user_id => return Err(Error::TokenInvalid),
            Self::Token(_) if gains => check_client(caller, &session)?,
            Self::Id(_) | Self::Token(_) => {}
        }
        Ok(session)
    }

    /// How long the credential is good; a refresh token as long as its session.
    fn expires_at(&self, session: &Session) -> Option<Timestamp> {
        match self {
            Self::Id(_) => None,
            Self::Refresh(_) => session.ends_at(),
            Self::Token(token) => Some(token.expires_at),
        }
    }
}

fn change(caller: &ClientCaller, session: &mut Session, wishes: &SessionWishes, now: Timestamp) -> Result<(), Error> {
    check_may_claim(caller, session.token_profile, &wishes.custom_claims)?;
    if let Some(duration) = wishes.duration {
        session.state = session.extended(now, duration).map_err(|NotLive| Error::SessionNotActive)?;
        session.last_used_at = now;
    }
    if !wishes.custom_claims.is_empty() {
        session.custom_claims = session.custom_claims.merged(&wishes.custom_claims).in_field("custom_claims")?;
        check_custom_claims(session.token_profile, &session.custom_claims)?;
    }
    Ok(())
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
