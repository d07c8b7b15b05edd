//! Changing a password from a session that is signed in.

use secrecy::SecretString;

use super::{
    Call, Error, Services,
    refresh_tokens::{check_presented, read_refresh_token},
    replace_password::{Occasion, replace_password},
    users::check_policy,
};
use crate::{
    clock::Timestamp,
    crypto::refresh_token::RefreshGrant,
    domain::{
        caller::ClientCaller,
        event::{Cause, Event, EventKind},
        identifier::Identifier,
        password::Password,
        session::Session,
        user::User,
    },
};

/// Somebody who is signed in and wants another password.
#[derive(Debug)]
pub struct PasswordChange {
    /// A refresh token of their session.
    pub refresh_token: SecretString,
    /// The password they want.
    pub new_password: Password,
    /// What the application calls them, if it says so.
    pub login_id: Option<Identifier>,
}

/// Sets the new password. The session it is changed from goes on, the user's others end.
pub async fn change_password(services: &Services, call: &Call, request: PasswordChange) -> Result<User, Error> {
    let caller = call.client()?;
    let (project_id, now) = (caller.project_id(), services.clock.now());
    let (grant, _) = read_refresh_token(services, caller, &request.refresh_token, now).await?;
    let coming = services.lane.expect(call.ticket()).await?;

    // Before anything is hashed: only whoever holds a good token may cause that work.
    let view = services.store.view();
    let session = stands_for(caller, view.sessions().find(project_id, grant.session_id).await?, grant, now)?;
    check_recent(&session, now)?;
    let user = view.users().find(project_id, session.user_id).await?;
    let user = user.filter(User::is_active).ok_or(Error::SessionNotActive)?;
    if request.login_id.is_some_and(|login_id| !is_called(&user, &login_id)) {
        return Err(Error::TokenInvalid);
    }
    let identifiers: Vec<_> = user.identifiers.into_iter().map(|known| known.identifier).collect();
    check_policy(caller.project.settings.password_policy, "new_password", &request.new_password, &identifiers)?;
    let hash = services.lane.hash(coming, request.new_password).await?;

    let tx = services.store.begin().await?;
    // Everything again: much can happen while a password waits to be hashed.
    let user = tx.users().lock(project_id, session.user_id).await?;
    let mut user = user.filter(User::is_active).ok_or(Error::SessionNotActive)?;
    let session = tx.sessions().lock(project_id, grant.session_id).await?;
    let now = services.clock.now();
    let session = stands_for(caller, session, grant, now)?;
    let event = Event::new(EventKind::PasswordSet, project_id).user(user.id).session(session.id).cause(Cause::Changed);
    let occasion = Occasion { event, sessions_end: Cause::PasswordChanged, except: Some(session.id) };
    replace_password(services, call, &tx, &mut user, &hash, occasion, now).await?;
    tx.commit().await?;
    Ok(user)
}

/// The session, if it is live and the token stands for it.
pub(super) fn stands_for(
    caller: &ClientCaller,
    session: Option<Session>,
    grant: RefreshGrant,
    now: Timestamp,
) -> Result<Session, Error> {
    let session = session.filter(|session| session.is_live_at(now)).ok_or(Error::SessionNotActive)?;
    check_presented(caller, &session, grant.generation, now)?;
    Ok(session)
}

/// Refuses what takes more than a refresh token, which may be stolen: a sign-in not long ago.
pub(super) fn check_recent(session: &Session, now: Timestamp) -> Result<(), Error> {
    if session.is_authenticated_recently(now) { Ok(()) } else { Err(Error::AuthenticationTooOld) }
}

/// True if that is one of the user's names.
pub(super) fn is_called(user: &User, login_id: &Identifier) -> bool {
    let known = user.identifier(login_id.kind());
    known.is_some_and(|known| known.identifier.canonical() == login_id.canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_token_nor_password_is_printed() {
        let change = PasswordChange {
            refresh_token: "signet_rt_secret".into(),
            new_password: Password::parse("tr0ub4dor").unwrap(),
            login_id: None,
        };
        let text = format!("{change:?}");
        assert!(!text.contains("signet_rt") && !text.contains("tr0ub4dor"), "{text}");
    }
}
