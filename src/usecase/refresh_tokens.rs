//! New tokens for a refresh token (ARCHITECTURE.md, "A refresh, step by step").

use std::{borrow::Cow, sync::Arc};

use chrono::Duration;
use secrecy::{ExposeSecret as _, SecretString};

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

/// Gives the tokens that follow. Everything is read again in the transaction that writes: a session that was revoked, or whose
/// user may not sign in, ends here.
pub async fn refresh_tokens(services: &Services, call: &Call, request: Refresh) -> Result<Refreshed, Error> {
    let caller = call.client()?;
    let project_id = caller.project_id();
    let (grant, keys) = read_refresh_token(services, caller, &request.token, services.clock.now()).await?;

    let tx = services.store.begin().await?;
    let Some((session, now)) = step(services, call, caller, &tx, grant, &request.wishes).await? else {
        // What was found out is written down, or the copy would stay good.
        tx.commit().await?;
        return Err(Error::RefreshTokenReused);
    };
    let user = tx.users().find(project_id, session.user_id).await?;
    let user = user.filter(User::is_active).ok_or(Error::SessionNotActive)?;
    let client = client_of(caller, &tx, &session).await?;
    let subject = Subject::new(services, &caller.project, &client, &user, &session);
    let tokens = mint_tokens(&keys, &subject, &request.wishes, now, &services.random)?;
    tx.commit().await?;
    Ok(Refreshed { user, session, tokens })
}

/// Moves the session on, and says when; none if the token is a copy, which has ended it.
async fn step(
    services: &Services,
    call: &Call,
    caller: &ClientCaller,
    tx: &Tx,
    grant: RefreshGrant,
    wishes: &TokenWishes,
) -> Result<Option<(Session, Timestamp)>, Error> {
    let settings = &caller.project.settings;
    let session = tx.sessions().lock(caller.project_id(), grant.session_id).await?;
    // Only now: who waited long for the row would else open a grace period that is over already.
    let now = services.clock.now();
    let mut session = session.filter(|session| session.is_live_at(now)).ok_or(Error::SessionNotActive)?;
    check_client(caller, &session)?;
    check_resource(caller, &session, wishes)?;
    let policy = session.token_profile.refresh_policy(settings);
    let from = session.refresh.generation;
    let event = |kind| Event::new(kind, session.project_id).user(session.user_id).session(session.id);
    match session.refresh.present(grant.generation, policy, now) {
        RefreshOutcome::Reuse => {
            services.record(tx, call, now, [event(EventKind::RefreshReused)]).await?;
            end_session(services, call, tx, session.id, Cause::RefreshTokenReuse, now).await?;
            return Ok(None);
        }
        RefreshOutcome::Repeat => {
            services.record(tx, call, now, [event(EventKind::RefreshRepeated)]).await?;
            return Ok(Some((session, now)));
        }
        RefreshOutcome::Keep => {}
        RefreshOutcome::Rotate { to } => session.refresh = RefreshState { generation: to, rotated_at: Some(now) },
    }
    session.state = session.used(now, settings.session_idle_lifetime()).map_err(|_| Error::SessionNotActive)?;
    session.last_used_at = now;
    if tx.sessions().refreshed(&session, from).await? {
        Ok(Some((session, now)))
    } else {
        // Not "over": whoever reads that signs the user out.
        Err(Error::Internal("a session changed while its row was held".into()))
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
