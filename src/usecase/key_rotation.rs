//! Successors of signing keys that have come of age, made by whichever replica looks first.

use std::collections::HashMap;

use chrono::Duration;
use uuid::Uuid;

use super::{
    Call, Error, Services,
    signing_keys::{Activation, make_key},
};
use crate::{
    clock::Timestamp,
    domain::{
        caller::Caller,
        id::ProjectId,
        page::Page,
        project::Project,
        signing_key::{KeyPurpose, StoredKey},
    },
    request_id,
};

/// Projects that are looked at in one round.
const PROJECTS_PER_ROUND: u16 = 500;

/// What a round has done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RotationRound {
    /// Keys that were made.
    pub made: usize,
    /// Keys that are too old, but have no successor yet: it could not be made.
    pub failed: usize,
    /// Where the next round goes on; none if this one reached the last project.
    pub next: Option<Uuid>,
}

/// Looks at a page of projects, and makes a successor for each key that is older than its project's interval. A project for
/// which that fails is logged and tried again in a later round.
pub async fn rotate_keys_of_age(services: &Services, after: Option<Uuid>) -> Result<RotationRound, Error> {
    let view = services.store.view();
    let projects = view.projects().list(Page { size: PROJECTS_PER_ROUND, after }).await?.items;
    let is_full = projects.len() == usize::from(PROJECTS_PER_ROUND);
    let next = projects.last().filter(|_| is_full).map(|last| last.id.into());

    let rotating: Vec<Project> = projects.into_iter().filter(|project| interval(project).is_some()).collect();
    let ids: Vec<ProjectId> = rotating.iter().map(|project| project.id).collect();
    let mut newest: HashMap<ProjectId, Vec<StoredKey>> = HashMap::new();
    for key in view.signing_keys().newest(&ids).await? {
        newest.entry(key.project_id).or_default().push(key);
    }

    let (mut made, mut failed) = (0, 0);
    for project in rotating {
        for purpose in KeyPurpose::ALL {
            let keys = newest.get(&project.id).map_or(&[][..], Vec::as_slice);
            if !is_due(&project, keys, purpose, services.clock.now()) {
                continue;
            }
            match make_if_due(services, project.id, purpose).await {
                Ok(is_made) => made += usize::from(is_made),
                // It would fail for every other project, too, each after a long wait.
                Err(error @ Error::Unavailable(_)) => return Err(error),
                Err(error) => {
                    failed += 1;
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        project = %project.id,
                        key_use = purpose.as_str(),
                        "cannot make the successor of a signing key; will try again"
                    );
                }
            }
        }
    }
    Ok(RotationRound { made, failed, next })
}

/// True if this replica made the key; false if another one was faster.
async fn make_if_due(services: &Services, project_id: ProjectId, purpose: KeyPurpose) -> Result<bool, Error> {
    let call = Call {
        caller: Caller::Operator(None),
        request_id: request_id::generate(&services.random),
        deadline: std::time::Instant::now(),
    };
    // Asked again under the lock.
    let is_wanted = |project: &Project, living: &[StoredKey], now: Timestamp| is_due(project, living, purpose, now);
    let made = make_key(services, &call, project_id, purpose, Activation::AfterPublication, is_wanted).await?;
    if let Some(key) = &made {
        let (key_use, request_id) = (purpose.as_str(), &call.request_id);
        tracing::info!(project = %project_id, key = %key.id, key_use, request_id, "a signing key has come of age");
    }
    Ok(made.is_some())
}

/// How old a project's keys may become; none if they are replaced by hand only.
fn interval(project: &Project) -> Option<Duration> {
    let seconds = project.settings.key_rotation_interval_seconds;
    (seconds > 0).then(|| Duration::seconds(seconds.into()))
}

/// True if the newest key of that purpose, counted from when it began to sign, is older than the project lets it become, or if
/// there is none. One that is waiting for its time is never too old.
fn is_due(project: &Project, keys: &[StoredKey], purpose: KeyPurpose, now: Timestamp) -> bool {
    let Some(interval) = interval(project) else { return false };
    let endless = keys.iter().filter(|key| key.replaced_at.is_none() && key.key_use.purpose() == purpose);
    endless.map(|key| key.activates_at).max().is_none_or(|activates_at| now - activates_at >= interval)
}
