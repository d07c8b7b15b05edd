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
        project::{LATE_TOKEN_MAX, Project, SESSION_LIFETIME_MAX, TOKEN_LIFETIME_MAX},
        signing_key::{KeyPurpose, KeyState, KeyUse, PUBLISH_LEAD, StoredKey},
    },
    store::Tx,
};

/// How much longer than its last token a key is kept: for verifiers whose clocks run late, and for replicas that sign with it
/// for some seconds more because they have not seen its successor yet.
const CLOCK_SKEW: Duration = Duration::minutes(5);

/// When a new key starts to sign.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Activation {
    /// Once verifiers have had time to fetch it. If no other key can sign meanwhile, at once.
    AfterPublication,
    /// At once: verifiers that cache the key set refuse its tokens until they fetch it again.
    Now,
}

/// Makes a new key; the ones before retire once their last tokens have expired.
pub async fn rotate_signing_key(
    services: &Services,
    call: &Call,
    project_id: ProjectId,
    purpose: KeyPurpose,
    activation: Activation,
) -> Result<StoredKey, Error> {
    call.operator()?;
    let made = make_key(services, call, project_id, purpose, activation, |_, _, _| true).await?;
    made.ok_or(Error::ProjectNotFound)
}

/// Makes a new key if `is_wanted` still says so of the project and its living keys once no other replica can make one; none
/// if not, or if there is no such project.
pub(super) async fn make_key(
    services: &Services,
    call: &Call,
    project_id: ProjectId,
    purpose: KeyPurpose,
    activation: Activation,
    is_wanted: impl FnOnce(&Project, &[StoredKey], Timestamp) -> bool,
) -> Result<Option<StoredKey>, Error> {
    let Some(project) = services.store.view().projects().find(project_id).await? else { return Ok(None) };
    // Before the unit of work: an RSA key takes a while, and on SQLite all writers would wait for it.
    let key_use = purpose.key_use(project.settings.signing_algorithm);
    let mut key = generate(services, project_id, key_use, services.clock.now()).await?;
    let tx = services.store.begin().await?;
    // Held until the key is there: of keys that are made together, each but the last has to get an end, and neither the
    // algorithm nor the clients' formats may change meanwhile.
    let Some(project) = tx.projects().lock(project_id).await? else { return Ok(None) };
    let now = services.clock.now();
    let living = tx.signing_keys().living(project_id, now).await?;
    if !is_wanted(&project, &living, now) {
        return Ok(None);
    }
    let key_use = purpose.key_use(project.settings.signing_algorithm);
    if key.key_use != key_use {
        // The algorithm was changed in between.
        key = generate(services, project_id, key_use, now).await?;
    }
    let signs = |key: &StoredKey| key.key_use.purpose() == purpose && key.state_at(now) == KeyState::Active;
    key.activates_at = match activation {
        Activation::AfterPublication if living.iter().any(signs) => now + PUBLISH_LEAD,
        Activation::AfterPublication | Activation::Now => now,
    };
    insert_successor(services, call, &tx, &key, now).await?;
    tx.commit().await?;
    services.key_ring.forget(project_id);
    Ok(Some(key))
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

/// Makes a key that signs from now on, on a thread that may block.
pub(super) async fn generate(
    services: &Services,
    project_id: ProjectId,
    key_use: KeyUse,
    now: Timestamp,
) -> Result<StoredKey, Error> {
    let (master_key, random) = (Arc::clone(&services.master_key), services.random.clone());
    let key = tokio::task::spawn_blocking(move || {
        project_keys::generate(project_id, key_use, now, now, &master_key, &random)
    });
    Ok(key.await.map_err(|error| Error::Internal(Box::new(error)))??)
}

/// Adds a key and sets the end of those it follows. The caller holds the project's row.
pub(super) async fn insert_successor(
    services: &Services,
    call: &Call,
    tx: &Tx,
    key: &StoredKey,
    now: Timestamp,
) -> Result<(), Error> {
    // The longest that any setting allows: tokens may have been made under another one than today's.
    let kept_for = CLOCK_SKEW
        + match key.key_use.purpose() {
            KeyPurpose::Tokens if !tx.clients().any_with_jwt_refresh_tokens(key.project_id).await? => {
                TOKEN_LIFETIME_MAX + LATE_TOKEN_MAX
            }
            KeyPurpose::RefreshTokens | KeyPurpose::Tokens => SESSION_LIFETIME_MAX,
        };
    for mut before in tx.signing_keys().living(key.project_id, now).await? {
        if before.end_with(key, kept_for) {
            tx.signing_keys().set_end(&before).await?;
        }
    }
    tx.signing_keys().insert(key).await?;
    let event = Event::new(EventKind::SigningKeyCreated, key.project_id).cause(key.key_use.cause());
    services.record(tx, call, now, [event]).await
}

/// Keeps the keys for JWTs that still sign, but have a successor already, for as long as a refresh token can live: from now on
/// they sign those, too. The caller holds the project's row.
pub(super) async fn keep_for_refresh_tokens(tx: &Tx, project_id: ProjectId, now: Timestamp) -> Result<(), Error> {
    for mut key in tx.signing_keys().living(project_id, now).await? {
        // Another replica may sign a little longer than its time.
        let signs_until = key.replaced_at.filter(|end| *end + CLOCK_SKEW > now);
        let kept_until = signs_until.map(|end| end + SESSION_LIFETIME_MAX + CLOCK_SKEW);
        if key.key_use.purpose() == KeyPurpose::Tokens && kept_until > key.retires_at {
            key.retires_at = kept_until;
            tx.signing_keys().set_end(&key).await?;
        }
    }
    Ok(())
}
