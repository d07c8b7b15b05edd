//! Requests about password resets.

use super::{end_user, locale};
use crate::{
    domain::{
        challenge::SignInWishes,
        code::{Code, RESET_DIGITS},
        identifier::{Identifier, IdentifierKind},
        password::Password,
        violation::InField as _,
    },
    proto::{CompletePasswordResetRequest, PasswordResetMethod, StartPasswordResetRequest},
    usecase::{
        Error,
        complete_password_reset::CompletePasswordReset,
        start_password_reset::{ResetMethod, StartPasswordReset},
    },
};

pub(in crate::grpc) fn start_password_reset_from(body: StartPasswordResetRequest) -> Result<StartPasswordReset, Error> {
    let page = Some(body.reset_url).filter(|page| !page.is_empty());
    let method = match PasswordResetMethod::try_from(body.method) {
        Ok(PasswordResetMethod::Link) => ResetMethod::Link { page },
        Ok(PasswordResetMethod::Unspecified | PasswordResetMethod::Code) if page.is_none() => ResetMethod::Code,
        Ok(_) => return Err(Error::field("reset_url", "is for the method PASSWORD_RESET_METHOD_LINK only")),
        Err(_) => {
            return Err(Error::field("method", "must be PASSWORD_RESET_METHOD_CODE or PASSWORD_RESET_METHOD_LINK"));
        }
    };
    Ok(StartPasswordReset {
        email: Identifier::parse(IdentifierKind::Email, &body.email).in_field("email")?,
        method,
        locale: locale("locale", Some(&body.locale))?,
        end_user: end_user(body.client_context)?,
    })
}

pub(in crate::grpc) fn complete_password_reset_from(
    body: CompletePasswordResetRequest,
    sign_in: Option<SignInWishes>,
) -> Result<CompletePasswordReset, Error> {
    if body.password_reset_token.is_empty() {
        return Err(Error::field("password_reset_token", "must not be empty"));
    }
    let code = Some(body.code).filter(|code| !code.is_empty());
    Ok(CompletePasswordReset {
        token: body.password_reset_token.into(),
        code: code.map(|code| Code::parse(&code, RESET_DIGITS)).transpose().in_field("code")?,
        new_password: Password::parse(&body.new_password).in_field("new_password")?,
        end_user: end_user(body.client_context)?,
        sign_in,
    })
}
