//! Who is calling? The one place that decides.

use secrecy::{ExposeSecret as _, SecretString};

use super::{Error, Services};
use crate::{
    crypto::secret_token::{PlainSecret, SecretKind},
    domain::{
        caller::{Caller, ClientCaller},
        client::{Client, ClientType},
        id::ClientId,
    },
};

/// What a caller presents: a client's id, and its secret if it has one (RFC 6749, section 2.3.1).
#[derive(Clone, Debug)]
pub struct CallerCredentials {
    /// Id of the client.
    pub client_id: String,
    /// Its secret; empty for a public client.
    pub client_secret: SecretString,
}

/// Checks a caller's credentials.
pub async fn authenticate_caller(services: &Services, credentials: &CallerCredentials) -> Result<Caller, Error> {
    let id = ClientId::parse(&credentials.client_id).map_err(|_| Error::CallerUnauthenticated)?;
    let secret = credentials.client_secret.expose_secret();
    if let Some(secret) = PlainSecret::parse(SecretKind::OperatorSecret, secret) {
        let known = services.store.view().operators().has_secret(id, &secret.hash()).await?;
        return if known { Ok(Caller::Operator(Some(id))) } else { Err(Error::CallerUnauthenticated) };
    }
    let client = if secret.is_empty() {
        find(services, id).await?.filter(|client| client.client_type == ClientType::Public)
    } else {
        let secret = PlainSecret::parse(SecretKind::ClientSecret, secret).ok_or(Error::CallerUnauthenticated)?;
        match services.store.view().clients().owner_of_secret(&secret.hash()).await? {
            Some(owner) if owner == id => find(services, id).await?,
            _ => None,
        }
    };
    let client = client.ok_or(Error::CallerUnauthenticated)?;
    let project = services.store.view().projects().find(client.project_id).await?;
    let project = project.ok_or(Error::CallerUnauthenticated)?;
    Ok(Caller::Client(Box::new(ClientCaller { client, project })))
}

async fn find(services: &Services, id: ClientId) -> Result<Option<Client>, Error> {
    Ok(services.store.view().clients().find_for_authentication(id).await?)
}
