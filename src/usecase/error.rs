//! Why a use case did not do what it was asked for.

use std::time::Duration;

use secrecy::SecretString;

use crate::{
    clock::Timestamp,
    crypto::{hash_lane::LaneError, project_keys::ProjectKeysError, signing_key::SigningKeyError},
    domain::{id::ChallengeId, password::PasswordWeakness, user::User, violation::Violation},
    store::StoreError,
};

/// The password was right, a step is missing.
#[derive(Debug)]
pub struct PendingSignIn {
    /// Opens the next step, once.
    pub token: SecretString,
    /// Worthless from then on.
    pub expires_at: Timestamp,
    /// Who is signing in.
    pub user: User,
    /// The code that was mailed, if that is the step.
    pub code_id: Option<ChallengeId>,
}

/// Why a use case did not do what it was asked for. `grpc` turns each into one reason of the API.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller's credentials are missing or wrong.
    #[error("the caller's credentials are missing or wrong")]
    CallerUnauthenticated,
    /// The caller is of the wrong kind.
    #[error("the caller may not do this")]
    CallerNotPermitted,
    /// No such client in the project.
    #[error("no client with that id")]
    ClientNotFound,
    /// No such secret on the client.
    #[error("no secret with that id")]
    ClientSecretNotFound,
    /// Too many wrong codes.
    #[error("the code was guessed wrong too often")]
    CodeAttemptsExhausted {
        /// When to come back, if waiting helps.
        retry_after: Option<Duration>,
    },
    /// The code has expired.
    #[error("the code has expired")]
    CodeExpired,
    /// The code is wrong.
    #[error("the code is wrong")]
    CodeIncorrect {
        /// Tries that are left, if whoever tries may know that there is a code.
        attempts_left: Option<u32>,
    },
    /// The last code is too young for a new one.
    #[error("a code was sent a moment ago")]
    CodeSentRecently {
        /// When to come back.
        retry_after: Duration,
    },
    /// The email address is verified already.
    #[error("the email address is verified already")]
    EmailAlreadyVerified,
    /// The user has no email address.
    #[error("the user has no email address")]
    EmailMissing,
    /// The password was right; the email address has to be verified.
    #[error("the email address has to be verified first")]
    EmailVerificationRequired(Box<PendingSignIn>),
    /// Another user has that identifier.
    #[error("the {what} is taken")]
    IdentifierTaken {
        /// What it is: the name of the field of a user.
        what: &'static str,
        /// Where it stands in the request.
        field: String,
    },
    /// The cursor cannot be gone on from: what follows it may be incomplete.
    #[error("the cursor has expired")]
    EventCursorExpired,
    /// A fault of ours.
    #[error("internal error")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Identifier and password do not match, or the user cannot sign in. Never says which.
    #[error("identifier and password do not match")]
    InvalidCredentials,
    /// Fields of the request are wrong.
    #[error("{} of the request's fields are wrong", .0.len())]
    InvalidFields(Vec<Violation>),
    /// This version cannot do that.
    #[error("`{0}` is not supported yet")]
    NotSupported(&'static str),
    /// Not done, because it would not be done in time.
    #[error("too much to do")]
    Overloaded {
        /// When to come back.
        retry_after: Duration,
    },
    /// The same, as the hash lane says it, which tells the log of it itself.
    #[error("too many passwords")]
    LaneOverloaded {
        /// When to come back.
        retry_after: Duration,
    },
    /// The password breaks rules of the policy.
    #[error("the password is too weak")]
    PasswordRejected {
        /// Where it stands in the request.
        field: &'static str,
        /// The rules.
        weaknesses: Vec<PasswordWeakness>,
        /// Least number of characters that the policy asks for.
        length_min: usize,
    },
    /// The pending authentication is unknown, expired, used or dead.
    #[error("the pending authentication is not valid")]
    PendingAuthenticationInvalid,
    /// The password reset is unknown, expired, used or dead, or its code is wrong. Never says which.
    #[error("the password reset is not valid")]
    PasswordResetInvalid,
    /// The project has no page for password resets, or not that one.
    #[error("the page is not allowed")]
    PasswordResetUrlNotAllowed,
    /// No such project.
    #[error("no project with that id")]
    ProjectNotFound,
    /// The user proved too long ago who they are.
    #[error("the user signed in too long ago")]
    AuthenticationTooOld,
    /// The refresh token is a copy; its session has ended.
    #[error("the refresh token had been replaced")]
    RefreshTokenReused,
    /// The resource is not one of the project's. Names the field of the request.
    #[error("the resource in `{0}` is not allowed")]
    ResourceNotAllowed(&'static str),
    /// The session is unknown or over, or its user may not sign in.
    #[error("the session is not active")]
    SessionNotActive,
    /// No such session in the project, or not one of that user.
    #[error("no session with that id")]
    SessionNotFound,
    /// The token is not valid.
    #[error("the token is not valid")]
    TokenInvalid,
    /// The server stops.
    #[error("the server stops")]
    Stopping,
    /// The database does not answer.
    #[error("the database does not answer")]
    Unavailable(#[source] StoreError),
    /// The web page that calls is not one of the project's.
    #[error("the origin is not allowed")]
    OriginNotAllowed,
    /// The key was used for another request.
    #[error("the idempotency-key was used for another request")]
    IdempotencyKeyReused,
    /// There is no such invitation.
    #[error("there is no such invitation")]
    InvitationInvalid,
    /// The project does not let public clients sign users up.
    #[error("sign-up is not allowed")]
    SignUpNotAllowed,
    /// The user has a password, against what the caller took for granted.
    #[error("the user has a password")]
    PasswordAlreadySet,
    /// The user has no password, against what the caller took for granted.
    #[error("the user has no password")]
    PasswordMissing,
    /// No such code in the project.
    #[error("no code with that id")]
    EmailVerificationNotFound,
    /// No such password reset in the project.
    #[error("no password reset with that id")]
    PasswordResetNotFound,
    /// The browser may not be sent to that page.
    #[error("the page is not allowed")]
    SignOutUrlNotAllowed,
    /// The call with that key is still running.
    #[error("the call with this idempotency-key is still running")]
    IdempotentCallRunning {
        /// When to come back.
        retry_after: Duration,
    },
    /// The password was right; it has to be changed.
    #[error("the password has to be changed first")]
    PasswordChangeRequired(Box<PendingSignIn>),
    /// No such user in the project.
    #[error("no user with that id")]
    UserNotFound,
}

impl Error {
    /// A complaint about one field.
    pub fn field(field: &str, description: impl std::fmt::Display) -> Self {
        Self::InvalidFields(vec![Violation::new(field, description)])
    }

    /// The same about a message that is itself a field of the request: what it complains about is named with `prefix`
    /// in front.
    #[must_use]
    pub fn within(self, prefix: &str) -> Self {
        match self {
            Self::InvalidFields(mut violations) => {
                for violation in &mut violations {
                    violation.field.insert_str(0, prefix);
                }
                Self::InvalidFields(violations)
            }
            Self::IdentifierTaken { what, field } => Self::IdentifierTaken { what, field: format!("{prefix}{field}") },
            error => error,
        }
    }
}

impl Error {
    /// The error for a row that a store could not add: `gone` if what it would hang on was deleted meanwhile.
    pub(super) fn unless_orphan(error: StoreError, gone: Self) -> Self {
        if matches!(error, StoreError::Orphan(_)) { gone } else { error.into() }
    }
}

impl From<Violation> for Error {
    fn from(violation: Violation) -> Self {
        Self::InvalidFields(vec![violation])
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => Self::Unavailable(error),
            _ => Self::Internal(Box::new(error)),
        }
    }
}

impl From<LaneError> for Error {
    fn from(error: LaneError) -> Self {
        match error {
            LaneError::Overloaded { retry_after } => Self::LaneOverloaded { retry_after },
            LaneError::Cost(_) | LaneError::Stopped => Self::Internal(Box::new(error)),
        }
    }
}

impl From<ProjectKeysError> for Error {
    fn from(error: ProjectKeysError) -> Self {
        Self::Internal(Box::new(error))
    }
}

impl From<SigningKeyError> for Error {
    fn from(error: SigningKeyError) -> Self {
        Self::Internal(Box::new(error))
    }
}
