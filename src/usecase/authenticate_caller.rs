//! Who is calling? The one place that decides.

use chrono::Duration;
use secrecy::{ExposeSecret as _, SecretString};

use super::{Error, Services};
use crate::{
    crypto::{
        jwt::{self, Expected, TokenKind},
        secret_token::{PlainSecret, SecretKind},
    },
    domain::{
        caller::{Caller, ClientCaller, ClientProof},
        client::{Client, ClientType},
        id::ClientId,
    },
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
    /// An access token of a client (RFC 6750, section 2.1).
    Token(SecretString),
}

/// Checks a caller's credentials.
pub async fn authenticate_caller(services: &Services, credentials: &CallerCredentials) -> Result<Caller, Error> {
    match credentials {
        CallerCredentials::Secret { client_id, client_secret } => by_secret(services, client_id, client_secret).await,
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
    let (client, proof) = if secret.is_empty() {
        (find(services, id, ClientType::Public).await?, ClientProof::Nothing)
    } else {
        let secret = PlainSecret::parse(SecretKind::ClientSecret, secret).ok_or(Error::CallerUnauthenticated)?;
        let owner = services.store.view().clients().owner_of_secret(&secret.hash()).await?;
        if owner != Some(id) {
            return Err(Error::CallerUnauthenticated);
        }
        (find(services, id, ClientType::Confidential).await?, ClientProof::Secret)
    };
    Ok(Caller::Client(Box::new(in_its_project(services, client, proof).await?)))
}

/// The token itself says whose it is, which is believed just enough to fetch that project's keys.
async fn by_token(services: &Services, token: &SecretString) -> Result<Caller, Error> {
    let token = token.expose_secret();
    let id = jwt::named_client(token).ok_or(Error::CallerUnauthenticated)?;
    let client = find(services, id, ClientType::Confidential).await?;
    let caller = in_its_project(services, client, ClientProof::Token).await?;
    let (project, now) = (&caller.project, services.clock.now());
    let keys = services.key_ring.keys_for(&services.store, project.id, jwt::named_key(token), now).await?;
    let (issuer, audiences) = (services.issuer(project), [project.id.to_string(), project.own_audience()]);
    let expected = Expected {
        kind: TokenKind::Client,
        issuer: &issuer,
        audiences: &audiences,
        now,
        late_by_max: Duration::zero(),
    };
    match jwt::verify_client(token, &keys, &expected) {
        Ok(proved) if proved == id => Ok(Caller::Client(Box::new(caller))),
        Ok(_) => Err(Error::CallerUnauthenticated),
        Err(error) => {
            tracing::debug!(%error, "a client's token was refused");
            Err(Error::CallerUnauthenticated)
        }
    }
}

async fn find(services: &Services, id: ClientId, client_type: ClientType) -> Result<Client, Error> {
    let client = services.store.view().clients().find_for_authentication(id).await?;
    client.filter(|client| client.client_type == client_type).ok_or(Error::CallerUnauthenticated)
}

/// The client that a user's access token names, which is believed just enough to fetch its project and keys.
pub(super) async fn named_by_user_token(services: &Services, token: &SecretString) -> Result<ClientCaller, Error> {
    let id = jwt::named_client(token.expose_secret()).ok_or(Error::TokenInvalid)?;
    let client = services.store.view().clients().find_for_authentication(id).await?.ok_or(Error::TokenInvalid)?;
    in_its_project(services, client, ClientProof::Nothing).await.map_err(|error| match error {
        Error::CallerUnauthenticated => Error::TokenInvalid,
        other => other,
    })
}

async fn in_its_project(services: &Services, client: Client, proof: ClientProof) -> Result<ClientCaller, Error> {
    let project = services.store.view().projects().find(client.project_id).await?;
    let project = project.ok_or(Error::CallerUnauthenticated)?;
    Ok(ClientCaller { client, project, proof })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_not_printed() {
        let token = CallerCredentials::Token("eyJhbGciOi".into());
        let secret = CallerCredentials::Secret { client_id: "client".into(), client_secret: "signet_cs".into() };
        assert!(!format!("{token:?} {secret:?}").contains("eyJ"));
        assert!(!format!("{secret:?}").contains("signet_cs"));
    }
}
