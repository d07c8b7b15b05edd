//! Which users to list.

use super::{id::UserId, identifier::Identifier, user::UserStatus};
use crate::clock::Timestamp;

/// Most values of one member.
pub const VALUES_MAX: usize = 100;
/// Longest text to look for, in bytes.
pub const TEXT_BYTES_MAX: usize = 100;

/// Which users to list: those for whom every member holds that is set. The default lets everybody through.
#[derive(Clone, Debug, Default)]
pub struct UserFilter {
    /// One of these ids; empty for any.
    pub user_ids: Vec<UserId>,
    /// Of each of these lists at least one identifier.
    pub identifiers: Vec<Vec<Identifier>>,
    /// One of these external ids; empty for any.
    pub external_ids: Vec<String>,
    /// One of these statuses; empty for any.
    pub statuses: Vec<UserStatus>,
    /// Whether there is an email address that is verified.
    pub email_verified: Option<bool>,
    /// Whether there is a password.
    pub has_password: Option<bool>,
    /// Created then or later.
    pub created_from: Option<Timestamp>,
    /// Created before then.
    pub created_before: Option<Timestamp>,
    /// Part of a name or of what they are called.
    pub text: Option<String>,
}

impl From<Identifier> for UserFilter {
    /// Only the user with that identifier.
    fn from(identifier: Identifier) -> Self {
        Self { identifiers: vec![vec![identifier]], ..Self::default() }
    }
}
