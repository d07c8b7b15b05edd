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
    domain::id::{ProjectId, SigningKeyId},
    store::Store,
};

/// How old keys may be before they are read again.
const FRESH_FOR: Duration = Duration::seconds(5);
/// How old they may be while somebody reads them again.
const SERVED_FOR: Duration = Duration::seconds(15);
/// How long after keys were read for the sake of an unknown one they are not read for another.
const UNKNOWN_PAUSE: Duration = Duration::seconds(1);
/// Projects whose keys are kept ready.
const PROJECTS_MAX: usize = 1000;

#[derive(Clone)]
struct Ready {
    keys: Arc<ProjectKeys>,
    read_at: Timestamp,
    /// When they were last read because somebody named one that was not among them.
    asked_at: Option<Timestamp>,
    /// Held while they are read for that reason, so that those who come meanwhile wait for the answer.
    asking: Arc<tokio::sync::Mutex<()>>,
    /// Held while they are read because they are old.
    reading: Arc<tokio::sync::Mutex<()>>,
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
        match self.find(project_id) {
            Some(ready) if is_within(FRESH_FOR, ready.read_at, now) => Ok(ready.keys),
            Some(ready) if is_within(SERVED_FOR, ready.read_at, now) => {
                // One reads them anew; whoever comes meanwhile takes what there is, rather than read and parse the same.
                let Ok(_reading) = ready.reading.try_lock() else { return Ok(ready.keys) };
                self.read(store, project_id, now, None).await
            }
            _ => self.read(store, project_id, now, None).await,
        }
    }

    /// The keys of a project for something that says it was made with the key `named`, if it says so. If that is not among them it may be a
    /// new one: they are read again, but at most once a second, so that made-up ids cost nothing. An error if the key is there
    /// but cannot be read: what it made must not be called invalid.
    ///
    /// Takes a connection: call it outside of units of work.
    pub async fn keys_for(
        &self,
        store: &Store,
        project_id: ProjectId,
        named: Option<SigningKeyId>,
        now: Timestamp,
    ) -> Result<Arc<ProjectKeys>, Error> {
        let keys = self.keys(store, project_id, now).await?;
        let Some(named) = named else { return Ok(keys) };
        if keys.know(named)? {
            return Ok(keys);
        }
        let Some(ready) = self.find(project_id) else { return Ok(keys) };
        let _asking = ready.asking.lock().await;
        // Somebody else may have asked while this one waited.
        let Some(ready) = self.find(project_id) else { return Ok(keys) };
        let is_asked_lately = ready.asked_at.is_some_and(|asked_at| is_within(UNKNOWN_PAUSE, asked_at, now));
        if is_asked_lately || ready.keys.know(named)? {
            return Ok(ready.keys);
        }
        let keys = self.read(store, project_id, now, Some(now)).await?;
        keys.know(named)?;
        Ok(keys)
    }

    async fn read(
        &self,
        store: &Store,
        project_id: ProjectId,
        now: Timestamp,
        asked_at: Option<Timestamp>,
    ) -> Result<Arc<ProjectKeys>, Error> {
        // Nearly every call may need it, and few do: each would else have room for it.
        let living = async { store.view().signing_keys().living(project_id, now).await };
        let stored = Box::pin(living).await?;
        // Anybody may ask for the keys of a project that does not exist: that must not push out those that do.
        let exists = !stored.is_empty();
        let keys = Arc::new(ProjectKeys::open(&self.master_key, stored));
        if !exists {
            return Ok(keys);
        }
        let mut ready = self.lock();
        if ready.len() >= PROJECTS_MAX && !ready.contains_key(&project_id) {
            ready.clear();
        }
        let before = ready.remove(&project_id);
        let asked_at = asked_at.or(before.as_ref().and_then(|before| before.asked_at));
        let (asking, reading) = before.map(|before| (before.asking, before.reading)).unwrap_or_default();
        ready.insert(project_id, Ready { keys: Arc::clone(&keys), read_at: now, asked_at, asking, reading });
        Ok(keys)
    }

    fn find(&self, project_id: ProjectId) -> Option<Ready> {
        self.lock().get(&project_id).cloned()
    }

    /// Forgets the keys of a project, so that they are read anew.
    pub fn forget(&self, project_id: ProjectId) {
        self.lock().remove(&project_id);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ProjectId, Ready>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// True if `time` is less than `span` ago. Not in the future either: a clock that is set back must not prolong anything.
fn is_within(span: Duration, time: Timestamp, now: Timestamp) -> bool {
    (Duration::zero()..span).contains(&(now - time))
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

    /// A database with one project that has no keys yet.
    struct Fixture {
        store: Store,
        random: Random,
        master_key: Arc<MasterKey>,
        now: Timestamp,
        id: ProjectId,
        _directory: tempfile::TempDir,
    }

    impl Fixture {
        async fn new() -> Self {
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
            let project = Project {
                id,
                name: "x".into(),
                settings: ProjectSettings::default(),
                created_at: now,
                updated_at: now,
            };
            let tx = store.begin().await.unwrap();
            tx.projects().insert(&project).await.unwrap();
            tx.commit().await.unwrap();
            Self { store, random, master_key, now, id, _directory: directory }
        }

        /// Adds a key as another replica would do it.
        async fn add_key(&self) -> SigningKeyId {
            let key_use = KeyUse::Jwt(SigningAlgorithm::EdDsa);
            let key =
                project_keys::generate(self.id, key_use, self.now, self.now, &self.master_key, &self.random).unwrap();
            let tx = self.store.begin().await.unwrap();
            tx.signing_keys().insert(&key).await.unwrap();
            tx.commit().await.unwrap();
            key.id
        }
    }

    #[tokio::test]
    async fn while_one_reads_old_keys_again_the_others_are_served_but_not_for_long() {
        let fixture = Fixture::new().await;
        let (ring, now) = (KeyRing::new(Arc::clone(&fixture.master_key)), fixture.now);
        let seen_at = async |at| ring.keys(&fixture.store, fixture.id, at).await.unwrap().json_web_keys(at).len();
        fixture.add_key().await;
        assert_eq!(seen_at(now).await, 1);
        fixture.add_key().await;

        let reading = ring.find(fixture.id).unwrap().reading;
        let somebody_reads = reading.lock().await;
        assert_eq!(seen_at(now + FRESH_FOR).await, 1, "what there is, without waiting");
        assert_eq!(seen_at(now + SERVED_FOR - Duration::microseconds(1)).await, 1);
        assert_eq!(seen_at(now + SERVED_FOR).await, 2, "whoever reads is stuck");
        drop(somebody_reads);
        fixture.add_key().await;
        assert_eq!(seen_at(now + SERVED_FOR + FRESH_FOR).await, 3);
    }

    #[tokio::test]
    async fn keys_are_read_again_soon_whichever_way_the_clock_goes() {
        let fixture = Fixture::new().await;
        let (ring, now) = (KeyRing::new(Arc::clone(&fixture.master_key)), fixture.now);
        let seen_at = async |at| ring.keys(&fixture.store, fixture.id, at).await.unwrap().json_web_keys(at).len();

        assert_eq!(seen_at(now).await, 0);
        fixture.add_key().await;
        assert_eq!(seen_at(now).await, 1, "that there are none is not remembered");
        fixture.add_key().await;
        assert_eq!(seen_at(now + FRESH_FOR - Duration::microseconds(1)).await, 1, "remembered");
        assert_eq!(seen_at(now + FRESH_FOR).await, 2);
        fixture.add_key().await;
        assert_eq!(seen_at(now).await, 3, "the clock was set back");
    }

    #[tokio::test]
    async fn an_unknown_key_is_looked_for_at_once_but_once_a_second_only() {
        let fixture = Fixture::new().await;
        let (ring, now) = (KeyRing::new(Arc::clone(&fixture.master_key)), fixture.now);
        let knows =
            async |id, at| ring.keys_for(&fixture.store, fixture.id, Some(id), at).await.unwrap().know(id).unwrap();

        let first = fixture.add_key().await;
        assert!(knows(first, now).await);
        let second = fixture.add_key().await;
        assert!(knows(second, now).await, "read again at once");
        let third = fixture.add_key().await;
        let pause_ends = now + UNKNOWN_PAUSE;
        assert!(!knows(third, pause_ends - Duration::microseconds(1)).await, "not a second time");
        assert!(knows(second, now).await && knows(first, now).await, "what is known costs nothing");
        assert!(knows(third, pause_ends).await);
        let made_up = SigningKeyId::generate(now, &fixture.random);
        assert!(!knows(made_up, pause_ends + UNKNOWN_PAUSE).await);
        let fourth = fixture.add_key().await;
        assert!(!knows(fourth, pause_ends + UNKNOWN_PAUSE).await, "an invented id has used up the second");
        assert!(knows(fourth, pause_ends).await, "the clock was set back");
    }
}
