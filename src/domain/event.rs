//! What is worth remembering, for an auditor.

/// An enum whose values have a word for the database and a meaning for people: its comment.
macro_rules! words {
    ($(#[$doc:meta])* pub enum $name:ident { $($(#[doc = $meaning:literal])+ $value:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum $name {
            $($(#[doc = $meaning])+ $value,)+
        }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$value,)+];

            /// The word for it in the database, in the API and in logs.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$value => $word,)+
                }
            }

            /// What it means, in a sentence or two.
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$value => concat!($($meaning),+).trim_ascii(),)+
                }
            }
        }
    };
}

mod cause;
mod kind;

use std::net::IpAddr;

pub use self::{cause::Cause, kind::EventKind};
use super::id::{ClientId, EventId, ProjectId, SessionId, UserId};
use crate::clock::Timestamp;

/// Something that happened, and to whom. Never holds a secret.
#[derive(Clone, Debug)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// Project it happened in.
    pub project_id: ProjectId,
    /// User it happened to.
    pub user_id: Option<UserId>,
    /// Client it happened to; else the client that made it happen.
    pub client_id: Option<ClientId>,
    /// Operator that made it happen.
    pub operator_id: Option<ClientId>,
    /// Session it happened to.
    pub session_id: Option<SessionId>,
    /// Why, in a word, where the caller is told less.
    pub cause: Option<Cause>,
    /// Where the end user came from, if the caller said so.
    pub ip_address: Option<IpAddr>,
}

impl Event {
    /// An event of a project.
    pub const fn new(kind: EventKind, project_id: ProjectId) -> Self {
        Self {
            kind,
            project_id,
            user_id: None,
            client_id: None,
            operator_id: None,
            session_id: None,
            cause: None,
            ip_address: None,
        }
    }

    /// Names the user.
    #[must_use]
    pub const fn user(mut self, id: UserId) -> Self {
        self.user_id = Some(id);
        self
    }

    /// Names the client.
    #[must_use]
    pub const fn client(mut self, id: ClientId) -> Self {
        self.client_id = Some(id);
        self
    }

    /// Names the session.
    #[must_use]
    pub const fn session(mut self, id: SessionId) -> Self {
        self.session_id = Some(id);
        self
    }

    /// Tells where the end user came from.
    #[must_use]
    pub const fn ip_address(mut self, address: Option<IpAddr>) -> Self {
        self.ip_address = address;
        self
    }

    /// Gives the cause, one of its kind.
    #[must_use]
    pub fn cause(mut self, cause: Cause) -> Self {
        debug_assert!(self.kind.causes().contains(&cause), "{:?} is no cause of {:?}", cause, self.kind);
        self.cause = Some(cause);
        self
    }
}

/// An event as the audit trail holds it. Another version may have written it, so kind and cause may be unknown words.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RecordedEvent {
    /// Id.
    pub id: EventId,
    /// Where it stands in the stream, from 1; none until it is numbered.
    pub position: Option<i64>,
    /// What happened.
    pub kind: String,
    /// Why.
    pub cause: Option<String>,
    /// Project it happened in.
    pub project_id: ProjectId,
    /// User it happened to.
    pub user_id: Option<UserId>,
    /// Client it happened to; else the client that made it happen.
    pub client_id: Option<ClientId>,
    /// Operator that made it happen.
    pub operator_id: Option<ClientId>,
    /// Session it happened to.
    pub session_id: Option<SessionId>,
    /// Request that made it happen.
    pub request_id: Option<String>,
    /// Where the end user came from, if the caller said so.
    pub ip_address: Option<String>,
    /// When it happened.
    pub created_at: Timestamp,
}

/// A place in the stream, and the event that stands there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EventPlace {
    /// The place, from 1.
    pub position: i64,
    /// The event.
    pub id: EventId,
}
