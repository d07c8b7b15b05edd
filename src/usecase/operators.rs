//! Operators, who stand outside of projects. Only for the command line: nobody becomes an operator over the network.
//!
//! They belong to no project, so that there is no audit trail for what happens to them: it is logged.

use secrecy::SecretString;

use super::{Call, Error, Services, projects::check_name};
use crate::{
    crypto::secret_token::{PlainSecret, SecretKind},
    domain::{
        client::Operator,
        id::ClientId,
        page::{Listed, Page},
    },
};

/// Creates an operator; gives its id and its secret, which is shown once.
pub async fn create_operator(
    services: &Services,
    call: &Call,
    name: String,
) -> Result<(ClientId, SecretString), Error> {
    call.operator()?;
    check_name(&name)?;
    let now = services.clock.now();
    let operator = Operator { id: ClientId::generate(now, &services.random), name, created_at: now };
    let plain = PlainSecret::generate(SecretKind::OperatorSecret, &services.random);
    let tx = services.store.begin().await?;
    tx.operators().insert(&operator, &plain.hash()).await?;
    tx.commit().await?;
    log(call, operator.id, "an operator was created");
    Ok((operator.id, SecretString::from(plain.expose())))
}

/// Lists operators.
pub async fn list_operators(services: &Services, call: &Call, page: Page) -> Result<Listed<Operator>, Error> {
    call.operator()?;
    Ok(services.store.view().operators().list(page).await?)
}

/// Gives an operator a new secret in place of the one it has, which works no more from then on.
pub async fn replace_operator_secret(services: &Services, call: &Call, id: ClientId) -> Result<SecretString, Error> {
    call.operator()?;
    let plain = PlainSecret::generate(SecretKind::OperatorSecret, &services.random);
    let tx = services.store.begin().await?;
    if !tx.operators().set_secret(id, &plain.hash()).await? {
        return Err(Error::ClientNotFound);
    }
    tx.commit().await?;
    log(call, id, "the secret of an operator was replaced");
    Ok(SecretString::from(plain.expose()))
}

/// Deletes an operator.
pub async fn delete_operator(services: &Services, call: &Call, id: ClientId) -> Result<(), Error> {
    call.operator()?;
    let tx = services.store.begin().await?;
    if !tx.operators().delete(id).await? {
        return Err(Error::ClientNotFound);
    }
    tx.commit().await?;
    log(call, id, "an operator was deleted");
    Ok(())
}

fn log(call: &Call, id: ClientId, what: &str) {
    tracing::info!(operator = %id, request_id = call.request_id, "{what}");
}
