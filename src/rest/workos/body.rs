//! What bodies hold. Every member is read by its name, so that a wrong one can be named; what is not asked for is not looked at.

use serde_json::{Map, Value};

use super::{refusal, words::Place};
use crate::{
    proto::ClientContext,
    rest::{failure::Refusal, incoming::Incoming},
};

/// A member whose null says something else than its absence.
#[derive(Clone, Debug)]
pub(super) enum Nullable<T> {
    Absent,
    Given(T),
    Null,
}

impl<T> Nullable<T> {
    /// The value; none if it is absent or null.
    pub(super) fn given(self) -> Option<T> {
        match self {
            Self::Given(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }
}

/// The members of a body.
pub(super) struct Body {
    members: Map<String, Value>,
    place: Place,
}

impl Body {
    pub(super) fn of(incoming: &Incoming) -> Result<Self, Refusal> {
        let place = Place::of(&incoming.head);
        let is_form = place == Place::Authenticate && incoming.is_form();
        Ok(Self { members: if is_form { incoming.form()? } else { incoming.json()? }, place })
    }

    /// A string; null is as good as absent.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, Refusal> {
        Ok(self.nullable_text(name)?.given())
    }

    /// A string that has to be there.
    pub(super) fn needed(&self, name: &str) -> Result<String, Refusal> {
        self.text(name)?.ok_or_else(|| self.wrong(name, "string"))
    }

    pub(super) fn nullable_text(&self, name: &str) -> Result<Nullable<String>, Refusal> {
        match self.members.get(name) {
            None => Ok(Nullable::Absent),
            Some(Value::Null) => Ok(Nullable::Null),
            Some(Value::String(text)) => Ok(Nullable::Given(text.clone())),
            Some(_) => Err(self.wrong(name, "string")),
        }
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Refusal> {
        match self.members.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(self.wrong(name, "boolean")),
        }
    }

    /// An object of strings and nulls.
    pub(super) fn nullable_texts(&self, name: &str) -> Result<Nullable<Map<String, Value>>, Refusal> {
        match self.members.get(name) {
            None => Ok(Nullable::Absent),
            Some(Value::Null) => Ok(Nullable::Null),
            Some(Value::Object(object)) if object.values().all(|value| value.is_string() || value.is_null()) => {
                Ok(Nullable::Given(object.clone()))
            }
            Some(_) => Err(self.wrong(name, "object_of_strings")),
        }
    }

    /// The end user's connection, as a back end tells it. Never that of the caller itself.
    pub(super) fn client_context(&self) -> Result<Option<ClientContext>, Refusal> {
        let context = ClientContext {
            ip_address: self.text("ip_address")?.unwrap_or_default(),
            user_agent: self.text("user_agent")?.unwrap_or_default(),
            device_token: String::new(),
        };
        Ok((context != ClientContext::default()).then_some(context))
    }

    fn wrong(&self, name: &str, kind: &str) -> Refusal {
        let article = if kind.starts_with('o') { "an" } else { "a" };
        let message = format!("{name} must be {article} {}.", kind.replace('_', " "));
        if self.place == Place::Authenticate {
            refusal::oauth("invalid_request", &message)
        } else {
            refusal::invalid(&format!("{name}_{kind}_required"), &message)
        }
    }
}
