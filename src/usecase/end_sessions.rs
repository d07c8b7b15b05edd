//! Ending sessions before their time, with a line in the audit trail for each that could still be used.

use super::{Call, Error, Services};
use crate::{
    clock::Timestamp,
    domain::{
        event::{Cause, Event, EventKind},
        id::{ProjectId, SessionId},
        session::Session,
        user::User,
    },
    store::Tx,
};

/// Ends a session of the caller's project and says why; gives it as it is then, none if there is none with that id. One that
/// has ended already stays so, and is no news.
pub(super) async fn end_session(
    services: &Services,
    call: &Call,
    tx: &Tx,
    id: SessionId,
    cause: Cause,
    now: Timestamp,
) -> Result<Option<Session>, Error> {
    Ok(end_one(services, call, tx, (call.project()?.id, id), cause, now).await?.0)
}

/// The same for a project that is not the caller's own; says also whether the session could be used until now.
pub(super) async fn end_one(
    services: &Services,
    call: &Call,
    tx: &Tx,
    (project_id, id): (ProjectId, SessionId),
    cause: Cause,
    now: Timestamp,
) -> Result<(Option<Session>, bool), Error> {
    let was_live = tx.sessions().revoke(project_id, id, now).await?;
    let session = tx.sessions().find(project_id, id).await?;
    if let Some(session) = session.as_ref().filter(|_| was_live) {
        let event = Event::new(EventKind::SessionRevoked, project_id).user(session.user_id).session(id);
        services.record(tx, call, now, [event.cause(cause)]).await?;
    }
    Ok((session, was_live))
}

/// Ends the sessions of a user, but for one if it is named, and says why; tells how many could still be used. The one that is
/// named must be a live session of the user. The caller holds the user's row, so that no sign-in that is just being completed
/// is missed.
pub(super) async fn end_sessions_of(
    services: &Services,
    call: &Call,
    tx: &Tx,
    user: &User,
    except: Option<SessionId>,
    cause: Cause,
    now: Timestamp,
) -> Result<usize, Error> {
    if let Some(id) = except {
        let session = tx.sessions().find(user.project_id, id).await?;
        let is_theirs = |session: &Session| session.user_id == user.id && session.is_live_at(now);
        session.filter(is_theirs).ok_or(Error::SessionNotFound)?;
    }
    let ended = tx.sessions().revoke_all(user.id, except, now).await?;
    let revoked =
        |id: &SessionId| Event::new(EventKind::SessionRevoked, user.project_id).user(user.id).session(*id).cause(cause);
    services.record(tx, call, now, ended.iter().map(revoked)).await?;
    Ok(ended.len())
}
