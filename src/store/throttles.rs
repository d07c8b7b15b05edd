//! Table `throttles`.

use sea_orm::{
    ActiveValue::Set,
    ConnectionTrait, EntityTrait as _, QueryFilter as _, Select,
    entity::prelude::*,
    sea_query::ExprTrait as _,
    sea_query::{CaseStatement, OnConflict},
};
use sha2::{Digest as _, Sha256};

use super::{StoreError, entity::throttle};
use crate::{
    clock::Timestamp,
    domain::{
        id::{ProjectId, UserId},
        identifier::Identifier,
        throttle::{Failures, MEMORY, ThrottleKind},
    },
};

/// Whose failures are counted. Stored as a hash: the table tells nobody who does not have an account.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Subject([u8; 32]);

impl Subject {
    /// A user, by whatever identifier they came.
    pub fn user(id: UserId) -> Self {
        Self(Sha256::new().chain_update("user").chain_update(Uuid::from(id)).finalize().into())
    }

    /// An identifier that nobody has; counted the same way, so that counting reveals nothing.
    pub fn unknown(identifier: &Identifier) -> Self {
        let hash = Sha256::new().chain_update("identifier").chain_update(identifier.kind().as_str());
        Self(hash.chain_update([0]).chain_update(identifier.canonical()).finalize().into())
    }
}

/// Counted failures.
#[derive(Debug)]
pub struct Throttles<'c, C>(pub(super) &'c C);

/// The look-up before a secret is checked.
pub(super) fn by_subject(project_id: ProjectId, kind: ThrottleKind, subject: Subject) -> Select<throttle::Entity> {
    throttle::Entity::find()
        .filter(throttle::Column::ProjectId.eq(Uuid::from(project_id)))
        .filter(throttle::Column::Kind.eq(kind.as_str()))
        .filter(throttle::Column::Subject.eq(subject.0.to_vec()))
}

impl<C: ConnectionTrait> Throttles<'_, C> {
    /// The failures of a subject that are not forgotten.
    pub async fn find(
        &self,
        project_id: ProjectId,
        kind: ThrottleKind,
        subject: Subject,
        now: Timestamp,
    ) -> Result<Option<Failures>, StoreError> {
        let row = by_subject(project_id, kind, subject).one(self.0).await?;
        let remembered = row.filter(|row| now - row.last_failure_at < MEMORY);
        Ok(remembered.map(|row| Failures { count: row.failures, last_at: row.last_failure_at }))
    }

    /// Counts one more failure, in one statement; gives the new count.
    pub async fn count_failure(
        &self,
        project_id: ProjectId,
        kind: ThrottleKind,
        subject: Subject,
        now: Timestamp,
    ) -> Result<Failures, StoreError> {
        let failures = || Expr::col((throttle::Entity, throttle::Column::Failures));
        let last = Expr::col((throttle::Entity, throttle::Column::LastFailureAt));
        let count = CaseStatement::new().case(last.lte(now - MEMORY), 1).finally(failures().add(1));
        let keys = [throttle::Column::ProjectId, throttle::Column::Kind, throttle::Column::Subject];
        let mut on_conflict = OnConflict::columns(keys);
        on_conflict.value(throttle::Column::Failures, count).update_column(throttle::Column::LastFailureAt);
        let row = throttle::ActiveModel {
            project_id: Set(project_id.into()),
            kind: Set(kind.as_str().to_owned()),
            subject: Set(subject.0.to_vec()),
            failures: Set(1),
            last_failure_at: Set(now),
            in_flight: Set(0),
            reserved_at: Set(None),
        };
        let row = throttle::Entity::insert(row).on_conflict(on_conflict).exec_with_returning(self.0).await?;
        Ok(Failures { count: row.failures, last_at: row.last_failure_at })
    }

    /// Forgets the failures of a subject.
    pub async fn forget(&self, project_id: ProjectId, kind: ThrottleKind, subject: Subject) -> Result<(), StoreError> {
        throttle::Entity::delete_many()
            .filter(throttle::Column::ProjectId.eq(Uuid::from(project_id)))
            .filter(throttle::Column::Kind.eq(kind.as_str()))
            .filter(throttle::Column::Subject.eq(subject.0.to_vec()))
            .exec(self.0)
            .await?;
        Ok(())
    }

    /// Clears away what is forgotten; says how many.
    pub async fn delete_forgotten(&self, now: Timestamp) -> Result<u64, StoreError> {
        let query = throttle::Entity::delete_many().filter(throttle::Column::LastFailureAt.lte(now - MEMORY));
        Ok(query.exec(self.0).await?.rows_affected)
    }
}
