//! What everybody may know of a project, to verify its tokens.

use super::{Error, Services};
use crate::{
    crypto::json_web_key::JsonWebKey,
    domain::{
        id::{ClientId, ProjectId},
        page::Page,
        project::Project,
        signing_key::SigningAlgorithm,
    },
};

/// Where a project's tokens come from (OIDC Discovery 1.0, section 3).
#[derive(Clone, Debug)]
pub struct ProviderMetadata {
    /// The project.
    pub project_id: ProjectId,
    /// Issuer of its tokens in the standard form.
    pub issuer: String,
    /// Where clients reach this server, without a slash at the end.
    pub public_url: String,
    /// Algorithms of its keys.
    pub signing_algorithms: Vec<SigningAlgorithm>,
}

/// The keys to publish. Without an id, those of the only project there is.
pub async fn json_web_keys(services: &Services, project_id: Option<ProjectId>) -> Result<Vec<JsonWebKey>, Error> {
    let project_id = match project_id {
        Some(id) => id,
        None => only_project(services).await?.id,
    };
    let now = services.clock.now();
    let keys = services.key_ring.keys(&services.store, project_id, now).await?.json_web_keys(now);
    if keys.is_empty() {
        // A project has a key from its first moment on.
        services.project(project_id).await?;
    }
    Ok(keys)
}

/// The keys to publish of the project of a client.
pub async fn json_web_keys_of_client(services: &Services, client_id: ClientId) -> Result<Vec<JsonWebKey>, Error> {
    let client = services.store.view().clients().find_for_authentication(client_id).await?;
    let client = client.ok_or(Error::ClientNotFound)?;
    json_web_keys(services, Some(client.project_id)).await
}

/// Where the tokens of a project come from. Without an id, of the only project there is.
pub async fn provider_metadata(services: &Services, project_id: Option<ProjectId>) -> Result<ProviderMetadata, Error> {
    let project = match project_id {
        Some(id) => services.project(id).await?,
        None => only_project(services).await?,
    };
    let now = services.clock.now();
    let keys = services.key_ring.keys(&services.store, project.id, now).await?;
    let mut signing_algorithms: Vec<_> = keys.algorithms(now).collect();
    signing_algorithms.sort_by_key(|algorithm| algorithm.as_str());
    signing_algorithms.dedup();
    Ok(ProviderMetadata {
        project_id: project.id,
        issuer: services.issuer(&project),
        public_url: services.public_url.clone(),
        signing_algorithms,
    })
}

/// The project of a server that has one. Where there are several, nobody can mean one of them without naming it.
async fn only_project(services: &Services) -> Result<Project, Error> {
    let mut projects = services.store.view().projects().list(Page { size: 2, after: None }).await?.items;
    match (projects.pop(), projects.is_empty()) {
        (Some(only), true) => Ok(only),
        _ => Err(Error::ProjectNotFound),
    }
}
