//! Projects, for operators.

use super::{
    Call, Error, Services,
    signing_keys::{generate, insert_successor},
};
use crate::domain::{
    event::{Event, EventKind},
    id::ProjectId,
    page::{Listed, Page},
    project::{NAME_BYTES_MAX, Project, ProjectSettings},
    signing_key::{KeyUse, PUBLISH_LEAD, SigningAlgorithm, StoredKey},
    violation::Violation,
};

/// Refuses a name that is empty or too long.
pub(super) fn check_name(name: &str) -> Result<(), Violation> {
    let fine = !name.trim().is_empty() && name.len() <= NAME_BYTES_MAX && !name.chars().any(char::is_control);
    let rule = || format!("must be 1 to {NAME_BYTES_MAX} bytes without control characters");
    if fine { Ok(()) } else { Err(Violation::new("name", rule())) }
}

fn check(name: &str, settings: &ProjectSettings) -> Result<(), Error> {
    let mut violations = settings.violations();
    violations.extend(check_name(name).err());
    if violations.is_empty() { Ok(()) } else { Err(Error::InvalidFields(violations)) }
}

/// Creates a project with its first keys.
pub async fn create_project(
    services: &Services,
    call: &Call,
    name: String,
    settings: ProjectSettings,
) -> Result<Project, Error> {
    call.operator()?;
    check(&name, &settings)?;
    let now = services.clock.now();
    let id = ProjectId::generate(now, &services.random);
    let jwt = KeyUse::Jwt(settings.signing_algorithm);
    let project = Project { id, name, settings, created_at: now, updated_at: now };
    let keys = [generate(services, id, jwt, now).await?, generate(services, id, KeyUse::RefreshTokenMac, now).await?];

    let tx = services.store.begin().await?;
    tx.projects().insert(&project).await?;
    services.record(&tx, call, now, [Event::new(EventKind::ProjectCreated, id)]).await?;
    for key in &keys {
        insert_successor(services, call, &tx, key, now).await?;
    }
    tx.commit().await?;
    Ok(project)
}

/// Reads a project.
pub async fn get_project(services: &Services, call: &Call, id: ProjectId) -> Result<Project, Error> {
    call.operator()?;
    services.project(id).await
}

/// Lists projects.
pub async fn list_projects(services: &Services, call: &Call, page: Page) -> Result<Listed<Project>, Error> {
    call.operator()?;
    Ok(services.store.view().projects().list(page).await?)
}

/// Changes a project. A new algorithm comes with a key of its own, published before it signs.
pub async fn update_project(
    services: &Services,
    call: &Call,
    id: ProjectId,
    change: impl FnOnce(&mut Project) -> Result<(), Error>,
) -> Result<Project, Error> {
    call.operator()?;
    let now = services.clock.now();
    let tx = services.store.begin().await?;
    let before = tx.projects().lock(id).await?.ok_or(Error::ProjectNotFound)?;
    let mut project = before.clone();
    change(&mut project)?;
    check(&project.name, &project.settings)?;
    project.updated_at = now;

    let algorithm = project.settings.signing_algorithm;
    let key = if algorithm == before.settings.signing_algorithm {
        None
    } else {
        let key = generate(services, id, KeyUse::Jwt(algorithm), now).await?;
        Some(StoredKey { activates_at: now + PUBLISH_LEAD, ..key })
    };
    // The row is held, and so it is where such a client is made.
    if key.is_some() && algorithm != SigningAlgorithm::Rs256 && tx.clients().any_that_needs_rs256(id).await? {
        let problem = "must stay RS256 as long as the project has a client whose token profile is not `standard`";
        return Err(Error::field("settings.signing_algorithm", problem));
    }
    tx.projects().update(&project).await?;
    services.record(&tx, call, now, [Event::new(EventKind::ProjectUpdated, id)]).await?;
    if let Some(key) = &key {
        insert_successor(services, call, &tx, key, now).await?;
    }
    tx.commit().await?;
    services.key_ring.forget(id);
    Ok(project)
}
