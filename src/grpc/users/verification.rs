//! Codes and password resets that a trusted back end handles.

use crate::{
    proto::{
        ConfirmEmailVerificationRequest, ConfirmEmailVerificationResponse, CreatePasswordResetRequest,
        CreatePasswordResetResponse, GetEmailVerificationRequest, GetEmailVerificationResponse,
        GetPasswordResetRequest, GetPasswordResetResponse,
    },
    usecase::{Call, Error, Services},
};

pub(super) async fn confirm_email_verification(
    _services: &Services,
    _call: &Call,
    _body: ConfirmEmailVerificationRequest,
) -> Result<ConfirmEmailVerificationResponse, Error> {
    Err(Error::NotSupported("confirm_email_verification"))
}

pub(super) async fn get_email_verification(
    _services: &Services,
    _call: &Call,
    _body: GetEmailVerificationRequest,
) -> Result<GetEmailVerificationResponse, Error> {
    Err(Error::NotSupported("get_email_verification"))
}

pub(super) async fn create_password_reset(
    _services: &Services,
    _call: &Call,
    _body: CreatePasswordResetRequest,
) -> Result<CreatePasswordResetResponse, Error> {
    Err(Error::NotSupported("create_password_reset"))
}

pub(super) async fn get_password_reset(
    _services: &Services,
    _call: &Call,
    _body: GetPasswordResetRequest,
) -> Result<GetPasswordResetResponse, Error> {
    Err(Error::NotSupported("get_password_reset"))
}
