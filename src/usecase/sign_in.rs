//! Signing in with a password: behind both `AuthenticatePassword` and `SignIn`.

use std::sync::Arc;

use super::{
    Call, Error, Services, SignedIn,
    authenticate_session::SessionCredential,
    check_password::{Claim, RightPassword, check_password},
    counters::event_of,
    finish_sign_in::{FirstStep, Step, finish, password_change},
    join_session::{NamedSession, check_may_name, hold, named_session},
    token_forms::{check_custom_claims, check_may_claim},
};
use crate::{
    clock::Timestamp,
    crypto::project_keys::ProjectKeys,
    domain::{
        bucket::Guarded,
        caller::ClientCaller,
        challenge::SignInWishes,
        client_context::EndUser,
        event::{Cause, EventKind},
        identifier::Identifier,
        password::Password,
        session::AuthenticationMethod,
        throttle::Outcome,
    },
    store::Tx,
};

/// Where the claims of most requests stand.
pub(super) const OPTIONS: &str = "options.";

/// A sign-in with a password.
#[derive(Debug)]
pub struct PasswordSignIn {
    /// Who.
    pub identifier: Identifier,
    /// Their password.
    pub password: Password,
    /// What else the sign-in shall do.
    pub wishes: SignInWishes,
    /// What stands for the session that it shall join, if there is one.
    pub joins: Option<SessionCredential>,
    /// The end user.
    pub end_user: EndUser,
    /// On which counters it is counted: those of the RPC it came by.
    pub guarded: Guarded,
}

/// What is at hand when the password was found right.
struct Proved<'a> {
    keys: Arc<ProjectKeys>,
    right: &'a RightPassword,
    named: Option<Result<NamedSession, Error>>,
    request: PasswordSignIn,
}

/// Signs a user in, or says what is missing. No connection is held while the password is hashed.
pub async fn sign_in(services: &Services, call: &Call, request: PasswordSignIn) -> Result<SignedIn, Error> {
    let caller = call.client()?;
    check_wishes(caller, &request.wishes, request.joins.as_ref()).map_err(|error| match request.guarded {
        Guarded::SignIn => error.within(OPTIONS),
        _ => error,
    })?;
    let claim = Claim {
        identifier: &request.identifier,
        password: &request.password,
        end_user: &request.end_user,
        guarded: request.guarded,
        may_upgrade: true,
    };
    let right = check_password(services, call, caller, claim).await?;
    // On the heap, and not before the password is right: in a flood hundreds wait to be checked.
    Box::pin(go_on(services, call, caller, request, right)).await
}

/// Everything after a right password, in one transaction.
async fn go_on(
    services: &Services,
    call: &Call,
    caller: &ClientCaller,
    mut request: PasswordSignIn,
    right: RightPassword,
) -> Result<SignedIn, Error> {
    let now = services.clock.now();
    // Before the transaction, which holds a connection: to wait for a second one while holding the first is how pools lock up.
    let keys = services.key_ring.keys(&services.store, caller.project_id(), now).await?;
    let named = match request.joins.take() {
        Some(credential) => Some(named_session(services, caller, credential, now).await),
        None => None,
    };
    let tx = services.store.begin().await?;
    let proved = Proved { keys, right: &right, named, request };
    let step = match proved.next_step(services, call, caller, &tx, now).await {
        Err(Error::InvalidCredentials) => {
            drop(tx);
            let failed = event_of(EventKind::PasswordFailed, caller.project_id(), &right.claimant);
            services.record_alone(call, failed.cause(Cause::ChangedMeanwhile)).await?;
            return Err(Error::InvalidCredentials);
        }
        step => step?,
    };
    // Last, because others wait for these counters.
    right.attempt.settle(&tx, Outcome::Succeeded, now).await?;
    tx.commit().await?;
    services.mail_waits.notify_one();
    step.answer(services)
}

/// Refuses what cannot be asked for, before anything is hashed.
pub(super) fn check_wishes(
    caller: &ClientCaller,
    wishes: &SignInWishes,
    joins: Option<&SessionCredential>,
) -> Result<(), Error> {
    let resource = wishes.tokens.resource.as_ref();
    if resource.is_some_and(|resource| !caller.project.settings.allowed_resources.contains(resource)) {
        return Err(Error::ResourceNotAllowed("token_options.resource"));
    }
    let profile = caller.client.token_profile;
    check_may_claim(caller, profile, &wishes.custom_claims)?;
    check_custom_claims(profile, &wishes.custom_claims)?;
    joins.map_or(Ok(()), |credential| check_may_name(caller, credential))
}

impl Proved<'_> {
    /// Goes through what stands between a right password and a session, in this order: a password that has to be changed, the session
    /// to join, an email address that is not verified.
    async fn next_step<'c>(
        self,
        services: &Services,
        call: &Call,
        caller: &'c ClientCaller,
        tx: &Tx,
        now: Timestamp,
    ) -> Result<Step<'c>, Error> {
        let Self { keys, right, named, request } = self;
        let user = right.credential.hold(tx, caller.project_id()).await?;
        right.credential.upgrade(services, call, tx, &user, now).await?;
        let version = right.credential.version;
        if right.must_change {
            let pending = password_change(services, call, tx, user, version, now).await?;
            return Ok(Step::Missing(Error::PasswordChangeRequired(Box::new(pending))));
        }
        let mut wishes = request.wishes;
        if let Some(named) = named {
            let held = match named {
                Ok(named) => hold(tx, caller, &user, &named, now).await,
                Err(error) => Err(error),
            };
            match held {
                Ok(session) => wishes.session = wishes.session.joining(session.id),
                Err(Error::SessionNotActive) => return Ok(Step::Missing(Error::SessionNotActive)),
                Err(error) => return Err(error),
            }
        }
        let first = FirstStep {
            keys,
            user,
            credential_version: version,
            methods: vec![AuthenticationMethod::Password],
            wishes,
            client_context: request.end_user.context,
            claimant: right.claimant.clone(),
            guarded: request.guarded,
        };
        finish(services, call, caller, tx, first, now).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<'a, F>(_: impl FnOnce(&'a Services, &'a Call, PasswordSignIn) -> F) -> usize {
        size_of::<F>()
    }

    /// Hundreds of these wait in a flood.
    #[test]
    fn what_waits_for_its_turn_is_small() {
        assert!(bytes(sign_in) < 2048, "{} bytes", bytes(sign_in));
    }
}
