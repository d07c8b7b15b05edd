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
            // Not in the future either: a clock that is set back must not keep them for longer.
            && (Duration::zero()..FRESH_FOR).contains(&(now - ready.read_at))
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

#[cfg(test)]
mod tests {
    use secrecy::SecretBox;

    use super::*;
    use crate::{
        crypto::project_keys,
        domain::{
            project::{Project, ProjectSettings},
            signing_key::{KeyUse, SigningAlgorithm},
        },
        random::Random,
        store::DatabaseSettings,
    };

    #[tokio::test]
    async fn keys_are_read_again_soon_whichever_way_the_clock_goes() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}?mode=rwc", directory.path().join("signet.db").display());
        let settings = DatabaseSettings {
            url: url.into(),
            connections_max: 1,
            acquire_timeout: std::time::Duration::from_secs(5),
        };
        Store::migrate(&settings).await.unwrap();
        let (store, random) = (Store::connect(&settings).await.unwrap(), Random::seeded(1));
        let master_key = Arc::new(MasterKey::new(&SecretBox::new(Box::new([1; 32]))));
        let now = Timestamp::from_timestamp_secs(1_800_000_000).unwrap();
        let id = ProjectId::generate(now, &random);
        let project =
            Project { id, name: "x".into(), settings: ProjectSettings::default(), created_at: now, updated_at: now };
        let tx = store.begin().await.unwrap();
        tx.projects().insert(&project).await.unwrap();
        tx.commit().await.unwrap();
        // As another replica would do it.
        let add_key = async || {
            let key_use = KeyUse::Jwt(SigningAlgorithm::EdDsa);
            let key = project_keys::generate(id, key_use, now, now, &master_key, &random).unwrap();
            let tx = store.begin().await.unwrap();
            tx.signing_keys().insert(&key).await.unwrap();
            tx.commit().await.unwrap();
        };
        let ring = KeyRing::new(Arc::clone(&master_key));
        let seen_at = async |at| ring.keys(&store, id, at).await.unwrap().json_web_keys(at).len();

        assert_eq!(seen_at(now).await, 0);
        add_key().await;
        assert_eq!(seen_at(now).await, 1, "that there are none is not remembered");
        add_key().await;
        assert_eq!(seen_at(now + FRESH_FOR - Duration::microseconds(1)).await, 1, "remembered");
        assert_eq!(seen_at(now + FRESH_FOR).await, 2);
        add_key().await;
        assert_eq!(seen_at(now).await, 3, "the clock was set back");
    }
}
