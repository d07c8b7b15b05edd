//! The second step of a password reset: what was mailed in, a new password set.

use secrecy::{ExposeSecret as _, SecretString};

use super::{
    Call, Error, Services,
    authenticate_email_verification::Code,
    nobody::Nobody,
    replace_password::{Occasion, replace_password},
    start_password_reset::has_email,
    users::check_policy,
};
use crate::{
    clock::Timestamp,
    crypto::secret_token::{PlainSecret, SecretHash, SecretKind},
    domain::{
        challenge::{Challenge, PasswordReset},
        client_context::ClientContext,
        event::{Event, EventKind},
        id::{ProjectId, UserId},
        identifier::IdentifierKind,
        password::Password,
        throttle::ThrottleKind,
        user::User,
    },
    store::{Subject, Tx},
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
    /// The end user's connection.
    pub client_context: ClientContext,
}

/// Why a reset is refused, for the audit trail only: callers get one answer for all of these.
struct Refusal {
    cause: &'static str,
    user_id: Option<UserId>,
    /// From now on the user's resets are slowed down.
    tripped: bool,
}

type Checked<T> = Result<T, Refusal>;

/// Sets the new password, once. Whoever did it has read the user's mail, so the address is theirs; every session ends, because
/// one of them may be why the password had to go.
pub async fn complete_password_reset(
    services: &Services,
    call: &Call,
    request: CompletePasswordReset,
) -> Result<User, Error> {
    let project = &call.client()?.project;
    let token = PlainSecret::parse(SecretKind::PasswordReset, request.token.expose_secret());
    let token = token.ok_or(Error::PasswordResetInvalid)?.hash();

    // Before anything is hashed: only whoever holds a good secret may cause that work.
    let user = check(services, call, &token, &request).await?;
    let identifiers: Vec<_> = user.identifiers.into_iter().map(|known| known.identifier).collect();
    check_policy(project.settings.password_policy, "new_password", &request.new_password, &identifiers)?;
    let hash = services.lane.hash(call.ticket(), request.new_password).await?;

    let (now, address) = (services.clock.now(), request.client_context.ip_address);
    let tx = services.store.begin().await?;
    // Everything again: much can happen while a password waits to be hashed.
    let (reset, mut user) = match find(&tx, project.id, &token, now).await? {
        Ok(found) => found,
        Err(refusal) => return Err(refuse(services, call, tx, refusal, &request.client_context, now).await),
    };
    // Whoever deletes it has it: of two calls that arrive together, one wins.
    if !tx.challenges().consume(reset.id).await? {
        return Err(Error::PasswordResetInvalid);
    }
    let event = |kind| Event::new(kind, project.id).user(user.id).ip_address(address);
    let (verified, set) = (event(EventKind::EmailVerified), event(EventKind::PasswordSet).cause("reset"));
    if let Some(email) = user.unverified_email().cloned() {
        tx.users().verify_identifier(user.id, &email, now).await?;
        services.record(&tx, call, now, [verified]).await?;
    }
    for known in &mut user.identifiers {
        if known.identifier.kind() == IdentifierKind::Email {
            known.verified_at = known.verified_at.or(Some(now));
        }
    }
    tx.throttles().forget(project.id, ThrottleKind::PasswordReset, Subject::user(user.id)).await?;
    let occasion = Occasion { event: set, sessions_end: "password_reset", except: None };
    replace_password(services, call, &tx, &mut user, &hash, occasion, now).await?;
    tx.commit().await?;
    Ok(user)
}

/// Looks at token and code before the password is; gives the user. A wrong code is written down, or it would be free.
async fn check(
    services: &Services,
    call: &Call,
    token: &SecretHash,
    request: &CompletePasswordReset,
) -> Result<User, Error> {
    let (project_id, now) = (call.client()?.project_id(), services.clock.now());
    let tx = services.store.begin().await?;
    let checked = match find(&tx, project_id, token, now).await? {
        Ok((reset, user)) => check_code(services, &tx, &reset, request.code.as_ref(), now).await?.map(|()| user),
        Err(refusal) => {
            // As long as a wrong code takes: a start answers with a token for an address that nobody has, too.
            let nobody = Nobody::of(project_id, services, now);
            if refusal.user_id.is_none() {
                nobody.look_for(&tx).await?;
            }
            nobody.guess_reset(&tx).await?;
            Err(refusal)
        }
    };
    match checked {
        // Nothing is kept: a right code costs no try, so that a password that is too weak does not use them up.
        Ok(user) => Ok(user),
        Err(refusal) => Err(refuse(services, call, tx, refusal, &request.client_context, now).await),
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
    let unknown = Refusal { cause: "unknown_token", user_id: None, tripped: false };
    let Some(reset) = tx.challenges().find_reset(project_id, token).await? else { return Ok(Err(unknown)) };
    let Some(user) = tx.users().lock(project_id, reset.user_id).await? else { return Ok(Err(unknown)) };
    let version = tx.credentials().version(project_id, user.id).await?;
    let cause = if !reset.is_live_at(now) {
        "expired"
    } else if !user.is_active() {
        "user_disabled"
    } else if version != reset.credential_version {
        "password_changed"
    } else if !has_email(&user, &reset.detail.email) {
        "address_changed"
    } else {
        return Ok(Ok((reset, user)));
    };
    Ok(Err(Refusal { cause, user_id: Some(user.id), tripped: false }))
}

/// Compares the code, and counts a wrong one against the reset's own budget and the user's. A link has no code.
async fn check_code(
    services: &Services,
    tx: &Tx,
    reset: &Challenge<PasswordReset>,
    typed: Option<&Code>,
    now: Timestamp,
) -> Result<Checked<()>, Error> {
    let refused = |cause| Ok(Err(Refusal { cause, user_id: Some(reset.user_id), tripped: false }));
    let (code_hash, typed) = match (&reset.detail.code_hash, typed) {
        (None, None) => return Ok(Ok(())),
        (None, Some(_)) => return refused("code_not_expected"),
        (Some(_), None) => return refused("code_missing"),
        (Some(code_hash), Some(typed)) => (code_hash, typed),
    };
    // The resets of one user share this counter, or each new one would bring five more guesses.
    let (kind, subject) = (ThrottleKind::PasswordReset, Subject::user(reset.user_id));
    let failures = tx.throttles().find(reset.project_id, kind, subject, now).await?;
    if failures.and_then(|failures| failures.blocked_until(now)).is_some() {
        return refused("throttled");
    }
    // Before comparing, so that guesses in flight together cannot share a try.
    if !tx.challenges().take_attempt(reset.id).await? {
        return refused("attempts_exhausted");
    }
    if services.master_key.code_matches(reset.id.into(), typed.digits(), code_hash) {
        return Ok(Ok(()));
    }
    let failures = tx.throttles().count_failure(reset.project_id, kind, subject, now).await?;
    let tripped = failures.blocked_until(now).is_some();
    Ok(Err(Refusal { cause: "wrong_code", user_id: Some(reset.user_id), tripped }))
}

/// Writes down why, and gives the one answer.
async fn refuse(
    services: &Services,
    call: &Call,
    tx: Tx,
    refusal: Refusal,
    client_context: &ClientContext,
    now: Timestamp,
) -> Error {
    let written = async {
        let mut failed = Event::new(EventKind::PasswordResetFailed, call.client()?.project_id()).cause(refusal.cause);
        failed.user_id = refusal.user_id;
        failed.ip_address = client_context.ip_address;
        let tripped = Event { kind: EventKind::ThrottleTripped, ..failed.clone() }.cause("password_reset");
        let events = std::iter::once(failed).chain(refusal.tripped.then_some(tripped));
        services.record(&tx, call, now, events).await?;
        Ok(tx.commit().await?)
    };
    written.await.err().unwrap_or(Error::PasswordResetInvalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_token_nor_code_nor_password_is_printed() {
        let step = CompletePasswordReset {
            token: "signet_pr_secret".into(),
            code: Some(Code::parse("123456").unwrap()),
            new_password: Password::parse("tr0ub4dor").unwrap(),
            client_context: ClientContext::default(),
        };
        let text = format!("{step:?}");
        assert!(!["secret", "123456", "tr0ub4dor"].iter().any(|told| text.contains(told)), "{text}");
    }
}
