//! The end of every sign-in: a session is opened and its tokens are made, once all required steps are done.

use std::sync::Arc;

use secrecy::SecretString;

use super::{
    Call, Error, Services, Tokens, end_sessions::end_sessions_of, mint_tokens::mint_tokens, token_forms::Subject,
};
use crate::{
    clock::Timestamp,
    crypto::project_keys::ProjectKeys,
    domain::{
        caller::ClientCaller,
        challenge::SignInWishes,
        client_context::ClientContext,
        event::{Event, EventKind},
        id::{DeviceId, SessionId},
        refresh::RefreshState,
        session::{AuthenticationMethod, Session},
        user::User,
    },
    store::Tx,
};

/// A user who signed in.
#[derive(Debug)]
pub struct SignedIn {
    /// The user.
    pub user: User,
    /// The new session.
    pub session: Session,
    /// Its tokens.
    pub tokens: Tokens,
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

/// Opens a session and makes its tokens. Always a new session: an id known before the sign-in is never taken over.
/// The caller commits; until then nobody sees the session.
pub(super) async fn complete_sign_in(
    services: &Services,
    call: &Call,
    caller: &ClientCaller,
    tx: &Tx,
    completion: Completion,
    now: Timestamp,
) -> Result<SignedIn, Error> {
    let Completion { keys, mut user, credential_version, methods, wishes, client_context, device } = completion;
    let project = &caller.project;
    let session = Session {
        id: SessionId::generate(now, &services.random),
        project_id: project.id,
        user_id: user.id,
        client_id: caller.client.id,
        methods,
        authenticated_at: now,
        client_context,
        custom_claims: wishes.custom_claims,
        resource: wishes.tokens.resource.clone(),
        refresh: RefreshState::FIRST,
        token_profile: caller.client.token_profile,
        last_used_at: now,
        refresh_token_format: caller.client.refresh_token_format,
        created_at: now,
        state: Session::opened(now, &project.settings),
    };
    // The user's row is held; the client may have been deleted since the call was let in.
    let inserted = tx.sessions().insert(&session).await;
    inserted.map_err(|error| Error::unless_orphan(error, Error::CallerUnauthenticated))?;

    let signed_in = Event::new(EventKind::SignedIn, project.id).user(user.id).session(session.id);
    services.record(tx, call, now, [signed_in]).await?;
    if wishes.revoke_other_sessions {
        end_sessions_of(services, call, tx, &user, Some(session.id), "other_sessions", now).await?;
    }
    let first_seen = user.last_signed_in_at.is_none();
    tx.users().signed_in(user.id, now).await?;
    user.last_signed_in_at = Some(now);

    let subject = Subject::new(services, project, &caller.client, &user, &session);
    let tokens = mint_tokens(&keys, &subject, &wishes.tokens, now, &services.random)?;
    let device = device.unwrap_or_else(|| DeviceId::generate(now, &services.random));
    let device_token = keys.device_token_key(now)?.mint(user.id, credential_version, device, now);
    Ok(SignedIn { user, session, tokens, device_token, first_seen })
}
