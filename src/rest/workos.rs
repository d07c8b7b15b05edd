//! The dialect of `WorkOS` (`AuthKit`, "User Management").

mod authenticate;
mod body;
mod credentials;
mod email_verification;
mod keys;
mod object;
mod paging;
mod password_reset;
mod refusal;
mod sessions;
mod users;
mod words;
mod write_user;

use super::{dialect::Dialect, route::routes};

/// The dialect. Of two paths that fit, the one with the literal segment stands first.
pub(super) static DIALECT: Dialect = Dialect {
    name: "workos",
    routes: routes![
        POST "/user_management/authenticate" => authenticate::authenticate,
        POST "/user_management/users" => write_user::create,
        GET "/user_management/users" => users::list,
        GET "/user_management/users/external_id/{external_id}" => users::by_external_id,
        GET "/user_management/users/{id}" => users::get,
        PUT "/user_management/users/{id}" => write_user::update,
        DELETE "/user_management/users/{id}" => users::delete,
        GET "/user_management/users/{id}/sessions" => sessions::list,
        POST "/user_management/users/{id}/email_verification/send" => email_verification::send,
        POST "/user_management/users/{id}/email_verification/confirm" => email_verification::confirm,
        GET "/user_management/email_verification/{id}" => email_verification::get,
        POST "/user_management/password_reset" => password_reset::create,
        POST "/user_management/password_reset/confirm" => password_reset::confirm,
        GET "/user_management/password_reset/{id}" => password_reset::get,
        POST "/user_management/sessions/revoke" => sessions::revoke,
        GET "/user_management/sessions/logout" => sessions::logout,
        GET "/sso/jwks/{client_id}" => keys::key_set,
    ],
    refuse: refusal::refuse,
};
