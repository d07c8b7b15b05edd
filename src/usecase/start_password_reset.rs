//! The first step of a password reset: a link or a code on its way to an email address.

use secrecy::SecretString;
use url::Url;

use super::{
    Call, Error, Services, counters,
    new_password_reset::{NewReset, with_token},
    post_mail,
    stand_in::StandIn,
};
use crate::{
    clock::Timestamp,
    crypto::secret_token::{PlainSecret, SecretKind},
    domain::{
        bucket::{Guarded, Nobody, Target},
        client_context::EndUser,
        code::{Code, RESET_DIGITS},
        event::{Cause, Event, EventKind},
        id::{ProjectId, UserId},
        identifier::{Identifier, IdentifierKind},
        project::Project,
        user::User,
    },
    store::Tx,
};

/// What to mail.
#[derive(Clone, Debug)]
pub enum ResetMethod {
    /// Eight digits.
    Code,
    /// A link.
    Link {
        /// Page it leads to; the project's first if none is named.
        page: Option<String>,
    },
}

/// Somebody who cannot sign in.
#[derive(Debug)]
pub struct StartPasswordReset {
    /// Their email address.
    pub email: Identifier,
    /// What to mail.
    pub method: ResetMethod,
    /// Language of the mail.
    pub locale: Option<String>,
    /// The end user.
    pub end_user: EndUser,
}

/// What is told of a reset that was started, or was not: the same.
#[derive(Debug)]
pub struct PasswordResetStarted {
    /// Belongs to the code; none for a link, which holds it.
    pub token: Option<SecretString>,
    /// Code or link are worthless from then on.
    pub expires_at: Timestamp,
}

/// Who gets the mail.
struct Recipient {
    user: User,
    version: i32,
}

/// Mails what sets a new password to the owner of an address. Whoever calls learns nothing of whether there is one.
pub async fn start_password_reset(
    services: &Services,
    call: &Call,
    request: StartPasswordReset,
) -> Result<PasswordResetStarted, Error> {
    let (caller, now) = (call.client()?, services.clock.now());
    let project = &caller.project;
    let token = PlainSecret::generate(SecretKind::PasswordReset, &services.random);
    let (link, lifetime) = match &request.method {
        ResetMethod::Code => (None, services.limits.code_lifetime),
        ResetMethod::Link { page } => {
            (Some(link(project, page.as_deref(), &token)?), services.limits.password_reset_lifetime)
        }
    };
    let expires_at = now + lifetime;
    let answer = PasswordResetStarted { token: link.is_none().then(|| token.expose().into()), expires_at };

    // Before the transaction, for the same reason as at a sign-in.
    let keys = services.key_ring.keys(&services.store, project.id, now).await?;
    let tx = services.store.begin().await?;
    let stand_in = StandIn::of(project.id, services, now);
    let account = tx.credentials().find_account(project.id, &request.email).await?;
    let version = account.as_ref().and_then(|known| known.credential.as_ref()).map_or(0, |known| known.version);
    let account = account.map(|account| account.user_id);
    let recipient = match account {
        Some(user_id) => recipient(&tx, project.id, user_id, &request.email).await?,
        None => stand_in.look_for(&tx).await.map(|()| Err(Cause::UnknownUser))?,
    };
    let target = account.map_or_else(|| Target::Unknown(Nobody::from(&request.email)), Target::User);
    let claimant = counters::claimant_with(&keys, &services.limits, caller, (target, version), &request.end_user, now);
    // Anybody can ask for a mail, and must not fill a stranger's mailbox.
    let counted = (project.id, &claimant, Guarded::PasswordResetMail);
    let outcome = if counters::count_mail(services, call, &tx, counted, now).await?.is_none() {
        match recipient {
            Ok(recipient) => {
                let Recipient { user, version } = &recipient;
                let code = link.is_none().then(|| Code::generate(RESET_DIGITS, &services.random));
                let new = NewReset {
                    project,
                    user,
                    version: *version,
                    email: &request.email,
                    token: &token,
                    link: link.as_deref(),
                    code,
                    validity: now..expires_at,
                };
                let message = new.message(request.locale.clone());
                new.write(services, &tx).await?;
                post_mail::post(services, &tx, project, user, &request.email, &message, new.validity).await?;
                Ok(())
            }
            Err(cause) => {
                stand_in.send_reset(&tx, !project.settings.application_sends_mail).await.map(|()| Err(cause))?
            }
        }
    } else {
        Err(Cause::Throttled)
    };

    let mut event = match outcome {
        Ok(()) => Event::new(EventKind::PasswordResetStarted, project.id),
        Err(cause) => Event::new(EventKind::PasswordResetFailed, project.id).cause(cause),
    };
    event.user_id = account;
    services.record(&tx, call, now, [event.ip_address(request.end_user.context.ip_address)]).await?;
    tx.commit().await?;
    services.mail_waits.notify_one();
    Ok(answer)
}

/// The page of the project with the token. Nothing of the request is in it, but the choice among the project's pages.
fn link(project: &Project, page: Option<&str>, token: &PlainSecret) -> Result<String, Error> {
    let pages = &project.settings.password_reset_urls;
    let page = match page {
        None => pages.first(),
        Some(page) => pages.iter().find(|allowed| *allowed == page),
    };
    let page = page.ok_or(Error::PasswordResetUrlNotAllowed)?;
    let page = Url::parse(page).map_err(|error| Error::Internal(Box::new(error)))?;
    Ok(with_token(page, token))
}

/// Holds the user; says why they get no mail, if so.
async fn recipient(
    tx: &Tx,
    project_id: ProjectId,
    user_id: UserId,
    email: &Identifier,
) -> Result<Result<Recipient, Cause>, Error> {
    let user = tx.users().lock(project_id, user_id).await?;
    // Deleted, or called something else, since the look-up.
    let Some(user) = user.filter(|user| has_email(user, email.canonical())) else { return Ok(Err(Cause::UnknownUser)) };
    let version = user.credential_version();
    Ok(if user.is_active() { Ok(Recipient { user, version }) } else { Err(Cause::UserDisabled) })
}

/// True if that is the user's email address.
pub(super) fn has_email(user: &User, canonical: &str) -> bool {
    user.identifier(IdentifierKind::Email).is_some_and(|email| email.identifier.canonical() == canonical)
}
