//! New tokens for a session that a back end names by its id.

use super::{
    Call, Error, Services,
    mint_tokens::mint_tokens,
    refresh_tokens::{Refreshed, check_resource, client_of},
    token_forms::Subject,
};
use crate::domain::{
    challenge::TokenWishes,
    client_context::ClientContext,
    event::{Event, EventKind},
    id::SessionId,
    user::User,
};

/// A session that shall go on.
#[derive(Debug)]
pub struct ResumeSession {
    /// Its id.
    pub session_id: SessionId,
    /// Which tokens to issue.
    pub wishes: TokenWishes,
    /// The end user's connection of today: for the audit trail.
    pub client_context: ClientContext,
}

/// Gives new tokens, and moves the idle end as a refresh does. The refresh token stays the one of the session's generation, so that
/// whoever holds it is not signed out by this.
pub async fn resume_session(services: &Services, call: &Call, request: ResumeSession) -> Result<Refreshed, Error> {
    let caller = call.client()?;
    let (project, project_id) = (&caller.project, caller.project_id());
    // Before the unit of work: whoever holds one connection must not wait for another.
    let keys = services.key_ring.keys(&services.store, project_id, services.clock.now()).await?;
    let tx = services.store.begin().await?;
    let session = tx.sessions().lock(project_id, request.session_id).await?;
    let now = services.clock.now();
    let mut session = session.filter(|session| session.is_live_at(now)).ok_or(Error::SessionNotActive)?;
    check_resource(caller, &session, &request.wishes)?;
    session.state = session.used(now, project.settings.session_idle_lifetime()).map_err(|_| Error::SessionNotActive)?;
    session.last_used_at = now;
    if !tx.sessions().refreshed(&session, session.refresh.generation).await? {
        return Err(Error::Internal("a session changed while its row was held".into()));
    }
    let user = tx.users().find(project_id, session.user_id).await?;
    let user = user.filter(User::is_active).ok_or(Error::SessionNotActive)?;
    let resumed = Event::new(EventKind::SessionResumed, project_id).user(user.id).session(session.id);
    services.record(&tx, call, now, [resumed.ip_address(request.client_context.ip_address)]).await?;
    let client = client_of(caller, &tx, &session).await?;
    let subject = Subject::new(services, project, &client, &user, &session);
    let tokens = mint_tokens(&keys, &subject, &request.wishes, now, &services.random)?;
    tx.commit().await?;
    Ok(Refreshed { user, session, tokens })
}
