//! What can happen.

use super::Cause;

words! {
    /// What happened.
    pub enum EventKind {
        /// A client was created.
        ClientCreated = "client.created",
        /// A client was deleted.
        ClientDeleted = "client.deleted",
        /// A secret was added to a client.
        ClientSecretCreated = "client_secret.created",
        /// A secret of a client was deleted; without a cause because an operator said so.
        ClientSecretDeleted = "client_secret.deleted",
        /// A code from a mail was not taken. Without a cause it was wrong.
        EmailCodeFailed = "email_code.failed",
        /// A code was made for an email address, and put into the outbox unless the project's back ends mail it themselves.
        EmailCodeSent = "email_code.sent",
        /// An email address was verified.
        EmailVerified = "email.verified",
        /// A mail was given up. It tells of no request and no user.
        MailGivenUp = "mail.given_up",
        /// A password was checked and was wrong, or the user could not sign in.
        PasswordFailed = "password.failed",
        /// A password reset was asked for in vain, or was not completed.
        PasswordResetFailed = "password_reset.failed",
        /// A password reset was made, and put into the outbox unless the project's back ends mail it themselves.
        PasswordResetStarted = "password_reset.started",
        /// A password hash was made anew at sign-in, because parameters have risen.
        PasswordRehashed = "password.rehashed",
        /// A password was set; without a cause by a back end or an operator.
        PasswordSet = "password.set",
        /// The second step of a sign-in was refused: its token was good once.
        PendingAuthenticationFailed = "pending_authentication.failed",
        /// A password was right, but a step is missing: without a cause the email address has to be verified.
        PendingAuthenticationStarted = "pending_authentication.started",
        /// A project was created.
        ProjectCreated = "project.created",
        /// A project was changed.
        ProjectUpdated = "project.updated",
        /// A refresh token that had just been replaced got its successor again.
        RefreshRepeated = "refresh.repeated",
        /// A refresh token came again long after it had been replaced.
        RefreshReused = "refresh.reused",
        /// A session was given new tokens by a back end that named it by its id.
        SessionResumed = "session.resumed",
        /// A session was ended.
        SessionRevoked = "session.revoked",
        /// A user signed in. Without a cause a session was opened.
        SignedIn = "user.signed_in",
        /// A signing key was made.
        SigningKeyCreated = "signing_key.created",
        /// Too many failures or mails: what the cause names is slowed down, for this user, device or address.
        ThrottleTripped = "throttle.tripped",
        /// A user was created.
        UserCreated = "user.created",
        /// A user was deleted.
        UserDeleted = "user.deleted",
        /// A user was disabled.
        UserDisabled = "user.disabled",
        /// A user was enabled.
        UserEnabled = "user.enabled",
        /// A user was changed.
        UserUpdated = "user.updated",
    }
}

impl EventKind {
    /// Reads the word; none for one of another version.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == word)
    }

    /// Reads the word of a cause, which may mean something else at another kind; none for one of another version.
    pub fn parse_cause(self, word: &str) -> Option<Cause> {
        self.causes().iter().copied().find(|cause| cause.as_str() == word)
    }

    /// What can stand as its cause; an event of a kind without any has none.
    pub const fn causes(self) -> &'static [Cause] {
        use Cause as C;
        match self {
            Self::ClientSecretDeleted => &[C::Replaced],
            Self::EmailCodeFailed => {
                &[C::AttemptsExhausted, C::Expired, C::PasswordChanged, C::SessionEnded, C::Throttled, C::UserDisabled]
            }
            Self::MailGivenUp => &[C::Expired, C::Refused, C::TooManyAttempts, C::Unreadable],
            Self::PasswordFailed => &[
                C::CallerLeft,
                C::ChangedMeanwhile,
                C::NoPassword,
                C::Throttled,
                C::UnknownUser,
                C::UserDisabled,
                C::WrongPassword,
            ],
            Self::PasswordResetFailed => &[
                C::AddressChanged,
                C::AttemptsExhausted,
                C::CodeMissing,
                C::CodeNotExpected,
                C::Expired,
                C::PasswordChanged,
                C::Throttled,
                C::UnknownUser,
                C::UserDisabled,
                C::WrongCode,
            ],
            Self::PasswordSet => &[C::ChangeRequired, C::Changed, C::Replaced, C::Reset],
            Self::PendingAuthenticationFailed => {
                &[C::Expired, C::OtherClient, C::PasswordChange, C::PasswordChanged, C::Throttled, C::UserDisabled]
            }
            Self::PendingAuthenticationStarted => &[C::PasswordChange],
            Self::SessionRevoked => &[
                C::AllRevoked,
                C::Link,
                C::OtherSessions,
                C::PasswordChanged,
                C::PasswordReplaced,
                C::PasswordReset,
                C::PasswordSet,
                C::RefreshTokenReuse,
                C::Revoked,
                C::SignOut,
                C::UserDeleted,
                C::UserDisabled,
            ],
            Self::SignedIn => &[C::Joined, C::WithoutSession],
            Self::SigningKeyCreated => &[C::EdDsa, C::Es256, C::Hs256, C::Rs256],
            Self::ThrottleTripped => &Cause::COUNTERS,
            _ => &[],
        }
    }
}
