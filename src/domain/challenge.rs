//! Single-purpose, expiring secrets with an attempt budget.
//!
//! A challenge is bound to project, client, user and credential version. Its kind is part of every look-up, so that a
//! challenge of one kind is worthless everywhere else.

use chrono::Duration;
use serde::{Deserialize, Serialize};

use super::{
    bucket::Guarded,
    claims::{ClaimsRequest, CustomClaims},
    client_context::ClientContext,
    id::{ChallengeId, ClientId, DeviceId, ProjectId, SessionId, UserId},
    session::SessionChoice,
};
use crate::clock::Timestamp;

/// How long a password that has to be changed can be, once it was shown: the user is there, and waits for no mail.
pub const PASSWORD_CHANGE_LIFETIME: Duration = Duration::minutes(5);

/// Password resets that a user can have open at once; the oldest make room. More than the budget of mails allows in the time in
/// which a reset is good, so that a stranger who starts some does not push out the owner's.
pub const RESETS_MAX: u64 = 20;

/// What a challenge is good for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ChallengeKind {
    /// Six digits mailed to an address that a signed-in user gives as theirs.
    EmailChange,
    /// Six digits mailed to an address.
    EmailCode,
    /// A link or a code mailed to an address, with which its owner sets a new password.
    PasswordReset,
    /// The password was right, a step is missing.
    PendingAuthentication,
}

impl ChallengeKind {
    /// The word for it in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EmailChange => "email_change",
            Self::EmailCode => "email_code",
            Self::PasswordReset => "password_reset",
            Self::PendingAuthentication => "pending_authentication",
        }
    }
}

/// A challenge of any kind.
#[derive(Clone, Debug)]
pub struct Challenge<T> {
    /// Id.
    pub id: ChallengeId,
    /// Project.
    pub project_id: ProjectId,
    /// User it was made for.
    pub user_id: UserId,
    /// Version of the user's credential then: a changed password kills it.
    pub credential_version: i32,
    /// Wrong tries that are left.
    pub attempts_left: u32,
    /// Time of creation, or of the last resend.
    pub issued_at: Timestamp,
    /// Worthless from then on.
    pub expires_at: Timestamp,
    /// What belongs to its kind.
    pub detail: T,
}

impl<T> Challenge<T> {
    /// True if its time is not over.
    pub fn is_live_at(&self, now: Timestamp) -> bool {
        now < self.expires_at
    }
}

/// What a pending authentication carries on to its second step.
#[derive(Clone, Debug)]
pub struct PendingAuthentication {
    /// Client that started it, and the only one that can finish it.
    pub client_id: ClientId,
    /// The code that completes it.
    pub code_id: ChallengeId,
    /// The wishes of the first step.
    pub wishes: SignInWishes,
    /// The end user's connection in the first step.
    pub client_context: ClientContext,
    /// How the first step was counted: a user who is slowed down there meanwhile cannot take the second one.
    pub counted: CountedAs,
}

/// How an attempt was counted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CountedAs {
    /// What was guarded.
    pub guarded: Guarded,
    /// The device, if it was known.
    pub device: Option<DeviceId>,
}

/// What a sign-in shall do beyond opening a session.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct SignInWishes {
    /// What the tokens shall look like.
    pub tokens: TokenWishes,
    /// Claims from the application.
    pub custom_claims: CustomClaims,
    /// End the user's other sessions.
    pub revoke_other_sessions: bool,
    /// Language of mails.
    pub locale: Option<String>,
    /// Which session to open. What was begun by the binary before this one opens a new one.
    #[serde(default)]
    pub session: SessionChoice,
}

/// Which tokens to issue beside the access and the refresh token.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct TokenWishes {
    /// An ID token.
    pub id_token: bool,
    /// A session token.
    pub session_token: bool,
    /// Audience of the access token.
    pub resource: Option<String>,
    /// Claims for the ID token.
    pub claims: ClaimsRequest,
}

/// Six digits on their way to a user.
#[derive(Clone, Debug)]
pub struct EmailCode {
    /// Canonical address it was sent to: a changed address kills it.
    pub email: String,
    /// Keyed hash of the code.
    pub code_hash: [u8; 32],
    /// The code itself, encrypted, for a back end that mails it; none if it was made by a binary that did not keep it.
    pub sealed: Option<Vec<u8>>,
}

/// Six digits on their way to an address that a signed-in user gives as theirs. Bound to no client: whoever knows the code may redeem it,
/// where an application that keeps no secret could anyway.
#[derive(Clone, Debug)]
pub struct EmailChange {
    /// Canonical address it was sent to: the user's, or the one they will have.
    pub email: String,
    /// The session it was asked from: it dies with that, or whoever had stolen the session could take the account later.
    pub session_id: SessionId,
    /// Keyed hash of the code.
    pub code_hash: [u8; 32],
    /// The code itself, encrypted.
    pub sealed: Vec<u8>,
}

/// A password reset on its way to a user. Bound to no client: a page may finish what an application began.
#[derive(Clone, Debug)]
pub struct PasswordReset {
    /// Canonical address it was sent to: a changed address kills it. None if nothing was sent: it was given to somebody who had shown
    /// the password of today, which has to be changed.
    pub email: Option<String>,
    /// Keyed hash of the code; none for a link, whose token is the whole secret.
    pub code_hash: Option<[u8; 32]>,
    /// Token and page of a link, encrypted, for a back end that mails it; none for a code.
    pub sealed: Option<Vec<u8>>,
}

/// The time is not one that a password reset can be given.
#[derive(Debug, thiserror::Error)]
#[error("must be whole seconds, 5 minutes to 7 days")]
pub struct ParseResetLifetimeError;

/// How long a password reset shall be good.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ResetLifetime(Duration);

impl ResetLifetime {
    /// Reads a length of time: whole seconds, 5 minutes to 7 days.
    pub fn parse(seconds: i64, nanos: i32) -> Result<Self, ParseResetLifetimeError> {
        let lifetime = Duration::try_seconds(seconds).filter(|_| nanos == 0);
        let is_allowed = |lifetime: &Duration| (Duration::minutes(5)..=Duration::days(7)).contains(lifetime);
        lifetime.filter(is_allowed).map(Self).ok_or(ParseResetLifetimeError)
    }
}

impl From<ResetLifetime> for Duration {
    fn from(lifetime: ResetLifetime) -> Self {
        lifetime.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reset_lasts_five_minutes_to_seven_days() {
        let week = 7 * 86_400;
        assert!([300, week].into_iter().all(|seconds| ResetLifetime::parse(seconds, 0).is_ok()));
        let wrong = [(299, 0), (week + 1, 0), (300, 1), (-300, 0), (i64::MAX, 0), (i64::MIN, -1)];
        assert!(wrong.into_iter().all(|(seconds, nanos)| ResetLifetime::parse(seconds, nanos).is_err()));
    }
}
