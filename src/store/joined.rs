//! Rows of several tables in one statement: what every call reads first is read in one round trip.

use sea_orm::{
    EntityTrait, FromQueryResult as _, IdenStatic as _, Iterable as _, Order, QueryResult,
    entity::prelude::*,
    sea_query::{Alias, ExprTrait as _, SelectStatement},
};

use super::{
    StoreError,
    entity::{credential, identifier, user},
    users::user_from,
};
use crate::{
    clock::Timestamp,
    domain::user::{PasswordState, User},
};

const USER: &str = "user.";
const IDENTIFIER: &str = "identifier.";
const CREDENTIAL: &str = "credential.";

/// Selects every column of a table under a prefix, by which its model is read again.
pub(super) fn columns_of<E: EntityTrait>(query: &mut SelectStatement, prefix: &str) {
    for column in E::Column::iter() {
        let name = Alias::new(format!("{prefix}{}", column.as_str()));
        query.expr_as(Expr::col((E::default(), column)), name);
    }
}

/// Selects what is known of a user: a row for each of their identifiers, and one if they have none. To be called when the query has the
/// table `users`.
pub(super) fn whole_user(query: &mut SelectStatement) {
    columns_of::<user::Entity>(query, USER);
    columns_of::<identifier::Entity>(query, IDENTIFIER);
    // Not the hash, which only a sign-in needs.
    for column in [credential::Column::Version, credential::Column::MustChange, credential::Column::UpdatedAt] {
        let name = Alias::new(format!("{CREDENTIAL}{}", column.as_str()));
        query.expr_as(Expr::col((credential::Entity, column)), name);
    }
    let user = (user::Entity, user::Column::Id);
    query
        .left_join(credential::Entity, Expr::col((credential::Entity, credential::Column::UserId)).equals(user))
        .left_join(identifier::Entity, Expr::col((identifier::Entity, identifier::Column::UserId)).equals(user))
        .order_by((identifier::Entity, identifier::Column::Kind), Order::Asc);
}

/// The user that such rows tell of; none if there are no rows.
pub(super) fn user_of(rows: &[QueryResult]) -> Result<Option<User>, StoreError> {
    let Some(first) = rows.first() else { return Ok(None) };
    let mut identifiers = Vec::with_capacity(rows.len());
    for row in rows {
        // Of an option, or a row that cannot be read would be none.
        if let Some(found) = Option::<identifier::Model>::from_query_result(row, IDENTIFIER)? {
            identifiers.push(found.try_into()?);
        }
    }
    let version: Option<i32> = first.try_get(CREDENTIAL, "version")?;
    let must_change: Option<bool> = first.try_get(CREDENTIAL, "must_change")?;
    let updated_at: Option<Timestamp> = first.try_get(CREDENTIAL, "updated_at")?;
    let password = version.zip(must_change).zip(updated_at);
    let password =
        password.map(|((version, must_change), updated_at)| PasswordState { version, must_change, updated_at });
    user_from(user::Model::from_query_result(first, USER)?, identifiers, password).map(Some)
}
