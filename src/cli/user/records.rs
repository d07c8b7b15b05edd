//! Users as they are printed, and what is read of them.

use std::error::Error;

use serde::Serialize;

use crate::{
    cli::output::{Record, time},
    domain::{
        identifier::{Identifier, IdentifierKind, ParseIdentifierError},
        text::parse_short,
        user::{User, UserIdentifier},
    },
};

/// A user in a list.
#[derive(Serialize)]
pub(super) struct UserRecord {
    user_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    email_verified: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone_number: Option<String>,
    phone_number_verified: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    given_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    family_name: Option<String>,
    status: &'static str,
    has_password: bool,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_signed_in_at: Option<String>,
}

impl From<User> for UserRecord {
    fn from(user: User) -> Self {
        let known = |kind| user.identifier(kind);
        let display = |known: Option<&UserIdentifier>| known.map(|known| known.identifier.display().to_owned());
        let verified = |known: Option<&UserIdentifier>| known.is_some_and(|known| known.verified_at.is_some());
        Self {
            user_id: user.id.to_string(),
            email: display(known(IdentifierKind::Email)),
            email_verified: verified(known(IdentifierKind::Email)),
            username: display(known(IdentifierKind::Username)),
            phone_number: display(known(IdentifierKind::Phone)),
            phone_number_verified: verified(known(IdentifierKind::Phone)),
            given_name: user.profile.given_name,
            family_name: user.profile.family_name,
            status: user.status.as_str(),
            has_password: user.password.is_some(),
            created_at: time(user.created_at),
            last_signed_in_at: user.last_signed_in_at.map(time),
        }
    }
}

impl Record for UserRecord {
    const HEADINGS: &'static [&'static str] =
        &["user", "status", "email", "verified", "username", "phone", "password", "last sign-in"];

    fn cells(&self) -> Vec<String> {
        let optional = |cell: &Option<String>| cell.clone().unwrap_or_default();
        let yes_no = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
        vec![
            self.user_id.clone(),
            self.status.to_owned(),
            optional(&self.email),
            self.email.as_ref().map(|_| yes_no(self.email_verified)).unwrap_or_default(),
            optional(&self.username),
            optional(&self.phone_number),
            yes_no(self.has_password),
            optional(&self.last_signed_in_at),
        ]
    }
}

/// Reads an identifier of a kind.
pub(super) fn identifier(
    kind: IdentifierKind,
) -> impl Fn(&str) -> Result<Identifier, ParseIdentifierError> + Clone + Send + Sync + 'static {
    move |text| Identifier::parse(kind, text)
}

/// Reads a text of bounded length without control characters. What is meant to be absent is left out.
pub(super) fn short_text(
    bytes_max: usize,
) -> impl Fn(&str) -> Result<String, Box<dyn Error + Send + Sync>> + Clone + Send + Sync + 'static {
    move |text| if text.is_empty() { Err("must not be empty".into()) } else { Ok(parse_short(text, bytes_max)?) }
}
