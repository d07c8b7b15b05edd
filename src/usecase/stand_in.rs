//! What is read and written in the place of a user that there is not.
//!
//! Whoever may not learn from an answer whether an address belongs to somebody must not learn it from how long the answer takes
//! either, and most of that time is round trips to the database. So there are as many for nobody as for somebody.

use super::{Error, Services};
use crate::{
    clock::Timestamp,
    domain::{
        challenge::RESETS_MAX,
        id::{ChallengeId, ProjectId, UserId},
    },
    store::Tx,
};

/// A user and a challenge that do not exist.
pub(super) struct StandIn {
    project_id: ProjectId,
    user_id: UserId,
    challenge_id: ChallengeId,
    now: Timestamp,
}

impl StandIn {
    /// A nobody of a project.
    pub(super) fn of(project_id: ProjectId, services: &Services, now: Timestamp) -> Self {
        Self {
            project_id,
            user_id: UserId::generate(now, &services.random),
            challenge_id: ChallengeId::generate(now, &services.random),
            now,
        }
    }

    /// Instead of holding a user, with identifiers and what is known of their password.
    pub(super) async fn look_for(&self, tx: &Tx) -> Result<(), Error> {
        tx.users().lock(self.project_id, self.user_id).await?;
        tx.users().find(self.project_id, self.user_id).await?;
        Ok(())
    }

    /// Instead of writing a password reset and its mail.
    pub(super) async fn send_reset(&self, tx: &Tx, with_mail: bool) -> Result<(), Error> {
        tx.challenges().keep_newest_resets(self.user_id, RESETS_MAX, self.now).await?;
        tx.challenges().take_attempt(self.challenge_id).await?;
        if with_mail {
            tx.challenges().consume(self.challenge_id).await?;
        }
        Ok(())
    }

    /// Instead of taking a try from a code that was wrong.
    pub(super) async fn guess_reset(&self, tx: &Tx) -> Result<(), Error> {
        tx.challenges().take_attempt(self.challenge_id).await?;
        Ok(())
    }

    /// Instead of an event.
    pub(super) async fn tell(&self, tx: &Tx) -> Result<(), Error> {
        self.guess_reset(tx).await
    }

    /// The project they are not in.
    pub(super) const fn project_id(&self) -> ProjectId {
        self.project_id
    }

    /// The user that there is not.
    pub(super) const fn user_id(&self) -> UserId {
        self.user_id
    }
}
