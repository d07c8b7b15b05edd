//! The order in which attempts of one subject wait.
//!
//! Only the first in line asks the database again and again whether there is room; the others of this process wait behind it,
//! in the order they came. Held only until the attempt is reserved, never during a hash.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use tokio::{sync, time::timeout_at};

use crate::domain::{bucket::Bucket, id::ProjectId};

/// Subjects that are waited for at once. More would need as many calls at once.
pub const SUBJECTS_MAX: usize = 10_000;
/// Attempts of one subject that wait; more would not get their turn before their deadline.
pub const WAITING_MAX: usize = 1000;

type Key = (ProjectId, Bucket);

/// One line for each subject. Those that nobody stands in are removed.
#[derive(Debug, Default)]
pub struct Gates(Mutex<HashMap<Key, Arc<sync::Mutex<()>>>>);

/// The first place in a line.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    // Before the place, which is gone only when nobody holds the gate.
    _held: sync::OwnedMutexGuard<()>,
    _place: Place<'a>,
}

#[derive(Debug)]
struct Place<'a> {
    gates: &'a Gates,
    key: Key,
    gate: Option<Arc<sync::Mutex<()>>>,
}

impl Gates {
    /// Waits until it is the caller's turn; none if that would be too late, or too many wait. Calls `waits` first if it is not yet.
    pub(super) async fn turn(
        &self,
        project_id: ProjectId,
        bucket: &Bucket,
        until: Instant,
        waits: impl FnOnce(),
    ) -> Option<Turn<'_>> {
        let place = self.line_up((project_id, bucket.clone()))?;
        let gate = Arc::clone(place.gate.as_ref()?);
        let held = if let Ok(held) = Arc::clone(&gate).try_lock_owned() {
            held
        } else {
            waits();
            timeout_at(until.into(), gate.lock_owned()).await.ok()?
        };
        Some(Turn { _held: held, _place: place })
    }

    fn line_up(&self, key: Key) -> Option<Place<'_>> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() >= SUBJECTS_MAX && !lines.contains_key(&key) {
            return None;
        }
        let gate = Arc::clone(lines.entry(key.clone()).or_default());
        // One is held by the map, one here, and up to two by each who waits.
        let is_full = Arc::strong_count(&gate) > 2 * WAITING_MAX;
        drop(lines);
        let place = Place { gates: self, key, gate: Some(gate) };
        (!is_full).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.gate = None;
        let mut lines = self.gates.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.get(&self.key).is_some_and(|gate| Arc::strong_count(gate) == 1) {
            lines.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;
    use crate::domain::bucket::{Guarded, Subject};

    fn bucket(user: u128) -> Bucket {
        Bucket { guarded: Guarded::SignIn, subject: Subject::User(Uuid::from_u128(user).into()) }
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(20)
    }

    #[tokio::test]
    async fn one_at_a_time_has_its_turn_and_other_subjects_do_not_wait() {
        let (gates, project) = (Gates::default(), Uuid::from_u128(1).into());
        let turn = gates.turn(project, &bucket(1), soon(), || panic!("nobody is before it")).await.unwrap();
        let mut waits = false;
        assert!(gates.turn(project, &bucket(1), soon(), || waits = true).await.is_none(), "the turn is taken");
        assert!(waits);
        assert!(gates.turn(project, &bucket(2), soon(), || ()).await.is_some());
        assert!(gates.turn(Uuid::from_u128(2).into(), &bucket(1), soon(), || ()).await.is_some());
        drop(turn);
        assert!(gates.turn(project, &bucket(1), soon(), || ()).await.is_some());
        assert!(gates.0.lock().unwrap().is_empty(), "nobody waits, nothing is kept");
    }

    #[tokio::test]
    async fn a_line_has_an_end() {
        let (gates, project) = (Gates::default(), Uuid::from_u128(1).into());
        let _turn = gates.turn(project, &bucket(1), soon(), || ()).await.unwrap();
        let places: Vec<_> = (0..2 * WAITING_MAX).map_while(|_| gates.line_up((project, bucket(1)))).collect();
        assert!((WAITING_MAX..2 * WAITING_MAX).contains(&places.len()), "{}", places.len());
        assert!(gates.turn(project, &bucket(1), soon(), || ()).await.is_none());
        assert!(gates.turn(project, &bucket(2), soon(), || ()).await.is_some());
    }
}
