//! Creating, reading and deleting users.

use super::{Call, Error, Services, end_sessions::end_sessions_of};
use crate::{
    domain::{
        event::{Cause, Event, EventKind},
        id::{ProjectId, UserId},
        identifier::Identifier,
        page::{Listed, OrderedPage},
        password::{Password, PasswordPolicy},
        user::{Profile, User, UserIdentifier},
        user_filter::UserFilter,
    },
    store::{NewUser as NewRow, StoreError, Tx},
};

/// An identifier, and whether the caller vouches for it.
#[derive(Clone, Debug)]
pub struct VouchedIdentifier {
    /// The identifier.
    pub identifier: Identifier,
    /// True if it is known to be the user's.
    pub verified: bool,
}

/// A user to create.
#[derive(Debug)]
pub struct NewUser {
    /// At least one, at most one of each kind.
    pub identifiers: Vec<VouchedIdentifier>,
    /// Password, if there is one.
    pub password: Option<Password>,
    /// Whether the password has to be changed before the first sign-in.
    pub password_must_change: bool,
    /// What the application calls them.
    pub external_id: Option<String>,
    /// Name, language, metadata.
    pub profile: Profile,
}

/// Creates a user.
pub async fn create_user(services: &Services, call: &Call, new: NewUser) -> Result<User, Error> {
    let (tx, user) = add_user(services, call, new, "password").await?;
    tx.commit().await?;
    Ok(user)
}

/// Adds a user; gives the unit of work, too, which is still to be committed. The password stands in that field of the request.
pub(super) async fn add_user(
    services: &Services,
    call: &Call,
    new: NewUser,
    password_field: &'static str,
) -> Result<(Tx, User), Error> {
    let project = call.project()?;
    let project_id = project.id;
    if new.identifiers.is_empty() {
        return Err(Error::field("email", "give an email address, a username or a phone number"));
    }
    let identifiers: Vec<Identifier> = new.identifiers.iter().map(|known| known.identifier.clone()).collect();
    let hash = match new.password {
        None => None,
        Some(password) => {
            check_policy(project.settings.password_policy, password_field, &password, &identifiers)?;
            Some(services.lane.hash(call.ticket(), password).await?)
        }
    };

    let now = services.clock.now();
    let id = UserId::generate(now, &services.random);
    let with_time = |known: VouchedIdentifier| UserIdentifier {
        identifier: known.identifier,
        verified_at: known.verified.then_some(now),
    };
    let known: Vec<UserIdentifier> = new.identifiers.into_iter().map(with_time).collect();
    let tx = services.store.begin().await?;
    let row = NewRow {
        id,
        project_id,
        identifiers: &known,
        external_id: new.external_id.as_deref(),
        profile: &new.profile,
        now,
    };
    if let Err(error) = tx.users().insert(&row).await {
        // PostgreSQL takes no more queries in a transaction that failed.
        drop(tx);
        let external_id = new.external_id.as_deref();
        return Err(taken_name(services, project_id, None, (&identifiers, external_id), error).await);
    }
    if let Some(hash) = &hash {
        tx.credentials().set(project_id, id, hash, new.password_must_change, now).await?;
    }
    services.record(&tx, call, now, [Event::new(EventKind::UserCreated, project_id).user(id)]).await?;
    let user = tx.users().find(project_id, id).await?.ok_or(Error::UserNotFound)?;
    Ok((tx, user))
}

/// Reads a user.
pub async fn get_user(services: &Services, call: &Call, id: UserId) -> Result<User, Error> {
    let user = services.store.view().users().find(call.project()?.id, id).await?;
    user.ok_or(Error::UserNotFound)
}

/// Lists the users that match.
pub async fn list_users(
    services: &Services,
    call: &Call,
    page: impl Into<OrderedPage>,
    filter: &UserFilter,
) -> Result<Listed<User>, Error> {
    Ok(services.store.view().users().list(call.project()?.id, filter, page).await?)
}

/// Counts the users that match.
pub async fn count_users(services: &Services, call: &Call, filter: &UserFilter) -> Result<u64, Error> {
    Ok(services.store.view().users().count(call.project()?.id, filter).await?)
}

/// Deletes a user with all that hangs on them. Of their sessions the audit trail keeps that they ended.
pub async fn delete_user(services: &Services, call: &Call, id: UserId) -> Result<(), Error> {
    let (project_id, now) = (call.project()?.id, services.clock.now());
    let tx = services.store.begin().await?;
    let user = tx.users().lock(project_id, id).await?.ok_or(Error::UserNotFound)?;
    end_sessions_of(services, call, &tx, &user, None, Cause::UserDeleted, now).await?;
    tx.users().delete(project_id, id).await?;
    services.record(&tx, call, now, [Event::new(EventKind::UserDeleted, project_id).user(id)]).await?;
    Ok(tx.commit().await?)
}

/// Refuses a password that breaks the project's policy; the error names the field of the request it stands in.
pub(super) fn check_policy(
    policy: PasswordPolicy,
    field: &'static str,
    password: &Password,
    identifiers: &[Identifier],
) -> Result<(), Error> {
    match policy.weaknesses(password, identifiers) {
        weaknesses if weaknesses.is_empty() => Ok(()),
        weaknesses => Err(Error::PasswordRejected { field, weaknesses, length_min: policy.length_min() }),
    }
}

/// Finds out which identifier was taken.
pub(super) async fn name_conflict(
    services: &Services,
    project_id: ProjectId,
    owner: Option<UserId>,
    identifiers: &[Identifier],
    error: StoreError,
) -> Error {
    taken_name(services, project_id, owner, (identifiers, None), error).await
}

/// Finds out which identifier was taken, or whether the external id was.
pub(super) async fn taken_name(
    services: &Services,
    project_id: ProjectId,
    owner: Option<UserId>,
    (identifiers, external_id): (&[Identifier], Option<&str>),
    error: StoreError,
) -> Error {
    if !matches!(error, StoreError::Conflict(_)) {
        return error.into();
    }
    // What a user shall become is a message of its own in the request.
    let prefix = if owner.is_some() { "user." } else { "" };
    let taken = |what: &'static str| Error::IdentifierTaken { what, field: format!("{prefix}{what}") };
    let view = services.store.view();
    for identifier in identifiers {
        match view.users().find_by_identifier(project_id, identifier).await {
            Ok(Some(user)) if Some(user.id) != owner => return taken(identifier.kind().as_str()),
            Ok(_) => {}
            Err(error) => return error.into(),
        }
    }
    if let Some(external_id) = external_id {
        match view.users().find_by_external_id(project_id, external_id).await {
            Ok(Some(id)) if Some(id) != owner => return taken("external_id"),
            Ok(_) => {}
            Err(error) => return error.into(),
        }
    }
    // Whoever had it gave it up in this very moment.
    error.into()
}
