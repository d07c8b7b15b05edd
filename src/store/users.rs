//! Tables `users` and `identifiers`.

mod matching;

use std::collections::HashMap;

use sea_orm::{
    ActiveValue::Set,
    ConnectionTrait, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, QueryTrait as _, Select,
    Statement,
    entity::prelude::*,
    sea_query::{ExprTrait as _, Query, SelectStatement},
};
use serde_json::Value;

use self::matching::matching;
use super::{
    StoreError,
    entity::{credential, identifier, user},
    joined::{user_of, whole_user},
    kept_statement::KeptStatement,
    pages::paged,
};
use crate::{
    clock::Timestamp,
    domain::{
        id::{ProjectId, UserId},
        identifier::{Identifier, IdentifierKind},
        page::{Listed, OrderedPage},
        user::{PasswordState, Profile, User, UserIdentifier, UserStatus},
        user_filter::UserFilter,
    },
};

/// A user to add.
#[derive(Debug)]
pub struct NewUser<'a> {
    /// Id.
    pub id: UserId,
    /// Project.
    pub project_id: ProjectId,
    /// At most one of each kind.
    pub identifiers: &'a [UserIdentifier],
    /// What the application calls them.
    pub external_id: Option<&'a str>,
    /// Name, language, metadata.
    pub profile: &'a Profile,
    /// Time of creation.
    pub now: Timestamp,
}

/// Users and their identifiers.
#[derive(Debug)]
pub struct Users<'c, C>(pub(super) &'c C);

/// The look-up of a user by what they are called.
pub(super) fn by_identifier(project_id: ProjectId, identifier: &Identifier) -> Select<identifier::Entity> {
    identifier::Entity::find()
        .filter(identifier::Column::ProjectId.eq(Uuid::from(project_id)))
        .filter(identifier::Column::Kind.eq(identifier.kind().as_str()))
        .filter(identifier::Column::Canonical.eq(identifier.canonical()))
}

/// The look-up of a user by id.
pub(super) fn by_id(project_id: ProjectId, id: UserId) -> Select<user::Entity> {
    user::Entity::find_by_id(Uuid::from(id)).filter(user::Column::ProjectId.eq(Uuid::from(project_id)))
}

/// The look-up of a user with identifiers and what is known of the password.
pub(super) fn whole_by_id(project_id: ProjectId, id: UserId) -> SelectStatement {
    let mut query = Query::select();
    whole_user(&mut query);
    query
        .from(user::Entity)
        .and_where(Expr::col((user::Entity, user::Column::Id)).eq(Uuid::from(id)))
        .and_where(Expr::col((user::Entity, user::Column::ProjectId)).eq(Uuid::from(project_id)));
    query
}

/// The look-up of a user by what the application calls them.
pub(super) fn by_external_id(project_id: ProjectId, external_id: &str) -> Select<user::Entity> {
    of_project(project_id).filter(user::Column::ExternalId.eq(external_id))
}

/// The users of a project.
fn of_project(project_id: ProjectId) -> Select<user::Entity> {
    user::Entity::find().filter(user::Column::ProjectId.eq(Uuid::from(project_id)))
}

/// A page of a project's users that match.
pub(super) fn page_of(project_id: ProjectId, filter: &UserFilter, page: &OrderedPage) -> Select<user::Entity> {
    paged(of_project(project_id).filter(matching(project_id, filter)), user::Column::Id, page)
}

/// Notes the time of a completed sign-in.
pub(super) fn signing_in(connection: &impl ConnectionTrait, id: UserId, now: Timestamp) -> Statement {
    static UPDATE: KeptStatement = KeptStatement::new();
    let build = || {
        user::Entity::update_many()
            .col_expr(user::Column::LastSignedInAt, Expr::value(now))
            .filter(user::Column::Id.eq(Uuid::from(id)))
            .into_query()
    };
    UPDATE.with(connection, [now.into(), Uuid::from(id).into()], build)
}

impl<C: ConnectionTrait> Users<'_, C> {
    /// Adds a user; [`StoreError::Conflict`] if an identifier is taken.
    pub async fn insert(&self, new: &NewUser<'_>) -> Result<(), StoreError> {
        let row = user::ActiveModel {
            id: Set(new.id.into()),
            project_id: Set(new.project_id.into()),
            status: Set(UserStatus::Active.as_str().to_owned()),
            given_name: Set(new.profile.given_name.clone()),
            family_name: Set(new.profile.family_name.clone()),
            middle_name: Set(new.profile.middle_name.clone()),
            display_name: Set(new.profile.display_name.clone()),
            picture_url: Set(new.profile.picture_url.clone()),
            external_id: Set(new.external_id.map(str::to_owned)),
            locale: Set(new.profile.locale.clone()),
            metadata: Set(Value::Object(new.profile.metadata.clone())),
            untrusted_metadata: Set(Some(Value::Object(new.profile.untrusted_metadata.clone()))),
            created_at: Set(new.now),
            updated_at: Set(new.now),
            last_signed_in_at: Set(None),
        };
        user::Entity::insert(row).exec_without_returning(self.0).await?;
        for identifier in new.identifiers {
            self.insert_identifier(new.project_id, new.id, identifier).await?;
        }
        Ok(())
    }

    /// Reads a user.
    pub async fn find(&self, project_id: ProjectId, id: UserId) -> Result<Option<User>, StoreError> {
        static QUERY: KeptStatement = KeptStatement::new();
        let values = [Uuid::from(id).into(), Uuid::from(project_id).into()];
        let query = QUERY.with(self.0, values, || whole_by_id(project_id, id));
        user_of(&self.0.query_all_raw(query).await?, 0)
    }

    /// Reads a user and holds the row until the unit of work ends: whatever changes a user's standing, or depends on
    /// it, starts here, so that no session is opened beside a `disable` or a new password.
    pub async fn lock(&self, project_id: ProjectId, id: UserId) -> Result<Option<User>, StoreError> {
        static QUERY: KeptStatement = KeptStatement::new();
        // Without a limit, of which an id needs none: SQLite plans a statement anew for each limit that it is given.
        let values = [Uuid::from(id).into(), Uuid::from(project_id).into()];
        let build = || by_id(project_id, id).lock_exclusive().into_query();
        let held = self.0.query_one_raw(QUERY.with(self.0, values, build)).await?;
        // A second statement, because the first one sees the other tables as they were before it waited for the row.
        if held.is_some() { self.find(project_id, id).await } else { Ok(None) }
    }

    /// Finds the user with an identifier.
    pub async fn find_by_identifier(
        &self,
        project_id: ProjectId,
        identifier: &Identifier,
    ) -> Result<Option<User>, StoreError> {
        match by_identifier(project_id, identifier).one(self.0).await? {
            Some(row) => self.find(project_id, row.user_id.into()).await,
            None => Ok(None),
        }
    }

    /// Finds the user whom the application calls so.
    pub async fn find_by_external_id(
        &self,
        project_id: ProjectId,
        external_id: &str,
    ) -> Result<Option<UserId>, StoreError> {
        Ok(by_external_id(project_id, external_id).one(self.0).await?.map(|row| row.id.into()))
    }

    /// Lists the users of a project that match.
    pub async fn list(
        &self,
        project_id: ProjectId,
        filter: &UserFilter,
        page: impl Into<OrderedPage>,
    ) -> Result<Listed<User>, StoreError> {
        let page = page.into();
        let rows = page_of(project_id, filter, &page).all(self.0).await?;
        let users = self.assemble(rows).await?;
        Ok(Listed::from_rows(users, page, |user| user.id.into()))
    }

    /// Counts the users of a project that match.
    pub async fn count(&self, project_id: ProjectId, filter: &UserFilter) -> Result<u64, StoreError> {
        let query = of_project(project_id).filter(matching(project_id, filter));
        let count = query.select_only().column_as(user::Column::Id.count(), "count").into_tuple::<i64>().one(self.0);
        Ok(count.await?.unwrap_or_default().unsigned_abs())
    }

    /// Writes name, language, metadata and status of a user that was read before.
    pub async fn update(&self, user: &User) -> Result<(), StoreError> {
        let row = user::ActiveModel {
            id: Set(user.id.into()),
            status: Set(user.status.as_str().to_owned()),
            given_name: Set(user.profile.given_name.clone()),
            family_name: Set(user.profile.family_name.clone()),
            middle_name: Set(user.profile.middle_name.clone()),
            display_name: Set(user.profile.display_name.clone()),
            picture_url: Set(user.profile.picture_url.clone()),
            external_id: Set(user.external_id.clone()),
            locale: Set(user.profile.locale.clone()),
            metadata: Set(Value::Object(user.profile.metadata.clone())),
            untrusted_metadata: Set(Some(Value::Object(user.profile.untrusted_metadata.clone()))),
            updated_at: Set(user.updated_at),
            ..Default::default()
        };
        // It has room for several users; whoever waits for a hash before it would hold that, too.
        Box::pin(user::Entity::update(row).exec(self.0)).await?;
        Ok(())
    }

    /// Deletes a user with all that hangs on them; false if there is none.
    pub async fn delete(&self, project_id: ProjectId, id: UserId) -> Result<bool, StoreError> {
        let query = user::Entity::delete_by_id(Uuid::from(id));
        let deleted = query.filter(user::Column::ProjectId.eq(Uuid::from(project_id))).exec(self.0).await?;
        Ok(deleted.rows_affected > 0)
    }

    /// Adds an identifier to a user; [`StoreError::Conflict`] if it is taken.
    pub async fn insert_identifier(
        &self,
        project_id: ProjectId,
        user_id: UserId,
        identifier: &UserIdentifier,
    ) -> Result<(), StoreError> {
        let row = identifier::ActiveModel {
            project_id: Set(project_id.into()),
            kind: Set(identifier.identifier.kind().as_str().to_owned()),
            canonical: Set(identifier.identifier.canonical().to_owned()),
            display: Set(identifier.identifier.display().to_owned()),
            user_id: Set(user_id.into()),
            verified_at: Set(identifier.verified_at),
        };
        identifier::Entity::insert(row).exec_without_returning(self.0).await?;
        Ok(())
    }

    /// Removes the identifier of a kind from a user.
    pub async fn delete_identifier(&self, user_id: UserId, kind: IdentifierKind) -> Result<(), StoreError> {
        identifier::Entity::delete_many()
            .filter(identifier::Column::UserId.eq(Uuid::from(user_id)))
            .filter(identifier::Column::Kind.eq(kind.as_str()))
            .exec(self.0)
            .await?;
        Ok(())
    }

    /// Marks an identifier as the user's own; false if they no longer have it.
    pub async fn verify_identifier(
        &self,
        user_id: UserId,
        identifier: &Identifier,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let updated = identifier::Entity::update_many()
            .col_expr(identifier::Column::VerifiedAt, Expr::value(now))
            .filter(identifier::Column::UserId.eq(Uuid::from(user_id)))
            .filter(identifier::Column::Kind.eq(identifier.kind().as_str()))
            .filter(identifier::Column::Canonical.eq(identifier.canonical()))
            .exec(self.0)
            .await?;
        Ok(updated.rows_affected == 1)
    }

    /// Joins users with their identifiers: two more queries, however many users.
    async fn assemble(&self, rows: Vec<user::Model>) -> Result<Vec<User>, StoreError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
        let identifiers = identifier::Entity::find()
            .filter(identifier::Column::UserId.is_in(ids.clone()))
            .order_by_asc(identifier::Column::Kind)
            .all(self.0)
            .await?;
        let mut by_user: HashMap<Uuid, Vec<UserIdentifier>> = HashMap::new();
        for row in identifiers {
            by_user.entry(row.user_id).or_default().push(row.try_into()?);
        }
        let passwords: Vec<(Uuid, i32, bool, Timestamp)> = credential::Entity::find()
            .select_only()
            .columns([
                credential::Column::UserId,
                credential::Column::Version,
                credential::Column::MustChange,
                credential::Column::UpdatedAt,
            ])
            .filter(credential::Column::UserId.is_in(ids))
            .into_tuple()
            .all(self.0)
            .await?;
        let mut passwords: HashMap<Uuid, PasswordState> = passwords
            .into_iter()
            .map(|(id, version, must_change, updated_at)| (id, PasswordState { version, must_change, updated_at }))
            .collect();
        let mut user = |row: user::Model| {
            let identifiers = by_user.remove(&row.id).unwrap_or_default();
            let password = passwords.remove(&row.id);
            user_from(row, identifiers, password)
        };
        rows.into_iter().map(&mut user).collect()
    }
}

impl TryFrom<identifier::Model> for UserIdentifier {
    type Error = StoreError;

    fn try_from(row: identifier::Model) -> Result<Self, StoreError> {
        let kind = IdentifierKind::from_word(&row.kind).ok_or_else(|| StoreError::corrupt("identifiers", row.kind))?;
        let identifier = Identifier::from_stored(kind, row.canonical, row.display);
        Ok(Self { identifier, verified_at: row.verified_at })
    }
}

pub(super) fn user_from(
    row: user::Model,
    identifiers: Vec<UserIdentifier>,
    password: Option<PasswordState>,
) -> Result<User, StoreError> {
    let object = |value: Value| match value {
        Value::Object(object) => Ok(object),
        _ => Err(StoreError::corrupt("users", "metadata is not an object")),
    };
    let metadata = object(row.metadata)?;
    let untrusted_metadata = row.untrusted_metadata.map(object).transpose()?.unwrap_or_default();
    Ok(User {
        id: row.id.into(),
        project_id: row.project_id.into(),
        identifiers,
        profile: Profile {
            given_name: row.given_name,
            family_name: row.family_name,
            middle_name: row.middle_name,
            display_name: row.display_name,
            picture_url: row.picture_url,
            locale: row.locale,
            metadata,
            untrusted_metadata,
        },
        external_id: row.external_id,
        status: UserStatus::from_word(&row.status).ok_or_else(|| StoreError::corrupt("users", row.status))?,
        password,
        created_at: row.created_at,
        updated_at: row.updated_at,
        last_signed_in_at: row.last_signed_in_at,
    })
}
