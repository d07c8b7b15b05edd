//! What `ListUsers` is asked for.

use uuid::Uuid;

use super::fields::identifier;
use crate::{
    domain::{
        id::UserId,
        identifier::{Identifier, IdentifierKind},
        page::OrderedPage,
        text::{parse_external_id, parse_short},
        user::UserStatus,
        user_filter::{TEXT_BYTES_MAX, UserFilter, VALUES_MAX},
        violation::{InField as _, Violation},
    },
    grpc::convert::{Edges, id, ordered_page, time_from},
    proto::{self, ListUsersRequest, list_users_request::Identifier as Given},
    usecase::Error,
};

/// Reads which page is wanted.
pub(super) fn page_from(body: &ListUsersRequest) -> Result<OrderedPage, Error> {
    let edges = Edges {
        after: ("after_user_id", edge("after_user_id", &body.after_user_id)?),
        before: ("before_user_id", edge("before_user_id", &body.before_user_id)?),
    };
    ordered_page((body.page_size, &body.page_token), body.order, &edges, body.skip)
}

/// Reads the id of a user that the page lies next to; empty for none.
fn edge(field: &str, text: &str) -> Result<Option<Uuid>, Error> {
    (!text.is_empty()).then(|| id(field, text, UserId::parse).map(Uuid::from)).transpose()
}

/// Reads which users are wanted.
pub(super) fn filter_from(body: ListUsersRequest) -> Result<UserFilter, Error> {
    let one = |kind, text: &str| identifier("", kind, text).map(UserFilter::from);
    match (body.identifier, body.filter) {
        (None, None) => Ok(UserFilter::default()),
        (None, Some(filter)) => members(&filter),
        (Some(_), Some(_)) => Err(Error::field("filter", "not together with an identifier")),
        (Some(Given::Email(text)), None) => one(IdentifierKind::Email, &text),
        (Some(Given::Username(text)), None) => one(IdentifierKind::Username, &text),
        (Some(Given::PhoneNumber(text)), None) => one(IdentifierKind::Phone, &text),
        (Some(Given::ExternalId(text)), None) => {
            let external_ids = vec![parse_external_id(&text).in_field("external_id")?];
            Ok(UserFilter { external_ids, ..UserFilter::default() })
        }
    }
}

fn members(filter: &proto::UserFilter) -> Result<UserFilter, Error> {
    let of = |kind| move |text: &String| Identifier::parse(kind, text);
    let identifiers = [
        values("emails", &filter.emails, of(IdentifierKind::Email))?,
        values("usernames", &filter.usernames, of(IdentifierKind::Username))?,
        values("phone_numbers", &filter.phone_numbers, of(IdentifierKind::Phone))?,
        values("login_ids", &filter.login_ids, |text| Identifier::parse_login_id(text))?,
    ];
    let time = |field, time: Option<_>| time.map(|time| time_from(field, time)).transpose();
    let text = parse_short(&filter.text, TEXT_BYTES_MAX).in_field("filter.text")?;
    Ok(UserFilter {
        user_ids: values("user_ids", &filter.user_ids, |text| UserId::parse(text))?,
        identifiers: identifiers.into_iter().filter(|values| !values.is_empty()).collect(),
        external_ids: values("external_ids", &filter.external_ids, |text| parse_external_id(text))?,
        statuses: values("statuses", &filter.statuses, |status| status_from(*status))?,
        email_verified: filter.email_verified,
        has_password: filter.has_password,
        created_from: time("filter.created_from", filter.created_from)?,
        created_before: time("filter.created_before", filter.created_before)?,
        text: Some(text).filter(|text| !text.is_empty()),
    })
}

/// Reads the values of one member.
fn values<T, U, E: std::fmt::Display>(
    field: &str,
    given: &[T],
    parse: impl Fn(&T) -> Result<U, E>,
) -> Result<Vec<U>, Violation> {
    let field = format!("filter.{field}");
    if given.len() > VALUES_MAX {
        return Err(Violation::new(field, format!("must be at most {VALUES_MAX}")));
    }
    given.iter().map(|value| parse(value).in_field(&field)).collect()
}

fn status_from(status: i32) -> Result<UserStatus, &'static str> {
    match proto::UserStatus::try_from(status) {
        Ok(proto::UserStatus::Active) => Ok(UserStatus::Active),
        Ok(proto::UserStatus::Disabled) => Ok(UserStatus::Disabled),
        Ok(proto::UserStatus::Unspecified) | Err(_) => Err("must be statuses"),
    }
}
