//! Passwords that their owners change.

use crate::{
    proto::{
        ChangePasswordRequest, ChangePasswordResponse, CheckNewPasswordRequest, CheckNewPasswordResponse,
        ReplacePasswordRequest, ReplacePasswordResponse,
    },
    usecase::{Call, Error, Services},
};

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

pub(super) async fn check_new_password(
    _services: &Services,
    _call: &Call,
    _body: CheckNewPasswordRequest,
) -> Result<CheckNewPasswordResponse, Error> {
    Err(Error::NotSupported("check_new_password"))
}
