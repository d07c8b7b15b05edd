//! Verifying an address with its code, without a sign-in.

use secrecy::SecretString;
use uuid::Uuid;

use super::{Call, Error, Services, email_code};
use crate::{
    clock::Timestamp,
    crypto::master_key::Purpose,
    domain::{
        bucket::{Claimant, Target},
        code::Code,
        event::{Event, EventKind},
        id::{EmailVerificationId, UserId},
        identifier::IdentifierKind,
        user::User,
    },
};

/// Verifies the user's address. The code is used up, and with it every sign-in that waited for it: the next one has no second step
/// any more.
pub async fn confirm_email_verification(
    services: &Services,
    call: &Call,
    id: UserId,
    typed: &Code,
) -> Result<User, Error> {
    let (project, now) = (call.project()?, services.clock.now());
    let tx = services.store.begin().await?;
    let mut user = tx.users().lock(project.id, id).await?.ok_or(Error::UserNotFound)?;
    if user.identifier(IdentifierKind::Email).is_none() {
        return Err(Error::EmailMissing);
    }
    let email = user.unverified_email().cloned().ok_or(Error::EmailAlreadyVerified)?;
    let version = user.credential_version();
    // Whoever asks is the back end, not the end user.
    let claimant = Claimant { target: Target::User(id), device: None, ip_address: None, reported_address: None };
    let letter = email_code::Letter { project, user: &user, email: &email, version, claimant: &claimant, locale: None };
    // None, or one for another address or from before a new password: nothing that could still be redeemed.
    let code = email_code::last_code(&tx, &letter).await?.ok_or(Error::CodeExpired)?;
    if let Err(error) = email_code::check(services, call, &tx, (&code, &claimant), typed, now).await {
        // A wrong guess is written down, or it would be free.
        tx.commit().await?;
        return Err(error);
    }
    // The user's row is held: nobody else can have used it up.
    tx.challenges().consume(code.id).await?;
    tx.users().verify_identifier(id, &email, now).await?;
    services.record(&tx, call, now, [Event::new(EventKind::EmailVerified, project.id).user(id)]).await?;
    tx.commit().await?;
    for known in &mut user.identifiers {
        if known.identifier.kind() == IdentifierKind::Email {
            known.verified_at = Some(now);
        }
    }
    Ok(user)
}

/// A code on its way. Never printed.
#[derive(Debug)]
pub struct CodeOnItsWay {
    /// Whose it is.
    pub user_id: UserId,
    /// Canonical address it goes to.
    pub email: String,
    /// The digits.
    pub code: SecretString,
    /// Worthless from then on.
    pub expires_at: Timestamp,
    /// When it was made, or sent again.
    pub created_at: Timestamp,
}

/// Reads a code that can be redeemed, for a back end that mails it itself.
pub async fn get_email_verification(
    services: &Services,
    call: &Call,
    id: EmailVerificationId,
) -> Result<CodeOnItsWay, Error> {
    let (project_id, now) = (call.project()?.id, services.clock.now());
    let code = services.store.view().challenges().code_on_its_way(project_id, Uuid::from(id).into()).await?;
    let code = code.filter(|code| code.is_live_at(now)).ok_or(Error::EmailVerificationNotFound)?;
    let sealed = code.detail.sealed.as_deref().ok_or(Error::EmailVerificationNotFound)?;
    let opened = services.master_key.open(Purpose::EmailCode, id.into(), sealed);
    let opened = opened.map_err(|error| Error::Internal(Box::new(error)))?;
    let digits = std::str::from_utf8(&opened).map_err(|error| Error::Internal(Box::new(error)))?;
    Ok(CodeOnItsWay {
        user_id: code.user_id,
        email: code.detail.email,
        code: digits.into(),
        expires_at: code.expires_at,
        created_at: code.issued_at,
    })
}
