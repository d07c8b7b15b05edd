//! Checking a password that somebody claims to know: counted, and the same work and answer whether there is such a user or not.

use std::sync::atomic::Ordering;

use super::{
    Call, Error, Services,
    attempt::{self, Attempt},
    counters::{self, event_of},
};
use crate::{
    clock::Timestamp,
    crypto::{
        hash_lane::{Coming, Verdict},
        password_hash::PasswordHash,
    },
    domain::{
        bucket::{Claimant, Guarded, Nobody, Target},
        caller::ClientCaller,
        client_context::EndUser,
        event::{Cause, Event, EventKind},
        id::{ProjectId, UserId},
        identifier::Identifier,
        password::Password,
        throttle::Outcome,
        user::{User, UserStatus},
    },
    store::{Account, Credential, Tx},
};

/// Who somebody says they are.
pub(super) struct Claim<'a> {
    pub(super) identifier: &'a Identifier,
    pub(super) password: &'a Password,
    pub(super) end_user: &'a EndUser,
    /// On which counters it is counted.
    pub(super) guarded: Guarded,
    /// Whether the hash may be made anew while the password is at hand.
    pub(super) may_upgrade: bool,
}

/// A password that was right. The attempt still has to be settled.
pub(super) struct RightPassword {
    pub(super) attempt: Attempt,
    pub(super) claimant: Claimant,
    pub(super) credential: HeldCredential,
    /// Whether the password has to be changed before it signs anybody in.
    pub(super) must_change: bool,
}

/// Whose password it was.
pub(super) struct HeldCredential {
    pub(super) user_id: UserId,
    pub(super) version: i32,
    /// Its hash at today's cost, if that has risen.
    upgraded: Option<PasswordHash>,
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

/// Checks a password. No connection is held while it is hashed.
pub(super) async fn check_password(
    services: &Services,
    call: &Call,
    caller: &ClientCaller,
    claim: Claim<'_>,
) -> Result<RightPassword, Error> {
    // Before anything is known of whoever is named, so that the answer is the same for everybody. Beside a flood the
    // database would else be the queue: each refused sign-in was looked up, counted and withdrawn first.
    let coming = services.lane.expect(call.ticket()).await?;
    // On the heap, and not before its turn: in a flood hundreds wait for theirs.
    Box::pin(check_in_turn(services, call, caller, claim, coming)).await
}

async fn check_in_turn(
    services: &Services,
    call: &Call,
    caller: &ClientCaller,
    claim: Claim<'_>,
    coming: Coming<'_>,
) -> Result<RightPassword, Error> {
    let candidate = look_up(services, caller, &claim).await?;
    let (attempt, verdict) = check(services, call, caller, (&candidate, &claim), coming).await?;
    if let Some(cause) = refusal(&candidate, attempt.as_ref(), &verdict) {
        record_failure(services, call, caller, &candidate, attempt, cause).await?;
        return Err(Error::InvalidCredentials);
    }
    let Candidate { account, claimant } = candidate;
    let (Some(mut attempt), Some(Account { user_id, credential: Some(known), .. })) = (attempt, account) else {
        return Err(Error::InvalidCredentials);
    };
    attempt.found_right();
    let credential = HeldCredential { user_id, version: known.version, upgraded: verdict.upgraded };
    Ok(RightPassword { attempt, claimant, credential, must_change: known.must_change })
}

impl HeldCredential {
    /// The user, whose row is held from then on. Read again, because they may have been disabled, or the password changed, while
    /// it was being hashed.
    pub(super) async fn hold(&self, tx: &Tx, project_id: ProjectId) -> Result<User, Error> {
        let user = tx.users().lock(project_id, self.user_id).await?.filter(User::is_active);
        let user = user.ok_or(Error::InvalidCredentials)?;
        if user.credential_version() == self.version { Ok(user) } else { Err(Error::InvalidCredentials) }
    }

    /// Writes the new hash, if there is one.
    pub(super) async fn upgrade(
        &self,
        services: &Services,
        call: &Call,
        tx: &Tx,
        user: &User,
        now: Timestamp,
    ) -> Result<(), Error> {
        let Some(upgraded) = &self.upgraded else { return Ok(()) };
        tx.credentials().rehash(user.id, self.version, upgraded).await?;
        let event = Event::new(EventKind::PasswordRehashed, user.project_id).user(user.id);
        services.record(tx, call, now, [event]).await
    }
}

async fn look_up(services: &Services, caller: &ClientCaller, claim: &Claim<'_>) -> Result<Candidate, Error> {
    let (project_id, now) = (caller.project_id(), services.clock.now());
    let account = services.store.view().credentials().find_account(project_id, claim.identifier).await?;
    // All identifiers of a user share one counter.
    let target = account
        .as_ref()
        .map_or_else(|| Target::Unknown(Nobody::from(claim.identifier)), |known| Target::User(known.user_id));
    let credential = account.as_ref().and_then(|known| known.credential.as_ref());
    let version = credential.map_or(0, |credential| credential.version);
    let claimant = counters::claimant(services, caller, (target, version), claim.end_user, now).await?;
    Ok(Candidate { account, claimant })
}

/// Reserves the attempt and hashes the password. Whoever is slowed down gets no attempt, but the same work.
async fn check(
    services: &Services,
    call: &Call,
    caller: &ClientCaller,
    (candidate, claim): (&Candidate, &Claim<'_>),
    mut coming: Coming<'_>,
) -> Result<(Option<Attempt>, Verdict), Error> {
    let (claimant, guarded) = (&candidate.claimant, claim.guarded);
    let attempt = attempt::reserve(services, call, caller.project_id(), claimant, guarded, &mut coming).await?;
    let stored = candidate.credential().map(|credential| credential.password_hash.clone());
    // Whoever will be refused in any case must not see from the time it takes that the password is right.
    let may_upgrade = claim.may_upgrade && attempt.is_some() && candidate.is_active();
    let looked_at = attempt.as_ref().map(Attempt::looked_at);
    let note = move || {
        if let Some(looked_at) = looked_at {
            looked_at.store(true, Ordering::Release);
        }
    };
    let password = claim.password.clone();
    let verdict = services.lane.verify_noting(coming, password, stored, may_upgrade, note).await?;
    Ok((attempt, verdict))
}

/// Why the password does not do, for the audit trail only: callers get one answer for all of these.
fn refusal(candidate: &Candidate, attempt: Option<&Attempt>, verdict: &Verdict) -> Option<Cause> {
    let Some(account) = &candidate.account else { return Some(Cause::UnknownUser) };
    if attempt.is_none() {
        return Some(Cause::Throttled);
    }
    if account.credential.is_none() {
        return Some(Cause::NoPassword);
    }
    if !verdict.matches {
        return Some(Cause::WrongPassword);
    }
    (account.status != UserStatus::Active).then_some(Cause::UserDisabled)
}

async fn record_failure(
    services: &Services,
    call: &Call,
    caller: &ClientCaller,
    candidate: &Candidate,
    attempt: Option<Attempt>,
    cause: Cause,
) -> Result<(), Error> {
    let now = services.clock.now();
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
