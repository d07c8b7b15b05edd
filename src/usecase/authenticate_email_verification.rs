//! The second step of a sign-in whose email address was not verified: pending token and code in, session out.

use secrecy::{ExposeSecret as _, SecretString};

use super::{
    Call, Error, Services, SignedIn,
    complete_sign_in::{Completion, complete_sign_in},
    counters::{self, event_of},
    email_code,
};
use crate::{
    clock::Timestamp,
    crypto::{
        project_keys::ProjectKeys,
        secret_token::{PlainSecret, SecretKind},
    },
    domain::{
        bucket::{Claimant, Target},
        caller::ClientCaller,
        challenge::{Challenge, CountedAs, PendingAuthentication},
        client_context::EndUser,
        code::Code,
        event::{Cause, Event, EventKind},
        identifier::IdentifierKind,
        session::AuthenticationMethod,
        user::User,
    },
    store::Tx,
};

/// The second step.
#[derive(Debug)]
pub struct EmailVerification {
    /// Token of the first step.
    pub pending_token: SecretString,
    /// The digits from the mail.
    pub code: Code,
    /// The end user, if they are known anew.
    pub end_user: EndUser,
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
    let claimant = claimant(services, caller, &keys, &pending, &request.end_user, now);
    let user = match still_valid(services, &tx, caller, &pending, now).await? {
        Ok(user) => user,
        Err(cause) => {
            // Whoever comes with such a token has known the password: no stranger fills the audit trail like that.
            let failed = event_of(EventKind::PendingAuthenticationFailed, caller.project_id(), &claimant).cause(cause);
            services.record(&tx, call, now, [failed]).await?;
            tx.commit().await?;
            return Err(Error::PendingAuthenticationInvalid);
        }
    };
    let code = tx.challenges().code(pending.detail.code_id).await?.ok_or(Error::PendingAuthenticationInvalid)?;
    if let Err(error) = email_code::check(services, call, &tx, (&code, &claimant), &request.code, now).await {
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
        credential_version: pending.credential_version,
        methods: vec![AuthenticationMethod::Password, AuthenticationMethod::EmailCode],
        wishes: pending.detail.wishes,
        client_context: request.end_user.context.or(pending.detail.client_context),
        device: claimant.device,
    };
    let completed =
        complete_sign_in(services, call, caller, &tx, completion, now).await.map_err(|error| match error {
            // The session that the first step would join.
            Error::SessionNotActive => Error::PendingAuthenticationInvalid,
            error => error,
        })?;
    tx.commit().await?;
    completed.sign(services)
}

/// Who takes the second step: on the device of the first one, if that was known.
fn claimant(
    services: &Services,
    caller: &ClientCaller,
    keys: &ProjectKeys,
    pending: &Challenge<PendingAuthentication>,
    end_user: &EndUser,
    now: Timestamp,
) -> Claimant {
    let target = (Target::User(pending.user_id), pending.credential_version);
    let now_known = counters::claimant_with(keys, &services.limits, caller, target, end_user, now);
    let device = now_known.device.or(pending.detail.counted.device);
    let reported_address = now_known.reported_address.or(pending.detail.client_context.ip_address);
    let ip_address = counters::believed_address(caller, reported_address);
    Claimant { device, ip_address, reported_address, ..now_known }
}

/// The user, if nothing happened since the first step that makes it worthless, which is told else: time, another client, a new
/// password, a disabled or slowed-down user.
async fn still_valid(
    services: &Services,
    tx: &Tx,
    caller: &ClientCaller,
    pending: &Challenge<PendingAuthentication>,
    now: Timestamp,
) -> Result<Result<User, Cause>, Error> {
    if !pending.is_live_at(now) {
        return Ok(Err(Cause::Expired));
    }
    if pending.detail.client_id != caller.client.id {
        return Ok(Err(Cause::OtherClient));
    }
    let project_id = caller.project_id();
    let Some(user) = tx.users().lock(project_id, pending.user_id).await? else {
        // Deleted a moment ago, and the pending authentication with them.
        return Err(Error::PendingAuthenticationInvalid);
    };
    let version = user.credential_version();
    // One that has to be changed signs nobody in, by whatever way.
    let must_change = user.password.is_some_and(|known| known.must_change);
    let CountedAs { guarded, device } = pending.detail.counted;
    let first_step = Claimant { target: Target::User(user.id), device, ip_address: None, reported_address: None };
    let slowed_down = counters::is_slowed_down(services, tx, project_id, (&first_step, guarded), now).await?;
    let faults = [
        (!user.is_active(), Cause::UserDisabled),
        (version != pending.credential_version, Cause::PasswordChanged),
        (must_change, Cause::PasswordChange),
        (slowed_down, Cause::Throttled),
    ];
    Ok(faults.into_iter().find(|(applies, _)| *applies).map_or(Ok(user), |(_, cause)| Err(cause)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::code::VERIFICATION_DIGITS;

    #[test]
    fn neither_token_nor_code_is_printed() {
        let step = EmailVerification {
            pending_token: "signet_pa_secret".into(),
            code: Code::parse("123456", VERIFICATION_DIGITS).unwrap(),
            end_user: EndUser::default(),
        };
        let text = format!("{step:?}");
        assert!(!text.contains("secret") && !text.contains("123456"), "{text}");
    }
}
