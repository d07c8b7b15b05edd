//! An explained event as it is printed.

use serde::Serialize;

use super::advice::advice;
use crate::{
    cli::output::{Record, time},
    domain::{
        event::{Cause, EventKind},
        identifier::IdentifierKind,
        message::PostedMail,
        user::User,
    },
    usecase::explain_request::ExplainedEvent,
};

/// An event with its meaning.
#[derive(Serialize)]
pub(super) struct EventRecord {
    event_id: String,
    created_at: String,
    kind: String,
    /// What happened, in words.
    what: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
    /// Why, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'static str>,
    /// What an operator can do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    project_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<KnownUser>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operator_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip_address: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    delays: Vec<Delay>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mail: Option<Mail>,
}

/// The user as they are now.
#[derive(Serialize)]
struct KnownUser {
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone_number: Option<String>,
    status: &'static str,
}

#[derive(Serialize)]
struct Delay {
    counter: &'static str,
    until: String,
}

#[derive(Serialize)]
struct Mail {
    recipient: String,
    /// `waiting`, `sent` or `given_up`.
    state: &'static str,
    /// When it was sent or given up, or is tried next.
    at: String,
    attempts: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
}

impl From<ExplainedEvent> for EventRecord {
    fn from(ExplainedEvent { event, user, delays, mail }: ExplainedEvent) -> Self {
        let kind = EventKind::parse(&event.kind);
        let cause = kind.zip(event.cause.as_deref()).and_then(|(kind, word)| kind.parse_cause(word));
        let unknown = "This version does not know what that is; a newer one recorded it.";
        Self {
            event_id: event.id.to_string(),
            created_at: time(event.created_at),
            what: kind.map_or(unknown, EventKind::meaning),
            why: event.cause.is_some().then(|| cause.map_or(unknown, Cause::meaning)),
            next: kind.and_then(|kind| advice(kind, cause, &event)),
            kind: event.kind,
            cause: event.cause,
            project_id: event.project_id.to_string(),
            user_id: event.user_id.map(|id| id.to_string()),
            user: user.map(KnownUser::from),
            client_id: event.client_id.map(|id| id.to_string()),
            operator_id: event.operator_id.map(|id| id.to_string()),
            session_id: event.session_id.map(|id| id.to_string()),
            ip_address: event.ip_address,
            delays: delays.into_iter().map(|(name, at)| Delay { counter: name.as_str(), until: time(at) }).collect(),
            mail: mail.map(Mail::from),
        }
    }
}

impl From<User> for KnownUser {
    fn from(user: User) -> Self {
        let called = |kind| user.identifier(kind).map(|known| known.identifier.display().to_owned());
        Self {
            email: called(IdentifierKind::Email),
            username: called(IdentifierKind::Username),
            phone_number: called(IdentifierKind::Phone),
            status: user.status.as_str(),
        }
    }
}

impl From<PostedMail> for Mail {
    fn from(mail: PostedMail) -> Self {
        let (state, at) = match (mail.sent_at, mail.given_up_at) {
            (Some(at), _) => ("sent", Some(at)),
            (None, Some(at)) => ("given_up", Some(at)),
            (None, None) => ("waiting", mail.next_attempt_at),
        };
        let at = at.map(time).unwrap_or_default();
        Self { recipient: mail.recipient, state, at, attempts: mail.attempts, last_error: mail.last_error }
    }
}

impl Record for EventRecord {
    const HEADINGS: &'static [&'static str] = &[
        "at", "event", "what", "cause", "why", "next", "project", "user", "known as", "client", "operator", "session",
        "address", "slowed", "mail",
    ];

    fn cells(&self) -> Vec<String> {
        let optional = |cell: &Option<String>| cell.clone().unwrap_or_default();
        let known_as = self.user.as_ref().map(KnownUser::line);
        let deleted = || self.user_id.as_ref().map(|_| "nobody any more: the user was deleted".to_owned());
        let delays: Vec<_> =
            self.delays.iter().map(|delay| format!("{} until {}", delay.counter, delay.until)).collect();
        vec![
            self.created_at.clone(),
            self.kind.clone(),
            self.what.to_owned(),
            optional(&self.cause),
            self.why.unwrap_or_default().to_owned(),
            optional(&self.next),
            self.project_id.clone(),
            optional(&self.user_id),
            known_as.or_else(deleted).unwrap_or_default(),
            optional(&self.client_id),
            optional(&self.operator_id),
            optional(&self.session_id),
            optional(&self.ip_address),
            delays.join(", "),
            self.mail.as_ref().map(Mail::line).unwrap_or_default(),
        ]
    }
}

impl KnownUser {
    fn line(&self) -> String {
        let names = [&self.email, &self.username, &self.phone_number].into_iter().flatten();
        let names: Vec<&str> = names.map(String::as_str).collect();
        format!("{} ({})", names.join(", "), self.status)
    }
}

impl Mail {
    fn line(&self) -> String {
        let state = match self.state {
            "sent" => format!("sent {}", self.at),
            "given_up" => format!("given up {}", self.at),
            _ => format!("waits to be sent; next try {}", self.at),
        };
        let error = self.last_error.as_ref().map(|error| format!("; last error: {error}")).unwrap_or_default();
        format!("to {}: {state}, attempts so far: {}{error}", self.recipient, self.attempts)
    }
}
