//! Mails on their way into the outbox.

use std::ops::Range;

use tracing::Span;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{Error, Services};
use crate::{
    clock::Timestamp,
    crypto::master_key::Purpose,
    domain::{id::MailId, identifier::Identifier, message::Message, project::Project, user::User},
    store::{NewMail, Tx},
    trace_context,
};

/// Puts a mail to one of the user's addresses into the outbox, in the transaction of what it tells about. What it says is
/// encrypted: it holds a secret. `validity` is from now until the mail is pointless. Wake the worker after the commit. Where the
/// project's back ends send their mails themselves, this sends none.
pub(super) async fn post(
    services: &Services,
    tx: &Tx,
    project: &Project,
    user: &User,
    address: &Identifier,
    message: &Message,
    validity: Range<Timestamp>,
) -> Result<(), Error> {
    if project.settings.application_sends_mail {
        return Ok(());
    }
    let json = serde_json::to_vec(message).map_err(|error| Error::Internal(Box::new(error)))?;
    let (now, json) = (validity.start, Zeroizing::new(json));
    let id = MailId::generate(now, &services.random);
    let mail = NewMail {
        id,
        project_id: user.project_id,
        user_id: Some(user.id),
        // Not the spelling as given: another spelling may be another mailbox, and this one is what gets verified.
        recipient: address.canonical().to_owned(),
        sealed: services.master_key.seal(Purpose::Mail, Uuid::from(id), &json, &services.random),
        expires_at: validity.end,
        now,
        traceparent: trace_context::traceparent(&Span::current()),
    };
    Ok(tx.outbox().push(mail).await?)
}
