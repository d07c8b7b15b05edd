//! Table `credentials`.

use sea_orm::{
    ActiveValue::Set,
    ConnectionTrait, EntityTrait as _, QueryFilter as _,
    entity::prelude::*,
    sea_query::{ExprTrait as _, Query, SelectStatement},
};

use super::{
    StoreError,
    entity::{credential, identifier, user},
    kept_statement::KeptStatement,
};
use crate::{
    clock::Timestamp,
    crypto::password_hash::PasswordHash,
    domain::{
        id::{ProjectId, UserId},
        identifier::Identifier,
        user::UserStatus,
    },
};

/// A stored password.
#[derive(Clone, Debug)]
pub struct Credential {
    /// Its hash.
    pub password_hash: PasswordHash,
    /// Goes up with each new password, not with a new hash of the same one.
    pub version: i32,
    /// Whether it has to be changed before it signs anybody in.
    pub must_change: bool,
}

/// What a sign-in has to know of a user before the password is looked at.
#[derive(Clone, Debug)]
pub struct Account {
    /// The user.
    pub user_id: UserId,
    /// Whether they may sign in.
    pub status: UserStatus,
    /// Their password, if they have one.
    pub credential: Option<Credential>,
}

/// The look-up of every sign-in: one query, whether the identifier is known or not, so that its time does not tell.
pub(super) fn account_by_identifier(project_id: ProjectId, identifier: &Identifier) -> SelectStatement {
    let mut query = Query::select();
    query
        .columns([(user::Entity, user::Column::Id), (user::Entity, user::Column::Status)])
        .columns([
            (credential::Entity, credential::Column::PasswordHash),
            (credential::Entity, credential::Column::Version),
            (credential::Entity, credential::Column::MustChange),
        ])
        .from(identifier::Entity)
        .inner_join(
            user::Entity,
            Expr::col((identifier::Entity, identifier::Column::UserId)).equals((user::Entity, user::Column::Id)),
        )
        .left_join(
            credential::Entity,
            Expr::col((credential::Entity, credential::Column::UserId)).equals((user::Entity, user::Column::Id)),
        )
        .and_where(identifier::Column::ProjectId.eq(Uuid::from(project_id)))
        .and_where(identifier::Column::Kind.eq(identifier.kind().as_str()))
        .and_where(identifier::Column::Canonical.eq(identifier.canonical()));
    query
}

/// Passwords.
#[derive(Debug)]
pub struct Credentials<'c, C>(pub(super) &'c C);

impl<C: ConnectionTrait> Credentials<'_, C> {
    /// Reads a user's password.
    pub async fn find(&self, project_id: ProjectId, user_id: UserId) -> Result<Option<Credential>, StoreError> {
        let query = credential::Entity::find_by_id(Uuid::from(user_id));
        let row = query.filter(credential::Column::ProjectId.eq(Uuid::from(project_id))).one(self.0).await?;
        row.map(|row| credential_from(&row.password_hash, row.version, row.must_change)).transpose()
    }

    /// Finds the account with an identifier.
    pub async fn find_account(
        &self,
        project_id: ProjectId,
        identifier: &Identifier,
    ) -> Result<Option<Account>, StoreError> {
        static QUERY: KeptStatement = KeptStatement::new();
        let values = [Uuid::from(project_id).into(), identifier.kind().as_str().into(), identifier.canonical().into()];
        let query = QUERY.with(self.0, values, || account_by_identifier(project_id, identifier));
        let Some(row) = self.0.query_one_raw(query).await? else { return Ok(None) };
        let (user_id, status): (Uuid, String) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        let (hash, version): (Option<String>, Option<i32>) = (row.try_get_by_index(2)?, row.try_get_by_index(3)?);
        let must_change = row.try_get_by_index::<Option<bool>>(4)?.unwrap_or(false);
        let credential = hash.zip(version).map(|(hash, version)| credential_from(&hash, version, must_change));
        let credential = credential.transpose()?;
        let status = UserStatus::from_word(&status).ok_or_else(|| StoreError::corrupt("users", status))?;
        Ok(Some(Account { user_id: user_id.into(), status, credential }))
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
        must_change: bool,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut on_conflict = sea_orm::sea_query::OnConflict::column(credential::Column::UserId);
        on_conflict
            .update_columns([
                credential::Column::PasswordHash,
                credential::Column::MustChange,
                credential::Column::UpdatedAt,
            ])
            .value(credential::Column::Version, Expr::col((credential::Entity, credential::Column::Version)).add(1));
        let row = credential::ActiveModel {
            user_id: Set(user_id.into()),
            project_id: Set(project_id.into()),
            password_hash: Set(hash.to_phc()),
            version: Set(1),
            must_change: Set(must_change),
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

fn credential_from(hash: &str, version: i32, must_change: bool) -> Result<Credential, StoreError> {
    let password_hash = PasswordHash::parse(hash).map_err(|error| StoreError::corrupt("credentials", error))?;
    Ok(Credential { password_hash, version, must_change })
}
