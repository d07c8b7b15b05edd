//! Table `challenges`. The kind is part of every look-up: a challenge of one kind is not found as another.

pub(super) mod email_changes;
pub(super) mod password_resets;

use sea_orm::{
    ActiveValue::Set,
    ConnectionTrait, EntityTrait as _, PaginatorTrait as _, QueryFilter as _, QueryOrder as _, Select,
    entity::prelude::*,
    sea_query::{Condition, ExprTrait as _, Query},
};
use serde::{Deserialize, Serialize};

use super::{StoreError, entity::challenge};
use crate::{
    clock::Timestamp,
    crypto::secret_token::SecretHash,
    domain::{
        bucket::Guarded,
        challenge::{Challenge, ChallengeKind, CountedAs, EmailCode, PendingAuthentication, SignInWishes},
        client_context::ClientContext,
        id::{ChallengeId, ProjectId, UserId},
    },
};

/// Pending authentications, codes and password resets.
#[derive(Debug)]
pub struct Challenges<'c, C>(pub(super) &'c C);

/// The look-up of a pending authentication by its token.
pub(super) fn pending_by_secret(project_id: ProjectId, hash: &SecretHash) -> Select<challenge::Entity> {
    challenge::Entity::find()
        .filter(challenge::Column::SecretHash.eq(hash.0.to_vec()))
        .filter(challenge::Column::ProjectId.eq(Uuid::from(project_id)))
        .filter(challenge::Column::Kind.eq(ChallengeKind::PendingAuthentication.as_str()))
}

/// A code by its id.
pub(super) fn code_by_id(id: ChallengeId) -> Select<challenge::Entity> {
    challenge::Entity::find_by_id(Uuid::from(id)).filter(challenge::Column::Kind.eq(ChallengeKind::EmailCode.as_str()))
}

/// The pending authentications that a code completes.
pub(super) fn waiting_for(code_id: ChallengeId) -> Select<challenge::Entity> {
    challenge::Entity::find().filter(challenge::Column::CodeId.eq(Uuid::from(code_id)))
}

/// The codes of a user, newest first.
pub(super) fn codes_of_user(user_id: UserId) -> Select<challenge::Entity> {
    challenge::Entity::find()
        .filter(challenge::Column::UserId.eq(Uuid::from(user_id)))
        .filter(challenge::Column::Kind.eq(ChallengeKind::EmailCode.as_str()))
        .order_by_desc(challenge::Column::Id)
}

impl<C: ConnectionTrait> Challenges<'_, C> {
    /// Adds a pending authentication.
    pub async fn insert_pending(
        &self,
        pending: &Challenge<PendingAuthentication>,
        secret: &SecretHash,
    ) -> Result<(), StoreError> {
        let detail = &pending.detail;
        let remembered = Remembered {
            wishes: detail.wishes.clone(),
            counted_as: Some(detail.counted.guarded.as_str().to_owned()),
            device_id: detail.counted.device.map(Uuid::from),
        };
        let wishes = serde_json::to_value(remembered).map_err(|error| StoreError::corrupt("challenges", error))?;
        let row = challenge::ActiveModel {
            secret_hash: Set(secret.0.to_vec()),
            client_id: Set(Some(detail.client_id.into())),
            code_id: Set(Some(detail.code_id.into())),
            wishes: Set(Some(wishes)),
            ip_address: Set(detail.client_context.ip_address.map(|address| address.to_string())),
            user_agent: Set(detail.client_context.user_agent.clone()),
            ..common(pending, ChallengeKind::PendingAuthentication)
        };
        challenge::Entity::insert(row).exec_without_returning(self.0).await?;
        Ok(())
    }

    /// Adds a code.
    pub async fn insert_code(&self, code: &Challenge<EmailCode>) -> Result<(), StoreError> {
        let row = challenge::ActiveModel {
            secret_hash: Set(code.detail.code_hash.to_vec()),
            email: Set(Some(code.detail.email.clone())),
            sealed: Set(code.detail.sealed.clone()),
            ..common(code, ChallengeKind::EmailCode)
        };
        challenge::Entity::insert(row).exec_without_returning(self.0).await?;
        Ok(())
    }

    /// Finds a pending authentication by its token.
    pub async fn find_pending(
        &self,
        project_id: ProjectId,
        secret: &SecretHash,
    ) -> Result<Option<Challenge<PendingAuthentication>>, StoreError> {
        pending_by_secret(project_id, secret).one(self.0).await?.map(pending_from).transpose()
    }

    /// Reads a code.
    pub async fn code(&self, id: ChallengeId) -> Result<Option<Challenge<EmailCode>>, StoreError> {
        code_by_id(id).one(self.0).await?.map(code_from).transpose()
    }

    /// Reads a code of a project, whether it completes a sign-in or was asked for by a signed-in user, as one on its way.
    pub async fn code_on_its_way(
        &self,
        project_id: ProjectId,
        id: ChallengeId,
    ) -> Result<Option<Challenge<EmailCode>>, StoreError> {
        let kinds = [ChallengeKind::EmailCode, ChallengeKind::EmailChange].map(ChallengeKind::as_str);
        let query = challenge::Entity::find_by_id(Uuid::from(id))
            .filter(challenge::Column::ProjectId.eq(Uuid::from(project_id)))
            .filter(challenge::Column::Kind.is_in(kinds));
        query.one(self.0).await?.map(code_from).transpose()
    }

    /// True if a pending authentication that has not expired waits for the code.
    pub async fn is_waited_for(&self, code_id: ChallengeId, now: Timestamp) -> Result<bool, StoreError> {
        Ok(waiting_for(code_id).filter(challenge::Column::ExpiresAt.gt(now)).count(self.0).await? > 0)
    }

    /// The code that was made last for a user.
    pub async fn newest_code(&self, user_id: UserId) -> Result<Option<Challenge<EmailCode>>, StoreError> {
        codes_of_user(user_id).one(self.0).await?.map(code_from).transpose()
    }

    /// Replaces the digits of a code, and lets what waits for it live at least as long; the tries already made still count.
    pub async fn replace_code(&self, code: &Challenge<EmailCode>) -> Result<(), StoreError> {
        let row = challenge::ActiveModel {
            id: Set(code.id.into()),
            secret_hash: Set(code.detail.code_hash.to_vec()),
            sealed: Set(code.detail.sealed.clone()),
            issued_at: Set(code.issued_at),
            expires_at: Set(code.expires_at),
            ..Default::default()
        };
        challenge::Entity::update(row).exec(self.0).await?;
        challenge::Entity::update_many()
            .col_expr(challenge::Column::ExpiresAt, Expr::value(code.expires_at))
            .filter(challenge::Column::CodeId.eq(Uuid::from(code.id)))
            .filter(challenge::Column::ExpiresAt.lt(code.expires_at))
            .exec(self.0)
            .await?;
        Ok(())
    }

    /// Uses up one try, in one statement, so that guesses that arrive together cannot share one; false if none was left.
    pub async fn take_attempt(&self, id: ChallengeId) -> Result<bool, StoreError> {
        let taken = challenge::Entity::update_many()
            .col_expr(challenge::Column::AttemptsLeft, Expr::col(challenge::Column::AttemptsLeft).sub(1))
            .filter(challenge::Column::Id.eq(Uuid::from(id)))
            .filter(challenge::Column::AttemptsLeft.gt(0))
            .exec(self.0)
            .await?;
        Ok(taken.rows_affected == 1)
    }

    /// Uses up a challenge, and with a code what waits for it; false if somebody else was faster.
    pub async fn consume(&self, id: ChallengeId) -> Result<bool, StoreError> {
        Ok(challenge::Entity::delete_by_id(Uuid::from(id)).exec(self.0).await?.rows_affected == 1)
    }

    /// Kills every challenge of a user.
    pub async fn delete_of_user(&self, user_id: UserId) -> Result<(), StoreError> {
        let query = challenge::Entity::delete_many().filter(challenge::Column::UserId.eq(Uuid::from(user_id)));
        query.exec(self.0).await?;
        Ok(())
    }

    /// Clears away what has expired; says how many. Only housekeeping: what has expired is refused anyway. A code stays as long
    /// as something that has not expired waits for it, because a resend can still renew it.
    pub async fn delete_expired(&self, now: Timestamp, failures_since: Timestamp) -> Result<u64, StoreError> {
        let mut waited_for = Query::select();
        waited_for
            .column(challenge::Column::CodeId)
            .from(challenge::Entity)
            .and_where(challenge::Column::CodeId.is_not_null())
            .and_where(challenge::Column::ExpiresAt.gt(now));
        let query = challenge::Entity::delete_many()
            .filter(challenge::Column::ExpiresAt.lte(now))
            // The next one takes over what is left of its tries.
            .filter(
                Condition::any()
                    .add(challenge::Column::Kind.ne(ChallengeKind::EmailChange.as_str()))
                    .add(challenge::Column::IssuedAt.lte(failures_since)),
            )
            .filter(challenge::Column::Id.not_in_subquery(waited_for));
        Ok(query.exec(self.0).await?.rows_affected)
    }
}

/// What a pending authentication carries on, in the column `wishes`.
#[derive(Deserialize, Serialize)]
struct Remembered {
    #[serde(flatten)]
    wishes: SignInWishes,
    #[serde(default)]
    counted_as: Option<String>,
    #[serde(default)]
    device_id: Option<Uuid>,
}

fn common<T>(challenge: &Challenge<T>, kind: ChallengeKind) -> challenge::ActiveModel {
    challenge::ActiveModel {
        id: Set(challenge.id.into()),
        project_id: Set(challenge.project_id.into()),
        user_id: Set(challenge.user_id.into()),
        kind: Set(kind.as_str().to_owned()),
        credential_version: Set(challenge.credential_version),
        attempts_left: Set(i32::try_from(challenge.attempts_left).unwrap_or(0)),
        issued_at: Set(challenge.issued_at),
        expires_at: Set(challenge.expires_at),
        ..Default::default()
    }
}

fn challenge_from<T>(row: &challenge::Model, detail: T) -> Challenge<T> {
    Challenge {
        id: row.id.into(),
        project_id: row.project_id.into(),
        user_id: row.user_id.into(),
        credential_version: row.credential_version,
        attempts_left: u32::try_from(row.attempts_left).unwrap_or(0),
        issued_at: row.issued_at,
        expires_at: row.expires_at,
        detail,
    }
}

fn corrupt(cause: impl std::fmt::Display) -> StoreError {
    StoreError::corrupt("challenges", cause)
}

fn pending_from(mut row: challenge::Model) -> Result<Challenge<PendingAuthentication>, StoreError> {
    let address = row.ip_address.take().map(|address| address.parse()).transpose().map_err(corrupt)?;
    let wishes = row.wishes.take().ok_or_else(|| corrupt("no wishes"))?;
    let remembered: Remembered = serde_json::from_value(wishes).map_err(corrupt)?;
    let guarded = match remembered.counted_as {
        // Begun with the binary before this one, which had one counter for both.
        None => Guarded::AuthenticatePassword,
        Some(word) => Guarded::from_word(&word).ok_or_else(|| corrupt(&word))?,
    };
    let detail = PendingAuthentication {
        client_id: row.client_id.ok_or_else(|| corrupt("no client"))?.into(),
        code_id: row.code_id.ok_or_else(|| corrupt("no code"))?.into(),
        wishes: remembered.wishes,
        counted: CountedAs { guarded, device: remembered.device_id.map(Into::into) },
        client_context: ClientContext { ip_address: address, user_agent: row.user_agent.take() },
    };
    Ok(challenge_from(&row, detail))
}

fn code_from(mut row: challenge::Model) -> Result<Challenge<EmailCode>, StoreError> {
    let detail = EmailCode {
        email: row.email.take().ok_or_else(|| corrupt("no email"))?,
        code_hash: row.secret_hash.as_slice().try_into().map_err(corrupt)?,
        sealed: row.sealed.take(),
    };
    Ok(challenge_from(&row, detail))
}
