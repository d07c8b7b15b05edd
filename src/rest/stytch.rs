//! The dialect of Stytch (Consumer). Two surfaces share one model: back ends call `/v1` with the project's id and a secret, pages in
//! browsers call `/sdk/v1` with a public token and wrap what they are answered in `data`.
//!
//! A `session_token` is the session's refresh token, a `session_jwt` its session token. What the ids of users, sessions and projects
//! look like is in [`crate::id_form`]; an email address and a password have the UUID of their user.

mod answer;
mod back_end;
mod bootstrap;
mod browser;
mod caller;
mod errors;
mod key_set;
mod objects;
mod outcome;
mod passwords;
mod search;
mod session_fields;
mod sessions;
mod site;
mod users;

use super::{dialect::Dialect, route::routes};

/// The dialect.
pub(super) static DIALECT: Dialect = Dialect {
    name: "stytch",
    routes: routes![
        POST "/v1/passwords" => back_end::create,
        POST "/v1/passwords/authenticate" => back_end::authenticate,
        POST "/v1/passwords/email/reset/start" => back_end::start_reset,
        POST "/v1/passwords/email/reset" => back_end::complete_reset,
        POST "/v1/passwords/existing_password/reset" => back_end::replace,
        GET "/v1/sessions" => sessions::list,
        POST "/v1/sessions/authenticate" => sessions::authenticate,
        POST "/v1/sessions/revoke" => sessions::revoke,
        GET "/v1/sessions/jwks/{project_id}" => key_set::read,
        POST "/v1/users" => users::create,
        POST "/v1/users/search" => search::search,
        GET "/v1/users/{user_id}" => users::read,
        PUT "/v1/users/{user_id}" => users::update,
        DELETE "/v1/users/{user_id}" => users::delete,
        GET "/sdk/v1/projects/bootstrap/{public_token}" => bootstrap::read,
        POST "/sdk/v1/events" => browser::drop_events,
        POST "/sdk/v1/passwords" => browser::create,
        POST "/sdk/v1/passwords/authenticate" => browser::authenticate,
        POST "/sdk/v1/passwords/email/reset/start" => browser::start_reset,
        POST "/sdk/v1/passwords/email/reset" => browser::complete_reset,
        POST "/sdk/v1/passwords/existing_password/reset" => browser::replace,
        POST "/sdk/v1/sessions/authenticate" => browser::renew,
        POST "/sdk/v1/sessions/revoke" => browser::revoke,
        GET "/sdk/v1/users/me" => browser::read_me,
    ],
    refuse: errors::refuse,
};
