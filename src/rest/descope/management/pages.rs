//! More users than a page of the API holds.

use http::StatusCode;

use crate::{
    proto::{ListUsersRequest, User},
    rest::{api::Api, descope::refusals::said, failure::Refusal, incoming::Incoming},
};

/// Most users of one answer.
pub(super) const USERS_MAX: usize = 1000;
/// Most users of a page of the API, and most values of a filter.
pub(super) const PAGE_SIZE: usize = 100;

/// Some users.
#[derive(Default)]
pub(super) struct Found {
    pub(super) users: Vec<User>,
    /// How many there are in all, if that was asked for.
    pub(super) total: i32,
}

/// Refuses to read more than so many users for one call.
pub(super) fn check_count(name: &str, count: usize) -> Result<(), Refusal> {
    if count <= USERS_MAX {
        return Ok(());
    }
    Err(said(StatusCode::BAD_REQUEST, "E011003", &format!("{name} must be at most {USERS_MAX}")).into())
}

/// The first `count` users that `wanted` asks for, page by page.
pub(super) async fn read(
    api: &Api,
    incoming: &Incoming,
    authorization: &str,
    mut wanted: ListUsersRequest,
    count: usize,
) -> Result<Found, Refusal> {
    let (mut found, mut left) = (Found::default(), count);
    while left > 0 {
        let size = left.min(PAGE_SIZE);
        wanted.page_size = i32::try_from(size).unwrap_or_default();
        let page = api.users.clone().list_users(incoming.call(authorization, wanted.clone())).await?.into_inner();
        found.total = page.total.unwrap_or(found.total);
        found.users.extend(page.users);
        if page.next_page_token.is_empty() {
            break;
        }
        left -= size;
        // What follows begins behind what was read, and has been counted.
        wanted = ListUsersRequest { page_token: page.next_page_token, skip: 0, include_total: false, ..wanted };
    }
    Ok(found)
}
