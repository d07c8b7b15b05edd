//! Six-digit codes on their way to an email address.

use uuid::Uuid;

use super::{Call, Error, Services};
use crate::{
    clock::Timestamp,
    crypto::master_key::Purpose,
    domain::{
        challenge::{ATTEMPTS_MAX, CODE_DIGITS, Challenge, EmailCode, LIFETIME},
        event::{Event, EventKind},
        id::{ChallengeId, MailId},
        identifier::Identifier,
        message::Message,
        project::Project,
        user::User,
    },
    store::{NewMail, Tx},
};

/// Who gets a code, and where.
pub(super) struct Letter<'a> {
    pub(super) project: &'a Project,
    pub(super) user: &'a User,
    pub(super) email: &'a Identifier,
    /// Version of the user's credential.
    pub(super) version: i32,
    /// Language, if the caller asked for one.
    pub(super) locale: Option<String>,
}

/// Makes a code and puts its mail into the outbox; says when the code expires.
pub(super) async fn send_new(
    services: &Services,
    call: &Call,
    tx: &Tx,
    letter: &Letter<'_>,
    pending_id: Option<ChallengeId>,
    now: Timestamp,
) -> Result<Timestamp, Error> {
    let (id, digits) = (ChallengeId::generate(now, &services.random), digits(services));
    let code = Challenge {
        id,
        project_id: letter.project.id,
        user_id: letter.user.id,
        credential_version: letter.version,
        attempts_left: ATTEMPTS_MAX,
        issued_at: now,
        expires_at: now + LIFETIME,
        detail: EmailCode {
            pending_id,
            email: letter.email.canonical().to_owned(),
            code_hash: services.master_key.hash_code(id.into(), &digits),
        },
    };
    tx.challenges().insert_code(&code).await?;
    post(services, call, tx, letter, digits, now).await?;
    Ok(code.expires_at)
}

/// Replaces the digits of a code; the tries already made still count.
pub(super) async fn send_again(
    services: &Services,
    call: &Call,
    tx: &Tx,
    letter: &Letter<'_>,
    mut code: Challenge<EmailCode>,
    now: Timestamp,
) -> Result<Timestamp, Error> {
    let digits = digits(services);
    code.detail.code_hash = services.master_key.hash_code(code.id.into(), &digits);
    code.issued_at = now;
    code.expires_at = now + LIFETIME;
    tx.challenges().replace_code(&code).await?;
    post(services, call, tx, letter, digits, now).await?;
    Ok(code.expires_at)
}

fn digits(services: &Services) -> String {
    (0..CODE_DIGITS).map(|_| char::from_digit(services.random.below(10), 10).unwrap_or('0')).collect()
}

async fn post(
    services: &Services,
    call: &Call,
    tx: &Tx,
    letter: &Letter<'_>,
    code: String,
    now: Timestamp,
) -> Result<(), Error> {
    let message = Message::EmailVerificationCode {
        code,
        project_name: letter.project.name.clone(),
        valid_minutes: LIFETIME.num_minutes(),
        locale: letter.locale.clone().or_else(|| letter.user.profile.locale.clone()),
    };
    let json = serde_json::to_vec(&message).map_err(|error| Error::Internal(Box::new(error)))?;
    let json = zeroize::Zeroizing::new(json);
    let id = MailId::generate(now, &services.random);
    let mail = NewMail {
        id,
        project_id: letter.project.id,
        user_id: Some(letter.user.id),
        // Not the spelling as given: another spelling may be another mailbox, and this one is what gets verified.
        recipient: letter.email.canonical().to_owned(),
        sealed: services.master_key.seal(Purpose::Mail, Uuid::from(id), &json, &services.random),
        expires_at: now + LIFETIME,
        now,
    };
    tx.outbox().push(mail).await?;
    let event = Event::new(EventKind::EmailCodeSent, letter.project.id).user(letter.user.id);
    services.record(tx, call, now, [event]).await
}
