//! Sign-up.

use crate::{
    proto::{SignUpRequest, SignUpResponse},
    usecase::{Call, Error, Services},
};

pub(super) async fn sign_up(_services: &Services, _call: &Call, _body: SignUpRequest) -> Result<SignUpResponse, Error> {
    Err(Error::NotSupported("sign_up"))
}
