//! What every new password brings with it.

use super::{Call, Error, Services, counters, end_sessions::end_sessions_of};
use crate::{
    clock::Timestamp,
    crypto::password_hash::PasswordHash,
    domain::{
        event::{Cause, Event},
        id::SessionId,
        user::{PasswordState, User},
    },
    store::Tx,
};

/// Why there is a new password, in the words of the audit trail.
pub(super) struct Occasion {
    /// The event of the password itself.
    pub(super) event: Event,
    /// Cause of the end of the sessions.
    pub(super) sessions_end: Cause,
    /// The session that goes on.
    pub(super) except: Option<SessionId>,
}

/// The hash of a new password.
#[derive(Clone, Copy)]
pub(super) struct NewHash<'a> {
    /// The hash.
    pub(super) hash: &'a PasswordHash,
    /// Whether the password is temporary: it has to be changed before the next sign-in.
    pub(super) must_change: bool,
}

impl<'a> From<&'a PasswordHash> for NewHash<'a> {
    /// Of a password that lasts.
    fn from(hash: &'a PasswordHash) -> Self {
        Self { hash, must_change: false }
    }
}

/// Gives a user whose row is held a new password: ends their sessions, kills what was begun with the old one and forgets
/// wrong guesses at it.
pub(super) async fn replace_password<'a>(
    services: &Services,
    call: &Call,
    tx: &Tx,
    user: &mut User,
    new: impl Into<NewHash<'a>>,
    occasion: Occasion,
    now: Timestamp,
) -> Result<(), Error> {
    let (project_id, id) = (user.project_id, user.id);
    let NewHash { hash, must_change } = new.into();
    tx.credentials().set(project_id, id, hash, must_change, now).await?;
    tx.challenges().delete_of_user(id).await?;
    counters::forgive_passwords(tx, project_id, id, now).await?;
    user.updated_at = now;
    let version = user.credential_version() + 1;
    user.password = Some(PasswordState { version, must_change, updated_at: now });
    tx.users().update(user).await?;

    services.record(tx, call, now, [occasion.event]).await?;
    end_sessions_of(services, call, tx, user, occasion.except, occasion.sessions_end, now).await?;
    Ok(())
}
