//! Signed-in users.

use chrono::Duration;
use serde::{Deserialize, Serialize};

use super::{
    claims::CustomClaims,
    client::{RefreshTokenFormat, TokenProfile},
    client_context::ClientContext,
    id::{ClientId, ProjectId, SessionId, UserId},
    project::{ProjectSettings, SESSION_LIFETIME_MAX},
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
        /// Ends then if it is not used; never after `expires_at`.
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

/// Shortest time that a session can be given.
pub const SESSION_LIFETIME_MIN: Duration = Duration::minutes(5);

/// How long ago the user may have proved who they are for a change of how they will: of their password, or of the address that resets
/// it. A refresh token alone lives for weeks and may be stolen; a thief must not turn it into the account itself.
pub const AUTHENTICATION_RECENT: Duration = Duration::minutes(10);

/// The time is not one that a session can be given.
#[derive(Debug, thiserror::Error)]
#[error("must be whole seconds, 5 minutes to 366 days")]
pub struct ParseSessionDurationError;

/// How long a session shall last from now on.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(into = "i64", try_from = "i64")]
pub struct SessionDuration(Duration);

impl SessionDuration {
    /// Reads a length of time: whole seconds, [`SESSION_LIFETIME_MIN`] to [`SESSION_LIFETIME_MAX`].
    pub fn parse(seconds: i64, nanos: i32) -> Result<Self, ParseSessionDurationError> {
        let duration = Duration::try_seconds(seconds).filter(|_| nanos == 0);
        let is_allowed = |duration: &Duration| (SESSION_LIFETIME_MIN..=SESSION_LIFETIME_MAX).contains(duration);
        duration.filter(is_allowed).map(Self).ok_or(ParseSessionDurationError)
    }

    /// The state of a session that lasts that long from now, whether it is used or not.
    fn state_from(self, now: Timestamp) -> SessionState {
        SessionState::Active { idle_expires_at: now + self.0, expires_at: now + self.0 }
    }
}

impl From<SessionDuration> for i64 {
    fn from(duration: SessionDuration) -> Self {
        duration.0.num_seconds()
    }
}

impl TryFrom<i64> for SessionDuration {
    type Error = ParseSessionDurationError;

    fn try_from(seconds: i64) -> Result<Self, Self::Error> {
        Self::parse(seconds, 0)
    }
}

/// Which session a sign-in opens.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionChoice {
    /// None: it joins one that the user has.
    Join {
        /// That one.
        session_id: SessionId,
        /// Its new end, if it gets one.
        duration: Option<SessionDuration>,
    },
    /// A new one.
    New {
        /// How long it shall last; none for the lifetimes of the project.
        duration: Option<SessionDuration>,
    },
    /// None at all.
    None,
}

impl Default for SessionChoice {
    fn default() -> Self {
        Self::New { duration: None }
    }
}

impl SessionChoice {
    /// The same with a session to join.
    #[must_use]
    pub const fn joining(self, session_id: SessionId) -> Self {
        match self {
            Self::Join { duration, .. } | Self::New { duration } => Self::Join { session_id, duration },
            Self::None => Self::None,
        }
    }
}

/// The session is over: nothing brings it back.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the session is over")]
pub struct NotLive;

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
    /// What its tokens look like.
    pub token_profile: TokenProfile,
    /// When it was last signed in to, refreshed or extended.
    pub last_used_at: Timestamp,
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

    /// The same if it shall last that long.
    pub fn opened_for(now: Timestamp, duration: SessionDuration) -> SessionState {
        duration.state_from(now)
    }

    /// Notes that the user has proved once more who they are.
    pub fn proved_again(&mut self, methods: &[AuthenticationMethod], now: Timestamp) {
        for method in methods {
            if !self.methods.contains(method) {
                self.methods.push(*method);
            }
        }
        self.authenticated_at = now;
    }

    /// True if the user proved not long before that time who they are, or its token profile does not ask for that.
    pub fn is_authenticated_recently(&self, now: Timestamp) -> bool {
        !self.token_profile.asks_for_recent_authentication() || now - self.authenticated_at < AUTHENTICATION_RECENT
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

    /// The state after it was used: it idles from now on, but its absolute end stays. An idle end that is later, because
    /// somebody extended the session, stays too. Fails if the session is over.
    pub fn used(&self, now: Timestamp, idle_lifetime: Duration) -> Result<SessionState, NotLive> {
        let (idle_expires_at, expires_at) = self.ends_if_live(now)?;
        let idle_expires_at = idle_expires_at.max(now + idle_lifetime).min(expires_at);
        Ok(SessionState::Active { idle_expires_at, expires_at })
    }

    /// The state once it shall last that long from now, and no longer. Fails if the session is over.
    pub fn extended(&self, now: Timestamp, duration: SessionDuration) -> Result<SessionState, NotLive> {
        self.ends_if_live(now)?;
        Ok(duration.state_from(now))
    }

    fn ends_if_live(&self, now: Timestamp) -> Result<(Timestamp, Timestamp), NotLive> {
        match self.state {
            SessionState::Active { idle_expires_at, expires_at } if self.is_live_at(now) => {
                Ok((idle_expires_at, expires_at))
            }
            SessionState::Active { .. } | SessionState::Revoked { .. } => Err(NotLive),
        }
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
