//! Rows of several tables in one statement: what every call reads first is read in one round trip.

use sea_orm::{
    DbErr, EntityTrait, Order, QueryResult, TryGetable,
    entity::prelude::*,
    sea_query::{ExprTrait as _, SelectStatement},
};

use super::{
    StoreError,
    entity::{client, credential, identifier, project, session, user},
    users::user_from,
};
use crate::{
    clock::Timestamp,
    domain::user::{PasswordState, User},
};

/// A row of a table that stands beside rows of others. It is selected and read by one list, so that both have one
/// order, and read by position: a name would have to be put together for each column of each row.
pub(super) trait Joined: Sized {
    /// Its table.
    type Entity: EntityTrait;
    /// Its columns in the order in which they are selected.
    const COLUMNS: &'static [&'static str];

    /// Reads it in the same order.
    fn read(columns: &mut Columns<'_>) -> Result<Self, DbErr>;
}

/// Lists the columns of a table, all of them, or its model would not be complete.
macro_rules! joined {
    ($table:ident: $($column:ident),+ $(,)?) => {
        impl Joined for $table::Model {
            type Entity = $table::Entity;
            const COLUMNS: &'static [&'static str] = &[$(stringify!($column)),+];

            fn read(columns: &mut Columns<'_>) -> Result<Self, DbErr> {
                // Fields are evaluated in the order in which they are written.
                Ok(Self { $($column: columns.read()?),+ })
            }
        }
    };
}

joined!(client: id, project_id, name, client_type, refresh_token_format, token_profile, token_delivery, created_at);
// By the first one it is joined to its user: there it is null if there is no row.
joined!(identifier: user_id, project_id, kind, canonical, display, verified_at);
joined!(project: id, name, settings, created_at, updated_at);
joined!(
    session: id, project_id, user_id, client_id, methods, authenticated_at, ip_address, user_agent, custom_claims,
    resource, refresh_generation, rotated_at, refresh_token_format, token_profile, last_used_at, created_at,
    idle_expires_at, expires_at, revoked_at,
);
joined!(
    user: id, project_id, status, given_name, family_name, middle_name, display_name, picture_url, external_id, locale,
    metadata, untrusted_metadata, created_at, updated_at, last_signed_in_at,
);

/// The columns of a row, from left to right.
pub(super) struct Columns<'r> {
    row: &'r QueryResult,
    next: usize,
}

impl<'r> Columns<'r> {
    /// All that come after so many.
    pub(super) const fn after(skipped: usize, row: &'r QueryResult) -> Self {
        Self { row, next: skipped }
    }

    /// The next one.
    fn read<T: TryGetable>(&mut self) -> Result<T, DbErr> {
        let value = self.row.try_get_by_index(self.next)?;
        self.next += 1;
        Ok(value)
    }

    /// The row of a table that comes next.
    pub(super) fn joined<M: Joined>(&mut self) -> Result<M, DbErr> {
        M::read(self)
    }
}

/// Selects every column of a table, after those that are selected already.
pub(super) fn columns_of<M: Joined>(query: &mut SelectStatement) {
    query.columns(M::COLUMNS.iter().map(|column| (M::Entity::default(), *column)));
}

/// Selects what is known of a user: a row for each of their identifiers, and one if they have none. To be called when
/// the query has the table `users`.
pub(super) fn whole_user(query: &mut SelectStatement) {
    columns_of::<user::Model>(query);
    // Not the hash, which only a sign-in needs.
    for column in [credential::Column::Version, credential::Column::MustChange, credential::Column::UpdatedAt] {
        query.column((credential::Entity, column));
    }
    columns_of::<identifier::Model>(query);
    let user = (user::Entity, user::Column::Id);
    query
        .left_join(credential::Entity, Expr::col((credential::Entity, credential::Column::UserId)).equals(user))
        .left_join(identifier::Entity, Expr::col((identifier::Entity, identifier::Column::UserId)).equals(user))
        .order_by((identifier::Entity, identifier::Column::Kind), Order::Asc);
}

/// The user that such rows tell of, behind so many other columns; none if there are no rows.
pub(super) fn user_of(rows: &[QueryResult], behind: usize) -> Result<Option<User>, StoreError> {
    let Some(first) = rows.first() else { return Ok(None) };
    let mut columns = Columns::after(behind, first);
    let user = columns.joined::<user::Model>()?;
    let version: Option<i32> = columns.read()?;
    let must_change: Option<bool> = columns.read()?;
    let updated_at: Option<Timestamp> = columns.read()?;
    let password = version.zip(must_change).zip(updated_at);
    let password =
        password.map(|((version, must_change), updated_at)| PasswordState { version, must_change, updated_at });
    let identifiers_after = columns.next;
    let mut identifiers = Vec::with_capacity(rows.len());
    for row in rows {
        let is_there = row.try_get_by_index::<Option<Uuid>>(identifiers_after)?.is_some();
        if is_there {
            identifiers.push(Columns::after(identifiers_after, row).joined::<identifier::Model>()?.try_into()?);
        }
    }
    user_from(user, identifiers, password).map(Some)
}
