//! Reading, listing and ending the sessions of a project's users.

use super::{
    Call, Error, Services,
    end_sessions::{end_session, end_sessions_of},
};
use crate::domain::{
    event::Cause,
    id::{SessionId, UserId},
    page::{Listed, OrderedPage},
    session::Session,
};

/// Reads a session; also one that has ended, as long as it is kept.
pub async fn get_session(services: &Services, call: &Call, id: SessionId) -> Result<Session, Error> {
    let session = services.store.view().sessions().find(call.project()?.id, id).await?;
    session.ok_or(Error::SessionNotFound)
}

/// Lists the live sessions of a user.
pub async fn list_sessions(
    services: &Services,
    call: &Call,
    user_id: UserId,
    page: impl Into<OrderedPage>,
) -> Result<Listed<Session>, Error> {
    let (view, project_id) = (services.store.view(), call.project()?.id);
    view.users().find(project_id, user_id).await?.ok_or(Error::UserNotFound)?;
    Ok(view.sessions().list_live(project_id, user_id, page, services.clock.now()).await?)
}

/// Ends a session; one that has ended already stays so.
pub async fn revoke_session(services: &Services, call: &Call, id: SessionId) -> Result<Session, Error> {
    let tx = services.store.begin().await?;
    let ended = end_session(services, call, &tx, id, Cause::Revoked, services.clock.now()).await?;
    let session = ended.ok_or(Error::SessionNotFound)?;
    tx.commit().await?;
    Ok(session)
}

/// Ends all sessions of a user, but for one if it is named; says how many could still be used.
pub async fn revoke_all_sessions(
    services: &Services,
    call: &Call,
    user_id: UserId,
    except: Option<SessionId>,
) -> Result<usize, Error> {
    let tx = services.store.begin().await?;
    let user = tx.users().lock(call.project()?.id, user_id).await?.ok_or(Error::UserNotFound)?;
    let ended = end_sessions_of(services, call, &tx, &user, except, Cause::AllRevoked, services.clock.now()).await?;
    tx.commit().await?;
    Ok(ended)
}
