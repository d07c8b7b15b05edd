//! Which users a filter lets through, as a condition.

use std::collections::BTreeMap;

use sea_orm::{
    Condition, EntityTrait as _, QueryFilter as _, QuerySelect as _, QueryTrait as _,
    entity::prelude::*,
    sea_query::{ExprTrait as _, Func, LikeExpr, SelectStatement},
};

use crate::{
    domain::{
        id::ProjectId,
        identifier::{Identifier, IdentifierKind},
        user::UserStatus,
        user_filter::UserFilter,
    },
    store::entity::{credential, identifier, user},
};

/// Stands before `%`, `_` and itself where they mean nothing but themselves.
const ESCAPE: char = '!';

/// The members of the filter that are set, all of which have to hold.
pub(super) fn matching(project_id: ProjectId, filter: &UserFilter) -> Condition {
    let mut all = Condition::all();
    if !filter.user_ids.is_empty() {
        all = all.add(user::Column::Id.is_in(filter.user_ids.iter().map(|id| Uuid::from(*id))));
    }
    if !filter.external_ids.is_empty() {
        all = all.add(user::Column::ExternalId.is_in(filter.external_ids.iter().map(String::as_str)));
    }
    if !filter.statuses.is_empty() {
        all = all.add(user::Column::Status.is_in(filter.statuses.iter().copied().map(UserStatus::as_str)));
    }
    for identifiers in &filter.identifiers {
        all = all.add(user::Column::Id.in_subquery(owners(project_id, any_of(identifiers))));
    }
    if let Some(verified) = filter.email_verified {
        let email = identifier::Column::Kind.eq(IdentifierKind::Email.as_str());
        let owners = owners(project_id, Condition::all().add(email).add(identifier::Column::VerifiedAt.is_not_null()));
        all = all.add(either(verified, owners));
    }
    if let Some(has_password) = filter.has_password {
        let with_password = credential::Entity::find()
            .select_only()
            .column(credential::Column::UserId)
            .filter(credential::Column::ProjectId.eq(Uuid::from(project_id)));
        all = all.add(either(has_password, with_password.into_query()));
    }
    all = all.add_option(filter.created_from.map(|from| user::Column::CreatedAt.gte(from)));
    all = all.add_option(filter.created_before.map(|before| user::Column::CreatedAt.lt(before)));
    all.add_option(filter.text.as_deref().map(|text| mentions(project_id, text)))
}

/// The owners of identifiers of a project.
fn owners(project_id: ProjectId, which: Condition) -> SelectStatement {
    identifier::Entity::find()
        .select_only()
        .column(identifier::Column::UserId)
        .filter(identifier::Column::ProjectId.eq(Uuid::from(project_id)))
        .filter(which)
        .into_query()
}

/// Those identifiers, each in its look-up space.
fn any_of(identifiers: &[Identifier]) -> Condition {
    let mut kinds: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for identifier in identifiers {
        kinds.entry(identifier.kind().as_str()).or_default().push(identifier.canonical());
    }
    let of_kind = |(kind, canonical): (&str, Vec<&str>)| {
        Condition::all().add(identifier::Column::Kind.eq(kind)).add(identifier::Column::Canonical.is_in(canonical))
    };
    kinds.into_iter().map(of_kind).fold(Condition::any(), Condition::add)
}

fn either(is_wanted: bool, users: SelectStatement) -> Expr {
    if is_wanted { user::Column::Id.in_subquery(users) } else { user::Column::Id.not_in_subquery(users) }
}

/// Users who have the text in a name or in what they are called.
fn mentions(project_id: ProjectId, text: &str) -> Condition {
    let names = [
        user::Column::GivenName,
        user::Column::FamilyName,
        user::Column::MiddleName,
        user::Column::DisplayName,
        user::Column::ExternalId,
    ];
    let mut mentions = Condition::any();
    let mut called = Condition::any();
    for pattern in patterns(text) {
        for name in names {
            mentions = mentions.add(holds(Expr::col((user::Entity, name)), &pattern));
        }
        for spelling in [identifier::Column::Canonical, identifier::Column::Display] {
            called = called.add(holds(Expr::col((identifier::Entity, spelling)), &pattern));
        }
    }
    mentions.add(user::Column::Id.in_subquery(owners(project_id, called)))
}

fn holds(column: Expr, pattern: &str) -> Expr {
    Expr::expr(Func::lower(column)).like(LikeExpr::new(pattern).escape(ESCAPE))
}

/// What the lower case of a text has to be like. SQLite, and PostgreSQL in some locales, know the case of ASCII letters only: for
/// them other letters are tried in either case.
fn patterns(text: &str) -> Vec<String> {
    let mut spellings = vec![text.to_lowercase(), text.to_uppercase().to_ascii_lowercase(), text.to_ascii_lowercase()];
    spellings.sort();
    spellings.dedup();
    spellings.iter().map(|spelling| pattern(spelling)).collect()
}

fn pattern(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.chars() {
        if matches!(c, '%' | '_' | ESCAPE) {
            pattern.push(ESCAPE);
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_means_itself_in_either_case() {
        assert_eq!(patterns("50%_off!"), ["%50!%!_off!!%"]);
        assert_eq!(patterns("Émile"), ["%\u{c9}mile%", "%\u{e9}mile%"]);
    }
}
