//! People.

use super::{
    id::{ProjectId, UserId},
    identifier::{Identifier, IdentifierKind},
};
use crate::clock::Timestamp;

/// Longest name part, in bytes.
pub const NAME_BYTES_MAX: usize = 200;
/// Longest language tag, in bytes (RFC 5646, section 4.4.1).
pub const LOCALE_BYTES_MAX: usize = 35;
/// Largest metadata, in bytes of JSON.
pub const METADATA_BYTES_MAX: usize = 16 * 1024;
/// Longest external id, in bytes.
pub const EXTERNAL_ID_BYTES_MAX: usize = 128;
/// Longest URL of a picture, in bytes.
pub const URL_BYTES_MAX: usize = 2048;

/// Whether a user may sign in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum UserStatus {
    /// May sign in.
    Active,
    /// May not.
    Disabled,
}

impl UserStatus {
    /// The word for it in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
        }
    }

    /// Reads the word from the database.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Active, Self::Disabled].into_iter().find(|status| status.as_str() == word)
    }
}

/// An identifier of a user, and whether it is known to be theirs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UserIdentifier {
    /// The identifier.
    pub identifier: Identifier,
    /// When ownership was proved or vouched for.
    pub verified_at: Option<Timestamp>,
}

/// Data of an application: a JSON object.
pub type Metadata = serde_json::Map<String, serde_json::Value>;

/// What an application tells about a user.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    /// Given name.
    pub given_name: Option<String>,
    /// Family name.
    pub family_name: Option<String>,
    /// Middle name.
    pub middle_name: Option<String>,
    /// Full name for display.
    pub display_name: Option<String>,
    /// URL of a picture.
    pub picture_url: Option<String>,
    /// BCP 47 tag of the language.
    pub locale: Option<String>,
    /// Data of the application.
    pub metadata: Metadata,
    /// Data that the user's own application writes.
    pub untrusted_metadata: Metadata,
}

/// What is known of a password without looking at it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PasswordState {
    /// Goes up with each new password, not with a new hash of the same one.
    pub version: i32,
    /// It has to be changed before the next sign-in.
    pub must_change: bool,
    /// When it was set.
    pub updated_at: Timestamp,
}

/// A person of a project.
#[derive(Clone, Debug)]
pub struct User {
    /// Id.
    pub id: UserId,
    /// Project.
    pub project_id: ProjectId,
    /// At most one of each kind.
    pub identifiers: Vec<UserIdentifier>,
    /// Name, language, metadata.
    pub profile: Profile,
    /// Whether they may sign in.
    pub status: UserStatus,
    /// What the application calls them.
    pub external_id: Option<String>,
    /// What is known of the password; none without one.
    pub password: Option<PasswordState>,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
    /// Time of the last completed sign-in.
    pub last_signed_in_at: Option<Timestamp>,
}

impl User {
    /// Version of the password; 0 if there is none.
    pub fn credential_version(&self) -> i32 {
        self.password.map_or(0, |password| password.version)
    }

    /// The identifier of a kind, if there is one.
    pub fn identifier(&self, kind: IdentifierKind) -> Option<&UserIdentifier> {
        self.identifiers.iter().find(|known| known.identifier.kind() == kind)
    }

    /// The email address, if there is one that is not verified.
    pub fn unverified_email(&self) -> Option<&Identifier> {
        self.identifier(IdentifierKind::Email)
            .filter(|email| email.verified_at.is_none())
            .map(|email| &email.identifier)
    }

    /// True if they may sign in.
    pub fn is_active(&self) -> bool {
        self.status == UserStatus::Active
    }
}
