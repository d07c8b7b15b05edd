//! Between the messages of the API and the types of the domain.

mod event;
mod list;
mod password_reset;
mod project;
mod session;
mod user;
mod value;

use prost_types::{Duration, Timestamp};

pub(super) use self::{
    event::event_message,
    list::{Edges, ordered_page, time_from},
    password_reset::{complete_password_reset_from, start_password_reset_from},
    project::{client_message, delivery_message, project_message, secret_message, set_setting, settings_from},
    session::{cookie_hints, pending_authentication, session_message, token_set},
    user::{password_rule, user_message},
    value::object_from,
};
use crate::{
    clock,
    domain::{
        client_context::{ClientContext, DeviceToken, EndUser},
        id::ParseIdError,
        page::Page,
        text::{parse_locale, parse_short},
        violation::{InField as _, Violation},
    },
    proto,
    usecase::Error,
};

pub(super) fn timestamp(time: clock::Timestamp) -> Timestamp {
    Timestamp { seconds: time.timestamp(), nanos: i32::try_from(time.timestamp_subsec_nanos()).unwrap_or(0) }
}

pub(super) fn duration(from: clock::Timestamp, to: clock::Timestamp) -> Duration {
    Duration { seconds: (to - from).num_seconds().max(0), nanos: 0 }
}

/// Whole seconds until a time, as `expires_in` of RFC 6749 counts them.
pub(super) fn seconds_until(from: clock::Timestamp, to: clock::Timestamp) -> i32 {
    i32::try_from((to - from).num_seconds().max(0)).unwrap_or(i32::MAX)
}

/// Reads an id.
pub(super) fn id<T>(field: &str, text: &str, parse: fn(&str) -> Result<T, ParseIdError>) -> Result<T, Error> {
    Ok(parse(text).in_field(field)?)
}

/// Reads the two fields of a list request.
pub(super) fn page(size: i32, token: &str) -> Result<Page, Error> {
    let size = Page::parse_size(size).in_field("page_size")?;
    Ok(Page { size, after: Page::parse_token(token).in_field("page_token")? })
}

/// Reads the end user's connection.
pub(super) fn client_context(message: Option<proto::ClientContext>) -> Result<ClientContext, Error> {
    let message = message.unwrap_or_default();
    let context = ClientContext::parse(&message.ip_address, &message.user_agent);
    Ok(context.map_err(|_| Violation::new("client_context.ip_address", "must be an IP address without a port"))?)
}

/// Reads what tells the end user from a stranger.
pub(super) fn end_user(message: Option<proto::ClientContext>) -> Result<EndUser, Error> {
    let mut message = message.unwrap_or_default();
    let device_token = DeviceToken::presented(std::mem::take(&mut message.device_token));
    Ok(EndUser { context: client_context(Some(message))?, device_token })
}

/// A complaint about a path that a mask should not name. Paths are cut: an answer's details travel in headers, which are short.
pub(super) fn unknown_path(of: &str, path: &str) -> Error {
    let shown: String = path.chars().take(64).collect();
    Error::field("update_mask", format!("names no {of}: {shown}"))
}

/// A text of bounded length without control characters; empty counts as absent.
pub(super) fn short_text(field: &str, text: Option<String>, bytes_max: usize) -> Result<Option<String>, Error> {
    let text = text.filter(|text| !text.is_empty());
    Ok(text.map(|text| parse_short(&text, bytes_max)).transpose().in_field(field)?)
}

/// A language tag; empty counts as absent.
pub(super) fn locale(field: &str, text: Option<&str>) -> Result<Option<String>, Error> {
    let text = text.filter(|text| !text.is_empty());
    Ok(text.map(parse_locale).transpose().in_field(field)?)
}
