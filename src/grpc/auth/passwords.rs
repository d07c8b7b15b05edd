//! Passwords that their owners change.

use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    domain::{identifier::Identifier, violation::InField as _},
    grpc::convert::password_rule,
    proto::{
        ChangePasswordRequest, ChangePasswordResponse, CheckNewPasswordRequest, CheckNewPasswordResponse, PasswordRule,
        PasswordViolation, ReplacePasswordRequest, ReplacePasswordResponse,
    },
    usecase::{
        Call, Error, Services,
        check_new_password::{Shortcoming, check_new_password as shortcomings_of},
    },
};

/// Most names that a new password is compared with.
const NAMES_MAX: usize = 5;

pub(super) async fn replace_password(
    _services: &Services,
    _call: &Call,
    _body: ReplacePasswordRequest,
) -> Result<ReplacePasswordResponse, Error> {
    Err(Error::NotSupported("replace_password"))
}

pub(super) async fn change_password(
    _services: &Services,
    _call: &Call,
    _body: ChangePasswordRequest,
) -> Result<ChangePasswordResponse, Error> {
    Err(Error::NotSupported("change_password"))
}

pub(super) fn check_new_password(
    call: &Call,
    body: CheckNewPasswordRequest,
) -> Result<CheckNewPasswordResponse, Error> {
    if body.identifiers.len() > NAMES_MAX {
        return Err(Error::field("identifiers", format!("must be at most {NAMES_MAX}")));
    }
    let identifiers = body.identifiers.iter().map(|text| Identifier::parse_login_id(text).in_field("identifiers"));
    let identifiers = identifiers.collect::<Result<Vec<_>, _>>()?;
    let password = SecretString::from(body.password);
    let shortcomings = shortcomings_of(call, password.expose_secret(), &identifiers)?;
    let violation = |shortcoming: &Shortcoming| PasswordViolation {
        rule: match shortcoming {
            Shortcoming::TooLong => PasswordRule::TooLong.into(),
            Shortcoming::Weak(weakness) => password_rule(weakness).into(),
        },
        description: shortcoming.to_string(),
    };
    Ok(CheckNewPasswordResponse { violations: shortcomings.iter().map(violation).collect() })
}
