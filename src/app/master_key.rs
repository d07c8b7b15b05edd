//! Is it the master key of this database? Asked once, at the start.

use super::BuildError;
use crate::{
    config::{
        ConfigError,
        keys::{KeyConfig, PREVIOUS_MASTER_KEY},
    },
    crypto::master_key::{MasterKey, Purpose},
    store::Store,
};

/// Keys that are read at a time.
const PAGE: usize = 500;

/// The master key of the settings, with the second one if there is one.
pub(super) fn of(keys: &KeyConfig) -> Result<MasterKey, ConfigError> {
    let master_key = MasterKey::new(&keys.bytes()?);
    let Some(previous) = keys.previous_bytes()? else { return Ok(master_key) };
    master_key.with_previous(&previous).map_err(|error| {
        let problem = format!("{error}; make another one with `openssl rand -base64 32`");
        ConfigError::malformed(PREVIOUS_MASTER_KEY, problem)
    })
}

/// Refuses master keys of which none opens some signing key. Better not to start than to fail at some sign-ins, or to mix keys of
/// several masters in one database.
pub(super) async fn check(store: &Store, master_key: &MasterKey) -> Result<(), BuildError> {
    let (mut after, mut keys, mut under_previous) = (None, 0_usize, 0_usize);
    loop {
        let page = store.view().signing_keys().page_of_all(after, PAGE as u64).await.map_err(BuildError::Connect)?;
        for key in &page {
            master_key
                .open(Purpose::SigningKey, key.id.into(), &key.sealed)
                .map_err(|source| BuildError::WrongMasterKey { key: key.id, project: key.project_id, source })?;
            under_previous += usize::from(!master_key.sealed_it(&key.sealed));
        }
        keys += page.len();
        match page.last() {
            Some(last) if page.len() == PAGE => after = Some(last.id),
            _ => break,
        }
    }
    if master_key.has_previous() {
        tracing::info!(
            signing_keys = keys,
            under_previous,
            "two master keys are set: {under_previous} of {keys} signing keys are encrypted under the one of \
             SIGNET_PREVIOUS_MASTER_KEY"
        );
    }
    Ok(())
}
