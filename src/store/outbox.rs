//! Table `outbox`: mails to send, written in the transaction of the thing they tell about.

use sea_orm::{
    ActiveValue::Set,
    Condition, ConnectionTrait, EntityTrait as _, PaginatorTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, Select,
    entity::prelude::*,
    sea_query::{ExprTrait as _, LockBehavior, LockType},
};

use super::{StoreError, entity::mail};
use crate::{
    clock::Timestamp,
    domain::{
        id::{MailId, ProjectId, UserId},
        message::{DueMail, PostedMail},
    },
};

/// A mail to send.
#[derive(Debug)]
pub struct NewMail {
    /// Id.
    pub id: MailId,
    /// Project.
    pub project_id: ProjectId,
    /// User it is about: when they are deleted, so is the mail.
    pub user_id: Option<UserId>,
    /// Address to send to.
    pub recipient: String,
    /// The message, encrypted under the master key.
    pub sealed: Vec<u8>,
    /// Pointless from then on.
    pub expires_at: Timestamp,
    /// Time of creation.
    pub now: Timestamp,
    /// The trace of the request that it comes from, as a `traceparent` (W3C Trace Context).
    pub traceparent: Option<String>,
}

/// The mails that are neither sent nor given up.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Backlog {
    /// How many they are.
    pub count: i64,
    /// When the oldest was put into the outbox.
    pub oldest_created_at: Option<Timestamp>,
    /// When the next try of one of them begins, or a claim on it ends.
    pub next_attempt_at: Option<Timestamp>,
}

/// Mails to send.
#[derive(Debug)]
pub struct Outbox<'c, C>(pub(super) &'c C);

/// The mails that are due, oldest first.
pub(super) fn due(now: Timestamp, limit: u64) -> Select<mail::Entity> {
    mail::Entity::find()
        .filter(mail::Column::NextAttemptAt.lte(now))
        .order_by_asc(mail::Column::NextAttemptAt)
        .order_by_asc(mail::Column::Id)
        .limit(limit)
        // Workers pass by what another is just claiming: they neither wait for each other, nor each for the other.
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
}

impl<C: ConnectionTrait> Outbox<'_, C> {
    /// Adds a mail.
    pub async fn push(&self, new: NewMail) -> Result<(), StoreError> {
        let row = mail::ActiveModel {
            id: Set(new.id.into()),
            project_id: Set(new.project_id.into()),
            user_id: Set(new.user_id.map(Into::into)),
            recipient: Set(new.recipient),
            sealed: Set(Some(new.sealed)),
            attempts: Set(0),
            next_attempt_at: Set(Some(new.now)),
            expires_at: Set(new.expires_at),
            created_at: Set(new.now),
            sent_at: Set(None),
            given_up_at: Set(None),
            last_error: Set(None),
            traceparent: Set(new.traceparent),
        };
        mail::Entity::insert(row).exec_without_returning(self.0).await?;
        Ok(())
    }

    /// Takes mails that are due: nobody else gets them until `lease_until`. Commit before you send.
    pub async fn claim_due(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: u64,
    ) -> Result<Vec<DueMail>, StoreError> {
        let mut claimed = Vec::new();
        for row in due(now, limit).all(self.0).await? {
            // SQLite has no row locks. The condition makes the claim safe without: only one worker finds the old time there.
            let won = mail::Entity::update_many()
                .col_expr(mail::Column::NextAttemptAt, Expr::value(lease_until))
                .col_expr(mail::Column::Attempts, Expr::col(mail::Column::Attempts).add(1))
                .filter(mail::Column::Id.eq(row.id))
                .filter(mail::Column::NextAttemptAt.eq(row.next_attempt_at))
                .exec(self.0)
                .await?;
            if won.rows_affected == 1 {
                claimed.push(DueMail {
                    id: row.id.into(),
                    project_id: row.project_id.into(),
                    recipient: row.recipient,
                    sealed: row.sealed.unwrap_or_default(),
                    attempts: row.attempts + 1,
                    expires_at: row.expires_at,
                    traceparent: row.traceparent,
                });
            }
        }
        Ok(claimed)
    }

    /// Notes that a mail was sent, and erases what it said.
    pub async fn mark_sent(&self, id: MailId, now: Timestamp) -> Result<(), StoreError> {
        self.change(id, mail::ActiveModel { sent_at: Set(Some(now)), ..finished() }).await
    }

    /// Puts a mail off, unless it has been finished meanwhile by somebody who took over the lease.
    pub async fn retry_at(&self, id: MailId, at: Timestamp, error: &str) -> Result<(), StoreError> {
        let row = mail::ActiveModel {
            next_attempt_at: Set(Some(at)),
            last_error: Set(Some(error.to_owned())),
            ..Default::default()
        };
        self.change(id, row).await
    }

    /// Notes that a mail will not be sent, and erases what it said.
    pub async fn give_up(&self, id: MailId, now: Timestamp, error: &str) -> Result<(), StoreError> {
        let row =
            mail::ActiveModel { given_up_at: Set(Some(now)), last_error: Set(Some(error.to_owned())), ..finished() };
        self.change(id, row).await
    }

    /// The mail to a user that was written at that moment; none if there was none, or it is long finished.
    pub async fn posted_at(&self, user_id: UserId, at: Timestamp) -> Result<Option<PostedMail>, StoreError> {
        let query = mail::Entity::find().filter(mail::Column::UserId.eq(Uuid::from(user_id)));
        let row = query.filter(mail::Column::CreatedAt.eq(at)).order_by_asc(mail::Column::Id).one(self.0).await?;
        Ok(row.map(|row| PostedMail {
            recipient: row.recipient,
            attempts: row.attempts,
            next_attempt_at: row.next_attempt_at,
            sent_at: row.sent_at,
            given_up_at: row.given_up_at,
            last_error: row.last_error,
        }))
    }

    /// How many mails wait to be sent.
    pub async fn waiting(&self) -> Result<u64, StoreError> {
        Ok(mail::Entity::find().filter(mail::Column::NextAttemptAt.is_not_null()).count(self.0).await?)
    }

    /// The mails that wait to be sent, and since when.
    pub async fn backlog(&self) -> Result<Backlog, StoreError> {
        let waiting = mail::Entity::find()
            .select_only()
            .column_as(mail::Column::Id.count(), "count")
            .column_as(mail::Column::CreatedAt.min(), "oldest_created_at")
            .column_as(mail::Column::NextAttemptAt.min(), "next_attempt_at")
            .filter(mail::Column::NextAttemptAt.is_not_null());
        let row: Option<(i64, Option<Timestamp>, Option<Timestamp>)> = waiting.into_tuple().one(self.0).await?;
        let (count, oldest_created_at, next_attempt_at) = row.unwrap_or_default();
        Ok(Backlog { count, oldest_created_at, next_attempt_at })
    }

    /// Clears away mails that were sent or given up by then, so many at most; says how many.
    pub async fn delete_finished(&self, by: Timestamp, limit: u64) -> Result<u64, StoreError> {
        let finished = mail::Entity::find()
            .select_only()
            .column(mail::Column::Id)
            .filter(mail::Column::NextAttemptAt.is_null())
            .filter(Condition::any().add(mail::Column::SentAt.lte(by)).add(mail::Column::GivenUpAt.lte(by)))
            .limit(limit);
        let ids: Vec<Uuid> = finished.into_tuple().all(self.0).await?;
        let deleted = mail::Entity::delete_many().filter(mail::Column::Id.is_in(ids)).exec(self.0).await?;
        Ok(deleted.rows_affected)
    }

    /// Changes a mail that is not finished.
    async fn change(&self, id: MailId, row: mail::ActiveModel) -> Result<(), StoreError> {
        mail::Entity::update_many()
            .set(row)
            .filter(mail::Column::Id.eq(Uuid::from(id)))
            .filter(mail::Column::NextAttemptAt.is_not_null())
            .exec(self.0)
            .await?;
        Ok(())
    }
}

/// Nothing left to do, nothing left to read.
fn finished() -> mail::ActiveModel {
    mail::ActiveModel { sealed: Set(None), next_attempt_at: Set(None), ..Default::default() }
}
