//! Clients and their secrets, for operators.

use secrecy::SecretString;

use super::{Call, Error, Services, projects::check_name, signing_keys::keep_for_refresh_tokens};
use crate::{
    clock::Timestamp,
    crypto::secret_token::{PlainSecret, SecretKind},
    domain::{
        client::{Client, ClientSecret, ClientType, RefreshTokenFormat, TokenDelivery, TokenProfile},
        event::{Cause, Event, EventKind},
        id::{ClientId, ClientSecretId, ProjectId},
        page::{Listed, Page},
        project::Project,
        signing_key::SigningAlgorithm,
    },
    store::Tx,
};

/// A client with its secrets, without their values.
#[derive(Clone, Debug)]
pub struct ClientWithSecrets {
    /// The client.
    pub client: Client,
    /// Its secrets, oldest first.
    pub secrets: Vec<ClientSecret>,
}

/// A secret that was just made. Shown once.
#[derive(Clone, Debug)]
pub struct NewSecret {
    /// Id and time.
    pub secret: ClientSecret,
    /// The secret itself.
    pub plain: SecretString,
}

/// A client to create.
#[derive(Clone, Debug)]
pub struct NewClient {
    /// Name, for people.
    pub name: String,
    /// Confidential or public.
    pub client_type: ClientType,
    /// What the refresh tokens of its sign-ins shall look like.
    pub refresh_token_format: RefreshTokenFormat,
    /// What its tokens shall look like.
    pub token_profile: TokenProfile,
    /// Where its tokens shall be found.
    pub token_delivery: TokenDelivery,
}

/// Creates a client; a confidential one gets its first secret.
pub async fn create_client(
    services: &Services,
    call: &Call,
    project_id: ProjectId,
    new: NewClient,
) -> Result<(Client, Option<NewSecret>), Error> {
    call.operator()?;
    let NewClient { name, client_type, refresh_token_format, token_profile, token_delivery } = new;
    check_name(&name)?;
    let (project, now) = (services.project(project_id).await?, services.clock.now());
    check_algorithm(&project, token_profile)?;
    if token_profile.needs_rs256() {
        check_signer(services, project_id, now).await?;
    }
    let refresh_token_format = token_profile.refresh_token_format(refresh_token_format);
    let has_jwt = refresh_token_format == RefreshTokenFormat::Jwt;
    let id = ClientId::generate(now, &services.random);
    let client = Client {
        id,
        project_id,
        name,
        client_type,
        refresh_token_format,
        token_profile,
        token_delivery,
        created_at: now,
    };
    let tx = services.store.begin().await?;
    if has_jwt || token_profile.needs_rs256() {
        // Held, so that neither a successor is made nor the algorithm changed meanwhile by somebody who does not see the client yet.
        let project = tx.projects().lock(project_id).await?.ok_or(Error::ProjectNotFound)?;
        check_algorithm(&project, token_profile)?;
    }
    if has_jwt {
        keep_for_refresh_tokens(&tx, project_id, now).await?;
    }
    tx.clients().insert(&client).await?;
    services.record(&tx, call, now, [Event::new(EventKind::ClientCreated, project_id).client(client.id)]).await?;
    let secret = match client_type {
        ClientType::Confidential => Some(insert_secret(services, call, &tx, &client).await?),
        ClientType::Public => None,
    };
    tx.commit().await?;
    if has_jwt {
        services.key_ring.forget(project_id);
    }
    Ok((client, secret))
}

/// Refuses a profile whose tokens the project's keys cannot sign.
fn check_algorithm(project: &Project, profile: TokenProfile) -> Result<(), Error> {
    if !profile.needs_rs256() || project.settings.signing_algorithm == SigningAlgorithm::Rs256 {
        return Ok(());
    }
    let problem =
        "needs tokens signed with RS256: change the project's `signing_algorithm`, and wait until its new key signs";
    Err(Error::field("token_profile", problem))
}

/// The same, for a project whose algorithm was changed so lately that a key of the former one still signs.
async fn check_signer(services: &Services, project_id: ProjectId, now: Timestamp) -> Result<(), Error> {
    let keys = services.key_ring.keys(&services.store, project_id, now).await?;
    if keys.signer(now)?.signing.algorithm() == SigningAlgorithm::Rs256 {
        return Ok(());
    }
    let problem =
        "needs tokens signed with RS256: the project's key for that does not sign yet, try again in a few minutes";
    Err(Error::field("token_profile", problem))
}

/// Lists the clients of a project.
pub async fn list_clients(
    services: &Services,
    call: &Call,
    project_id: ProjectId,
    page: Page,
) -> Result<Listed<ClientWithSecrets>, Error> {
    call.operator()?;
    services.project(project_id).await?;
    let view = services.store.view();
    let clients = view.clients().list(project_id, page).await?;
    let all = view.clients().secrets(&clients.items).await?;
    Ok(clients.map(|client| {
        let secrets = all.iter().filter(|secret| secret.client_id == client.id).copied().collect();
        ClientWithSecrets { client, secrets }
    }))
}

/// The client that stands for the applications of a project whose tokens have that profile, if there is one.
pub async fn oldest_public_client(
    services: &Services,
    call: &Call,
    project_id: ProjectId,
    profile: TokenProfile,
) -> Result<Option<Client>, Error> {
    call.operator()?;
    let found = services.store.view().clients().oldest_public(project_id, profile).await?;
    Ok(found.map(|(client, _)| client))
}

/// Deletes a client.
pub async fn delete_client(services: &Services, call: &Call, project_id: ProjectId, id: ClientId) -> Result<(), Error> {
    call.operator()?;
    let now = services.clock.now();
    let tx = services.store.begin().await?;
    if !tx.clients().delete(project_id, id).await? {
        return Err(Error::ClientNotFound);
    }
    services.record(&tx, call, now, [Event::new(EventKind::ClientDeleted, project_id).client(id)]).await?;
    Ok(tx.commit().await?)
}

/// Adds a secret to a confidential client.
pub async fn create_client_secret(
    services: &Services,
    call: &Call,
    project_id: ProjectId,
    id: ClientId,
) -> Result<NewSecret, Error> {
    call.operator()?;
    let tx = services.store.begin().await?;
    let client = confidential_client(&tx, project_id, id).await?;
    let secret = insert_secret(services, call, &tx, &client).await?;
    tx.commit().await?;
    Ok(secret)
}

/// Gives a confidential client a new secret in place of all it has: from the next moment on only that one works.
pub async fn replace_client_secrets(
    services: &Services,
    call: &Call,
    project_id: ProjectId,
    id: ClientId,
) -> Result<NewSecret, Error> {
    call.operator()?;
    let now = services.clock.now();
    let tx = services.store.begin().await?;
    let client = confidential_client(&tx, project_id, id).await?;
    for secret in tx.clients().secrets(std::slice::from_ref(&client)).await? {
        tx.clients().delete_secret(id, secret.id).await?;
        let event = Event::new(EventKind::ClientSecretDeleted, project_id).client(id).cause(Cause::Replaced);
        services.record(&tx, call, now, [event]).await?;
    }
    let secret = insert_secret(services, call, &tx, &client).await?;
    tx.commit().await?;
    Ok(secret)
}

/// Deletes a secret.
pub async fn delete_client_secret(
    services: &Services,
    call: &Call,
    project_id: ProjectId,
    client_id: ClientId,
    id: ClientSecretId,
) -> Result<(), Error> {
    call.operator()?;
    let now = services.clock.now();
    let tx = services.store.begin().await?;
    tx.clients().find(project_id, client_id).await?.ok_or(Error::ClientNotFound)?;
    if !tx.clients().delete_secret(client_id, id).await? {
        return Err(Error::ClientSecretNotFound);
    }
    let event = Event::new(EventKind::ClientSecretDeleted, project_id).client(client_id);
    services.record(&tx, call, now, [event]).await?;
    Ok(tx.commit().await?)
}

async fn confidential_client(tx: &Tx, project_id: ProjectId, id: ClientId) -> Result<Client, Error> {
    let client = tx.clients().find(project_id, id).await?.ok_or(Error::ClientNotFound)?;
    match client.client_type {
        ClientType::Confidential => Ok(client),
        ClientType::Public => Err(Error::field("client_id", "names a public client, which cannot keep a secret")),
    }
}

async fn insert_secret(services: &Services, call: &Call, tx: &Tx, client: &Client) -> Result<NewSecret, Error> {
    let now = services.clock.now();
    let plain = PlainSecret::generate(SecretKind::ClientSecret, &services.random);
    let secret =
        ClientSecret { id: ClientSecretId::generate(now, &services.random), client_id: client.id, created_at: now };
    let inserted = tx.clients().insert_secret(client.project_id, &secret, &plain.hash()).await;
    inserted.map_err(|error| Error::unless_orphan(error, Error::ClientNotFound))?;
    let event = Event::new(EventKind::ClientSecretCreated, client.project_id).client(client.id);
    services.record(tx, call, now, [event]).await?;
    Ok(NewSecret { secret, plain: SecretString::from(plain.expose()) })
}
