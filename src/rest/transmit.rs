//! The dialect of Transmit Security (Mosaic): back-end password sign-in and the calls around it. Every path is served below `/cis`
//! too, as guides and samples print it (contract, section 1).

mod oauth;
mod passwords;
mod refusal;
mod sessions;
mod sign_in;
mod users;

use super::{
    connection::Attributes as ClientAttributes,
    dialect::Dialect,
    incoming::{Head, Incoming},
    route::routes,
    text::filled as given,
};

/// The dialect.
pub(super) static DIALECT: Dialect = Dialect {
    name: "transmit",
    routes: routes![
        also below "/cis";
        POST "/oidc/token" => oauth::token,
        GET "/oidc/jwks" => oauth::key_set,
        GET "/oidc/.well-known/openid-configuration" => oauth::discovery,
        GET "/oidc/me" => oauth::user_info,
        POST "/oidc/me" => oauth::user_info,
        POST "/v1/auth/password/authenticate" => sign_in::authenticate,
        POST "/v1/auth/token/refresh" => sign_in::refresh,
        POST "/v1/auth/session/authenticate" => sign_in::resume,
        POST "/v1/auth/session/logout" => sessions::log_out,
        GET "/v1/auth/users/{user_id}/sessions" => sessions::list,
        DELETE "/v1/auth/users/{user_id}/sessions" => sessions::revoke_all,
        GET "/v1/sessions/{user_id}" => sessions::list_with_owner,
        DELETE "/v1/sessions/{user_id}" => sessions::delete_all,
        POST "/v1/auth/password/validate" => passwords::validate,
        POST "/v1/users/{user_id}/password" => passwords::set,
        PUT "/v1/users/{user_id}/password" => passwords::change,
        POST "/v1/users" => users::create,
        GET "/v1/users/identifier" => users::find,
        GET "/v1/users/email/{email}" => users::by_email,
        GET "/v1/users/username/{username}" => users::by_username,
        GET "/v1/users/phone-number/{phone_number}" => users::by_phone_number,
        GET "/v1/users/phone/{phone_number}" => users::by_phone_number,
        GET "/v1/users/external-user-id/{external_user_id}" => users::by_external_id,
        GET "/v1/users/{user_id}" => users::get,
        PUT "/v1/users/{user_id}" => users::update,
        DELETE "/v1/users/{user_id}/apps" => users::delete,
        POST "/v1/users/{user_id}/emails/{email}/verify" => users::verify_email,
        POST "/v1/users/{user_id}/phone-numbers/{phone_number}/verify" => users::verify_phone_number,
    ],
    refuse: refusal::refuse,
};

/// The path without the prefix that may be left out.
fn plain(path: &str) -> &str {
    path.strip_prefix("/cis").filter(|rest| rest.starts_with('/')).unwrap_or(path)
}

/// What a call proves itself with, passed on: the client token. Whether it is one, the API decides.
fn authorization(head: &Head) -> String {
    head.bearer().map(|token| format!("Bearer {token}")).unwrap_or_default()
}

/// A call of the API with the credentials of this request.
fn call<T>(incoming: &Incoming, message: T) -> tonic::Request<T> {
    incoming.call(&authorization(&incoming.head), message)
}

#[cfg(test)]
mod tests;
