//! Is it the master key of this database? Asked once, at the start.

use super::BuildError;
use crate::{
    crypto::master_key::{MasterKey, Purpose},
    store::Store,
};

/// Keys that are read at a time.
const PAGE: usize = 500;

/// Refuses a master key that does not open every signing key. Better not to start than to fail at some sign-ins, or to mix
/// keys of two masters in one database.
pub(super) async fn check(store: &Store, master_key: &MasterKey) -> Result<(), BuildError> {
    let mut after = None;
    loop {
        let page = store.view().signing_keys().page_of_all(after, PAGE as u64).await.map_err(BuildError::Connect)?;
        for key in &page {
            master_key
                .open(Purpose::SigningKey, key.id.into(), &key.sealed)
                .map_err(|source| BuildError::WrongMasterKey { key: key.id, project: key.project_id, source })?;
        }
        match page.last() {
            Some(last) if page.len() == PAGE => after = Some(last.id),
            _ => return Ok(()),
        }
    }
}
