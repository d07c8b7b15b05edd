//! Disabling and enabling a user.

use super::{Call, Error, Services, end_sessions::end_sessions_of};
use crate::domain::{
    event::{Cause, Event, EventKind},
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
    let changed = |kind| [Event::new(kind, project_id).user(id)];
    match status {
        UserStatus::Active => services.record(&tx, call, now, changed(EventKind::UserEnabled)).await?,
        UserStatus::Disabled => {
            services.record(&tx, call, now, changed(EventKind::UserDisabled)).await?;
            tx.challenges().delete_of_user(id).await?;
            end_sessions_of(services, call, &tx, &user, None, Cause::UserDisabled, now).await?;
        }
    }
    tx.commit().await?;
    Ok(user)
}
