//! Six-digit codes on their way to an email address.

use super::{
    Call, Error, Services,
    attempt::RETRY_AFTER,
    counters::{self, Counters, event_of},
    post_mail,
};
use crate::{
    clock::Timestamp,
    crypto::master_key::Purpose,
    domain::{
        bucket::{Claimant, Guarded},
        challenge::{Challenge, EmailCode},
        code::{Code, VERIFICATION_DIGITS},
        event::{Cause, Event, EventKind},
        id::ChallengeId,
        identifier::Identifier,
        message::Message,
        project::Project,
        throttle::Admission,
        user::User,
    },
    store::Tx,
};

/// Who gets a code, and where.
pub(super) struct Letter<'a> {
    pub(super) project: &'a Project,
    pub(super) user: &'a User,
    pub(super) email: &'a Identifier,
    /// Version of the user's credential.
    pub(super) version: i32,
    /// On whose counters the mail is counted.
    pub(super) claimant: &'a Claimant,
    /// Language, if the caller asked for one.
    pub(super) locale: Option<String>,
}

/// A code that is on its way, or has arrived.
pub(super) struct Sent {
    pub(super) code_id: ChallengeId,
    pub(super) expires_at: Timestamp,
}

/// The code for a new pending authentication. While the last one is young, or nobody has waited for it yet, it serves this one
/// too, so that signing in twice does not make two mails of which only one is good.
pub(super) async fn for_pending(
    services: &Services,
    call: &Call,
    tx: &Tx,
    letter: &Letter<'_>,
    now: Timestamp,
) -> Result<Sent, Error> {
    let last = last_code(tx, letter).await?.filter(|code| code.is_live_at(now) && code.attempts_left > 0);
    let Some(code) = last else { return send_new(services, call, tx, letter, now).await };
    let is_young = now < code.issued_at + services.limits.code_resend_interval;
    // One with little time left would expire while it is being typed.
    let has_time = now + services.limits.code_lifetime / 2 <= code.expires_at;
    if is_young || (has_time && !tx.challenges().is_waited_for(code.id, now).await?) {
        return Ok(Sent { code_id: code.id, expires_at: code.expires_at });
    }
    match send_new(services, call, tx, letter, now).await {
        // Too many mails of late: the last one has to do.
        Err(Error::CodeSentRecently { .. }) => Ok(Sent { code_id: code.id, expires_at: code.expires_at }),
        sent => sent,
    }
}

/// The code that a resend renews: the last one while it lives, and after that as long as something waits for it, which a new
/// code would not complete.
pub(super) async fn renewable_code(
    tx: &Tx,
    letter: &Letter<'_>,
    now: Timestamp,
) -> Result<Option<Challenge<EmailCode>>, Error> {
    let Some(code) = last_code(tx, letter).await? else { return Ok(None) };
    let may_be_renewed =
        code.is_live_at(now) || (code.attempts_left > 0 && tx.challenges().is_waited_for(code.id, now).await?);
    Ok(may_be_renewed.then_some(code))
}

/// The last code of the user that verifies their address, if it was made for their address and password of today.
pub(super) async fn last_code(tx: &Tx, letter: &Letter<'_>) -> Result<Option<Challenge<EmailCode>>, Error> {
    let last = tx.challenges().newest_code(letter.user.id).await?;
    Ok(last.filter(|code| code.detail.email == letter.email.canonical() && code.credential_version == letter.version))
}

/// Makes a code and puts its mail into the outbox.
pub(super) async fn send_new(
    services: &Services,
    call: &Call,
    tx: &Tx,
    letter: &Letter<'_>,
    now: Timestamp,
) -> Result<Sent, Error> {
    count_mail(services, call, tx, letter, now).await?;
    let id = ChallengeId::generate(now, &services.random);
    let digits = Code::generate(VERIFICATION_DIGITS, &services.random);
    let code = Challenge {
        id,
        project_id: letter.project.id,
        user_id: letter.user.id,
        credential_version: letter.version,
        attempts_left: services.limits.code_attempts,
        issued_at: now,
        expires_at: now + services.limits.code_lifetime,
        detail: EmailCode {
            email: letter.email.canonical().to_owned(),
            code_hash: services.master_key.hash_code(id.into(), digits.expose()),
            sealed: Some(seal(services, id, &digits)),
        },
    };
    tx.challenges().insert_code(&code).await?;
    post(services, call, tx, letter, digits, now).await?;
    Ok(Sent { code_id: id, expires_at: code.expires_at })
}

/// Replaces the digits of a code; the tries already made still count.
pub(super) async fn send_again(
    services: &Services,
    call: &Call,
    tx: &Tx,
    letter: &Letter<'_>,
    mut code: Challenge<EmailCode>,
    now: Timestamp,
) -> Result<Sent, Error> {
    count_mail(services, call, tx, letter, now).await?;
    let digits = Code::generate(VERIFICATION_DIGITS, &services.random);
    code.detail.code_hash = services.master_key.hash_code(code.id.into(), digits.expose());
    code.detail.sealed = Some(seal(services, code.id, &digits));
    code.issued_at = now;
    code.expires_at = now + services.limits.code_lifetime;
    tx.challenges().replace_code(&code).await?;
    post(services, call, tx, letter, digits, now).await?;
    Ok(Sent { code_id: code.id, expires_at: code.expires_at })
}

/// The code itself, for a back end that mails it.
pub(super) fn seal(services: &Services, id: ChallengeId, code: &Code) -> Vec<u8> {
    services.master_key.seal(Purpose::EmailCode, id.into(), code.expose().as_bytes(), &services.random)
}

async fn post(
    services: &Services,
    call: &Call,
    tx: &Tx,
    letter: &Letter<'_>,
    code: Code,
    now: Timestamp,
) -> Result<(), Error> {
    let message = Message::EmailVerificationCode {
        code: code.expose().to_owned(),
        project_name: letter.project.name.clone(),
        valid_minutes: services.limits.code_lifetime.num_minutes(),
        locale: letter.locale.clone().or_else(|| letter.user.profile.locale.clone()),
    };
    let validity = now..now + services.limits.code_lifetime;
    post_mail::post(services, tx, letter.project, letter.user, letter.email, &message, validity).await?;
    let event = Event::new(EventKind::EmailCodeSent, letter.project.id).user(letter.user.id);
    services.record(tx, call, now, [event]).await
}

/// Refuses to send ever more mails to one user: whoever knows their password, or has registered their address, could
/// otherwise fill their mailbox.
async fn count_mail(
    services: &Services,
    call: &Call,
    tx: &Tx,
    letter: &Letter<'_>,
    now: Timestamp,
) -> Result<(), Error> {
    let counted = (letter.project.id, letter.claimant, Guarded::CodeMail);
    match counters::count_mail(services, call, tx, counted, now).await? {
        None => Ok(()),
        Some(until) => Err(Error::CodeSentRecently { retry_after: (until - now).to_std().unwrap_or_default() }),
    }
}

/// Compares the code, and counts a wrong one against the code's own budget and the user's. Whatever is refused leaves an event: the caller
/// commits. A code is found by a token of the first step, or named by a back end: no stranger comes this far.
pub(super) async fn check(
    services: &Services,
    call: &Call,
    tx: &Tx,
    (code, claimant): (&Challenge<EmailCode>, &Claimant),
    typed: &Code,
    now: Timestamp,
) -> Result<(), Error> {
    let failed = event_of(EventKind::EmailCodeFailed, code.project_id, claimant);
    if !code.is_live_at(now) {
        services.record(tx, call, now, [failed.cause(Cause::Expired)]).await?;
        return Err(Error::CodeExpired);
    }
    // Codes of many pending authentications of one user share this counter, or each new one would bring five more guesses.
    let counters = Counters::lock(&services.limits, tx, code.project_id, claimant, Guarded::EmailCode, now).await?;
    match counters.admission(now) {
        Admission::Admitted => {}
        Admission::Blocked { until } => {
            services.record(tx, call, now, [failed.cause(Cause::Throttled)]).await?;
            return Err(Error::CodeAttemptsExhausted { retry_after: (until - now).to_std().ok() });
        }
        // Nobody reserves a place for a code: it is compared while the counters are locked.
        Admission::Wait => return Err(Error::Overloaded { retry_after: RETRY_AFTER }),
    }
    if !tx.challenges().take_attempt(code.id).await? {
        services.record(tx, call, now, [failed.cause(Cause::AttemptsExhausted)]).await?;
        return Err(Error::CodeAttemptsExhausted { retry_after: None });
    }
    if services.master_key.code_matches(code.id.into(), typed.expose(), &code.detail.code_hash) {
        return Ok(counters.succeed(tx, now).await?);
    }
    let tripped = counters.fail(tx, now).await?;
    services.record(tx, call, now, [failed].into_iter().chain(tripped)).await?;
    match code.attempts_left.saturating_sub(1) {
        0 => Err(Error::CodeAttemptsExhausted { retry_after: None }),
        attempts_left => Err(Error::CodeIncorrect { attempts_left: Some(attempts_left) }),
    }
}
