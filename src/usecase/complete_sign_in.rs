//! The end of every sign-in: a session is opened, once all required steps are done, and its tokens are made when that is written.

use std::{borrow::Cow, sync::Arc};

use secrecy::SecretString;

use super::{
    Call, Error, Services, Tokens,
    end_sessions::end_sessions_of,
    join_session::{Joining, join},
    mint_tokens::{check_mintable, mint_tokens},
    recorded,
    refresh_tokens::client_of,
    token_forms::Subject,
};
use crate::{
    clock::Timestamp,
    crypto::project_keys::ProjectKeys,
    domain::{
        caller::ClientCaller,
        challenge::{SignInWishes, TokenWishes},
        claims::CustomClaims,
        client::Client,
        client_context::ClientContext,
        event::{Cause, Event, EventKind},
        id::{DeviceId, SessionId},
        refresh::RefreshState,
        session::{AuthenticationMethod, Session, SessionChoice, SessionDuration},
        user::User,
    },
    store::Tx,
};

/// A user who signed in.
#[derive(Debug)]
pub struct SignedIn {
    /// The user.
    pub user: User,
    /// The session; none if none was wanted.
    pub session: Option<Session>,
    /// Its tokens.
    pub tokens: Option<Tokens>,
    /// Proof for later sign-ins that this one was on the same device.
    pub device_token: SecretString,
    /// True if the user had never signed in before.
    pub first_seen: bool,
}

/// What a sign-in has found out.
pub(super) struct Completion {
    /// Read before the unit of work began: whoever holds one connection must not wait for another.
    pub(super) keys: Arc<ProjectKeys>,
    pub(super) user: User,
    /// Version of the credential that they signed in with.
    pub(super) credential_version: i32,
    pub(super) methods: Vec<AuthenticationMethod>,
    pub(super) wishes: SignInWishes,
    pub(super) client_context: ClientContext,
    /// The device, if it was known before.
    pub(super) device: Option<DeviceId>,
}

/// A sign-in that is written, whose tokens are still to be made: a signature takes long, and whoever wants to write to SQLite would
/// wait for it within the unit of work.
pub(super) struct Completed<'c> {
    keys: Arc<ProjectKeys>,
    caller: &'c ClientCaller,
    user: User,
    credential_version: i32,
    device: DeviceId,
    /// With its client. One that is joined may be of another one than the caller.
    session: Option<(Session, Cow<'c, Client>)>,
    wishes: TokenWishes,
    first_seen: bool,
    now: Timestamp,
}

impl Completed<'_> {
    /// Makes the tokens. To be called after the unit of work.
    pub(super) fn sign(self, services: &Services) -> Result<SignedIn, Error> {
        let Self { keys, caller, user, credential_version, device, session, wishes, first_seen, now } = self;
        let mint = |(session, client): &(Session, Cow<'_, Client>)| {
            let subject = Subject::new(services, &caller.project, client, &user, session);
            mint_tokens(&keys, &subject, &wishes, now, &services.random)
        };
        let tokens = session.as_ref().map(mint).transpose()?;
        let device_token = keys.device_token_key(now)?.mint(user.id, credential_version, device, now);
        let session = session.map(|(session, _)| session);
        Ok(SignedIn { user, session, tokens, device_token, first_seen })
    }
}

/// Opens a session. The caller commits, and has it signed then; until then nobody sees the session.
///
/// Always a new session: an id known before the sign-in is never taken over, or whoever had planted it in a victim's browser would
/// be signed in with them. A session is joined only where that cannot be: it belongs to this very user already, and was proved by a
/// token of its own, which nobody else has, or named by a back end of the project, which no browser talks into anything.
pub(super) async fn complete_sign_in<'c>(
    services: &Services,
    call: &Call,
    caller: &'c ClientCaller,
    tx: &Tx,
    completion: Completion,
    now: Timestamp,
) -> Result<Completed<'c>, Error> {
    let Completion { keys, mut user, credential_version, methods, wishes, client_context, device } = completion;
    let project = &caller.project;
    let (revoke_others, token_wishes, choice) = (wishes.revoke_other_sessions, wishes.tokens, wishes.session);
    let is_new = matches!(choice, SessionChoice::New { .. });
    let (session, cause) = match choice {
        SessionChoice::None => (None, Some(Cause::WithoutSession)),
        SessionChoice::Join { session_id: id, duration } => {
            let joining = Joining { id, duration, methods, custom_claims: wishes.custom_claims };
            (Some(join(tx, caller, &user, joining, now).await?), Some(Cause::Joined))
        }
        SessionChoice::New { duration } => {
            let session = Session {
                methods,
                client_context,
                custom_claims: wishes.custom_claims,
                resource: token_wishes.resource.clone(),
                ..blank(services, caller, &user, duration, now)
            };
            (Some(session), None)
        }
    };
    let session_id = session.as_ref().map(|session| session.id);
    let event = Event { session_id, cause, ..Event::new(EventKind::SignedIn, project.id).user(user.id) };
    let (event, by) = recorded(&services.random, call, now, event);
    let noted = tx.signed_in(session.as_ref().filter(|_| is_new), (&event, by), user.id, now).await;
    // The user's row is held; the client may have been deleted since the call was let in.
    noted.map_err(|error| Error::unless_orphan(error, Error::CallerUnauthenticated))?;
    if revoke_others {
        end_sessions_of(services, call, tx, &user, session_id, Cause::OtherSessions, now).await?;
    }
    let first_seen = user.last_signed_in_at.is_none();
    user.last_signed_in_at = Some(now);

    check_mintable(&keys, session.as_ref(), now)?;
    let session = match session {
        None => None,
        Some(session) => {
            let client = client_of(caller, tx, &session).await?;
            Some((session, client))
        }
    };
    let device = device.unwrap_or_else(|| DeviceId::generate(now, &services.random));
    let wishes = token_wishes;
    Ok(Completed { keys, caller, user, credential_version, device, session, wishes, first_seen, now })
}

/// A session of the calling client that nothing is known of yet.
fn blank(
    services: &Services,
    caller: &ClientCaller,
    user: &User,
    duration: Option<SessionDuration>,
    now: Timestamp,
) -> Session {
    let opened = || Session::opened(now, &caller.project.settings);
    Session {
        id: SessionId::generate(now, &services.random),
        project_id: caller.project_id(),
        user_id: user.id,
        client_id: caller.client.id,
        methods: Vec::new(),
        authenticated_at: now,
        client_context: ClientContext::default(),
        custom_claims: CustomClaims::default(),
        resource: None,
        refresh: RefreshState::FIRST,
        token_profile: caller.client.token_profile,
        last_used_at: now,
        refresh_token_format: caller.client.refresh_token_format,
        created_at: now,
        state: duration.map_or_else(opened, |duration| Session::opened_for(now, duration)),
    }
}
