//! Changing a user.

use super::{
    Call, Error, Services,
    users::{VouchedIdentifier, name_conflict},
};
use crate::{
    clock::Timestamp,
    domain::{
        event::{Event, EventKind},
        id::UserId,
        identifier::IdentifierKind,
        user::{User, UserIdentifier},
    },
    store::{StoreError, Tx},
};

/// What to change. `None` leaves a thing alone; `Some(None)` clears it.
#[derive(Debug, Default)]
pub struct UserChanges {
    /// Identifiers by kind.
    pub identifiers: Vec<(IdentifierKind, Option<VouchedIdentifier>)>,
    /// Vouch for, or doubt, an identifier the user has.
    pub verified: Vec<(IdentifierKind, bool)>,
    /// Given name.
    pub given_name: Option<Option<String>>,
    /// Family name.
    pub family_name: Option<Option<String>>,
    /// Language.
    pub locale: Option<Option<String>>,
    /// Data of the application.
    pub metadata: Option<serde_json::Map<String, serde_json::Value>>,
}

/// Changes a user.
pub async fn update_user(services: &Services, call: &Call, id: UserId, changes: UserChanges) -> Result<User, Error> {
    let (project_id, now) = (call.project()?.id, services.clock.now());
    let tx = services.store.begin().await?;
    let mut user = tx.users().lock(project_id, id).await?.ok_or(Error::UserNotFound)?;

    let wanted = identifiers_after(&user, &changes, now)?;
    if let Err(error) = write_identifiers(&tx, &user, &wanted).await {
        // PostgreSQL takes no more queries in a transaction that failed.
        drop(tx);
        let identifiers: Vec<_> = wanted.into_iter().map(|known| known.identifier).collect();
        return Err(name_conflict(services, project_id, Some(id), &identifiers, error).await);
    }

    let profile = &mut user.profile;
    changes.given_name.into_iter().for_each(|name| profile.given_name = name);
    changes.family_name.into_iter().for_each(|name| profile.family_name = name);
    changes.locale.into_iter().for_each(|locale| profile.locale = locale);
    changes.metadata.into_iter().for_each(|metadata| profile.metadata = metadata);
    user.updated_at = now;
    tx.users().update(&user).await?;
    services.record(&tx, call, now, [Event::new(EventKind::UserUpdated, project_id).user(id)]).await?;
    let user = tx.users().find(project_id, id).await?.ok_or(Error::UserNotFound)?;
    tx.commit().await?;
    Ok(user)
}

/// The identifiers the user will have.
fn identifiers_after(user: &User, changes: &UserChanges, now: Timestamp) -> Result<Vec<UserIdentifier>, Error> {
    let mut wanted = user.identifiers.clone();
    for (kind, change) in &changes.identifiers {
        let before = wanted.iter().position(|known| known.identifier.kind() == *kind).map(|at| wanted.remove(at));
        let Some(change) = change else { continue };
        let same = before.filter(|before| before.identifier.canonical() == change.identifier.canonical());
        let verified_at = if change.verified { Some(now) } else { same.and_then(|before| before.verified_at) };
        wanted.push(UserIdentifier { identifier: change.identifier.clone(), verified_at });
    }
    for (kind, verified) in &changes.verified {
        let known = wanted.iter_mut().find(|known| known.identifier.kind() == *kind);
        let field = || format!("user.{}_verified", kind.as_str());
        let missing = || format!("needs {}, which the user does not have", kind.as_str());
        let known = known.ok_or_else(|| Error::field(&field(), missing()))?;
        known.verified_at = verified.then(|| known.verified_at.unwrap_or(now));
    }
    if wanted.is_empty() {
        return Err(Error::field("update_mask", "would leave the user without any identifier"));
    }
    Ok(wanted)
}

async fn write_identifiers(tx: &Tx, user: &User, wanted: &[UserIdentifier]) -> Result<(), StoreError> {
    for gone in user.identifiers.iter().filter(|known| !wanted.contains(known)) {
        tx.users().delete_identifier(user.id, gone.identifier.kind()).await?;
    }
    for new in wanted.iter().filter(|known| !user.identifiers.contains(known)) {
        tx.users().insert_identifier(user.project_id, user.id, new).await?;
    }
    Ok(())
}
