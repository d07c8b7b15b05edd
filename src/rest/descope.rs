//! The dialect of Descope.
//!
//! A project id is `P` and 27 characters, a user id `U` and 27. A refresh JWT is the refresh token of a session, a session JWT its session
//! token, a management key the secret of a confidential client. The project's client of the profile `descope` makes the tokens that
//! the vendor's libraries verify.

mod body;
mod caller;
mod keys;
mod login_options;
mod management;
mod otp;
mod password;
mod refusals;
mod session;
mod signed_in;
mod user;

use self::refusals::refuse;
use super::{dialect::Dialect, route::routes};

/// The dialect.
pub(super) static DIALECT: Dialect = Dialect {
    name: "descope",
    routes: routes![
        GET "/v1/keys/{project_id}" => keys::bare,
        GET "/v2/keys/{project_id}" => keys::wrapped,
        POST "/v1/auth/password/signup" => password::sign_up,
        POST "/v1/auth/password/signin" => password::sign_in,
        POST "/v1/auth/password/update" => password::update,
        POST "/v1/auth/password/replace" => password::replace,
        GET "/v1/auth/password/policy" => password::policy,
        POST "/v1/auth/refresh" => session::refresh,
        GET "/v1/auth/refresh" => session::refresh,
        POST "/v1/auth/try-refresh" => session::try_refresh,
        GET "/v1/auth/try-refresh" => session::try_refresh,
        POST "/v1/auth/logout" => session::log_out,
        POST "/v1/auth/logoutall" => session::log_out_everywhere,
        GET "/v1/auth/me" => session::me,
        POST "/v1/auth/validate" => session::validate,
        POST "/v1/auth/otp/update/email" => otp::update_email,
        POST "/v1/auth/otp/verify/email" => otp::verify_email,
        GET "/v1/mgmt/license" => management::license,
        GET "/v1/mgmt/user" => management::users::load,
        POST "/v1/mgmt/users/load" => management::users::load_several,
        POST "/v1/mgmt/user/create" => management::create::create,
        POST "/v1/mgmt/user/delete" => management::users::delete,
        POST "/v1/mgmt/user/logout" => management::users::log_out,
        POST "/v1/mgmt/user/update/status" => management::users::update_status,
        POST "/v1/mgmt/user/search" => management::search::search,
        POST "/v2/mgmt/user/search" => management::search::search,
        POST "/v1/mgmt/user/password/set" => management::passwords::set_temporary,
        POST "/v1/mgmt/user/password/set/temporary" => management::passwords::set_temporary,
        POST "/v1/mgmt/user/password/set/active" => management::passwords::set_active,
    ],
    refuse,
};
