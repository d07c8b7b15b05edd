//! What everybody may know of a project.

use crate::{
    proto::{GetProviderMetadataRequest, GetProviderMetadataResponse, GetSignInSettingsResponse},
    usecase::{Call, Error, Services, sign_in_settings::sign_in_settings},
};

pub(super) fn get_sign_in_settings(call: &Call) -> Result<GetSignInSettingsResponse, Error> {
    let settings = sign_in_settings(call)?;
    let length = |length: usize| i32::try_from(length).unwrap_or(i32::MAX);
    Ok(GetSignInSettingsResponse {
        project_id: settings.project_id.to_string(),
        project_name: settings.project_name,
        password_length_min: length(settings.password_policy.length_min()),
        password_length_max: length(settings.password_bytes_max),
        allow_sign_up: settings.allow_sign_up,
        require_email_verification: settings.require_email_verification,
    })
}

pub(super) async fn get_provider_metadata(
    _services: &Services,
    _call: &Call,
    _body: GetProviderMetadataRequest,
) -> Result<GetProviderMetadataResponse, Error> {
    Err(Error::NotSupported("get_provider_metadata"))
}
