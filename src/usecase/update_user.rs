//! Changing a user.

use super::{
    Call, Error, Services,
    users::{VouchedIdentifier, name_conflict, taken_name},
};
use crate::{
    clock::Timestamp,
    domain::{
        event::{Event, EventKind},
        id::UserId,
        identifier::IdentifierKind,
        user::{METADATA_BYTES_MAX, Metadata, User, UserIdentifier},
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
    /// Middle name.
    pub middle_name: Option<Option<String>>,
    /// Full name for display.
    pub display_name: Option<Option<String>>,
    /// URL of a picture.
    pub picture_url: Option<Option<String>>,
    /// What the application calls them.
    pub external_id: Option<Option<String>>,
    /// Language.
    pub locale: Option<Option<String>>,
    /// Data of the application.
    pub metadata: Option<MetadataChange>,
    /// Data that the user's own application writes.
    pub untrusted_metadata: Option<MetadataChange>,
}

/// What to do with data of an application.
#[derive(Debug)]
pub enum MetadataChange {
    /// Put these members beside those that are there, or in their place; one that is null takes a member away.
    Merge(Metadata),
    /// Put this in place of all.
    Replace(Metadata),
}

impl MetadataChange {
    /// Merging happens while the user's row is held, so that of two changes none is lost.
    fn apply(self, field: &str, metadata: &mut Metadata) -> Result<(), Error> {
        match self {
            Self::Replace(new) => *metadata = new,
            Self::Merge(members) => {
                for (name, value) in members {
                    if value.is_null() {
                        metadata.remove(&name);
                    } else {
                        metadata.insert(name, value);
                    }
                }
                let bytes = serde_json::to_vec(metadata).map_or(usize::MAX, |json| json.len());
                if bytes > METADATA_BYTES_MAX {
                    let problem = format!("would make the whole larger than {METADATA_BYTES_MAX} bytes of JSON");
                    return Err(Error::field(field, problem));
                }
            }
        }
        Ok(())
    }
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

    write_profile(&mut user, changes)?;
    user.updated_at = now;
    if let Err(error) = tx.users().update(&user).await {
        drop(tx);
        return Err(taken_name(services, project_id, Some(id), (&[], user.external_id.as_deref()), error).await);
    }
    services.record(&tx, call, now, [Event::new(EventKind::UserUpdated, project_id).user(id)]).await?;
    let user = tx.users().find(project_id, id).await?.ok_or(Error::UserNotFound)?;
    tx.commit().await?;
    Ok(user)
}

fn write_profile(user: &mut User, changes: UserChanges) -> Result<(), Error> {
    let profile = &mut user.profile;
    for (field, change) in [
        (&mut profile.given_name, changes.given_name),
        (&mut profile.family_name, changes.family_name),
        (&mut profile.middle_name, changes.middle_name),
        (&mut profile.display_name, changes.display_name),
        (&mut profile.picture_url, changes.picture_url),
        (&mut profile.locale, changes.locale),
        (&mut user.external_id, changes.external_id),
    ] {
        if let Some(value) = change {
            *field = value;
        }
    }
    if let Some(change) = changes.metadata {
        change.apply("user.metadata_merge", &mut profile.metadata)?;
    }
    if let Some(change) = changes.untrusted_metadata {
        change.apply("user.untrusted_metadata_merge", &mut profile.untrusted_metadata)?;
    }
    Ok(())
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
