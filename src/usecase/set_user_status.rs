//! Disabling and enabling a user.

use super::{Call, Error, Services};
use crate::domain::{
    event::{Event, EventKind},
    id::UserId,
    user::{User, UserStatus},
};

/// Disables or enables a user. Disabling ends all sessions and kills what was begun. Doing it twice changes nothing.
pub async fn set_user_status(services: &Services, call: &Call, id: UserId, status: UserStatus) -> Result<User, Error> {
    let (project_id, now) = (call.project()?.id, services.clock.now());
    let tx = services.store.begin().await?;
    let mut user = tx.users().lock(project_id, id).await?.ok_or(Error::UserNotFound)?;
    if user.status == status {
        return Ok(user);
    }
    user.status = status;
    user.updated_at = now;
    tx.users().update(&user).await?;
    let mut events = Vec::new();
    match status {
        UserStatus::Active => events.push(Event::new(EventKind::UserEnabled, project_id).user(id)),
        UserStatus::Disabled => {
            events.push(Event::new(EventKind::UserDisabled, project_id).user(id));
            tx.challenges().delete_of_user(id).await?;
            let ended = tx.sessions().revoke_all(id, None, now).await?;
            let revoked = |session| Event::new(EventKind::SessionRevoked, project_id).user(id).session(session);
            events.extend(ended.into_iter().map(|session| revoked(session).cause("user_disabled")));
        }
    }
    services.record(&tx, call, now, events).await?;
    tx.commit().await?;
    Ok(user)
}
