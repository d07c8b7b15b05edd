//! Setting a password.

use super::{Call, Error, Services, attempt, users::check_policy};
use crate::domain::{
    event::{Event, EventKind},
    id::UserId,
    password::Password,
    user::User,
};

/// Sets a user's password. Ends their sessions and kills what was begun with the old one.
pub async fn set_password(services: &Services, call: &Call, id: UserId, password: Password) -> Result<User, Error> {
    let project = call.project()?;
    let project_id = project.id;
    let user = services.store.view().users().find(project_id, id).await?.ok_or(Error::UserNotFound)?;
    let identifiers: Vec<_> = user.identifiers.into_iter().map(|known| known.identifier).collect();
    check_policy(project.settings.password_policy, &password, &identifiers)?;
    let hash = services.lane.hash(call.ticket(), password).await?;

    let now = services.clock.now();
    let tx = services.store.begin().await?;
    let mut user = tx.users().lock(project_id, id).await?.ok_or(Error::UserNotFound)?;
    tx.credentials().set(project_id, id, &hash, now).await?;
    tx.challenges().delete_of_user(id).await?;
    attempt::forgive_passwords(&tx, project_id, id, now).await?;
    let ended = tx.sessions().revoke_all(id, None, now).await?;
    user.updated_at = now;
    user.has_password = true;
    tx.users().update(&user).await?;

    let revoked = |session| Event::new(EventKind::SessionRevoked, project_id).user(id).session(session);
    let events = ended.into_iter().map(|session| revoked(session).cause("password_set"));
    services.record(&tx, call, now, [Event::new(EventKind::PasswordSet, project_id).user(id)]).await?;
    services.record(&tx, call, now, events).await?;
    tx.commit().await?;
    Ok(user)
}
