//! The second step of a sign-in whose email address was not verified: pending token and code in, session out.

use secrecy::{ExposeSecret as _, SecretString};

use super::{
    Call, Error, Services, SignedIn,
    complete_sign_in::{Completion, complete_sign_in},
};
use crate::{
    clock::Timestamp,
    crypto::secret_token::{PlainSecret, SecretKind},
    domain::{
        caller::ClientCaller,
        challenge::{CODE_DIGITS, Challenge, EmailCode, PendingAuthentication},
        client_context::ClientContext,
        event::{Event, EventKind},
        identifier::IdentifierKind,
        session::AuthenticationMethod,
        throttle::ThrottleKind,
        user::User,
    },
    store::{Subject, Tx},
};

/// Six digits, as typed.
#[derive(Clone)]
pub struct Code(String);

impl Code {
    /// Reads a code; spaces and dashes that people type are ignored.
    pub fn parse(text: &str) -> Result<Self, ParseCodeError> {
        let digits: String = text.chars().take(32).filter(|c| !matches!(c, ' ' | '-')).collect();
        let fine = digits.len() == CODE_DIGITS && digits.bytes().all(|digit| digit.is_ascii_digit());
        if fine { Ok(Self(digits)) } else { Err(ParseCodeError) }
    }

    /// The digits, to be compared.
    pub(super) fn digits(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Code")
    }
}

/// The text is not a code.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("must be {CODE_DIGITS} digits")]
pub struct ParseCodeError;

/// The second step.
#[derive(Debug)]
pub struct EmailVerification {
    /// Token of the first step.
    pub pending_token: SecretString,
    /// The digits from the mail.
    pub code: Code,
    /// The end user's connection, if it is known anew.
    pub client_context: ClientContext,
}

/// Completes a pending authentication.
pub async fn authenticate_email_verification(
    services: &Services,
    call: &Call,
    request: EmailVerification,
) -> Result<SignedIn, Error> {
    let (caller, now) = (call.client()?, services.clock.now());
    let token = PlainSecret::parse(SecretKind::PendingAuthentication, request.pending_token.expose_secret());
    let token = token.ok_or(Error::PendingAuthenticationInvalid)?;

    // Before the transaction, for the same reason as at a sign-in.
    let keys = services.key_ring.keys(&services.store, caller.project_id(), now).await?;
    let tx = services.store.begin().await?;
    let pending = tx.challenges().find_pending(caller.project_id(), &token.hash()).await?;
    let pending = pending.ok_or(Error::PendingAuthenticationInvalid)?;
    let user = still_valid(&tx, caller, &pending, now).await?.ok_or(Error::PendingAuthenticationInvalid)?;
    let code = tx.challenges().code(pending.detail.code_id).await?.ok_or(Error::PendingAuthenticationInvalid)?;
    if let Err(error) = check_code(services, call, &tx, &code, &request.code, now).await {
        // A wrong guess is written down, or it would be free.
        tx.commit().await?;
        return Err(error);
    }

    let email = user.unverified_email().filter(|email| email.canonical() == code.detail.email).cloned();
    let email = email.ok_or(Error::PendingAuthenticationInvalid)?;
    // Whoever deletes the code has it, and nothing that waited for it is left: of two calls that arrive together, one wins.
    if !tx.challenges().consume(code.id).await? {
        return Err(Error::PendingAuthenticationInvalid);
    }
    tx.users().verify_identifier(user.id, &email, now).await?;
    let verified = Event::new(EventKind::EmailVerified, caller.project_id()).user(user.id);
    services.record(&tx, call, now, [verified]).await?;

    let mut user = user;
    for known in &mut user.identifiers {
        if known.identifier.kind() == IdentifierKind::Email {
            known.verified_at = Some(now);
        }
    }
    let completion = Completion {
        keys,
        user,
        methods: vec![AuthenticationMethod::Password, AuthenticationMethod::EmailCode],
        wishes: pending.detail.wishes,
        client_context: request.client_context.or(pending.detail.client_context),
    };
    let signed_in = complete_sign_in(services, call, caller, &tx, completion, now).await?;
    tx.commit().await?;
    Ok(signed_in)
}

/// The user, if nothing happened since the first step that makes it worthless: time, another client, a new password, a disabled
/// or slowed-down user.
async fn still_valid(
    tx: &Tx,
    caller: &ClientCaller,
    pending: &Challenge<PendingAuthentication>,
    now: Timestamp,
) -> Result<Option<User>, Error> {
    if !pending.is_live_at(now) || pending.detail.client_id != caller.client.id {
        return Ok(None);
    }
    let project_id = caller.project_id();
    let Some(user) = tx.users().lock(project_id, pending.user_id).await? else { return Ok(None) };
    let version = tx.credentials().version(project_id, user.id).await?;
    let failures = tx.throttles().find(project_id, ThrottleKind::Password, Subject::user(user.id), now).await?;
    let slowed_down = failures.and_then(|failures| failures.blocked_until(now)).is_some();
    let valid = user.is_active() && version == pending.credential_version && !slowed_down;
    Ok(valid.then_some(user))
}

/// Compares the code, and counts a wrong one against the code's own budget and the user's.
async fn check_code(
    services: &Services,
    call: &Call,
    tx: &Tx,
    code: &Challenge<EmailCode>,
    typed: &Code,
    now: Timestamp,
) -> Result<(), Error> {
    if !code.is_live_at(now) {
        return Err(Error::CodeExpired);
    }
    // Codes of many pending authentications of one user share this counter, or each new one would bring five more guesses.
    let (kind, subject) = (ThrottleKind::EmailCode, Subject::user(code.user_id));
    let failures = tx.throttles().find(code.project_id, kind, subject, now).await?;
    if let Some(until) = failures.and_then(|failures| failures.blocked_until(now)) {
        return Err(Error::CodeAttemptsExhausted { retry_after: (until - now).to_std().ok() });
    }
    if !tx.challenges().take_attempt(code.id).await? {
        return Err(Error::CodeAttemptsExhausted { retry_after: None });
    }
    if services.master_key.code_matches(code.id.into(), typed.digits(), &code.detail.code_hash) {
        tx.throttles().forget(code.project_id, kind, subject).await?;
        return Ok(());
    }
    let failures = tx.throttles().count_failure(code.project_id, kind, subject, now).await?;
    let mut events = vec![Event::new(EventKind::EmailCodeFailed, code.project_id).user(code.user_id)];
    if failures.blocked_until(now).is_some() {
        events.push(Event::new(EventKind::ThrottleTripped, code.project_id).user(code.user_id).cause("email_code"));
    }
    services.record(tx, call, now, events).await?;
    match code.attempts_left.saturating_sub(1) {
        0 => Err(Error::CodeAttemptsExhausted { retry_after: None }),
        attempts_left => Err(Error::CodeIncorrect { attempts_left }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_token_nor_code_is_printed() {
        let step = EmailVerification {
            pending_token: "signet_pa_secret".into(),
            code: Code::parse("123456").unwrap(),
            client_context: ClientContext::default(),
        };
        let text = format!("{step:?}");
        assert!(!text.contains("secret") && !text.contains("123456"), "{text}");
    }
}
