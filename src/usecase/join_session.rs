//! A sign-in that joins a session of its user instead of opening one.

use chrono::Duration;

use super::{
    Error, Services,
    authenticate_session::{SessionCredential, verify_token},
    refresh_tokens::{check_client, check_presented, check_resource, read_refresh_token},
    token_forms::check_may_claim,
};
use crate::{
    clock::Timestamp,
    domain::{
        caller::ClientCaller,
        challenge::TokenWishes,
        claims::CustomClaims,
        client::ClientType,
        id::SessionId,
        refresh::RefreshState,
        session::{AuthenticationMethod, NotLive, Session, SessionDuration},
        user::User,
        violation::InField as _,
    },
    store::Tx,
};

/// A session that a credential of ours stands for, whatever has become of it.
pub(super) struct NamedSession {
    id: SessionId,
    /// Of the refresh token that was shown, if it was one.
    generation: Option<u32>,
}

/// An id is no secret: only a client that keeps one may name a session by it.
pub(super) fn check_may_name(caller: &ClientCaller, credential: &SessionCredential) -> Result<(), Error> {
    match credential {
        SessionCredential::Id(_) if caller.client.client_type == ClientType::Public => Err(Error::CallerNotPermitted),
        _ => Ok(()),
    }
}

/// What session the credential stands for. Whether it is a token of ours is told no more than what has become of its session. Takes
/// a connection, so it comes before the unit of work.
pub(super) async fn named_session(
    services: &Services,
    caller: &ClientCaller,
    credential: SessionCredential,
    now: Timestamp,
) -> Result<NamedSession, Error> {
    let named = match credential {
        SessionCredential::Id(id) => Ok(NamedSession { id, generation: None }),
        SessionCredential::RefreshToken(token) => read_refresh_token(services, caller, &token, now)
            .await
            .map(|(grant, _)| NamedSession { id: grant.session_id, generation: Some(grant.generation) }),
        SessionCredential::Token(kind, token) => verify_token(services, caller, kind, &token, now, Duration::zero())
            .await
            .map(|token| NamedSession { id: token.session_id, generation: None }),
    };
    named.map_err(not_active)
}

/// The session, whose row is held from then on, if it is a live one of that user and the caller may act for its client.
pub(super) async fn hold(
    tx: &Tx,
    caller: &ClientCaller,
    user: &User,
    named: &NamedSession,
    now: Timestamp,
) -> Result<Session, Error> {
    let session = tx.sessions().lock(caller.project_id(), named.id).await?;
    let is_theirs = |session: &Session| session.is_live_at(now) && session.user_id == user.id;
    let session = session.filter(is_theirs).ok_or(Error::SessionNotActive)?;
    let fits = match named.generation {
        Some(generation) => check_presented(caller, &session, generation, now),
        None => check_client(caller, &session),
    };
    // Its resource may have been given up since it was opened: then there is nothing that its tokens could be for.
    fits.and_then(|()| check_resource(caller, &session, &TokenWishes::default())).map_err(not_active)?;
    Ok(session)
}

/// What a sign-in adds to a session.
pub(super) struct Joining {
    pub(super) id: SessionId,
    pub(super) duration: Option<SessionDuration>,
    pub(super) methods: Vec<AuthenticationMethod>,
    pub(super) custom_claims: CustomClaims,
}

/// Adds a sign-in to a session. Its id and what was known of it stay. Its refresh token is replaced where tokens are: one that was
/// stolen before must not gain the sign-in of now, nor a later end.
pub(super) async fn join(
    tx: &Tx,
    caller: &ClientCaller,
    user: &User,
    joining: Joining,
    now: Timestamp,
) -> Result<Session, Error> {
    let named = NamedSession { id: joining.id, generation: None };
    let mut session = hold(tx, caller, user, &named, now).await?;
    check_may_claim(caller, session.token_profile, &joining.custom_claims)?;
    session.proved_again(&joining.methods, now);
    session.last_used_at = now;
    session.custom_claims = session.custom_claims.merged(&joining.custom_claims).in_field("custom_claims")?;
    let state = match joining.duration {
        Some(duration) => session.extended(now, duration),
        None => session.used(now, caller.project.settings.session_idle_lifetime()),
    };
    session.state = state.map_err(|NotLive| Error::SessionNotActive)?;
    if session.token_profile.refresh_policy(&caller.project.settings).rotates {
        session.refresh =
            RefreshState { generation: session.refresh.generation.saturating_add(1), rotated_at: Some(now) };
    }
    if tx.sessions().joined(&session).await? { Ok(session) } else { Err(Error::SessionNotActive) }
}

fn not_active(error: Error) -> Error {
    match error {
        Error::TokenInvalid | Error::ResourceNotAllowed(_) => Error::SessionNotActive,
        error => error,
    }
}
