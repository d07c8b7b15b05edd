//! Setting a password.

use super::{
    Call, Error, Services,
    replace_password::{NewHash, Occasion, replace_password},
    users::check_policy,
};
use crate::domain::{
    event::{Cause, Event, EventKind},
    id::{SessionId, UserId},
    password::Password,
    user::User,
};

/// What a caller takes for granted about the password that it sets.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum PasswordExpectation {
    /// Nothing.
    #[default]
    Anything,
    /// The user has no password.
    None,
    /// The user has one.
    One,
}

impl PasswordExpectation {
    /// Refuses a user who is not as expected.
    fn check(self, user: &User) -> Result<(), Error> {
        match self {
            Self::None if user.password.is_some() => Err(Error::PasswordAlreadySet),
            Self::One if user.password.is_none() => Err(Error::PasswordMissing),
            Self::Anything | Self::None | Self::One => Ok(()),
        }
    }
}

/// A password to set.
#[derive(Debug)]
pub struct NewPassword {
    /// The password.
    pub password: Password,
    /// Whether it has to be changed before the next sign-in.
    pub must_change: bool,
    /// What the caller takes for granted.
    pub expectation: PasswordExpectation,
    /// The session that goes on.
    pub except: Option<SessionId>,
}

impl From<Password> for NewPassword {
    /// One that lasts, whatever was there; no session goes on.
    fn from(password: Password) -> Self {
        Self { password, must_change: false, expectation: PasswordExpectation::Anything, except: None }
    }
}

/// Sets a user's password. Ends their sessions, but for one if it is named, and kills what was begun with the old one.
pub async fn set_password(services: &Services, call: &Call, id: UserId, new: NewPassword) -> Result<User, Error> {
    let project = call.project()?;
    let project_id = project.id;
    let coming = services.lane.expect(call.ticket()).await?;
    let user = services.store.view().users().find(project_id, id).await?.ok_or(Error::UserNotFound)?;
    // It is the look under the lock that counts; this one saves a hash.
    new.expectation.check(&user)?;
    let identifiers: Vec<_> = user.identifiers.into_iter().map(|known| known.identifier).collect();
    check_policy(project.settings.password_policy, "password", &new.password, &identifiers)?;
    let hash = services.lane.hash(coming, new.password).await?;

    let now = services.clock.now();
    let tx = services.store.begin().await?;
    let mut user = tx.users().lock(project_id, id).await?.ok_or(Error::UserNotFound)?;
    new.expectation.check(&user)?;
    let event = Event::new(EventKind::PasswordSet, project_id).user(id);
    let occasion = Occasion { event, sessions_end: Cause::PasswordSet, except: new.except };
    let hash = NewHash { hash: &hash, must_change: new.must_change };
    replace_password(services, call, &tx, &mut user, hash, occasion, now).await?;
    tx.commit().await?;
    Ok(user)
}
