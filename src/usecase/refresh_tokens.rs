//! New tokens for a refresh token (ARCHITECTURE.md, "A refresh, step by step").

use std::{borrow::Cow, sync::Arc};

use chrono::Duration;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::timeout;

use super::{
    Call, Error, Services, Tokens, authenticate_session::verify_with, end_sessions::end_session,
    mint_tokens::mint_tokens, token_forms::Subject,
};
use crate::{
    clock::Timestamp,
    crypto::{
        jwt::{self, TokenKind},
        project_keys::ProjectKeys,
        refresh_token::{RefreshGrant, SealedRefreshToken},
    },
    domain::{
        caller::ClientCaller,
        challenge::TokenWishes,
        client::{Client, ClientType},
        event::{Cause, Event, EventKind},
        refresh::{RefreshOutcome, RefreshState},
        session::Session,
        user::User,
    },
    store::Tx,
};

/// How long a refresh waits to be written without its row being held. When it is written may be later than the time that was taken
/// for it by this, and by as much as SQLite waits for other processes.
const UNHELD_WAIT_MAX: std::time::Duration = std::time::Duration::from_secs(5);
/// A grace period has to be so long for that: it begins with the time that was taken, and a call whose wait was over just before it
/// was written must still find itself within it, or it would be taken for a copy of itself.
const UNHELD_GRACE_MIN: Duration = Duration::seconds(20);

/// A refresh.
#[derive(Debug)]
pub struct Refresh {
    /// The refresh token.
    pub token: SecretString,
    /// Which tokens to issue.
    pub wishes: TokenWishes,
}

/// A session that goes on.
#[derive(Debug)]
pub struct Refreshed {
    /// Its user.
    pub user: User,
    /// The session.
    pub session: Session,
    /// Its tokens.
    pub tokens: Tokens,
}

/// Gives the tokens that follow. A session that was revoked, or whose user may not sign in, ends here.
pub async fn refresh_tokens(services: &Services, call: &Call, request: Refresh) -> Result<Refreshed, Error> {
    let caller = call.client()?;
    let (grant, keys) = read_refresh_token(services, caller, &request.token, services.clock.now()).await?;
    let presented = Presented { keys, grant, wishes: request.wishes };
    match presented.in_one_statement(services, caller).await? {
        Some(refreshed) => Ok(refreshed),
        None => presented.under_lock(services, call, caller).await,
    }
}

/// A refresh token that is ours.
struct Presented {
    keys: Arc<ProjectKeys>,
    grant: RefreshGrant,
    wishes: TokenWishes,
}

/// What becomes of its session.
enum Next {
    /// It has ended.
    Reuse,
    /// It stays as it is.
    Repeat,
    /// It goes on like this.
    Moved(Box<Session>),
}

impl Presented {
    /// Moves the session on without holding its row, if neither an end nor a repetition has to be written down, and if it is
    /// still what was read when it is written. None if not: then that is decided anew while the row is held.
    ///
    /// So whoever writes to SQLite has to wait for one statement of it, not for a unit of work and a signature.
    async fn in_one_statement(&self, services: &Services, caller: &ClientCaller) -> Result<Option<Refreshed>, Error> {
        let now = services.clock.now();
        let view = services.store.view();
        let found = view.sessions().find_with_user(caller.project_id(), self.grant.session_id).await?;
        let Some((read, user)) = found else { return Ok(None) };
        let policy = read.token_profile.refresh_policy(&caller.project.settings);
        let is_short = policy.rotates && policy.grace < UNHELD_GRACE_MIN;
        if is_short || read.client_id != caller.client.id || !user.is_active() {
            return Ok(None);
        }
        let Ok(Next::Moved(session)) = self.next(caller, &read, now) else { return Ok(None) };
        let subject = Subject::new(services, &caller.project, &caller.client, &user, &session);
        let tokens = mint_tokens(&self.keys, &subject, &self.wishes, now, &services.random)?;
        // With the wait for the turn to write: what is written late must be so within this bound.
        let writing = async { services.store.alone().await?.sessions().refreshed_as_read(&session, &read).await };
        // Whether it was written when the time is over shows as soon as the row is held: then this is a repetition.
        match timeout(UNHELD_WAIT_MAX, writing).await {
            Ok(written) => Ok(written?.then_some(Refreshed { user, session: *session, tokens })),
            Err(_) => Ok(None),
        }
    }

    /// The same, whatever there is to decide: everything is read again in the unit of work that writes.
    async fn under_lock(&self, services: &Services, call: &Call, caller: &ClientCaller) -> Result<Refreshed, Error> {
        let tx = services.store.begin().await?;
        let Some((session, now)) = self.step(services, call, caller, &tx).await? else {
            // What was found out is written down, or the copy would stay good.
            tx.commit().await?;
            return Err(Error::RefreshTokenReused);
        };
        let user = tx.users().find(caller.project_id(), session.user_id).await?;
        let user = user.filter(User::is_active).ok_or(Error::SessionNotActive)?;
        let client = client_of(caller, &tx, &session).await?;
        let subject = Subject::new(services, &caller.project, &client, &user, &session);
        let tokens = mint_tokens(&self.keys, &subject, &self.wishes, now, &services.random)?;
        tx.commit().await?;
        Ok(Refreshed { user, session, tokens })
    }

    /// Moves the session on, and says when; none if the token is a copy, which has ended it.
    async fn step(
        &self,
        services: &Services,
        call: &Call,
        caller: &ClientCaller,
        tx: &Tx,
    ) -> Result<Option<(Session, Timestamp)>, Error> {
        let session = tx.sessions().lock(caller.project_id(), self.grant.session_id).await?;
        // Only now: who waited long for the row would else open a grace period that is over already.
        let now = services.clock.now();
        let read = session.ok_or(Error::SessionNotActive)?;
        let event = |kind| Event::new(kind, read.project_id).user(read.user_id).session(read.id);
        match self.next(caller, &read, now)? {
            Next::Reuse => {
                services.record(tx, call, now, [event(EventKind::RefreshReused)]).await?;
                end_session(services, call, tx, read.id, Cause::RefreshTokenReuse, now).await?;
                Ok(None)
            }
            Next::Repeat => {
                services.record(tx, call, now, [event(EventKind::RefreshRepeated)]).await?;
                Ok(Some((read, now)))
            }
            Next::Moved(session) => {
                if tx.sessions().refreshed(&session, read.refresh.generation).await? {
                    return Ok(Some((*session, now)));
                }
                // Not "over": whoever reads that signs the user out.
                Err(Error::Internal("a session changed while its row was held".into()))
            }
        }
    }

    /// Decides what becomes of a session that was read.
    fn next(&self, caller: &ClientCaller, read: &Session, now: Timestamp) -> Result<Next, Error> {
        let settings = &caller.project.settings;
        let not_live = |_| Error::SessionNotActive;
        let state = read.used(now, settings.session_idle_lifetime()).map_err(not_live)?;
        check_client(caller, read)?;
        check_resource(caller, read, &self.wishes)?;
        let policy = read.token_profile.refresh_policy(settings);
        let refresh = match read.refresh.present(self.grant.generation, policy, now) {
            RefreshOutcome::Reuse => return Ok(Next::Reuse),
            RefreshOutcome::Repeat => return Ok(Next::Repeat),
            RefreshOutcome::Keep => read.refresh,
            RefreshOutcome::Rotate { to } => RefreshState { generation: to, rotated_at: Some(now) },
        };
        Ok(Next::Moved(Box::new(Session { refresh, state, last_used_at: now, ..read.clone() })))
    }
}

/// A refresh token belongs to the client it was issued to (RFC 6749, section 6). A back end of the project may stand in for its
/// applications: it could end or prolong their sessions anyway.
pub(super) fn check_client(caller: &ClientCaller, session: &Session) -> Result<(), Error> {
    let fine = session.client_id == caller.client.id || caller.client.client_type == ClientType::Confidential;
    if fine { Ok(()) } else { Err(Error::TokenInvalid) }
}

/// The client that opened a session: most often the caller.
pub(super) async fn client_of<'c>(
    caller: &'c ClientCaller,
    tx: &Tx,
    session: &Session,
) -> Result<Cow<'c, Client>, Error> {
    if session.client_id == caller.client.id {
        return Ok(Cow::Borrowed(&caller.client));
    }
    // A client takes its sessions along when it is deleted.
    let client = tx.clients().find(caller.project_id(), session.client_id).await?;
    client.map(Cow::Owned).ok_or(Error::SessionNotActive)
}

/// Whether a refresh token of that generation still stands for its session, without replacing it. One that would end the session at a
/// refresh ends nothing here: who only shows it gets nothing for it.
pub(super) fn check_presented(
    caller: &ClientCaller,
    session: &Session,
    generation: u32,
    now: Timestamp,
) -> Result<(), Error> {
    check_client(caller, session)?;
    let policy = session.token_profile.refresh_policy(&caller.project.settings);
    match session.refresh.present(generation, policy, now) {
        RefreshOutcome::Keep | RefreshOutcome::Repeat | RefreshOutcome::Rotate { .. } => Ok(()),
        RefreshOutcome::Reuse => Err(Error::TokenInvalid),
    }
}

/// A resource that the project has given up gets no more tokens.
pub(super) fn check_resource(caller: &ClientCaller, session: &Session, wishes: &TokenWishes) -> Result<(), Error> {
    let allowed = &caller.project.settings.allowed_resources;
    let resource = wishes.resource.as_ref().or(session.resource.as_ref());
    if resource.is_none_or(|resource| allowed.contains(resource)) {
        Ok(())
    } else {
        Err(Error::ResourceNotAllowed("token_options.resource"))
    }
}

/// What a refresh token stands for, in either form, and the keys it was checked with. How long a JWT says it lasts does not count:
/// the session does, whose end may have been moved since. Takes a connection, so it comes before the unit of work: whoever holds
/// one connection must not wait for another.
pub(super) async fn read_refresh_token(
    services: &Services,
    caller: &ClientCaller,
    token: &SecretString,
    now: Timestamp,
) -> Result<(RefreshGrant, Arc<ProjectKeys>), Error> {
    let sealed = SealedRefreshToken::parse(token.expose_secret());
    let named = sealed.as_ref().map(SealedRefreshToken::key_id).or_else(|| jwt::named_key(token.expose_secret()));
    let keys = services.key_ring.keys_for(&services.store, caller.project_id(), named, now).await?;
    let grant = if let Some(sealed) = sealed {
        keys.open_refresh_token(&sealed, now)
    } else {
        let claims = verify_with(services, caller, &keys, TokenKind::Refresh, token, now, Duration::MAX)?;
        let session_id = claims.session_id;
        claims.refresh_generation.map(|generation| RefreshGrant { session_id, generation })
    };
    Ok((grant.ok_or(Error::TokenInvalid)?, keys))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_not_printed() {
        let refresh = Refresh { token: "signet_rt_secret".into(), wishes: TokenWishes::default() };
        assert!(!format!("{refresh:?}").contains("signet_rt"));
    }
}
