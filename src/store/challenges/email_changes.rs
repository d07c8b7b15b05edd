//! Codes for an address that a signed-in user gives as theirs, among the challenges.

use sea_orm::{
    ActiveValue::Set, ConnectionTrait, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, Select,
    entity::prelude::*,
};
use serde::{Deserialize, Serialize};

use super::{Challenges, challenge_from, common, corrupt};
use crate::{
    clock::Timestamp,
    domain::{
        challenge::{Challenge, ChallengeKind, EmailChange},
        id::{ProjectId, UserId},
        identifier::Identifier,
    },
    store::{StoreError, entity::challenge},
};

/// The codes of a user for an address of theirs.
pub(in crate::store) fn changes_of_user(user_id: UserId) -> Select<challenge::Entity> {
    challenge::Entity::find()
        .filter(challenge::Column::UserId.eq(Uuid::from(user_id)))
        .filter(challenge::Column::Kind.eq(ChallengeKind::EmailChange.as_str()))
}

/// The codes that were sent to an address that somebody gives as theirs, newest first.
pub(in crate::store) fn changes_to(project_id: ProjectId, email: &Identifier) -> Select<challenge::Entity> {
    challenge::Entity::find()
        .filter(challenge::Column::ProjectId.eq(Uuid::from(project_id)))
        .filter(challenge::Column::Email.eq(email.canonical()))
        .filter(challenge::Column::Kind.eq(ChallengeKind::EmailChange.as_str()))
        .order_by_desc(challenge::Column::Id)
}

impl<C: ConnectionTrait> Challenges<'_, C> {
    /// Adds a code; the user's code before it is worthless from now on. The user's row is held.
    pub async fn replace_change(&self, change: &Challenge<EmailChange>) -> Result<(), StoreError> {
        challenge::Entity::delete_many()
            .filter(challenge::Column::UserId.eq(Uuid::from(change.user_id)))
            .filter(challenge::Column::Kind.eq(ChallengeKind::EmailChange.as_str()))
            .exec(self.0)
            .await?;
        let remembered = Remembered { session_id: change.detail.session_id.into() };
        let row = challenge::ActiveModel {
            secret_hash: Set(change.detail.code_hash.to_vec()),
            email: Set(Some(change.detail.email.clone())),
            wishes: Set(Some(serde_json::to_value(remembered).map_err(corrupt)?)),
            sealed: Set(Some(change.detail.sealed.clone())),
            ..common(change, ChallengeKind::EmailChange)
        };
        challenge::Entity::insert(row).exec_without_returning(self.0).await?;
        Ok(())
    }

    /// The code of a user for an address of theirs.
    pub async fn change_of(&self, user_id: UserId) -> Result<Option<Challenge<EmailChange>>, StoreError> {
        changes_of_user(user_id).one(self.0).await?.map(change_from).transpose()
    }

    /// The live code that was sent to an address that somebody gives as theirs, if it is the only one: of several, each of another
    /// user, none is meant more than the others, and whoever asked last must not push aside whoever asked first.
    pub async fn only_change_to(
        &self,
        project_id: ProjectId,
        email: &Identifier,
        now: Timestamp,
    ) -> Result<Option<Challenge<EmailChange>>, StoreError> {
        let live = changes_to(project_id, email).filter(challenge::Column::ExpiresAt.gt(now));
        let mut rows = live.limit(2).all(self.0).await?;
        let only = if rows.len() == 1 { rows.pop() } else { None };
        only.map(change_from).transpose()
    }
}

/// What such a code carries on, in the column `wishes`.
#[derive(Deserialize, Serialize)]
struct Remembered {
    session_id: Uuid,
}

fn change_from(mut row: challenge::Model) -> Result<Challenge<EmailChange>, StoreError> {
    let remembered = row.wishes.take().ok_or_else(|| corrupt("no session"))?;
    let remembered: Remembered = serde_json::from_value(remembered).map_err(corrupt)?;
    let detail = EmailChange {
        email: row.email.take().ok_or_else(|| corrupt("no email"))?,
        session_id: remembered.session_id.into(),
        code_hash: row.secret_hash.as_slice().try_into().map_err(corrupt)?,
        sealed: row.sealed.take().ok_or_else(|| corrupt("no code"))?,
    };
    Ok(challenge_from(&row, detail))
}
