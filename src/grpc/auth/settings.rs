//! What everybody may know of a project.

use crate::{
    proto::{
        GetProviderMetadataRequest, GetProviderMetadataResponse, GetSignInSettingsRequest, GetSignInSettingsResponse,
    },
    usecase::{Call, Error, Services},
};

pub(super) async fn get_sign_in_settings(
    _services: &Services,
    _call: &Call,
    _body: GetSignInSettingsRequest,
) -> Result<GetSignInSettingsResponse, Error> {
    Err(Error::NotSupported("get_sign_in_settings"))
}

pub(super) async fn get_provider_metadata(
    _services: &Services,
    _call: &Call,
    _body: GetProviderMetadataRequest,
) -> Result<GetProviderMetadataResponse, Error> {
    Err(Error::NotSupported("get_provider_metadata"))
}
