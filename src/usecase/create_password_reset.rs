//! A password reset that a trusted back end starts, and gets the token of.

use chrono::Duration;
use secrecy::SecretString;
use url::Url;
use uuid::Uuid;

use super::{
    Call, Error, Services, counters,
    new_password_reset::{Kept, NewReset, with_token},
    post_mail,
    start_password_reset::has_email,
};
use crate::{
    clock::Timestamp,
    crypto::secret_token::{PlainSecret, SecretKind},
    domain::{
        bucket::{Claimant, Guarded, Target},
        challenge::ResetLifetime,
        client_context::ClientContext,
        event::{Event, EventKind},
        id::{PasswordResetId, UserId},
        identifier::Identifier,
        project::{Project, URI_BYTES_MAX},
        user::User,
    },
};

/// A reset that a back end wants.
#[derive(Debug)]
pub struct CreatePasswordReset {
    /// Email address of the user.
    pub email: Identifier,
    /// Page that the link leads to, with any query; the project's first if none is named.
    pub page: Option<String>,
    /// How long it shall be good; as usual if unset.
    pub lifetime: Option<ResetLifetime>,
    /// Language of the mail.
    pub locale: Option<String>,
    /// Send no mail.
    pub without_mail: bool,
    /// The end user's connection.
    pub client_context: ClientContext,
}

/// A reset on its way. Its token opens it: never printed.
#[derive(Debug)]
pub struct ResetOnItsWay {
    /// Its id.
    pub id: PasswordResetId,
    /// Whose it is.
    pub user_id: UserId,
    /// Canonical address.
    pub email: String,
    /// The token.
    pub token: SecretString,
    /// The page with the token, if there is a page.
    pub link: Option<SecretString>,
    /// Worthless from then on.
    pub expires_at: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Makes a reset for the user with that address; whether there is one shows in the answer. A disabled one counts as none, as the reset
/// could not be completed.
pub async fn create_password_reset(
    services: &Services,
    call: &Call,
    request: CreatePasswordReset,
) -> Result<ResetOnItsWay, Error> {
    let (caller, now) = (call.client()?, services.clock.now());
    let (project, project_id) = (&caller.project, caller.project_id());
    let token = PlainSecret::generate(SecretKind::PasswordReset, &services.random);
    let page = page(project, request.page.as_deref())?;
    let link = page.map(|page| with_token(page, &token));
    let sends_mail = !request.without_mail && !project.settings.application_sends_mail;
    if sends_mail && link.is_none() {
        // There is nothing that the mail could lead to.
        return Err(Error::PasswordResetUrlNotAllowed);
    }
    let expires_at = now + request.lifetime.map_or(services.limits.password_reset_lifetime, Duration::from);

    let tx = services.store.begin().await?;
    let user = tx.users().find_by_identifier(project_id, &request.email).await?.ok_or(Error::UserNotFound)?;
    let user = tx.users().lock(project_id, user.id).await?.filter(User::is_active).ok_or(Error::UserNotFound)?;
    if !has_email(&user, request.email.canonical()) {
        return Err(Error::UserNotFound);
    }
    let version = user.credential_version();
    if !request.without_mail {
        let address = request.client_context.ip_address;
        let claimant = Claimant {
            target: Target::User(user.id),
            device: None,
            ip_address: counters::believed_address(caller, address),
            reported_address: address,
        };
        let counted = (project_id, &claimant, Guarded::PasswordResetMail);
        if let Some(until) = counters::count_mail(services, call, &tx, counted, now).await? {
            return Err(Error::CodeSentRecently { retry_after: (until - now).to_std().unwrap_or_default() });
        }
    }
    let new = NewReset {
        project,
        user: &user,
        version,
        email: &request.email,
        token: &token,
        link: link.as_deref(),
        code: None,
        validity: now..expires_at,
    };
    let id = new.write(services, &tx).await?;
    if sends_mail {
        let message = new.message(request.locale);
        post_mail::post(services, &tx, project, &user, &request.email, &message, now..expires_at).await?;
    }
    let started = Event::new(EventKind::PasswordResetStarted, project_id).user(user.id);
    services.record(&tx, call, now, [started.ip_address(request.client_context.ip_address)]).await?;
    tx.commit().await?;
    services.mail_waits.notify_one();
    Ok(ResetOnItsWay {
        id: Uuid::from(id).into(),
        user_id: user.id,
        email: request.email.canonical().to_owned(),
        token: token.expose().into(),
        link: link.map(Into::into),
        expires_at,
        created_at: now,
    })
}

/// The page that was asked for, which may have any query, if the project allows it; its first if none is named.
fn page(project: &Project, asked: Option<&str>) -> Result<Option<Url>, Error> {
    let mut pages = project.settings.password_reset_urls.iter().filter_map(|page| Url::parse(page).ok());
    let Some(asked) = asked else { return Ok(pages.next()) };
    let bare = |mut page: Url| {
        page.set_query(None);
        page
    };
    let asked = Some(asked).filter(|asked| asked.len() <= URI_BYTES_MAX).and_then(|asked| Url::parse(asked).ok());
    let asked = asked.ok_or(Error::PasswordResetUrlNotAllowed)?;
    let wanted = bare(asked.clone());
    if pages.any(|page| bare(page) == wanted) { Ok(Some(asked)) } else { Err(Error::PasswordResetUrlNotAllowed) }
}

/// Reads a reset that a back end started, or that is completed by a link, while it can be completed.
pub async fn get_password_reset(services: &Services, call: &Call, id: PasswordResetId) -> Result<ResetOnItsWay, Error> {
    let (project_id, now) = (call.project()?.id, services.clock.now());
    let reset = services.store.view().challenges().reset(project_id, Uuid::from(id).into()).await?;
    let reset = reset.filter(|reset| reset.is_live_at(now)).ok_or(Error::PasswordResetNotFound)?;
    let kept = Kept::open(services, reset.id, reset.detail.sealed.as_deref().ok_or(Error::PasswordResetNotFound)?)?;
    Ok(ResetOnItsWay {
        id,
        user_id: reset.user_id,
        email: reset.detail.email.ok_or(Error::PasswordResetNotFound)?,
        token: kept.token,
        link: kept.link.map(Into::into),
        expires_at: reset.expires_at,
        created_at: reset.issued_at,
    })
}
