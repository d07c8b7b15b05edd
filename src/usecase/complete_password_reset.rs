//! The second step of a password reset: what was mailed in, a new password set.

use std::{net::IpAddr, sync::Arc};

use secrecy::{ExposeSecret as _, SecretString};

use super::{
    Call, Error, Services, SignedIn,
    counters::{self, Counters},
    finish_sign_in::{self, FirstStep, finish},
    replace_password::{Occasion, replace_password},
    sign_in::check_wishes,
    stand_in::StandIn,
    start_password_reset::has_email,
    users::check_policy,
};
use crate::{
    clock::Timestamp,
    crypto::{
        project_keys::ProjectKeys,
        secret_token::{PlainSecret, SecretHash, SecretKind},
    },
    domain::{
        bucket::{Claimant, Guarded, Target},
        caller::ClientCaller,
        challenge::{Challenge, PasswordReset, SignInWishes},
        client_context::EndUser,
        code::Code,
        event::{Cause, Event, EventKind},
        id::{ProjectId, UserId},
        identifier::IdentifierKind,
        password::Password,
        session::AuthenticationMethod,
        throttle::Admission,
        user::User,
    },
    store::Tx,
};

/// The second step.
#[derive(Debug)]
pub struct CompletePasswordReset {
    /// Token from the link, or of the first step.
    pub token: SecretString,
    /// The digits from the mail, if there is no link.
    pub code: Option<Code>,
    /// The new password.
    pub new_password: Password,
    /// The end user.
    pub end_user: EndUser,
    /// What the sign-in shall do that follows, if one is to follow.
    pub sign_in: Option<SignInWishes>,
}

/// A password reset that is done.
#[derive(Debug)]
pub enum PasswordResetDone {
    /// The user has a new password, no more.
    PasswordSet(Box<User>),
    /// And is signed in.
    SignedIn(Box<SignedIn>),
}

/// Why a reset is refused, for the audit trail only: callers get one answer for all of these.
struct Refusal {
    /// Whose reset it is and what is wrong with it; none of a token that is not one.
    known: Option<(UserId, Cause)>,
    /// Of the delays that begin with it.
    tripped: Vec<Event>,
}

impl Refusal {
    const fn of(user_id: UserId, cause: Cause) -> Self {
        Self { known: Some((user_id, cause)), tripped: Vec::new() }
    }
}

type Checked<T> = Result<T, Refusal>;

/// A step, with what has to be fetched before a unit of work.
struct Step<'a> {
    services: &'a Services,
    call: &'a Call,
    caller: &'a ClientCaller,
    keys: Arc<ProjectKeys>,
    end_user: EndUser,
    token: SecretHash,
}

/// Sets the new password, once. Whoever did it has read the user's mail, so the address is theirs, unless nothing was mailed; every
/// session ends, because one of them may be why the password had to go. A sign-in that follows comes after that.
pub async fn complete_password_reset(
    services: &Services,
    call: &Call,
    request: CompletePasswordReset,
) -> Result<PasswordResetDone, Error> {
    let caller = call.client()?;
    request.sign_in.as_ref().map_or(Ok(()), |wishes| check_wishes(caller, wishes, None))?;
    let project = &caller.project;
    let token = PlainSecret::parse(SecretKind::PasswordReset, request.token.expose_secret());
    let token = token.ok_or(Error::PasswordResetInvalid)?.hash();
    let keys = services.key_ring.keys(&services.store, project.id, services.clock.now()).await?;
    let step = Step { services, call, caller, keys, end_user: request.end_user, token };

    let coming = services.lane.expect(call.ticket()).await?;
    // Before anything is hashed: only whoever holds a good secret may cause that work.
    let user = step.check(request.code.as_ref()).await?;
    let identifiers: Vec<_> = user.identifiers.into_iter().map(|known| known.identifier).collect();
    check_policy(project.settings.password_policy, "new_password", &request.new_password, &identifiers)?;
    let hash = services.lane.hash(coming, request.new_password).await?;

    let now = services.clock.now();
    let tx = services.store.begin().await?;
    // Everything again: much can happen while a password waits to be hashed.
    let (reset, mut user) = match find(&tx, project.id, &step.token, now).await? {
        Ok(found) => found,
        Err(refusal) => return Err(step.refuse(tx, refusal, now).await),
    };
    // Whoever deletes it has it: of two calls that arrive together, one wins.
    if !tx.challenges().consume(reset.id).await? {
        return Err(Error::PasswordResetInvalid);
    }
    let event = Event::new(EventKind::PasswordSet, project.id).user(user.id).ip_address(step.address());
    let cause = if reset.detail.email.is_some() { Cause::Reset } else { Cause::ChangeRequired };
    if reset.detail.email.is_some() {
        step.verify_email(&tx, &mut user, now).await?;
    }
    let claimant = step.claimant(user.id, reset.credential_version, now);
    let occasion = Occasion { event: event.cause(cause), sessions_end: Cause::PasswordReset, except: None };
    replace_password(services, call, &tx, &mut user, &hash, occasion, now).await?;
    let next = match request.sign_in {
        None => None,
        Some(wishes) => Some(step.sign_in(&tx, user.clone(), wishes, claimant.clone(), now).await?),
    };
    // Last: the sign-in may have counted a mail.
    step.counters(&tx, &claimant, now).await?.succeed(&tx, now).await?;
    tx.commit().await?;
    services.mail_waits.notify_one();
    match next {
        None => Ok(PasswordResetDone::PasswordSet(Box::new(user))),
        Some(next) => Ok(PasswordResetDone::SignedIn(Box::new(next.answer(services)?))),
    }
}

impl<'a> Step<'a> {
    /// Notes that the address is the user's own.
    async fn verify_email(&self, tx: &Tx, user: &mut User, now: Timestamp) -> Result<(), Error> {
        let Some(email) = user.unverified_email().cloned() else { return Ok(()) };
        tx.users().verify_identifier(user.id, &email, now).await?;
        for known in &mut user.identifiers {
            if known.identifier.kind() == IdentifierKind::Email {
                known.verified_at = Some(now);
            }
        }
        let event = Event::new(EventKind::EmailVerified, user.project_id).user(user.id).ip_address(self.address());
        self.services.record(tx, self.call, now, [event]).await
    }

    /// Signs the user in who has just set the password. Where nothing was mailed the address may still have to be verified: the new
    /// password is kept then, too.
    async fn sign_in(
        &self,
        tx: &Tx,
        user: User,
        wishes: SignInWishes,
        claimant: Claimant,
        now: Timestamp,
    ) -> Result<finish_sign_in::Step<'a>, Error> {
        let first = FirstStep {
            keys: Arc::clone(&self.keys),
            credential_version: user.credential_version(),
            user,
            methods: vec![AuthenticationMethod::Password],
            wishes,
            client_context: self.end_user.context.clone(),
            claimant,
            guarded: Guarded::SignIn,
        };
        finish(self.services, self.call, self.caller, tx, first, now).await
    }

    /// Looks at token and code before the password is; gives the user. A wrong code is written down, or it would be free.
    async fn check(&self, code: Option<&Code>) -> Result<User, Error> {
        let (project_id, now) = (self.caller.project_id(), self.services.clock.now());
        let tx = self.services.store.begin().await?;
        let checked = match find(&tx, project_id, &self.token, now).await? {
            Ok((reset, user)) => self.check_code(&tx, &reset, code, now).await?.map(|()| user),
            Err(refusal) => {
                // As long as a wrong code takes: a start answers with a token for an address that nobody has, too.
                let stand_in = StandIn::of(project_id, self.services, now);
                if refusal.known.is_none() {
                    stand_in.look_for(&tx).await?;
                }
                let counters = self.counters(&tx, &self.claimant(stand_in.user_id(), 0, now), now).await?;
                stand_in.guess_reset(&tx).await?;
                counters.withdraw(&tx).await?;
                Err(refusal)
            }
        };
        match checked {
            // Nothing is kept: a right code costs no try, so that a password that is too weak does not use them up.
            Ok(user) => Ok(user),
            Err(refusal) => Err(self.refuse(tx, refusal, now).await),
        }
    }

    /// Compares the code, and counts a wrong one against the reset's own budget and the user's. A link has no code.
    async fn check_code(
        &self,
        tx: &Tx,
        reset: &Challenge<PasswordReset>,
        typed: Option<&Code>,
        now: Timestamp,
    ) -> Result<Checked<()>, Error> {
        let refused = |cause| Ok(Err(Refusal::of(reset.user_id, cause)));
        let compared = match (&reset.detail.code_hash, typed) {
            (None, None) => return Ok(Ok(())),
            (None, Some(_)) => Err(Cause::CodeNotExpected),
            (Some(_), None) => Err(Cause::CodeMissing),
            (Some(code_hash), Some(typed)) => Ok((code_hash, typed)),
        };
        // The resets of one user share this counter, or each new one would bring five more guesses.
        let counters = self.counters(tx, &self.claimant(reset.user_id, reset.credential_version, now), now).await?;
        let is_admitted = counters.admission(now) == Admission::Admitted;
        let (code_hash, typed) = match compared {
            Ok(compared) if is_admitted => compared,
            misfit => {
                // As long as for nobody, whom nothing is compared for either.
                StandIn::of(reset.project_id, self.services, now).guess_reset(tx).await?;
                counters.withdraw(tx).await?;
                return refused(misfit.err().unwrap_or(Cause::Throttled));
            }
        };
        // Before comparing, so that guesses in flight together cannot share a try.
        if !tx.challenges().take_attempt(reset.id).await? {
            counters.withdraw(tx).await?;
            return refused(Cause::AttemptsExhausted);
        }
        if self.services.master_key.code_matches(reset.id.into(), typed.expose(), code_hash) {
            return Ok(Ok(()));
        }
        let tripped = counters.fail(tx, now).await?;
        Ok(Err(Refusal { tripped, ..Refusal::of(reset.user_id, Cause::WrongCode) }))
    }

    /// Writes down why, and gives the one answer.
    async fn refuse(&self, tx: Tx, refusal: Refusal, now: Timestamp) -> Error {
        let project_id = self.caller.project_id();
        let written = async {
            if let Some((user_id, cause)) = refusal.known {
                let failed = Event::new(EventKind::PasswordResetFailed, project_id).user(user_id).cause(cause);
                let failed = failed.ip_address(self.address());
                let events = std::iter::once(failed).chain(refusal.tripped);
                self.services.record(&tx, self.call, now, events).await?;
            } else {
                // A token that was made up leaves no event: anybody could fill the audit trail with them.
                StandIn::of(project_id, self.services, now).tell(&tx).await?;
            }
            Ok(tx.commit().await?)
        };
        written.await.err().unwrap_or(Error::PasswordResetInvalid)
    }

    fn claimant(&self, user_id: UserId, credential_version: i32, now: Timestamp) -> Claimant {
        let target = (Target::User(user_id), credential_version);
        counters::claimant_with(&self.keys, &self.services.limits, self.caller, target, &self.end_user, now)
    }

    async fn counters(&self, tx: &Tx, claimant: &Claimant, now: Timestamp) -> Result<Counters, Error> {
        let (limits, project_id) = (&self.services.limits, self.caller.project_id());
        Ok(Counters::lock(limits, tx, project_id, claimant, Guarded::PasswordReset, now).await?)
    }

    const fn address(&self) -> Option<IpAddr> {
        self.end_user.context.ip_address
    }
}

/// The reset and its user, whose row is held, if nothing happened since the start that makes it worthless: time, a new
/// password, a new address, a disabled user.
async fn find(
    tx: &Tx,
    project_id: ProjectId,
    token: &SecretHash,
    now: Timestamp,
) -> Result<Checked<(Challenge<PasswordReset>, User)>, Error> {
    let unknown = || Ok(Err(Refusal { known: None, tripped: Vec::new() }));
    let Some(reset) = tx.challenges().find_reset(project_id, token).await? else { return unknown() };
    let Some(user) = tx.users().lock(project_id, reset.user_id).await? else { return unknown() };
    let version = user.credential_version();
    let cause = if !reset.is_live_at(now) {
        Cause::Expired
    } else if !user.is_active() {
        Cause::UserDisabled
    } else if version != reset.credential_version {
        Cause::PasswordChanged
    } else if reset.detail.email.as_ref().is_some_and(|email| !has_email(&user, email)) {
        Cause::AddressChanged
    } else {
        return Ok(Ok((reset, user)));
    };
    Ok(Err(Refusal::of(user.id, cause)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::code::RESET_DIGITS;

    #[test]
    fn neither_token_nor_code_nor_password_is_printed() {
        let step = CompletePasswordReset {
            token: "signet_pr_secret".into(),
            code: Some(Code::parse("12345678", RESET_DIGITS).unwrap()),
            new_password: Password::parse("tr0ub4dor").unwrap(),
            end_user: EndUser::default(),
            sign_in: None,
        };
        let text = format!("{step:?}");
        assert!(!["secret", "12345678", "tr0ub4dor"].iter().any(|told| text.contains(told)), "{text}");
    }
}
