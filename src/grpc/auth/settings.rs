//! What everybody may know of a project.

use crate::{
    domain::id::ProjectId,
    grpc::convert::id,
    proto::{GetProviderMetadataRequest, GetProviderMetadataResponse, GetSignInSettingsResponse},
    usecase::{Call, Error, Services, json_web_keys::provider_metadata, sign_in_settings::sign_in_settings},
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
    services: &Services,
    body: &GetProviderMetadataRequest,
) -> Result<GetProviderMetadataResponse, Error> {
    let metadata = provider_metadata(services, project_or_only(&body.project_id)?).await?;
    Ok(GetProviderMetadataResponse {
        project_id: metadata.project_id.to_string(),
        issuer: metadata.issuer,
        public_url: metadata.public_url,
        signing_algorithms: metadata.signing_algorithms.into_iter().map(|alg| alg.as_str().to_owned()).collect(),
    })
}

/// The project that is named; none for the only one there is.
pub(super) fn project_or_only(project_id: &str) -> Result<Option<ProjectId>, Error> {
    (!project_id.is_empty()).then(|| id("project_id", project_id, ProjectId::parse)).transpose()
}
