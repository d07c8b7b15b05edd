//! Applications and back ends of a project.

use super::id::{ClientId, ClientSecretId, ProjectId};
pub use super::token_profile::TokenProfile;
use crate::clock::Timestamp;

/// Kind of a client (RFC 6749, section 2.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ClientType {
    /// Keeps a secret.
    Confidential,
    /// Cannot keep a secret; may call only what an end user may call.
    Public,
}

impl ClientType {
    /// The word for it in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Confidential => "confidential",
            Self::Public => "public",
        }
    }

    /// Reads the word from the database.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Confidential, Self::Public].into_iter().find(|kind| kind.as_str() == word)
    }
}

/// What refresh tokens look like. The rules for them are the same.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum RefreshTokenFormat {
    /// A JWT, for client libraries that read its claims.
    Jwt,
    /// Session, generation and MAC.
    #[default]
    Opaque,
}

impl RefreshTokenFormat {
    /// The word for it in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Jwt => "jwt",
            Self::Opaque => "opaque",
        }
    }

    /// Reads the word from the database.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Jwt, Self::Opaque].into_iter().find(|format| format.as_str() == word)
    }
}

/// Where an application in a browser finds its tokens.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum TokenDelivery {
    /// In the body of the answer.
    #[default]
    Body,
    /// In cookies that scripts cannot read.
    Cookie,
}

impl TokenDelivery {
    /// The word for it in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Body => "body",
            Self::Cookie => "cookie",
        }
    }

    /// Reads the word from the database.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Body, Self::Cookie].into_iter().find(|delivery| delivery.as_str() == word)
    }
}

/// An application or back end of a project.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its id.
    pub id: ClientId,
    /// Its project.
    pub project_id: ProjectId,
    /// Name, for people.
    pub name: String,
    /// Confidential or public.
    pub client_type: ClientType,
    /// What the refresh tokens of its sign-ins look like.
    pub refresh_token_format: RefreshTokenFormat,
    /// What its tokens look like.
    pub token_profile: TokenProfile,
    /// Where its tokens are found.
    pub token_delivery: TokenDelivery,
    /// Time of creation.
    pub created_at: Timestamp,
}

/// A secret of a client, without its value.
#[derive(Clone, Copy, Debug)]
pub struct ClientSecret {
    /// Its id.
    pub id: ClientSecretId,
    /// The client it belongs to.
    pub client_id: ClientId,
    /// Time of creation.
    pub created_at: Timestamp,
}

/// A client that manages projects, and stands outside of all of them. It has one secret.
#[derive(Clone, Debug)]
pub struct Operator {
    /// Its id.
    pub id: ClientId,
    /// Name, for people.
    pub name: String,
    /// Time of creation.
    pub created_at: Timestamp,
}
