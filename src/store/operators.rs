//! Table `operators`.

use sea_orm::{
    ActiveValue::Set, ConnectionTrait, EntityTrait as _, PaginatorTrait as _, QueryFilter as _, entity::prelude::*,
};

use super::{StoreError, entity::operator};
use crate::{clock::Timestamp, crypto::secret_token::SecretHash, domain::id::ClientId};

/// Operators: clients that stand outside of projects.
#[derive(Debug)]
pub struct Operators<'c, C>(pub(super) &'c C);

impl<C: ConnectionTrait> Operators<'_, C> {
    /// Adds an operator.
    pub async fn insert(&self, id: ClientId, name: &str, hash: &SecretHash, now: Timestamp) -> Result<(), StoreError> {
        let row = operator::ActiveModel {
            id: Set(id.into()),
            name: Set(name.to_owned()),
            secret_hash: Set(hash.0.to_vec()),
            created_at: Set(now),
        };
        operator::Entity::insert(row).exec_without_returning(self.0).await?;
        Ok(())
    }

    /// True if the operator with that id has the secret with that hash.
    pub async fn has_secret(&self, id: ClientId, hash: &SecretHash) -> Result<bool, StoreError> {
        let query = operator::Entity::find_by_id(Uuid::from(id));
        Ok(query.filter(operator::Column::SecretHash.eq(hash.0.to_vec())).count(self.0).await? == 1)
    }
}
