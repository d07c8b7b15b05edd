//! What every new password brings with it.

use super::{Call, Error, Services, counters, end_sessions::end_sessions_of};
use crate::{
    clock::Timestamp,
    crypto::password_hash::PasswordHash,
    domain::{
        event::Event,
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
    pub(super) sessions_end: &'static str,
    /// The session that goes on.
    pub(super) except: Option<SessionId>,
}

/// Gives a user whose row is held a new password: ends their sessions, kills what was begun with the old one and forgets
/// wrong guesses at it.
pub(super) async fn replace_password(
    services: &Services,
    call: &Call,
    tx: &Tx,
    user: &mut User,
    hash: &PasswordHash,
    occasion: Occasion,
    now: Timestamp,
) -> Result<(), Error> {
    let (project_id, id) = (user.project_id, user.id);
    tx.credentials().set(project_id, id, hash, false, now).await?;
    tx.challenges().delete_of_user(id).await?;
    counters::forgive_passwords(tx, project_id, id, now).await?;
    user.updated_at = now;
    user.password = Some(PasswordState { must_change: false, updated_at: now });
    tx.users().update(user).await?;

    services.record(tx, call, now, [occasion.event]).await?;
    end_sessions_of(services, call, tx, user, occasion.except, occasion.sessions_end, now).await?;
    Ok(())
}
