//! Signing in with a password: behind both `AuthenticatePassword` and `SignIn`.

use std::sync::atomic::Ordering;

use secrecy::SecretString;

use super::{
    Call, Error, PendingSignIn, Services, SignedIn,
    attempt::{self, Attempt},
    complete_sign_in::{Completion, complete_sign_in},
    counters::{self, event_of},
    email_code,
    token_forms::check_custom_claims,
};
use crate::{
    clock::Timestamp,
    crypto::{
        hash_lane::Verdict,
        secret_token::{PlainSecret, SecretKind},
    },
    domain::{
        bucket::{Claimant, Guarded, Nobody, Target},
        caller::ClientCaller,
        challenge::{Challenge, CountedAs, PendingAuthentication, SignInWishes},
        client_context::EndUser,
        event::{Event, EventKind},
        id::ChallengeId,
        identifier::Identifier,
        password::Password,
        session::AuthenticationMethod,
        throttle::Outcome,
        user::{User, UserStatus},
    },
    store::{Account, Credential, Tx},
};

/// A sign-in with a password.
#[derive(Debug)]
pub struct PasswordSignIn {
    /// Who.
    pub identifier: Identifier,
    /// Their password.
    pub password: Password,
    /// What else the sign-in shall do.
    pub wishes: SignInWishes,
    /// The end user.
    pub end_user: EndUser,
    /// On which counters it is counted: those of the RPC it came by.
    pub guarded: Guarded,
}

/// What is known of an identifier before the password is looked at.
struct Candidate {
    account: Option<Account>,
    claimant: Claimant,
}

impl Candidate {
    fn credential(&self) -> Option<&Credential> {
        self.account.as_ref()?.credential.as_ref()
    }

    fn is_active(&self) -> bool {
        self.account.as_ref().is_some_and(|account| account.status == UserStatus::Active)
    }
}

/// Signs a user in, or says what is missing. No connection is held while the password is hashed.
pub async fn sign_in(services: &Services, call: &Call, request: PasswordSignIn) -> Result<SignedIn, Error> {
    let caller = call.client()?;
    let resource = request.wishes.tokens.resource.as_ref();
    if resource.is_some_and(|resource| !caller.project.settings.allowed_resources.contains(resource)) {
        return Err(Error::ResourceNotAllowed("token_options.resource"));
    }
    check_custom_claims(caller.client.token_profile, &request.wishes.custom_claims)?;

    let candidate = look_up(services, caller, &request).await?;
    let (attempt, verdict) = check(services, call, caller, &candidate, &request).await?;
    let now = services.clock.now();
    if let Some(cause) = refusal(&candidate, attempt.as_ref(), &verdict) {
        record_failure(services, call, caller, &candidate, attempt, cause, now).await?;
        return Err(Error::InvalidCredentials);
    }
    let (Some(mut attempt), Some(Account { user_id, credential: Some(credential), .. })) =
        (attempt, &candidate.account)
    else {
        return Err(Error::InvalidCredentials);
    };
    attempt.found_right();

    // Before the transaction, which holds a connection: to wait for a second one while holding the first is how pools lock up.
    let keys = services.key_ring.keys(&services.store, caller.project_id(), now).await?;
    let tx = services.store.begin().await?;
    // Read again under a lock: the user may have been disabled, or the password changed, while it was being hashed.
    let user = tx.users().lock(caller.project_id(), *user_id).await?.filter(User::is_active);
    let Some(user) = user else { return Err(Error::InvalidCredentials) };
    if tx.credentials().version(caller.project_id(), user.id).await? != credential.version {
        return Err(Error::InvalidCredentials);
    }
    if let Some(upgraded) = &verdict.upgraded {
        tx.credentials().rehash(user.id, credential.version, upgraded).await?;
        let event = Event::new(EventKind::PasswordRehashed, caller.project_id()).user(user.id);
        services.record(&tx, call, now, [event]).await?;
    }

    if caller.project.settings.require_email_verification
        && let Some(email) = user.unverified_email().cloned()
    {
        let started = Started { user, version: credential.version, request, claimant: &candidate.claimant };
        let pending = start_pending(services, call, caller, &tx, started, &email, now).await?;
        attempt.settle(&tx, Outcome::Succeeded, now).await?;
        tx.commit().await?;
        services.mail_waits.notify_one();
        return Err(Error::EmailVerificationRequired(Box::new(pending)));
    }

    let completion = Completion {
        keys,
        user,
        credential_version: credential.version,
        methods: vec![AuthenticationMethod::Password],
        wishes: request.wishes,
        client_context: request.end_user.context,
        device: candidate.claimant.device,
    };
    let signed_in = complete_sign_in(services, call, caller, &tx, completion, now).await?;
    // Last, because others wait for these counters.
    attempt.settle(&tx, Outcome::Succeeded, now).await?;
    tx.commit().await?;
    Ok(signed_in)
}

async fn look_up(services: &Services, caller: &ClientCaller, request: &PasswordSignIn) -> Result<Candidate, Error> {
    let (project_id, now) = (caller.project_id(), services.clock.now());
    let account = services.store.view().credentials().find_account(project_id, &request.identifier).await?;
    // All identifiers of a user share one counter.
    let target = account
        .as_ref()
        .map_or_else(|| Target::Unknown(Nobody::from(&request.identifier)), |known| Target::User(known.user_id));
    let credential = account.as_ref().and_then(|known| known.credential.as_ref());
    let version = credential.map_or(0, |credential| credential.version);
    let claimant = counters::claimant(services, caller, (target, version), &request.end_user, now).await?;
    Ok(Candidate { account, claimant })
}

/// Reserves the attempt and hashes the password. Whoever is slowed down gets no attempt, but the same work.
async fn check(
    services: &Services,
    call: &Call,
    caller: &ClientCaller,
    candidate: &Candidate,
    request: &PasswordSignIn,
) -> Result<(Option<Attempt>, Verdict), Error> {
    let (claimant, guarded) = (&candidate.claimant, request.guarded);
    let attempt = attempt::reserve(services, call, caller.project_id(), claimant, guarded).await?;
    let stored = candidate.credential().map(|credential| credential.password_hash.clone());
    // Whoever will be refused in any case must not see from the time it takes that the password is right.
    let may_upgrade = attempt.is_some() && candidate.is_active();
    let looked_at = attempt.as_ref().map(Attempt::looked_at);
    let note = move || {
        if let Some(looked_at) = looked_at {
            looked_at.store(true, Ordering::Release);
        }
    };
    let password = request.password.clone();
    let verdict = services.lane.verify_noting(call.ticket(), password, stored, may_upgrade, note).await?;
    Ok((attempt, verdict))
}

/// Why the sign-in fails, for the audit trail only: callers get one answer for all of these.
fn refusal(candidate: &Candidate, attempt: Option<&Attempt>, verdict: &Verdict) -> Option<&'static str> {
    let Some(account) = &candidate.account else { return Some("unknown_user") };
    if attempt.is_none() {
        return Some("throttled");
    }
    if account.credential.is_none() {
        return Some("no_password");
    }
    if !verdict.matches {
        return Some("wrong_password");
    }
    (account.status != UserStatus::Active).then_some("user_disabled")
}

async fn record_failure(
    services: &Services,
    call: &Call,
    caller: &ClientCaller,
    candidate: &Candidate,
    attempt: Option<Attempt>,
    cause: &'static str,
    now: Timestamp,
) -> Result<(), Error> {
    let failed = event_of(EventKind::PasswordFailed, caller.project_id(), &candidate.claimant).cause(cause);
    let tx = services.store.begin().await?;
    services.record(&tx, call, now, [failed]).await?;
    // What comes in during a block does not prolong it: a stranger must not be able to keep somebody out for ever.
    if let Some(attempt) = attempt {
        let tripped = attempt.settle(&tx, Outcome::Failed, now).await?;
        services.record(&tx, call, now, tripped).await?;
    }
    Ok(tx.commit().await?)
}

struct Started<'a> {
    user: User,
    version: i32,
    request: PasswordSignIn,
    claimant: &'a Claimant,
}

/// Opens the second step: a pending authentication, and a code on its way. No session, no token.
async fn start_pending(
    services: &Services,
    call: &Call,
    caller: &ClientCaller,
    tx: &Tx,
    started: Started<'_>,
    email: &Identifier,
    now: Timestamp,
) -> Result<PendingSignIn, Error> {
    let Started { user, version, request, claimant } = started;
    let (wishes, client_context) = (request.wishes, request.end_user.context);
    let locale = wishes.locale.clone();
    let letter = email_code::Letter { project: &caller.project, user: &user, email, version, claimant, locale };
    let code_id = email_code::for_pending(services, call, tx, &letter, now).await?.code_id;
    let token = PlainSecret::generate(SecretKind::PendingAuthentication, &services.random);
    let pending = Challenge {
        id: ChallengeId::generate(now, &services.random),
        project_id: caller.project_id(),
        user_id: user.id,
        credential_version: version,
        attempts_left: services.limits.code_attempts,
        issued_at: now,
        expires_at: now + services.limits.pending_authentication_lifetime,
        detail: PendingAuthentication {
            client_id: caller.client.id,
            code_id,
            wishes,
            client_context,
            counted: CountedAs { guarded: request.guarded, device: claimant.device },
        },
    };
    // The user's row is held; the client may have been deleted since the call was let in.
    let inserted = tx.challenges().insert_pending(&pending, &token.hash()).await;
    inserted.map_err(|error| Error::unless_orphan(error, Error::CallerUnauthenticated))?;
    let event = Event::new(EventKind::PendingAuthenticationStarted, caller.project_id()).user(user.id);
    services.record(tx, call, now, [event]).await?;
    Ok(PendingSignIn { token: SecretString::from(token.expose()), expires_at: pending.expires_at, user })
}
