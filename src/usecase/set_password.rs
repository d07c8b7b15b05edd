//! Setting a password.

use super::{Call, Error, Services, end_sessions::end_sessions_of, users::check_policy};
use crate::{
    domain::{
        event::{Event, EventKind},
        id::{SessionId, UserId},
        password::Password,
        throttle::ThrottleKind,
        user::User,
    },
    store::Subject,
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
    check_policy(project.settings.password_policy, &password, &identifiers)?;
    let hash = services.lane.hash(call.ticket(), password).await?;

    let now = services.clock.now();
    let tx = services.store.begin().await?;
    let mut user = tx.users().lock(project_id, id).await?.ok_or(Error::UserNotFound)?;
    tx.credentials().set(project_id, id, &hash, now).await?;
    tx.challenges().delete_of_user(id).await?;
    tx.throttles().forget(project_id, ThrottleKind::Password, Subject::user(id)).await?;
    user.updated_at = now;
    user.has_password = true;
    tx.users().update(&user).await?;

    services.record(&tx, call, now, [Event::new(EventKind::PasswordSet, project_id).user(id)]).await?;
    end_sessions_of(services, call, &tx, &user, except, "password_set", now).await?;
    tx.commit().await?;
    Ok(user)
}
