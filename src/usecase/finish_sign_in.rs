//! What follows once somebody has proved who they are: a session, or word of what is missing.

use std::sync::Arc;

use secrecy::SecretString;

use super::{
    Call, Error, PendingSignIn, Services, SignedIn,
    complete_sign_in::{Completed, Completion, complete_sign_in},
    email_code,
};
use crate::{
    clock::Timestamp,
    crypto::{
        project_keys::ProjectKeys,
        secret_token::{PlainSecret, SecretKind},
    },
    domain::{
        bucket::{Claimant, Guarded},
        caller::ClientCaller,
        challenge::{
            Challenge, CountedAs, PASSWORD_CHANGE_LIFETIME, PasswordReset, PendingAuthentication, RESETS_MAX,
            SignInWishes,
        },
        client_context::ClientContext,
        event::{Cause, Event, EventKind},
        id::ChallengeId,
        identifier::Identifier,
        session::AuthenticationMethod,
        user::User,
    },
    store::Tx,
};

/// How far a sign-in has come. Either way the unit of work is to be committed.
pub(super) enum Step<'c> {
    Done(Box<Completed<'c>>),
    /// Something is missing, which the error names.
    Missing(Error),
}

impl Step<'_> {
    /// What the caller gets. To be called after the unit of work.
    pub(super) fn answer(self, services: &Services) -> Result<SignedIn, Error> {
        match self {
            Self::Done(completed) => completed.sign(services),
            Self::Missing(error) => Err(error),
        }
    }
}

/// Somebody who has proved who they are.
pub(super) struct FirstStep {
    /// Read before the unit of work began.
    pub(super) keys: Arc<ProjectKeys>,
    /// Their row is held.
    pub(super) user: User,
    /// Version of the credential that they signed in with.
    pub(super) credential_version: i32,
    pub(super) methods: Vec<AuthenticationMethod>,
    pub(super) wishes: SignInWishes,
    pub(super) client_context: ClientContext,
    pub(super) claimant: Claimant,
    /// On which counters they were counted.
    pub(super) guarded: Guarded,
}

/// Completes the sign-in, or begins the second step if the email address has to be verified first.
pub(super) async fn finish<'c>(
    services: &Services,
    call: &Call,
    caller: &'c ClientCaller,
    tx: &Tx,
    first: FirstStep,
    now: Timestamp,
) -> Result<Step<'c>, Error> {
    if let Some(email) = email_to_verify(caller, &first.user) {
        let pending = Box::pin(email_verification(services, call, caller, tx, first, &email, now)).await?;
        return Ok(Step::Missing(Error::EmailVerificationRequired(Box::new(pending))));
    }
    let completion = Completion {
        keys: first.keys,
        user: first.user,
        credential_version: first.credential_version,
        methods: first.methods,
        wishes: first.wishes,
        client_context: first.client_context,
        device: first.claimant.device,
    };
    let completed = Box::pin(complete_sign_in(services, call, caller, tx, completion, now)).await?;
    Ok(Step::Done(Box::new(completed)))
}

/// The address that stops the sign-in, if the project wants it verified and the calling application can be told so.
fn email_to_verify(caller: &ClientCaller, user: &User) -> Option<Identifier> {
    let asks =
        caller.project.settings.require_email_verification && caller.client.token_profile.asks_for_verified_email();
    user.unverified_email().filter(|_| asks).cloned()
}

/// Opens the second step: a pending authentication, and a code on its way. No session, no token.
async fn email_verification(
    services: &Services,
    call: &Call,
    caller: &ClientCaller,
    tx: &Tx,
    first: FirstStep,
    email: &Identifier,
    now: Timestamp,
) -> Result<PendingSignIn, Error> {
    let FirstStep { user, credential_version: version, wishes, client_context, claimant, guarded, .. } = first;
    let (locale, claimant) = (wishes.locale.clone(), &claimant);
    let letter = email_code::Letter { project: &caller.project, user: &user, email, version, claimant, locale };
    let code_id = email_code::for_pending(services, call, tx, &letter, now).await?.code_id;
    let token = PlainSecret::generate(SecretKind::PendingAuthentication, &services.random);
    let counted = CountedAs { guarded, device: claimant.device };
    let pending = Challenge {
        id: ChallengeId::generate(now, &services.random),
        project_id: caller.project_id(),
        user_id: user.id,
        credential_version: version,
        attempts_left: services.limits.code_attempts,
        issued_at: now,
        expires_at: now + services.limits.pending_authentication_lifetime,
        detail: PendingAuthentication { client_id: caller.client.id, code_id, wishes, client_context, counted },
    };
    // The user's row is held; the client may have been deleted since the call was let in.
    let inserted = tx.challenges().insert_pending(&pending, &token.hash()).await;
    inserted.map_err(|error| Error::unless_orphan(error, Error::CallerUnauthenticated))?;
    let event = Event::new(EventKind::PendingAuthenticationStarted, caller.project_id()).user(user.id);
    services.record(tx, call, now, [event]).await?;
    let (token, expires_at) = (SecretString::from(token.expose()), pending.expires_at);
    Ok(PendingSignIn { token, expires_at, user, code_id: Some(code_id) })
}

/// Opens the only way on for a password that has to be changed: a password reset whose token is not mailed, but given to whoever has
/// just shown the password. No session, no token.
pub(super) async fn password_change(
    services: &Services,
    call: &Call,
    tx: &Tx,
    user: User,
    credential_version: i32,
    now: Timestamp,
) -> Result<PendingSignIn, Error> {
    let token = PlainSecret::generate(SecretKind::PasswordReset, &services.random);
    let reset = Challenge {
        id: ChallengeId::generate(now, &services.random),
        project_id: user.project_id,
        user_id: user.id,
        credential_version,
        // The token is the whole secret: there is no code to guess.
        attempts_left: 0,
        issued_at: now,
        expires_at: now + PASSWORD_CHANGE_LIFETIME,
        detail: PasswordReset { email: None, code_hash: None, sealed: None },
    };
    tx.challenges().keep_newest_resets(user.id, RESETS_MAX - 1, now).await?;
    tx.challenges().insert_reset(&reset, &token.hash()).await?;
    let event = Event::new(EventKind::PendingAuthenticationStarted, user.project_id).user(user.id);
    services.record(tx, call, now, [event.cause(Cause::PasswordChange)]).await?;
    Ok(PendingSignIn { token: token.expose().into(), expires_at: reset.expires_at, user, code_id: None })
}
