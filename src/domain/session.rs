//! Signed-in users.

use chrono::Duration;
use serde::{Deserialize, Serialize};

use super::{
    claims::CustomClaims,
    client::RefreshTokenFormat,
    client_context::ClientContext,
    id::{ClientId, ProjectId, SessionId, UserId},
    project::ProjectSettings,
    refresh::RefreshState,
};
use crate::clock::Timestamp;

/// How a user proved who they are (RFC 8176).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum AuthenticationMethod {
    /// Code sent to the email address.
    #[serde(rename = "otp")]
    EmailCode,
    /// Password.
    #[serde(rename = "pwd")]
    Password,
}

/// Whether a session can be used, and until when.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SessionState {
    /// Can be used.
    Active {
        /// Ends then if it is not used.
        idle_expires_at: Timestamp,
        /// Ends then in any case.
        expires_at: Timestamp,
    },
    /// Ended before its time.
    Revoked {
        /// When it was ended.
        revoked_at: Timestamp,
    },
}

/// A signed-in user on one device.
#[derive(Clone, Debug)]
pub struct Session {
    /// Id.
    pub id: SessionId,
    /// Project.
    pub project_id: ProjectId,
    /// User.
    pub user_id: UserId,
    /// Client that opened it.
    pub client_id: ClientId,
    /// What the user did, in order.
    pub methods: Vec<AuthenticationMethod>,
    /// When the user last proved who they are.
    pub authenticated_at: Timestamp,
    /// The end user's connection at sign-in.
    pub client_context: ClientContext,
    /// Claims from the application.
    pub custom_claims: CustomClaims,
    /// Resource that the tokens are for.
    pub resource: Option<String>,
    /// Which refresh token is the current one.
    pub refresh: RefreshState,
    /// What its refresh tokens look like.
    pub refresh_token_format: RefreshTokenFormat,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Whether it can be used.
    pub state: SessionState,
}

impl Session {
    /// The state of a session that is opened now.
    pub fn opened(now: Timestamp, settings: &ProjectSettings) -> SessionState {
        let expires_at = now + Duration::seconds(settings.session_absolute_lifetime_seconds.into());
        let idle_expires_at = now + Duration::seconds(settings.session_idle_lifetime_seconds.into());
        SessionState::Active { idle_expires_at: idle_expires_at.min(expires_at), expires_at }
    }

    /// The state after it was used: the idle end moves on, but never back and never past the end in any case.
    pub fn used(&self, now: Timestamp, settings: &ProjectSettings) -> SessionState {
        match self.state {
            SessionState::Active { idle_expires_at, expires_at } => {
                let idle_from_now = now + Duration::seconds(settings.session_idle_lifetime_seconds.into());
                SessionState::Active { idle_expires_at: idle_from_now.max(idle_expires_at).min(expires_at), expires_at }
            }
            revoked @ SessionState::Revoked { .. } => revoked,
        }
    }

    /// True if it can be used at that time.
    pub fn is_live_at(&self, now: Timestamp) -> bool {
        self.ends_at().is_some_and(|end| now < end)
    }

    /// When it ends if it is not used from now on; none if it has been revoked.
    pub fn ends_at(&self) -> Option<Timestamp> {
        match self.state {
            SessionState::Active { idle_expires_at, expires_at } => Some(idle_expires_at.min(expires_at)),
            SessionState::Revoked { .. } => None,
        }
    }
}
