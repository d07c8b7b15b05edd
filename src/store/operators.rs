//! Table `operators`.

use sea_orm::{
    ActiveValue::Set, ConnectionTrait, EntityTrait as _, PaginatorTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, entity::prelude::*,
};

use super::{StoreError, entity::operator};
use crate::{
    crypto::secret_token::SecretHash,
    domain::{
        client::Operator,
        id::ClientId,
        page::{Listed, Page},
    },
};

/// Operators: clients that stand outside of projects.
#[derive(Debug)]
pub struct Operators<'c, C>(pub(super) &'c C);

impl<C: ConnectionTrait> Operators<'_, C> {
    /// Adds an operator.
    pub async fn insert(&self, new: &Operator, hash: &SecretHash) -> Result<(), StoreError> {
        let row = operator::ActiveModel {
            id: Set(new.id.into()),
            name: Set(new.name.clone()),
            secret_hash: Set(hash.0.to_vec()),
            created_at: Set(new.created_at),
        };
        operator::Entity::insert(row).exec_without_returning(self.0).await?;
        Ok(())
    }

    /// True if the operator with that id has the secret with that hash.
    pub async fn has_secret(&self, id: ClientId, hash: &SecretHash) -> Result<bool, StoreError> {
        let query = operator::Entity::find_by_id(Uuid::from(id));
        Ok(query.filter(operator::Column::SecretHash.eq(hash.0.to_vec())).count(self.0).await? == 1)
    }

    /// Lists operators, oldest first.
    pub async fn list(&self, page: Page) -> Result<Listed<Operator>, StoreError> {
        let mut query = operator::Entity::find().order_by_asc(operator::Column::Id).limit(u64::from(page.size) + 1);
        if let Some(after) = page.after {
            query = query.filter(operator::Column::Id.gt(after));
        }
        let operators = query.all(self.0).await?.into_iter().map(Into::into).collect();
        Ok(Listed::from_rows(operators, page, |operator: &Operator| operator.id.into()))
    }

    /// Gives an operator another secret; false if there is no such operator.
    pub async fn set_secret(&self, id: ClientId, hash: &SecretHash) -> Result<bool, StoreError> {
        let updated = operator::Entity::update_many()
            .col_expr(operator::Column::SecretHash, Expr::value(hash.0.to_vec()))
            .filter(operator::Column::Id.eq(Uuid::from(id)))
            .exec(self.0)
            .await?;
        Ok(updated.rows_affected > 0)
    }

    /// Deletes an operator; false if there is none.
    pub async fn delete(&self, id: ClientId) -> Result<bool, StoreError> {
        Ok(operator::Entity::delete_by_id(Uuid::from(id)).exec(self.0).await?.rows_affected > 0)
    }
}

impl From<operator::Model> for Operator {
    fn from(row: operator::Model) -> Self {
        Self { id: row.id.into(), name: row.name, created_at: row.created_at }
    }
}
