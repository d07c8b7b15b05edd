//! Redeeming the code for an address that a signed-in user gave as theirs: the address becomes theirs, and they are signed in.

use uuid::Uuid;

use super::{
    Call, Error, Services, SignedIn,
    attempt::RETRY_AFTER,
    complete_sign_in::{Completion, complete_sign_in},
    counters::{self, Counters, event_of},
    sign_in::{OPTIONS, check_wishes},
    stand_in::StandIn,
    start_email_change::{check_free, taken},
};
use crate::{
    clock::Timestamp,
    crypto::project_keys::ProjectKeys,
    domain::{
        bucket::{Claimant, Guarded, Nobody, Target},
        caller::ClientCaller,
        challenge::{Challenge, EmailChange, SignInWishes},
        client_context::EndUser,
        code::Code,
        event::{Cause, Event, EventKind},
        id::{ChallengeId, DeviceId, SessionId},
        identifier::{Identifier, IdentifierKind},
        session::AuthenticationMethod,
        throttle::Admission,
        user::{User, UserIdentifier},
    },
    store::{StoreError, Tx},
};

/// Somebody who has read the mail.
#[derive(Debug)]
pub struct EmailCodeSignIn {
    /// What they are called today, or the address that the code was sent to.
    pub identifier: Identifier,
    /// The digits from the mail.
    pub code: Code,
    /// What else the sign-in shall do.
    pub wishes: SignInWishes,
    /// The end user.
    pub end_user: EndUser,
}

/// Whom a name stands for, and the code on its way to them. With nobody behind the name, as much is read and written.
struct Candidate {
    user: Option<User>,
    version: i32,
    change: Option<Challenge<EmailChange>>,
    claimant: Claimant,
}

/// Redeems the code. Anybody may try one for any name, so a wrong one gets the same answer whether there is such a user, whether a
/// code is on its way to them, whether tries at it are left, and whether guessing is slowed down: several names of one user share
/// their counters, and a delay that showed would tell that they belong together.
pub async fn authenticate_email_code(
    services: &Services,
    call: &Call,
    request: EmailCodeSignIn,
) -> Result<SignedIn, Error> {
    let (caller, now) = (call.client()?, services.clock.now());
    check_wishes(caller, &request.wishes, None).map_err(|error| error.within(OPTIONS))?;
    // Before the transaction, for the same reason as at a sign-in.
    let keys = services.key_ring.keys(&services.store, caller.project_id(), now).await?;
    let tx = services.store.begin().await?;
    let stand_in = StandIn::of(caller.project_id(), services, now);
    let candidate = look_up(services, caller, &tx, &keys, &request, &stand_in, now).await?;
    let counters =
        Counters::lock(&services.limits, &tx, caller.project_id(), &candidate.claimant, Guarded::EmailChange, now)
            .await?;
    let is_admitted = match counters.admission(now) {
        Admission::Admitted => true,
        Admission::Blocked { .. } => false,
        // Nobody reserves a place for a code: it is compared while the counters are locked.
        Admission::Wait => return Err(Error::Overloaded { retry_after: RETRY_AFTER }),
    };
    // While guesses are slowed down none is compared, and none costs a try.
    let compared = candidate.change.as_ref().filter(|_| is_admitted);
    let is_right = is_right(services, &tx, compared, &request.code).await?;
    let fault = fault(caller, &tx, &candidate, now).await?;
    let (Some(change), Some(user), true) = (candidate.change, candidate.user, is_right) else {
        let refused = Refused { counters, claimant: &candidate.claimant, is_admitted };
        refuse(services, call, &tx, refused, &stand_in, now).await?;
        // A wrong guess is written down, or it would be free.
        tx.commit().await?;
        return Err(Error::CodeIncorrect { attempts_left: None });
    };
    if let Some(cause) = fault {
        // Of the code's tries none is used up.
        drop(tx);
        let failed = event_of(EventKind::EmailCodeFailed, caller.project_id(), &candidate.claimant).cause(cause);
        services.record_alone(call, failed).await?;
        return Err(Error::CodeExpired);
    }
    counters.succeed(&tx, now).await?;
    let device = candidate.claimant.device;
    let proved = Proved { user, version: candidate.version, change, device };
    // Whatever fails there ends the unit of work: PostgreSQL takes no more queries in a transaction that failed.
    let (user, version, device) = take_address(services, call, &tx, proved, now).await?;
    let completion = Completion {
        keys,
        user,
        credential_version: version,
        methods: vec![AuthenticationMethod::EmailCode],
        wishes: request.wishes,
        client_context: request.end_user.context,
        device,
    };
    let completed = complete_sign_in(services, call, caller, &tx, completion, now).await?;
    tx.commit().await?;
    completed.sign(services)
}

/// A code that is not taken.
struct Refused<'a> {
    counters: Counters,
    claimant: &'a Claimant,
    /// False if it was not even compared.
    is_admitted: bool,
}

/// Counts a wrong code. One that was not compared counts for nothing, but as much is written.
async fn refuse(
    services: &Services,
    call: &Call,
    tx: &Tx,
    Refused { counters, claimant, is_admitted }: Refused<'_>,
    stand_in: &StandIn,
    now: Timestamp,
) -> Result<(), Error> {
    let tripped = if is_admitted {
        counters.fail(tx, now).await?
    } else {
        counters.withdraw(tx).await?;
        Vec::new()
    };
    if matches!(claimant.target, Target::User(_)) {
        let failed = event_of(EventKind::EmailCodeFailed, stand_in.project_id(), claimant);
        let failed = if is_admitted { failed } else { failed.cause(Cause::Throttled) };
        services.record(tx, call, now, [failed].into_iter().chain(tripped)).await
    } else if tripped.is_empty() {
        // A name that was made up leaves no event: anybody could fill the audit trail with them.
        stand_in.tell(tx).await
    } else {
        services.record(tx, call, now, tripped).await
    }
}

/// Finds the code of whoever is called that, or else the one that was sent to that address, and holds its user.
async fn look_up(
    services: &Services,
    caller: &ClientCaller,
    tx: &Tx,
    keys: &ProjectKeys,
    request: &EmailCodeSignIn,
    stand_in: &StandIn,
    now: Timestamp,
) -> Result<Candidate, Error> {
    let (project_id, identifier) = (caller.project_id(), &request.identifier);
    let account = tx.credentials().find_account(project_id, identifier).await?.map(|account| account.user_id);
    let of_user = tx.challenges().change_of(account.unwrap_or(stand_in.user_id())).await?;
    let to_address = match identifier.kind() {
        IdentifierKind::Email => tx.challenges().only_change_to(project_id, identifier, now).await?,
        IdentifierKind::Phone | IdentifierKind::Username => None,
    };
    let change = of_user.or(to_address);
    let user_id = change.as_ref().map(|change| change.user_id).or(account);
    let user = match user_id {
        Some(user_id) => tx.users().lock(project_id, user_id).await?,
        None => stand_in.look_for(tx).await.map(|()| None)?,
    };
    let version = user.as_ref().map_or(0, User::credential_version);
    // Read again: a code that was found before the user was held may be used up.
    let change = match user.as_ref().filter(|_| change.is_some()) {
        Some(user) => tx.challenges().change_of(user.id).await?,
        None => tx.challenges().change_of(stand_in.user_id()).await?,
    };
    let target = user.as_ref().map_or_else(|| Target::Unknown(Nobody::from(identifier)), |user| Target::User(user.id));
    let target = (target, version);
    let claimant = counters::claimant_with(keys, &services.limits, caller, target, &request.end_user, now);
    Ok(Candidate { user, version, change, claimant })
}

/// Compares the code, if there is one with tries left. Takes a try before, so that guesses in flight together cannot share one.
async fn is_right(
    services: &Services,
    tx: &Tx,
    change: Option<&Challenge<EmailChange>>,
    typed: &Code,
) -> Result<bool, Error> {
    let (id, code_hash) =
        change.map_or((ChallengeId::from(Uuid::nil()), [0; 32]), |change| (change.id, change.detail.code_hash));
    let is_taken = tx.challenges().take_attempt(id).await?;
    Ok(services.master_key.code_matches(id.into(), typed.expose(), &code_hash) && is_taken)
}

/// What happened since the code was made that makes it worthless, if anything: time, a new password or one that has to be changed, a
/// disabled user, the end of the session it was asked from.
async fn fault(caller: &ClientCaller, tx: &Tx, candidate: &Candidate, now: Timestamp) -> Result<Option<Cause>, Error> {
    let change = candidate.change.as_ref();
    let session_id = change.map_or(SessionId::from(Uuid::nil()), |change| change.detail.session_id);
    let session = tx.sessions().find(caller.project_id(), session_id).await?;
    let is_live = session.is_some_and(|session| session.is_live_at(now));
    let (Some(change), Some(user)) = (change, &candidate.user) else { return Ok(Some(Cause::Expired)) };
    let faults = [
        (!change.is_live_at(now), Cause::Expired),
        (!is_live, Cause::SessionEnded),
        (!user.is_active(), Cause::UserDisabled),
        // Which includes one that has to be changed first: that opens its own change and nothing else.
        (change.credential_version != candidate.version, Cause::PasswordChanged),
        (user.password.is_some_and(|password| password.must_change), Cause::PasswordChanged),
    ];
    Ok(faults.into_iter().find_map(|(applies, cause)| applies.then_some(cause)))
}

/// A user who has shown that an address is theirs.
struct Proved {
    user: User,
    version: i32,
    change: Challenge<EmailChange>,
    device: Option<DeviceId>,
}

/// Uses up the code, and makes the address the user's verified one, in the place of the one they had.
async fn take_address(
    services: &Services,
    call: &Call,
    tx: &Tx,
    proved: Proved,
    now: Timestamp,
) -> Result<(User, i32, Option<DeviceId>), Error> {
    let Proved { mut user, version, change, device } = proved;
    let email = change.detail.email;
    let email = Identifier::from_stored(IdentifierKind::Email, email.clone(), email);
    check_free(tx, &user, &email, "login_id").await?;
    // The user's row is held: nobody else can have used it up.
    tx.challenges().consume(change.id).await?;
    let event = |kind| Event::new(kind, user.project_id).user(user.id);
    let mut events = vec![event(EventKind::EmailVerified)];
    if user.identifier(IdentifierKind::Email).is_some_and(|known| known.identifier.canonical() == email.canonical()) {
        tx.users().verify_identifier(user.id, &email, now).await?;
    } else {
        events.insert(0, event(EventKind::UserUpdated));
        let new = UserIdentifier { identifier: email.clone(), verified_at: Some(now) };
        tx.users().delete_identifier(user.id, IdentifierKind::Email).await?;
        let inserted = tx.users().insert_identifier(user.project_id, user.id, &new).await;
        inserted
            .map_err(|error| if matches!(error, StoreError::Conflict(_)) { taken("login_id") } else { error.into() })?;
        user.updated_at = now;
        tx.users().update(&user).await?;
    }
    services.record(tx, call, now, events).await?;
    user.identifiers.retain(|known| known.identifier.kind() != IdentifierKind::Email);
    user.identifiers.push(UserIdentifier { identifier: email, verified_at: Some(now) });
    Ok((user, version, device))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::code::VERIFICATION_DIGITS;

    #[test]
    fn the_code_is_not_printed() {
        let step = EmailCodeSignIn {
            identifier: Identifier::parse_login_id("ada").unwrap(),
            code: Code::parse("123456", VERIFICATION_DIGITS).unwrap(),
            wishes: SignInWishes::default(),
            end_user: EndUser::default(),
        };
        assert!(!format!("{step:?}").contains("123456"));
    }
}
