//! What is encrypted under a master key, in whatever table, for the exchange of that key.

use sea_orm::{
    Condition, ConnectionTrait, EntityTrait, PaginatorTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    Select,
    entity::prelude::*,
    sea_query::{ExprTrait as _, Func, LockBehavior, LockType},
};

use super::{
    StoreError,
    entity::{challenge, idempotent_call, mail, signing_key},
};
use crate::{
    clock::Timestamp,
    crypto::master_key::{Fingerprint, Purpose},
    domain::challenge::ChallengeKind,
};

/// Where rows lie that hold something encrypted, and are bound to it by their id.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SealedTable {
    /// Codes and links on their way.
    Challenges,
    /// Mails that wait.
    Outbox,
    /// Signing keys.
    SigningKeys,
}

/// A row that holds something encrypted.
#[derive(Debug)]
pub struct SealedValue {
    /// The row.
    pub id: Uuid,
    /// What it is.
    pub purpose: Purpose,
    /// Encrypted.
    pub sealed: Vec<u8>,
}

/// What takes the place of an encrypted value.
#[derive(Debug)]
pub struct Resealed {
    /// The same, encrypted anew.
    pub sealed: Vec<u8>,
    /// The hash of the code that it holds, under the same key; none if it holds no code.
    pub code_hash: Option<[u8; 32]>,
}

/// What some key did not seal.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SealedOtherwise {
    /// How many rows still matter.
    pub rows: u64,
    /// When the last of them is worthless; none if there are none, or if they do not expire.
    pub until: Option<Timestamp>,
}

/// Encrypted values.
#[derive(Debug)]
pub struct SealedValues<'c, C>(pub(super) &'c C);

/// The column holds something that was not sealed under the key with that fingerprint.
fn is_not_under(column: impl ColumnTrait, key: Fingerprint) -> Condition {
    let number = |number: usize| i32::try_from(number).expect("a position in a short header");
    let fingerprint = Func::cust("substr")
        .arg(column.into_expr())
        .arg(number(Fingerprint::POSITION))
        .arg(number(Fingerprint::LENGTH));
    Condition::all().add(column.is_not_null()).add(Expr::expr(fingerprint).ne(key.as_bytes().to_vec()))
}

/// Ids and values of a table that were not sealed under the key, after an id, in the order of ids.
fn others<E: EntityTrait>(id: E::Column, sealed: E::Column, key: Fingerprint, after: Uuid, limit: u64) -> Select<E> {
    E::find()
        .select_only()
        .columns([id, sealed])
        .filter(id.gt(after))
        .filter(is_not_under(sealed, key))
        .order_by_asc(id)
        .limit(limit)
        // Nobody is waited for while others are held. What hangs on a held row can be added meanwhile: its id stays.
        .lock_with_behavior(LockType::NoKeyUpdate, LockBehavior::SkipLocked)
}

/// Replaces what was read, if it is still there.
fn replacement<E: EntityTrait>(
    id: E::Column,
    sealed: E::Column,
    read: &SealedValue,
    new: &Resealed,
) -> sea_orm::UpdateMany<E> {
    E::update_many()
        .col_expr(sealed, Expr::value(new.sealed.clone()))
        .filter(id.eq(read.id))
        .filter(sealed.eq(read.sealed.clone()))
}

impl<C: ConnectionTrait> SealedValues<'_, C> {
    /// Values that were not sealed under the key with that fingerprint, in the order of their ids; holds their rows. What somebody
    /// else holds is left out. Fewer than `limit` if there are no more.
    pub async fn page(
        &self,
        table: SealedTable,
        key: Fingerprint,
        after: Option<Uuid>,
        limit: u64,
    ) -> Result<Vec<SealedValue>, StoreError> {
        let after = after.unwrap_or_default();
        let value = |purpose| move |(id, sealed): (Uuid, Vec<u8>)| SealedValue { id, purpose, sealed };
        match table {
            SealedTable::Challenges => {
                let (id, sealed) = (challenge::Column::Id, challenge::Column::Sealed);
                // What a later version has added is bound to a purpose that is not known here.
                let known = [ChallengeKind::EmailChange, ChallengeKind::EmailCode, ChallengeKind::PasswordReset];
                let query = others::<challenge::Entity>(id, sealed, key, after, limit)
                    .column(challenge::Column::Kind)
                    .filter(challenge::Column::Kind.is_in(known.map(ChallengeKind::as_str)));
                let rows: Vec<(Uuid, Vec<u8>, String)> = query.into_tuple().all(self.0).await?;
                let value = |(id, sealed, kind): (_, _, String)| SealedValue { id, purpose: purpose_of(&kind), sealed };
                Ok(rows.into_iter().map(value).collect())
            }
            SealedTable::Outbox => {
                let query = others::<mail::Entity>(mail::Column::Id, mail::Column::Sealed, key, after, limit);
                Ok(query.into_tuple().all(self.0).await?.into_iter().map(value(Purpose::Mail)).collect())
            }
            SealedTable::SigningKeys => {
                let (id, sealed) = (signing_key::Column::Id, signing_key::Column::Sealed);
                let query = others::<signing_key::Entity>(id, sealed, key, after, limit);
                Ok(query.into_tuple().all(self.0).await?.into_iter().map(value(Purpose::SigningKey)).collect())
            }
        }
    }

    /// Puts `new` in the place of what was read; false if the row holds something else by now, or is gone.
    pub async fn replace(&self, table: SealedTable, read: &SealedValue, new: &Resealed) -> Result<bool, StoreError> {
        let done = match table {
            SealedTable::Challenges => {
                let (id, sealed) = (challenge::Column::Id, challenge::Column::Sealed);
                let mut update = replacement::<challenge::Entity>(id, sealed, read, new);
                if let Some(hash) = new.code_hash {
                    update = update.col_expr(challenge::Column::SecretHash, Expr::value(hash.to_vec()));
                }
                update.exec(self.0).await?
            }
            SealedTable::Outbox => {
                let (id, sealed) = (mail::Column::Id, mail::Column::Sealed);
                replacement::<mail::Entity>(id, sealed, read, new).exec(self.0).await?
            }
            SealedTable::SigningKeys => {
                let (id, sealed) = (signing_key::Column::Id, signing_key::Column::Sealed);
                replacement::<signing_key::Entity>(id, sealed, read, new).exec(self.0).await?
            }
        };
        Ok(done.rows_affected == 1)
    }

    /// Signing keys that were not sealed under the key with that fingerprint, retired ones too.
    pub async fn signing_keys_not_under(&self, key: Fingerprint) -> Result<SealedOtherwise, StoreError> {
        let query = signing_key::Entity::find().filter(is_not_under(signing_key::Column::Sealed, key));
        Ok(SealedOtherwise { rows: query.count(self.0).await?, until: None })
    }

    /// Mails that wait, and were not sealed under the key with that fingerprint.
    pub async fn mails_not_under(&self, key: Fingerprint, now: Timestamp) -> Result<SealedOtherwise, StoreError> {
        let found = is_not_under(mail::Column::Sealed, key);
        self.living::<mail::Entity>(mail::Column::ExpiresAt, found, now).await
    }

    /// Codes and links that can still be used, and were not sealed under the key with that fingerprint.
    pub async fn challenges_not_under(&self, key: Fingerprint, now: Timestamp) -> Result<SealedOtherwise, StoreError> {
        let found = is_not_under(challenge::Column::Sealed, key);
        self.living::<challenge::Entity>(challenge::Column::ExpiresAt, found, now).await
    }

    /// Answers that are kept, and were not sealed under the key with that fingerprint.
    pub async fn answers_not_under(&self, key: Fingerprint, now: Timestamp) -> Result<SealedOtherwise, StoreError> {
        let found = is_not_under(idempotent_call::Column::Sealed, key);
        self.living::<idempotent_call::Entity>(idempotent_call::Column::ExpiresAt, found, now).await
    }

    /// Codes that can still be used and are there as a hash alone, which does not tell the key that made it.
    pub async fn codes_as_hash(&self, now: Timestamp) -> Result<SealedOtherwise, StoreError> {
        // A reset with a link has no code; every other code stands where resets have the hash of their token.
        let codes = [ChallengeKind::EmailCode, ChallengeKind::EmailChange].map(ChallengeKind::as_str);
        let has_code =
            Condition::any().add(challenge::Column::CodeHash.is_not_null()).add(challenge::Column::Kind.is_in(codes));
        let found = Condition::all().add(challenge::Column::Sealed.is_null()).add(has_code);
        self.living::<challenge::Entity>(challenge::Column::ExpiresAt, found, now).await
    }

    /// The rows of a table that are found and have not expired.
    async fn living<E: EntityTrait>(
        &self,
        expires_at: E::Column,
        found: Condition,
        now: Timestamp,
    ) -> Result<SealedOtherwise, StoreError> {
        let query = E::find()
            .filter(expires_at.gt(now))
            .filter(found)
            .select_only()
            .column_as(expires_at.count(), "rows")
            .column_as(expires_at.max(), "until");
        let counted: Option<(i64, Option<Timestamp>)> = query.into_tuple().one(self.0).await?;
        let (rows, until) = counted.unwrap_or_default();
        Ok(SealedOtherwise { rows: u64::try_from(rows).unwrap_or_default(), until })
    }
}

fn purpose_of(kind: &str) -> Purpose {
    if kind == ChallengeKind::PasswordReset.as_str() { Purpose::PasswordReset } else { Purpose::EmailCode }
}
