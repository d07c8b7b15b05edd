//! Ending a session, or all of a user.

use chrono::Duration;

use super::{
    Call, Error, Services,
    authenticate_session::{SessionCredential, verify_token},
    end_sessions::{end_one, end_sessions_of},
    refresh_tokens::{check_presented, read_refresh_token},
};
use crate::{
    clock::Timestamp,
    domain::{
        caller::ClientCaller, client::ClientType, event::Cause, id::SessionId, project::LATE_TOKEN_MAX,
        session::Session,
    },
};

/// Ends the session that the credential stands for; one that has ended already stays so. On request it ends all sessions of that
/// one's user, which has to be live then, and a refresh token must not have been replaced: an old token must not end what came after it. Says how many could be used until now.
pub async fn sign_out(
    services: &Services,
    call: &Call,
    credential: SessionCredential,
    all_sessions: bool,
) -> Result<usize, Error> {
    let (caller, now) = (call.client()?, services.clock.now());
    let mut generation = None;
    let session_id = match credential {
        // An id is no secret: only a client that keeps one may name a session by it.
        SessionCredential::Id(_) if caller.client.client_type == ClientType::Public => {
            return Err(Error::CallerNotPermitted);
        }
        SessionCredential::Id(id) => id,
        SessionCredential::RefreshToken(token) => {
            let (grant, _) = read_refresh_token(services, caller, &token, now).await?;
            generation = Some(grant.generation);
            grant.session_id
        }
        SessionCredential::Token(kind, token) => {
            let late_by_max = if all_sessions { Duration::zero() } else { LATE_TOKEN_MAX };
            verify_token(services, caller, kind, &token, now, late_by_max).await?.session_id
        }
    };
    if all_sessions {
        return end_all(services, call, caller, (session_id, generation), now).await;
    }
    let tx = services.store.begin().await?;
    let (_, was_live) = end_one(services, call, &tx, (caller.project_id(), session_id), Cause::SignOut, now).await?;
    tx.commit().await?;
    Ok(usize::from(was_live))
}

async fn end_all(
    services: &Services,
    call: &Call,
    caller: &ClientCaller,
    (session_id, generation): (SessionId, Option<u32>),
    now: Timestamp,
) -> Result<usize, Error> {
    let project_id = caller.project_id();
    let tx = services.store.begin().await?;
    let live = |session: &Session| session.is_live_at(now);
    let session = tx.sessions().find(project_id, session_id).await?.filter(live).ok_or(Error::SessionNotActive)?;
    let user = tx.users().lock(project_id, session.user_id).await?.ok_or(Error::SessionNotActive)?;
    // Again, now that the user is held: of two that end everything together, one does.
    let session = tx.sessions().find(project_id, session_id).await?.filter(live).ok_or(Error::SessionNotActive)?;
    if let Some(generation) = generation {
        check_presented(caller, &session, generation, now)?;
    }
    let ended = end_sessions_of(services, call, &tx, &user, None, Cause::SignOut, now).await?;
    tx.commit().await?;
    Ok(ended)
}
