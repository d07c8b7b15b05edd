//! A code on its way to an address that a signed-in user gives as theirs.

use secrecy::SecretString;
use uuid::Uuid;

use super::{
    Call, Error, Services,
    change_password::{check_recent, is_called, stands_for},
    counters, email_code, post_mail,
    refresh_tokens::read_refresh_token,
};
use crate::{
    clock::Timestamp,
    domain::{
        bucket::{Claimant, Guarded, Nobody, Target},
        caller::ClientCaller,
        challenge::{Challenge, EmailChange},
        client_context::ClientContext,
        code::{Code, VERIFICATION_DIGITS},
        event::{Event, EventKind},
        id::{ChallengeId, EmailVerificationId, SessionId},
        identifier::{Identifier, IdentifierKind},
        limits::Limits,
        message::Message,
        user::User,
    },
    store::Tx,
};

/// Somebody who is signed in and gives an address as theirs.
#[derive(Debug)]
pub struct StartEmailChange {
    /// A refresh token of their session.
    pub refresh_token: SecretString,
    /// The address.
    pub email: Identifier,
    /// What the application calls them, if it says so.
    pub login_id: Option<Identifier>,
    /// Language of the mail.
    pub locale: Option<String>,
    /// The end user's connection.
    pub client_context: ClientContext,
}

/// A code that is on its way.
#[derive(Debug)]
pub struct EmailChangeStarted {
    /// By what a back end can read it.
    pub id: EmailVerificationId,
    /// Canonical address it goes to.
    pub email: String,
    /// Worthless from then on.
    pub expires_at: Timestamp,
    /// Wrong tries that it allows.
    pub attempts_left: u32,
}

/// Mails a code to the address; the user's code before it is worthless from then on.
pub async fn start_email_change(
    services: &Services,
    call: &Call,
    request: StartEmailChange,
) -> Result<EmailChangeStarted, Error> {
    let (caller, now) = (call.client()?, services.clock.now());
    let project_id = caller.project_id();
    let (grant, _) = read_refresh_token(services, caller, &request.refresh_token, now).await?;

    let tx = services.store.begin().await?;
    let session = stands_for(caller, tx.sessions().find(project_id, grant.session_id).await?, grant, now)?;
    let user = tx.users().lock(project_id, session.user_id).await?;
    let user = user.filter(User::is_active).ok_or(Error::SessionNotActive)?;
    // Again, now that nobody else ends the user's sessions.
    stands_for(caller, tx.sessions().find(project_id, grant.session_id).await?, grant, now)?;
    check_recent(&session, now)?;
    if request.login_id.as_ref().is_some_and(|login_id| !is_called(&user, login_id)) {
        return Err(Error::TokenInvalid);
    }
    let attempts_left = attempts_left(&services.limits, tx.challenges().change_of(user.id).await?, now)?;
    count_mails(services, call, caller, &tx, (&user, &request), now).await?;
    if let Err(taken) = check_free(&tx, &user, &request.email, "email").await {
        // Counted like a mail, or anybody could find out without limit which addresses are taken.
        tx.commit().await?;
        return Err(taken);
    }
    let change = send(services, &tx, caller, (&user, session.id, attempts_left), &request, now).await?;
    let sent = Event::new(EventKind::EmailCodeSent, project_id).user(user.id).session(session.id);
    services.record(&tx, call, now, [sent.ip_address(request.client_context.ip_address)]).await?;
    tx.commit().await?;
    services.mail_waits.notify_one();
    Ok(EmailChangeStarted {
        id: Uuid::from(change.id).into(),
        email: change.detail.email,
        expires_at: change.expires_at,
        attempts_left: change.attempts_left,
    })
}

/// How many wrong tries the next code allows. It takes over what is left of the one before, as long as failures are remembered:
/// whoever signs in could else start again and again, and guess at each code anew. Once none are left there is no next code until
/// they are forgotten.
fn attempts_left(limits: &Limits, last: Option<Challenge<EmailChange>>, now: Timestamp) -> Result<u32, Error> {
    let Some(last) = last else { return Ok(limits.code_attempts) };
    let forgotten_at = last.issued_at + limits.memory;
    let rests_until = last.issued_at + limits.code_resend_interval;
    let until = if last.attempts_left == 0 { forgotten_at.max(rests_until) } else { rests_until };
    if now < until {
        return Err(Error::CodeSentRecently { retry_after: (until - now).to_std().unwrap_or_default() });
    }
    Ok(if now < forgotten_at { last.attempts_left.min(limits.code_attempts) } else { limits.code_attempts })
}

/// Refuses an address that is another user's. Whether that one has verified it does not matter: taking it away would leave them
/// without the name they sign in with.
pub(super) async fn check_free(tx: &Tx, user: &User, email: &Identifier, field: &str) -> Result<(), Error> {
    let owner = tx.users().find_by_identifier(user.project_id, email).await?;
    if owner.is_some_and(|owner| owner.id != user.id) { Err(taken(field)) } else { Ok(()) }
}

pub(super) fn taken(field: &str) -> Error {
    Error::IdentifierTaken { what: IdentifierKind::Email.as_str(), field: field.to_owned() }
}

/// Counts the mail on the user, and on the address if it is not theirs: many users could else fill a stranger's mailbox together.
async fn count_mails(
    services: &Services,
    call: &Call,
    caller: &ClientCaller,
    tx: &Tx,
    (user, request): (&User, &StartEmailChange),
    now: Timestamp,
) -> Result<(), Error> {
    let reported_address = request.client_context.ip_address;
    let ip_address = counters::believed_address(caller, reported_address);
    let by_user = Claimant { target: Target::User(user.id), device: None, ip_address, reported_address };
    let is_theirs = is_called(user, &request.email);
    let stranger = Target::Unknown(Nobody::from(&request.email));
    let by_address = (!is_theirs).then(|| Claimant { target: stranger, ip_address: None, ..by_user.clone() });
    for claimant in std::iter::once(&by_user).chain(&by_address) {
        let counted = (user.project_id, claimant, Guarded::CodeMail);
        if let Some(until) = counters::count_mail(services, call, tx, counted, now).await? {
            return Err(Error::CodeSentRecently { retry_after: (until - now).to_std().unwrap_or_default() });
        }
    }
    Ok(())
}

/// Writes the code and its mail.
async fn send(
    services: &Services,
    tx: &Tx,
    caller: &ClientCaller,
    (user, session_id, attempts_left): (&User, SessionId, u32),
    request: &StartEmailChange,
    now: Timestamp,
) -> Result<Challenge<EmailChange>, Error> {
    let (project, id) = (&caller.project, ChallengeId::generate(now, &services.random));
    let digits = Code::generate(VERIFICATION_DIGITS, &services.random);
    let change = Challenge {
        id,
        project_id: project.id,
        user_id: user.id,
        credential_version: user.credential_version(),
        attempts_left,
        issued_at: now,
        expires_at: now + services.limits.code_lifetime,
        detail: EmailChange {
            email: request.email.canonical().to_owned(),
            session_id,
            code_hash: services.master_key.hash_code(id.into(), digits.expose()),
            sealed: email_code::seal(services, id, &digits),
        },
    };
    tx.challenges().replace_change(&change).await?;
    let message = Message::EmailVerificationCode {
        code: digits.expose().to_owned(),
        project_name: project.name.clone(),
        valid_minutes: services.limits.code_lifetime.num_minutes(),
        locale: request.locale.clone().or_else(|| user.profile.locale.clone()),
    };
    post_mail::post(services, tx, project, user, &request.email, &message, now..change.expires_at).await?;
    Ok(change)
}
