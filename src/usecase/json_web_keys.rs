//! The public keys of a project.

use super::{Error, Services};
use crate::{
    crypto::json_web_key::JsonWebKey,
    domain::id::{ClientId, ProjectId},
};

/// The keys to publish.
pub async fn json_web_keys(services: &Services, project_id: ProjectId) -> Result<Vec<JsonWebKey>, Error> {
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
    json_web_keys(services, client.ok_or(Error::ClientNotFound)?.project_id).await
}
