//! Signing in with a password: behind both `AuthenticatePassword` and `SignIn`.

use secrecy::SecretString;

use super::{
    Call, Error, PendingSignIn, Services, SignedIn,
    complete_sign_in::{Completion, complete_sign_in},
    email_code,
};
use crate::{
    clock::Timestamp,
    crypto::{
        hash_lane::Verdict,
        secret_token::{PlainSecret, SecretKind},
    },
    domain::{
        caller::ClientCaller,
        challenge::{ATTEMPTS_MAX, Challenge, LIFETIME, PendingAuthentication, SignInWishes},
        client_context::ClientContext,
        event::{Event, EventKind},
        id::ChallengeId,
        identifier::Identifier,
        password::Password,
        session::AuthenticationMethod,
        throttle::{Failures, ThrottleKind},
        user::{User, UserStatus},
    },
    store::{Account, Credential, Subject, Tx},
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
    /// The end user's connection.
    pub client_context: ClientContext,
}

/// What is known of an identifier before the password is looked at.
struct Candidate {
    account: Option<Account>,
    subject: Subject,
    failures: Option<Failures>,
}

impl Candidate {
    fn credential(&self) -> Option<&Credential> {
        self.account.as_ref()?.credential.as_ref()
    }

    /// True if a right password would be taken at that time.
    fn may_sign_in(&self, now: Timestamp) -> bool {
        self.account.as_ref().is_some_and(|account| account.status == UserStatus::Active) && !self.is_blocked(now)
    }

    /// True if there were too many failures lately.
    fn is_blocked(&self, now: Timestamp) -> bool {
        self.failures.and_then(|failures| failures.blocked_until(now)).is_some()
    }
}

/// Signs a user in, or says what is missing. No connection is held while the password is hashed.
pub async fn sign_in(services: &Services, call: &Call, request: PasswordSignIn) -> Result<SignedIn, Error> {
    let caller = call.client()?;
    let resource = request.wishes.tokens.resource.as_ref();
    if resource.is_some_and(|resource| !caller.project.settings.allowed_resources.contains(resource)) {
        return Err(Error::ResourceNotAllowed("token_options.resource"));
    }

    let candidate = look_up(services, caller, &request.identifier).await?;
    let stored = candidate.credential().map(|credential| credential.password_hash.clone());
    // Whoever will be refused in any case must not see from the time it takes that the password is right.
    let may_upgrade = candidate.may_sign_in(services.clock.now());
    let verdict = services.lane.verify(call.ticket(), request.password, stored, may_upgrade).await?;

    let now = services.clock.now();
    if let Some(cause) = refusal(&candidate, &verdict, now) {
        count_failure(services, call, caller, &candidate, cause, now).await?;
        return Err(Error::InvalidCredentials);
    }
    let Some(Account { user_id, credential: Some(credential), .. }) = &candidate.account else {
        return Err(Error::InvalidCredentials);
    };

    // Before the transaction, which holds a connection: to wait for a second one while holding the first is how pools lock up.
    let keys = services.key_ring.keys(&services.store, caller.project_id(), now).await?;
    let tx = services.store.begin().await?;
    // Read again under a lock: the user may have been disabled, or the password changed, while it was being hashed.
    let user = tx.users().lock(caller.project_id(), *user_id).await?.filter(User::is_active);
    let Some(user) = user else { return Err(Error::InvalidCredentials) };
    if tx.credentials().version(caller.project_id(), user.id).await? != credential.version {
        return Err(Error::InvalidCredentials);
    }
    if candidate.failures.is_some() {
        tx.throttles().forget(caller.project_id(), ThrottleKind::Password, candidate.subject).await?;
    }
    if let Some(upgraded) = &verdict.upgraded {
        tx.credentials().rehash(user.id, credential.version, upgraded).await?;
        let event = Event::new(EventKind::PasswordRehashed, caller.project_id()).user(user.id);
        services.record(&tx, call, now, [event]).await?;
    }

    if caller.project.settings.require_email_verification
        && let Some(email) = user.unverified_email().cloned()
    {
        let version = credential.version;
        let started = Started { user, version, wishes: request.wishes, client_context: request.client_context };
        let pending = start_pending(services, call, caller, &tx, started, &email, now).await?;
        tx.commit().await?;
        services.mail_waits.notify_one();
        return Err(Error::EmailVerificationRequired(Box::new(pending)));
    }

    let completion = Completion {
        keys,
        user,
        methods: vec![AuthenticationMethod::Password],
        wishes: request.wishes,
        client_context: request.client_context,
    };
    let signed_in = complete_sign_in(services, call, caller, &tx, completion, now).await?;
    tx.commit().await?;
    Ok(signed_in)
}

async fn look_up(services: &Services, caller: &ClientCaller, identifier: &Identifier) -> Result<Candidate, Error> {
    let (view, project_id, now) = (services.store.view(), caller.project_id(), services.clock.now());
    let account = view.credentials().find_account(project_id, identifier).await?;
    // All identifiers of a user share one counter.
    let subject = account.as_ref().map_or_else(|| Subject::unknown(identifier), |known| Subject::user(known.user_id));
    let failures = view.throttles().find(project_id, ThrottleKind::Password, subject, now).await?;
    Ok(Candidate { account, subject, failures })
}

/// Why the sign-in fails, for the audit trail only: callers get one answer for all of these.
fn refusal(candidate: &Candidate, verdict: &Verdict, now: Timestamp) -> Option<&'static str> {
    let Some(account) = &candidate.account else { return Some("unknown_user") };
    if candidate.is_blocked(now) {
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

async fn count_failure(
    services: &Services,
    call: &Call,
    caller: &ClientCaller,
    candidate: &Candidate,
    cause: &'static str,
    now: Timestamp,
) -> Result<(), Error> {
    let project_id = caller.project_id();
    let with_user = |event: Event| candidate.account.as_ref().map_or(event.clone(), |known| event.user(known.user_id));
    let mut events = vec![with_user(Event::new(EventKind::PasswordFailed, project_id).cause(cause))];
    let tx = services.store.begin().await?;
    // What comes in during a block does not prolong it: a stranger must not be able to keep somebody out for ever.
    if !candidate.is_blocked(now) {
        let failures = tx.throttles().count_failure(project_id, ThrottleKind::Password, candidate.subject, now).await?;
        if failures.blocked_until(now).is_some() {
            events.push(with_user(Event::new(EventKind::ThrottleTripped, project_id).cause("password")));
        }
    }
    services.record(&tx, call, now, events).await?;
    Ok(tx.commit().await?)
}

struct Started {
    user: User,
    version: i32,
    wishes: SignInWishes,
    client_context: ClientContext,
}

/// Opens the second step: a pending authentication, and a code on its way. No session, no token.
async fn start_pending(
    services: &Services,
    call: &Call,
    caller: &ClientCaller,
    tx: &Tx,
    started: Started,
    email: &Identifier,
    now: Timestamp,
) -> Result<PendingSignIn, Error> {
    let Started { user, version, wishes, client_context } = started;
    let letter =
        email_code::Letter { project: &caller.project, user: &user, email, version, locale: wishes.locale.clone() };
    let code_id = email_code::for_pending(services, call, tx, &letter, now).await?.code_id;
    let token = PlainSecret::generate(SecretKind::PendingAuthentication, &services.random);
    let pending = Challenge {
        id: ChallengeId::generate(now, &services.random),
        project_id: caller.project_id(),
        user_id: user.id,
        credential_version: version,
        attempts_left: ATTEMPTS_MAX,
        issued_at: now,
        expires_at: now + LIFETIME,
        detail: PendingAuthentication { client_id: caller.client.id, code_id, wishes, client_context },
    };
    // The user's row is held; the client may have been deleted since the call was let in.
    let inserted = tx.challenges().insert_pending(&pending, &token.hash()).await;
    inserted.map_err(|error| Error::unless_orphan(error, Error::CallerUnauthenticated))?;
    let event = Event::new(EventKind::PendingAuthenticationStarted, caller.project_id()).user(user.id);
    services.record(tx, call, now, [event]).await?;
    Ok(PendingSignIn { token: SecretString::from(token.expose()), expires_at: pending.expires_at, user })
}
