//! Sending a code again, or for the first time.

use uuid::Uuid;

use super::{Call, Error, Services, email_code};
use crate::{
    clock::Timestamp,
    domain::{
        bucket::{Claimant, Target},
        id::{EmailVerificationId, UserId},
        identifier::IdentifierKind,
        user::User,
    },
};

/// A code on its way.
#[derive(Debug)]
pub struct CodeSent {
    /// Who gets it.
    pub user: User,
    /// By what a back end can read it.
    pub id: EmailVerificationId,
    /// Worthless from then on.
    pub expires_at: Timestamp,
}

/// Mails a new code to the user. It replaces the last one, but not the tries already made.
pub async fn send_email_verification(
    services: &Services,
    call: &Call,
    id: UserId,
    locale: Option<String>,
) -> Result<CodeSent, Error> {
    let (project, now) = (call.project()?, services.clock.now());
    let project_id = project.id;
    let tx = services.store.begin().await?;
    let user = tx.users().lock(project_id, id).await?.ok_or(Error::UserNotFound)?;
    if user.identifier(IdentifierKind::Email).is_none() {
        return Err(Error::EmailMissing);
    }
    let email = user.unverified_email().cloned().ok_or(Error::EmailAlreadyVerified)?;

    let version = user.credential_version();
    // Whoever asks is the back end, not the end user.
    let claimant = Claimant { target: Target::User(id), device: None, ip_address: None, reported_address: None };
    let resend_interval = services.limits.code_resend_interval;
    let letter = email_code::Letter { project, user: &user, email: &email, version, claimant: &claimant, locale };
    let sent = match email_code::renewable_code(&tx, &letter, now).await? {
        None => email_code::send_new(services, call, &tx, &letter, now).await?,
        Some(code) if code.attempts_left == 0 => {
            let wait = (code.expires_at - now).to_std().unwrap_or_default();
            return Err(Error::CodeAttemptsExhausted { retry_after: Some(wait) });
        }
        Some(code) if now < code.issued_at + resend_interval => {
            let wait = (code.issued_at + resend_interval - now).to_std().unwrap_or_default();
            return Err(Error::CodeSentRecently { retry_after: wait });
        }
        Some(code) => email_code::send_again(services, call, &tx, &letter, code, now).await?,
    };
    tx.commit().await?;
    services.mail_waits.notify_one();
    Ok(CodeSent { user, id: Uuid::from(sent.code_id).into(), expires_at: sent.expires_at })
}
