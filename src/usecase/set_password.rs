//! Setting a password.

use super::{
    Call, Error, Services,
    replace_password::{Occasion, replace_password},
    users::check_policy,
};
use crate::domain::{
    event::{Event, EventKind},
    id::{SessionId, UserId},
    password::Password,
    user::User,
};

/// Sets a user's password. Ends their sessions, but for one if it is named, and kills what was begun with the old one.
pub async fn set_password(
    services: &Services,
    call: &Call,
    id: UserId,
    password: Password,
    except: Option<SessionId>,
) -> Result<User, Error> {
    let project = call.project()?;
    let project_id = project.id;
    let user = services.store.view().users().find(project_id, id).await?.ok_or(Error::UserNotFound)?;
    let identifiers: Vec<_> = user.identifiers.into_iter().map(|known| known.identifier).collect();
    check_policy(project.settings.password_policy, "password", &password, &identifiers)?;
    let hash = services.lane.hash(call.ticket(), password).await?;

    let now = services.clock.now();
    let tx = services.store.begin().await?;
    let mut user = tx.users().lock(project_id, id).await?.ok_or(Error::UserNotFound)?;
    let event = Event::new(EventKind::PasswordSet, project_id).user(id);
    let occasion = Occasion { event, sessions_end: "password_set", except };
    replace_password(services, call, &tx, &mut user, &hash, occasion, now).await?;
    tx.commit().await?;
    Ok(user)
}
