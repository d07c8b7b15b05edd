//! Password resets among the challenges.

use sea_orm::{
    ActiveValue::Set, ConnectionTrait, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    QueryTrait as _, Select, entity::prelude::*,
};

use super::{Challenges, challenge_from, common, corrupt};
use crate::{
    clock::Timestamp,
    crypto::secret_token::SecretHash,
    domain::{
        challenge::{Challenge, ChallengeKind, PasswordReset},
        id::{ChallengeId, ProjectId, UserId},
    },
    store::{StoreError, entity::challenge},
};

/// The look-up of a password reset by its token.
pub(in crate::store) fn reset_by_secret(project_id: ProjectId, hash: &SecretHash) -> Select<challenge::Entity> {
    challenge::Entity::find()
        .filter(challenge::Column::SecretHash.eq(hash.0.to_vec()))
        .filter(challenge::Column::ProjectId.eq(Uuid::from(project_id)))
        .filter(challenge::Column::Kind.eq(ChallengeKind::PasswordReset.as_str()))
}

/// The password resets of a user.
pub(in crate::store) fn resets_of_user(user_id: UserId) -> Select<challenge::Entity> {
    challenge::Entity::find()
        .filter(challenge::Column::UserId.eq(Uuid::from(user_id)))
        .filter(challenge::Column::Kind.eq(ChallengeKind::PasswordReset.as_str()))
}

impl<C: ConnectionTrait> Challenges<'_, C> {
    /// Adds a password reset.
    pub async fn insert_reset(&self, reset: &Challenge<PasswordReset>, secret: &SecretHash) -> Result<(), StoreError> {
        let row = challenge::ActiveModel {
            secret_hash: Set(secret.0.to_vec()),
            email: Set(reset.detail.email.clone()),
            code_hash: Set(reset.detail.code_hash.map(|hash| hash.to_vec())),
            sealed: Set(reset.detail.sealed.clone()),
            ..common(reset, ChallengeKind::PasswordReset)
        };
        challenge::Entity::insert(row).exec_without_returning(self.0).await?;
        Ok(())
    }

    /// Finds a password reset by its token.
    pub async fn find_reset(
        &self,
        project_id: ProjectId,
        secret: &SecretHash,
    ) -> Result<Option<Challenge<PasswordReset>>, StoreError> {
        reset_by_secret(project_id, secret).one(self.0).await?.map(reset_from).transpose()
    }

    /// Reads a password reset by its id.
    pub async fn reset(
        &self,
        project_id: ProjectId,
        id: ChallengeId,
    ) -> Result<Option<Challenge<PasswordReset>>, StoreError> {
        let query = challenge::Entity::find_by_id(Uuid::from(id))
            .filter(challenge::Column::ProjectId.eq(Uuid::from(project_id)))
            .filter(challenge::Column::Kind.eq(ChallengeKind::PasswordReset.as_str()));
        query.one(self.0).await?.map(reset_from).transpose()
    }

    /// Deletes the user's password resets but the newest so many that have not expired.
    pub async fn keep_newest_resets(&self, user_id: UserId, kept: u64, now: Timestamp) -> Result<(), StoreError> {
        let newest = resets_of_user(user_id)
            .select_only()
            .column(challenge::Column::Id)
            .filter(challenge::Column::ExpiresAt.gt(now))
            .order_by_desc(challenge::Column::Id)
            .limit(kept);
        challenge::Entity::delete_many()
            .filter(challenge::Column::UserId.eq(Uuid::from(user_id)))
            .filter(challenge::Column::Kind.eq(ChallengeKind::PasswordReset.as_str()))
            .filter(challenge::Column::Id.not_in_subquery(newest.into_query()))
            .exec(self.0)
            .await?;
        Ok(())
    }
}

fn reset_from(mut row: challenge::Model) -> Result<Challenge<PasswordReset>, StoreError> {
    let code_hash = row.code_hash.take().map(|hash| hash.as_slice().try_into()).transpose().map_err(corrupt)?;
    let (email, sealed) = (row.email.take(), row.sealed.take());
    Ok(challenge_from(&row, PasswordReset { email, code_hash, sealed }))
}
