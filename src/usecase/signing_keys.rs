//! Making and listing signing keys.

use std::sync::Arc;

use chrono::Duration;

use super::{Call, Error, Services};
use crate::{
    clock::Timestamp,
    crypto::project_keys,
    domain::{
        event::{Event, EventKind},
        id::ProjectId,
        project::{Project, TOKEN_LIFETIME_MAX},
        signing_key::{KeyUse, PUBLISH_LEAD, StoredKey},
    },
    store::Tx,
};

/// How much longer than its last token a key is published, for verifiers whose clocks run late.
const CLOCK_SKEW: Duration = Duration::minutes(5);

/// When a new key starts to sign.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Activation {
    /// Once verifiers have had time to fetch it.
    AfterPublication,
    /// At once: verifiers that cache the key set refuse its tokens until they fetch it again.
    Now,
}

/// Makes a new key for JWTs; the ones before retire once their last tokens have expired.
pub async fn rotate_signing_key(
    services: &Services,
    call: &Call,
    project_id: ProjectId,
    activation: Activation,
) -> Result<StoredKey, Error> {
    call.operator()?;
    let now = services.clock.now();
    let tx = services.store.begin().await?;
    // Held until the key is there: of keys that are made together, each but the last has to get an end, and neither the
    // algorithm nor the lifetimes may change meanwhile.
    let project = tx.projects().lock(project_id).await?.ok_or(Error::ProjectNotFound)?;
    let activates_at = match activation {
        Activation::AfterPublication => now + PUBLISH_LEAD,
        Activation::Now => now,
    };
    let key_use = KeyUse::Jwt(project.settings.signing_algorithm);
    let key = generate(services, project_id, key_use, activates_at, now).await?;
    insert_successor(services, call, &tx, &project, &key, now).await?;
    tx.commit().await?;
    services.key_ring.forget(project_id);
    Ok(key)
}

/// The keys of a project, retired ones too, oldest first.
pub async fn list_signing_keys(
    services: &Services,
    call: &Call,
    project_id: ProjectId,
) -> Result<Vec<StoredKey>, Error> {
    call.operator()?;
    services.project(project_id).await?;
    Ok(services.store.view().signing_keys().all(project_id).await?)
}

/// Makes a key on a thread that may block.
pub(super) async fn generate(
    services: &Services,
    project_id: ProjectId,
    key_use: KeyUse,
    activates_at: Timestamp,
    now: Timestamp,
) -> Result<StoredKey, Error> {
    let (master_key, random) = (Arc::clone(&services.master_key), services.random.clone());
    let key = tokio::task::spawn_blocking(move || {
        project_keys::generate(project_id, key_use, activates_at, now, &master_key, &random)
    });
    Ok(key.await.map_err(|error| Error::Internal(Box::new(error)))??)
}

/// Adds a key and sets the end of those it follows.
pub(super) async fn insert_successor(
    services: &Services,
    call: &Call,
    tx: &Tx,
    project: &Project,
    key: &StoredKey,
    now: Timestamp,
) -> Result<(), Error> {
    let same_use =
        |other: &KeyUse| matches!((other, key.key_use), (KeyUse::Jwt(_), KeyUse::Jwt(_))) || *other == key.key_use;
    for mut before in tx.signing_keys().living(project.id, now).await? {
        if same_use(&before.key_use) && before.replaced_at.is_none_or(|end| end > key.activates_at) {
            before.replaced_at = Some(key.activates_at);
            // The longest that any setting allows: tokens may have been made under another one than today's.
            before.retires_at = Some(key.activates_at + TOKEN_LIFETIME_MAX + CLOCK_SKEW);
            tx.signing_keys().set_end(&before).await?;
        }
    }
    tx.signing_keys().insert(key).await?;
    let event = Event::new(EventKind::SigningKeyCreated, project.id).cause(key.key_use.as_str());
    services.record(tx, call, now, [event]).await
}
