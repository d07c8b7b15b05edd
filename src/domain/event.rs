//! What is worth remembering, for an auditor.

use std::net::IpAddr;

use super::id::{ClientId, ProjectId, SessionId, UserId};

/// What happened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EventKind {
    /// A client was created.
    ClientCreated,
    /// A client was deleted.
    ClientDeleted,
    /// A secret was added to a client.
    ClientSecretCreated,
    /// A secret of a client was deleted.
    ClientSecretDeleted,
    /// A code was checked and was wrong.
    EmailCodeFailed,
    /// A code was put into the outbox.
    EmailCodeSent,
    /// An email address was verified.
    EmailVerified,
    /// A mail was given up.
    MailGivenUp,
    /// A password was checked and was wrong, or the user could not sign in.
    PasswordFailed,
    /// A password reset was asked for in vain, or was not completed.
    PasswordResetFailed,
    /// A password reset was put into the outbox.
    PasswordResetStarted,
    /// A password hash was made anew at sign-in, because parameters have risen.
    PasswordRehashed,
    /// A password was set.
    PasswordSet,
    /// A password was right, but a step is missing.
    PendingAuthenticationStarted,
    /// A project was created.
    ProjectCreated,
    /// A project was changed.
    ProjectUpdated,
    /// A refresh token that had just been replaced got its successor again.
    RefreshRepeated,
    /// A refresh token came again long after it had been replaced.
    RefreshReused,
    /// A session was given new tokens by a back end that named it by its id.
    SessionResumed,
    /// A session was ended.
    SessionRevoked,
    /// A session was opened.
    SignedIn,
    /// A signing key was made.
    SigningKeyCreated,
    /// Too many failures or mails: what the cause names is slowed down, for this user, device or address.
    ThrottleTripped,
    /// A user was created.
    UserCreated,
    /// A user was deleted.
    UserDeleted,
    /// A user was disabled.
    UserDisabled,
    /// A user was enabled.
    UserEnabled,
    /// A user was changed.
    UserUpdated,
}

impl EventKind {
    /// The dotted name in the database and in logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientCreated => "client.created",
            Self::ClientDeleted => "client.deleted",
            Self::ClientSecretCreated => "client_secret.created",
            Self::ClientSecretDeleted => "client_secret.deleted",
            Self::EmailCodeFailed => "email_code.failed",
            Self::EmailCodeSent => "email_code.sent",
            Self::EmailVerified => "email.verified",
            Self::MailGivenUp => "mail.given_up",
            Self::PasswordFailed => "password.failed",
            Self::PasswordResetFailed => "password_reset.failed",
            Self::PasswordResetStarted => "password_reset.started",
            Self::PasswordRehashed => "password.rehashed",
            Self::PasswordSet => "password.set",
            Self::PendingAuthenticationStarted => "pending_authentication.started",
            Self::ProjectCreated => "project.created",
            Self::ProjectUpdated => "project.updated",
            Self::RefreshRepeated => "refresh.repeated",
            Self::RefreshReused => "refresh.reused",
            Self::SessionResumed => "session.resumed",
            Self::SessionRevoked => "session.revoked",
            Self::SignedIn => "user.signed_in",
            Self::SigningKeyCreated => "signing_key.created",
            Self::ThrottleTripped => "throttle.tripped",
            Self::UserCreated => "user.created",
            Self::UserDeleted => "user.deleted",
            Self::UserDisabled => "user.disabled",
            Self::UserEnabled => "user.enabled",
            Self::UserUpdated => "user.updated",
        }
    }
}

/// Something that happened, and to whom. Never holds a secret.
#[derive(Clone, Debug)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// Project it happened in.
    pub project_id: ProjectId,
    /// User it happened to.
    pub user_id: Option<UserId>,
    /// Client it happened to; else the client or operator that made it happen.
    pub client_id: Option<ClientId>,
    /// Session it happened to.
    pub session_id: Option<SessionId>,
    /// Why, in a word, where the caller is told less.
    pub cause: Option<&'static str>,
    /// Where the end user came from, if the caller said so.
    pub ip_address: Option<IpAddr>,
}

impl Event {
    /// An event of a project.
    pub const fn new(kind: EventKind, project_id: ProjectId) -> Self {
        Self { kind, project_id, user_id: None, client_id: None, session_id: None, cause: None, ip_address: None }
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

    /// Gives the cause.
    #[must_use]
    pub const fn cause(mut self, cause: &'static str) -> Self {
        self.cause = Some(cause);
        self
    }
}
