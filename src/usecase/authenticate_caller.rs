//! Who is calling? The one place that decides.

use secrecy::{ExposeSecret as _, SecretString};

use super::{Error, Services, shared_reads::Question, token_forms};
use crate::{
    crypto::{
        jwt,
        secret_token::{PlainSecret, SecretHash, SecretKind},
    },
    domain::{
        caller::{Caller, ClientCaller, ClientProof},
        client::{Client, ClientType, TokenProfile},
        id::{ClientId, ProjectId},
        project::Project,
    },
    store::{Store, StoreError},
};

/// What a caller presents.
#[derive(Clone, Debug)]
pub enum CallerCredentials {
    /// A client's id, and its secret if it has one (RFC 6749, section 2.3.1).
    Secret {
        /// Id of the client.
        client_id: String,
        /// Its secret; empty for a public client.
        client_secret: SecretString,
    },
    /// The secret of a confidential client alone: it tells whose it is.
    SecretAlone(SecretString),
    /// A project, and the secret of one of its confidential clients. Without a secret it stands for the project's oldest public client
    /// of that profile.
    Project {
        /// The project.
        project_id: ProjectId,
        /// The profile that the form of the project's id belongs to.
        profile: TokenProfile,
        /// The secret, or nothing.
        client_secret: SecretString,
    },
    /// An access token of a client (RFC 6750, section 2.1).
    Token(SecretString),
}

/// Which client is looked for, as nearly every call begins.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Wanted {
    /// The one whose secret has that hash.
    Secret(SecretHash),
    /// The one of that id.
    Id(ClientId),
    /// The oldest public one of a project whose tokens have that profile.
    OldestPublic(ProjectId, TokenProfile),
}

impl Question for Wanted {
    type Error = StoreError;
    type Found = Option<(Client, Project)>;
    type Source = Store;

    async fn read(&self, store: &Store) -> Result<Self::Found, StoreError> {
        let view = store.view();
        let clients = view.clients();
        match self {
            Self::Secret(hash) => clients.caller_with_secret(hash).await,
            Self::Id(id) => clients.caller_named(*id).await,
            Self::OldestPublic(project_id, profile) => clients.oldest_public(*project_id, *profile).await,
        }
    }
}

/// Checks a caller's credentials.
pub async fn authenticate_caller(services: &Services, credentials: &CallerCredentials) -> Result<Caller, Error> {
    match credentials {
        CallerCredentials::Secret { client_id, client_secret } => by_secret(services, client_id, client_secret).await,
        CallerCredentials::SecretAlone(secret) => {
            Ok(Caller::Client(Box::new(owner_of(services, secret.expose_secret()).await?)))
        }
        CallerCredentials::Project { project_id, profile, client_secret } => {
            by_project(services, *project_id, *profile, client_secret.expose_secret()).await
        }
        CallerCredentials::Token(token) => by_token(services, token).await,
    }
}

async fn by_secret(services: &Services, client_id: &str, secret: &SecretString) -> Result<Caller, Error> {
    let id = ClientId::parse(client_id).map_err(|_| Error::CallerUnauthenticated)?;
    let secret = secret.expose_secret();
    if let Some(secret) = PlainSecret::parse(SecretKind::OperatorSecret, secret) {
        let known = services.store.view().operators().has_secret(id, &secret.hash()).await?;
        return if known { Ok(Caller::Operator(Some(id))) } else { Err(Error::CallerUnauthenticated) };
    }
    if secret.is_empty() {
        return Ok(Caller::Client(Box::new(named(services, id, ClientType::Public, ClientProof::Nothing).await?)));
    }
    let owner = owner_of(services, secret).await?;
    if owner.client.id == id { Ok(Caller::Client(Box::new(owner))) } else { Err(Error::CallerUnauthenticated) }
}

async fn by_project(
    services: &Services,
    project_id: ProjectId,
    profile: TokenProfile,
    secret: &str,
) -> Result<Caller, Error> {
    if secret.is_empty() {
        let client = find(services, Wanted::OldestPublic(project_id, profile)).await?;
        let (client, project) = client.ok_or(Error::CallerUnauthenticated)?;
        return Ok(Caller::Client(Box::new(ClientCaller { client, project, proof: ClientProof::Nothing })));
    }
    let owner = owner_of(services, secret).await?;
    if owner.project_id() == project_id {
        Ok(Caller::Client(Box::new(owner)))
    } else {
        Err(Error::CallerUnauthenticated)
    }
}

async fn find(services: &Services, wanted: Wanted) -> Result<Option<(Client, Project)>, Error> {
    Ok(services.callers.read(&services.store, wanted).await?)
}

/// The client whose secret that is.
async fn owner_of(services: &Services, secret: &str) -> Result<ClientCaller, Error> {
    let secret = PlainSecret::parse(SecretKind::ClientSecret, secret).ok_or(Error::CallerUnauthenticated)?;
    let owner = find(services, Wanted::Secret(secret.hash())).await?;
    let owner = owner.filter(|(client, _)| client.client_type == ClientType::Confidential);
    let (client, project) = owner.ok_or(Error::CallerUnauthenticated)?;
    Ok(ClientCaller { client, project, proof: ClientProof::Secret })
}

/// The token itself says whose it is, which is believed just enough to fetch that project's keys.
async fn by_token(services: &Services, token: &SecretString) -> Result<Caller, Error> {
    let token = token.expose_secret();
    let id = jwt::named_client(token).ok_or(Error::CallerUnauthenticated)?;
    let caller = named(services, id, ClientType::Confidential, ClientProof::Token).await?;
    let (project, now) = (&caller.project, services.clock.now());
    let keys = services.key_ring.keys_for(&services.store, project.id, jwt::named_key(token), now).await?;
    let form = (project, caller.client.token_profile);
    match token_forms::verify_client(services, form, &keys, token, now) {
        Ok(proved) if proved == id => Ok(Caller::Client(Box::new(caller))),
        Ok(_) => Err(Error::CallerUnauthenticated),
        Err(error) => {
            tracing::debug!(%error, "a client's token was refused");
            Err(Error::CallerUnauthenticated)
        }
    }
}

/// The client of that id, if it is of that type.
async fn named(
    services: &Services,
    id: ClientId,
    client_type: ClientType,
    proof: ClientProof,
) -> Result<ClientCaller, Error> {
    let found = find(services, Wanted::Id(id)).await?;
    let found = found.filter(|(client, _)| client.client_type == client_type);
    let (client, project) = found.ok_or(Error::CallerUnauthenticated)?;
    Ok(ClientCaller { client, project, proof })
}

/// The client that a user's access token names, which is believed just enough to fetch its project and keys.
pub(super) async fn named_by_user_token(services: &Services, token: &SecretString) -> Result<ClientCaller, Error> {
    let id = jwt::named_client(token.expose_secret()).ok_or(Error::TokenInvalid)?;
    let found = find(services, Wanted::Id(id)).await?;
    let (client, project) = found.ok_or(Error::TokenInvalid)?;
    Ok(ClientCaller { client, project, proof: ClientProof::Nothing })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_not_printed() {
        let token = CallerCredentials::Token("eyJhbGciOi".into());
        let secret = CallerCredentials::Secret { client_id: "client".into(), client_secret: "signet_cs".into() };
        let alone = CallerCredentials::SecretAlone("signet_cs".into());
        let project = CallerCredentials::Project {
            project_id: ProjectId::from(uuid::Uuid::nil()),
            profile: TokenProfile::Standard,
            client_secret: "signet_cs".into(),
        };
        let printed = format!("{token:?} {secret:?} {alone:?} {project:?}");
        assert!(!printed.contains("eyJ") && !printed.contains("signet_cs"), "{printed}");
    }
}
