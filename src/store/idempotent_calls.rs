//! Table `idempotent_calls`. A call's row is its claim while it runs, and holds its answer afterwards. What is past its
//! `expires_at` counts as not there: a claim whose process died, or an answer that was kept long enough.

use sea_orm::{
    ActiveValue::Set,
    Condition, ConnectionTrait, EntityTrait as _, QueryFilter as _, QuerySelect as _, QueryTrait as _, Select,
    entity::prelude::*,
    sea_query::{ExprTrait as _, OnConflict, Query},
};

use super::{StoreError, entity::idempotent_call};
use crate::{clock::Timestamp, domain::id::ClientId};

/// Calls that were made with an `idempotency-key`.
#[derive(Debug)]
pub struct IdempotentCalls<'c, C>(pub(super) &'c C);

/// Which call of a client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CallKey {
    /// The client.
    pub client_id: ClientId,
    /// SHA-256 of its key.
    pub hash: [u8; 32],
}

/// What is known of a call.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KnownCall {
    /// SHA-256 of RPC and request.
    pub request_hash: Vec<u8>,
    /// The answer, encrypted; none while the call runs.
    pub sealed: Option<Vec<u8>>,
}

/// The look-up before a call runs.
pub(super) fn by_key(key: &CallKey) -> Select<idempotent_call::Entity> {
    idempotent_call::Entity::find().filter(of(key))
}

/// So many rows that have expired by then.
pub(super) fn expired(by: Timestamp, limit: u64) -> Select<idempotent_call::Entity> {
    let keys = [idempotent_call::Column::ClientId, idempotent_call::Column::KeyHash];
    let query = idempotent_call::Entity::find().select_only().columns(keys);
    query.filter(idempotent_call::Column::ExpiresAt.lte(by)).limit(limit)
}

fn of(key: &CallKey) -> Condition {
    Condition::all()
        .add(idempotent_call::Column::ClientId.eq(Uuid::from(key.client_id)))
        .add(idempotent_call::Column::KeyHash.eq(key.hash.to_vec()))
}

/// The row of a claim that was made then, as long as it has no answer.
fn claimed(key: &CallKey, at: Timestamp) -> Condition {
    of(key).add(idempotent_call::Column::CreatedAt.eq(at)).add(idempotent_call::Column::Sealed.is_null())
}

impl<C: ConnectionTrait> IdempotentCalls<'_, C> {
    /// Claims a call for whoever asks first; false if it is somebody else's. What has expired is taken over, by one of those who
    /// find it so. [`StoreError::Orphan`] if there is no such client.
    pub async fn claim(
        &self,
        key: &CallKey,
        request_hash: &[u8; 32],
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<bool, StoreError> {
        let row = idempotent_call::ActiveModel {
            client_id: Set(key.client_id.into()),
            key_hash: Set(key.hash.to_vec()),
            request_hash: Set(request_hash.to_vec()),
            sealed: Set(None),
            created_at: Set(now),
            expires_at: Set(expires_at),
        };
        let keys = [idempotent_call::Column::ClientId, idempotent_call::Column::KeyHash];
        let mut on_conflict = OnConflict::columns(keys);
        on_conflict
            .update_columns([
                idempotent_call::Column::RequestHash,
                idempotent_call::Column::Sealed,
                idempotent_call::Column::CreatedAt,
                idempotent_call::Column::ExpiresAt,
            ])
            // Looked at under the row's lock: of several who come at once, one finds it expired.
            .action_and_where(Expr::col((idempotent_call::Entity, idempotent_call::Column::ExpiresAt)).lte(now));
        let inserted = idempotent_call::Entity::insert(row).on_conflict(on_conflict);
        Ok(inserted.exec_without_returning(self.0).await? > 0)
    }

    /// Reads what is known of a call.
    pub async fn find(&self, key: &CallKey) -> Result<Option<KnownCall>, StoreError> {
        let row = by_key(key).one(self.0).await?;
        Ok(row.map(|row| KnownCall { request_hash: row.request_hash, sealed: row.sealed }))
    }

    /// Keeps the answer of a call that was claimed then; false if it has been taken over since.
    pub async fn keep(
        &self,
        key: &CallKey,
        claimed_at: Timestamp,
        sealed: Vec<u8>,
        expires_at: Timestamp,
    ) -> Result<bool, StoreError> {
        let kept = idempotent_call::Entity::update_many()
            .col_expr(idempotent_call::Column::Sealed, Expr::value(sealed))
            .col_expr(idempotent_call::Column::ExpiresAt, Expr::value(expires_at))
            .filter(claimed(key, claimed_at))
            .exec(self.0)
            .await?;
        Ok(kept.rows_affected > 0)
    }

    /// Gives up the claim that was made then, unless it has been taken over since.
    pub async fn release(&self, key: &CallKey, claimed_at: Timestamp) -> Result<(), StoreError> {
        idempotent_call::Entity::delete_many().filter(claimed(key, claimed_at)).exec(self.0).await?;
        Ok(())
    }

    /// Clears away what has expired by then, so many rows at most; says how many.
    pub async fn delete_expired(&self, by: Timestamp, limit: u64) -> Result<u64, StoreError> {
        let keys = [idempotent_call::Column::ClientId, idempotent_call::Column::KeyHash];
        let mut delete = Query::delete();
        delete
            .from_table(idempotent_call::Entity)
            .and_where(Expr::tuple(keys.map(Expr::col)).in_subquery(expired(by, limit).into_query()))
            // Once more: a row may have been taken over while its lock was waited for.
            .and_where(idempotent_call::Column::ExpiresAt.lte(by));
        Ok(self.0.execute(&delete).await?.rows_affected())
    }
}
