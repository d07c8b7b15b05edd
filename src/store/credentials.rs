//! Table `credentials`.

use sea_orm::{
    ActiveValue::Set, ConnectionTrait, EntityTrait as _, QueryFilter as _, entity::prelude::*,
    sea_query::ExprTrait as _,
};

use super::{StoreError, entity::credential};
use crate::{
    clock::Timestamp,
    crypto::password_hash::PasswordHash,
    domain::id::{ProjectId, UserId},
};

/// A stored password.
#[derive(Clone, Debug)]
pub struct Credential {
    /// Its hash.
    pub password_hash: PasswordHash,
    /// Goes up with each new password, not with a new hash of the same one.
    pub version: i32,
}

/// Passwords.
#[derive(Debug)]
pub struct Credentials<'c, C>(pub(super) &'c C);

impl<C: ConnectionTrait> Credentials<'_, C> {
    /// Reads a user's password.
    pub async fn find(&self, project_id: ProjectId, user_id: UserId) -> Result<Option<Credential>, StoreError> {
        let query = credential::Entity::find_by_id(Uuid::from(user_id));
        let row = query.filter(credential::Column::ProjectId.eq(Uuid::from(project_id))).one(self.0).await?;
        row.map(|row| {
            let password_hash = PasswordHash::parse(&row.password_hash);
            let password_hash = password_hash.map_err(|error| StoreError::corrupt("credentials", error))?;
            Ok(Credential { password_hash, version: row.version })
        })
        .transpose()
    }

    /// Version of a user's password; 0 if there is none.
    pub async fn version(&self, project_id: ProjectId, user_id: UserId) -> Result<i32, StoreError> {
        Ok(self.find(project_id, user_id).await?.map_or(0, |credential| credential.version))
    }

    /// Sets a user's password.
    pub async fn set(
        &self,
        project_id: ProjectId,
        user_id: UserId,
        hash: &PasswordHash,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut on_conflict = sea_orm::sea_query::OnConflict::column(credential::Column::UserId);
        on_conflict
            .update_columns([credential::Column::PasswordHash, credential::Column::UpdatedAt])
            .value(credential::Column::Version, Expr::col((credential::Entity, credential::Column::Version)).add(1));
        let row = credential::ActiveModel {
            user_id: Set(user_id.into()),
            project_id: Set(project_id.into()),
            password_hash: Set(hash.to_phc()),
            version: Set(1),
            updated_at: Set(now),
        };
        credential::Entity::insert(row).on_conflict(on_conflict).exec_without_returning(self.0).await?;
        Ok(())
    }

    /// Replaces the hash of the same password, unless the password was changed meanwhile.
    pub async fn rehash(&self, user_id: UserId, version: i32, hash: &PasswordHash) -> Result<(), StoreError> {
        credential::Entity::update_many()
            .col_expr(credential::Column::PasswordHash, Expr::value(hash.to_phc()))
            .filter(credential::Column::UserId.eq(Uuid::from(user_id)))
            .filter(credential::Column::Version.eq(version))
            .exec(self.0)
            .await?;
        Ok(())
    }
}
