//! Codes that a signed-in user asks for, to verify an address.

use crate::{
    proto::{
        AuthenticateEmailCodeRequest, AuthenticateEmailCodeResponse, StartEmailVerificationRequest,
        StartEmailVerificationResponse,
    },
    usecase::{Call, Error, Services},
};

pub(super) async fn start_email_verification(
    _services: &Services,
    _call: &Call,
    _body: StartEmailVerificationRequest,
) -> Result<StartEmailVerificationResponse, Error> {
    Err(Error::NotSupported("start_email_verification"))
}

pub(super) async fn authenticate_email_code(
    _services: &Services,
    _call: &Call,
    _body: AuthenticateEmailCodeRequest,
) -> Result<AuthenticateEmailCodeResponse, Error> {
    Err(Error::NotSupported("authenticate_email_code"))
}
