//! The keys of each project, kept ready for a few seconds, so that replicas see a rotation soon after it was made.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use chrono::Duration;

use super::Error;
use crate::{
    clock::Timestamp,
    crypto::{master_key::MasterKey, project_keys::ProjectKeys},
    domain::id::ProjectId,
    store::Store,
};

/// How old keys may be before they are read again.
const FRESH_FOR: Duration = Duration::seconds(5);
/// Projects whose keys are kept ready.
const PROJECTS_MAX: usize = 1000;

struct Ready {
    keys: Arc<ProjectKeys>,
    read_at: Timestamp,
}

/// Keys that are ready for use.
pub struct KeyRing {
    master_key: Arc<MasterKey>,
    ready: Mutex<HashMap<ProjectId, Ready>>,
}

impl KeyRing {
    /// An empty ring.
    pub fn new(master_key: Arc<MasterKey>) -> Self {
        Self { master_key, ready: Mutex::default() }
    }

    /// The keys of a project; empty if there is no such project.
    pub async fn keys(&self, store: &Store, project_id: ProjectId, now: Timestamp) -> Result<Arc<ProjectKeys>, Error> {
        if let Some(ready) = self.lock().get(&project_id)
            && now - ready.read_at < FRESH_FOR
        {
            return Ok(Arc::clone(&ready.keys));
        }
        let stored = store.view().signing_keys().living(project_id, now).await?;
        // Anybody may ask for the keys of a project that does not exist: that must not push out those that do.
        let exists = !stored.is_empty();
        let keys = Arc::new(ProjectKeys::open(&self.master_key, stored)?);
        if !exists {
            return Ok(keys);
        }
        let mut ready = self.lock();
        if ready.len() >= PROJECTS_MAX {
            ready.clear();
        }
        ready.insert(project_id, Ready { keys: Arc::clone(&keys), read_at: now });
        Ok(keys)
    }

    /// Forgets the keys of a project, so that they are read anew.
    pub fn forget(&self, project_id: ProjectId) {
        self.lock().remove(&project_id);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ProjectId, Ready>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
