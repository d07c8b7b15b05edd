//! Which counters an attempt at a secret is counted on.

use std::{fmt, net::IpAddr};

use super::{
    event::Cause,
    id::{DeviceId, UserId},
    identifier::{Identifier, IdentifierKind},
};

/// What is guarded. Each has budgets of its own, so that one path cannot lock another.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Guarded {
    /// Passwords, by `AuthenticatePassword`.
    AuthenticatePassword,
    /// Mails with a code: not a guess, but just as worth slowing down.
    CodeMail,
    /// Six-digit codes for an address that a signed-in user gives as theirs. Anybody may try those, and must not slow down the others.
    EmailChange,
    /// Six-digit codes.
    EmailCode,
    /// Tokens and codes of password resets.
    PasswordReset,
    /// Mails about a password reset.
    PasswordResetMail,
    /// Passwords, by `SignIn` and `ReplacePassword`: what is guessed at one is guessed for the other.
    SignIn,
}

impl Guarded {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::AuthenticatePassword,
        Self::CodeMail,
        Self::EmailChange,
        Self::EmailCode,
        Self::PasswordReset,
        Self::PasswordResetMail,
        Self::SignIn,
    ];

    /// True if mails are counted rather than guesses.
    pub const fn is_mail(self) -> bool {
        matches!(self, Self::CodeMail | Self::PasswordResetMail)
    }

    /// True if a known device has a counter of its own. Not where mails are counted, which fill one mailbox whoever asks for them,
    /// and not for a code that a signed-in user asked for: whoever holds a session can sign in on as many devices as they like.
    pub const fn knows_devices(self) -> bool {
        !self.is_mail() && !matches!(self, Self::EmailChange)
    }

    /// The word for it in the database and, with the scope, in the audit trail.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuthenticatePassword => "authenticate_password",
            Self::CodeMail => "code_mail",
            Self::EmailChange => "email_change",
            Self::EmailCode => "email_code",
            Self::PasswordReset => "password_reset",
            Self::PasswordResetMail => "password_reset_mail",
            Self::SignIn => "sign_in",
        }
    }

    /// Reads the word from the database.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|guarded| guarded.as_str() == word)
    }
}

/// Whose attempts are counted together.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Subject {
    /// A device on which the user has signed in. Only whoever holds its token counts here.
    Device(UserId, DeviceId),
    /// An IPv4 address, or the /64 network of an IPv6 address: who has one of its addresses has all.
    Ip(IpAddr),
    /// An identifier that nobody has; counted the same way, so that counting reveals nothing.
    Unknown(Nobody),
    /// A user, by whatever identifier they came.
    User(UserId),
}

impl Subject {
    /// Where somebody came from.
    pub fn ip(address: IpAddr) -> Self {
        Self::Ip(match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
            address @ IpAddr::V4(_) => address,
        })
    }
}

/// One counter.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Bucket {
    /// What is guarded.
    pub guarded: Guarded,
    /// Whose attempts are counted.
    pub subject: Subject,
}

impl Bucket {
    /// The word for its kind in the database and in the audit trail.
    pub const fn kind(&self) -> &'static str {
        self.name().as_str()
    }

    /// What it is called in the audit trail.
    pub const fn name(&self) -> Cause {
        match (&self.subject, self.guarded) {
            (Subject::Unknown(_) | Subject::User(_), Guarded::AuthenticatePassword) => {
                Cause::SlowedAuthenticatePassword
            }
            (Subject::Unknown(_) | Subject::User(_), Guarded::CodeMail) => Cause::SlowedCodeMail,
            (Subject::Unknown(_) | Subject::User(_), Guarded::EmailChange) => Cause::SlowedEmailChange,
            (Subject::Unknown(_) | Subject::User(_), Guarded::EmailCode) => Cause::SlowedEmailCode,
            (Subject::Unknown(_) | Subject::User(_), Guarded::PasswordReset) => Cause::SlowedPasswordReset,
            (Subject::Unknown(_) | Subject::User(_), Guarded::PasswordResetMail) => Cause::SlowedPasswordResetMail,
            (Subject::Unknown(_) | Subject::User(_), Guarded::SignIn) => Cause::SlowedSignIn,
            (Subject::Device(..), Guarded::AuthenticatePassword) => Cause::SlowedAuthenticatePasswordDevice,
            (Subject::Device(..), Guarded::CodeMail) => Cause::SlowedCodeMailDevice,
            (Subject::Device(..), Guarded::EmailChange) => Cause::SlowedEmailChangeDevice,
            (Subject::Device(..), Guarded::EmailCode) => Cause::SlowedEmailCodeDevice,
            (Subject::Device(..), Guarded::PasswordReset) => Cause::SlowedPasswordResetDevice,
            (Subject::Device(..), Guarded::PasswordResetMail) => Cause::SlowedPasswordResetMailDevice,
            (Subject::Device(..), Guarded::SignIn) => Cause::SlowedSignInDevice,
            (Subject::Ip(_), Guarded::AuthenticatePassword) => Cause::SlowedAuthenticatePasswordIp,
            (Subject::Ip(_), Guarded::CodeMail) => Cause::SlowedCodeMailIp,
            (Subject::Ip(_), Guarded::EmailChange) => Cause::SlowedEmailChangeIp,
            (Subject::Ip(_), Guarded::EmailCode) => Cause::SlowedEmailCodeIp,
            (Subject::Ip(_), Guarded::PasswordReset) => Cause::SlowedPasswordResetIp,
            (Subject::Ip(_), Guarded::PasswordResetMail) => Cause::SlowedPasswordResetMailIp,
            (Subject::Ip(_), Guarded::SignIn) => Cause::SlowedSignInIp,
        }
    }

    /// True if a success forgets its failures. Not those of an address: whoever has an account of their own could otherwise
    /// clear it again and again while guessing at others.
    pub const fn is_cleared_by_success(&self) -> bool {
        !matches!(self.subject, Subject::Ip(_))
    }
}

/// Who tries, as far as it is known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Claimant {
    /// The user they want to be, or the identifier that nobody has.
    pub target: Target,
    /// The device they come from, if it has shown that this very user signed in on it.
    pub device: Option<DeviceId>,
    /// The address they come from, if it is believed: the one that is counted.
    pub ip_address: Option<IpAddr>,
    /// The address they are said to come from: for the audit trail only.
    pub reported_address: Option<IpAddr>,
}

/// Whom somebody wants to be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Target {
    /// Nobody.
    Unknown(Nobody),
    /// A user.
    User(UserId),
}

/// An identifier that nobody has, in the one spelling by which it is compared.
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct Nobody {
    /// Its kind.
    pub kind: IdentifierKind,
    /// Its spelling.
    pub canonical: String,
}

impl From<&Identifier> for Nobody {
    fn from(identifier: &Identifier) -> Self {
        Self { kind: identifier.kind(), canonical: identifier.canonical().to_owned() }
    }
}

impl fmt::Debug for Nobody {
    /// Names the kind only: identifiers are personal data and stay out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Nobody({})", self.kind.as_str())
    }
}

impl Claimant {
    /// The counters of their attempt.
    ///
    /// A known device has one of its own and no other, so that nothing a stranger does can slow it down. Everybody else shares
    /// the user's, and that of their address. Some things are never counted by device ([`Guarded::knows_devices`]).
    pub fn buckets(&self, guarded: Guarded) -> Vec<Bucket> {
        let of = |subject| Bucket { guarded, subject };
        if let (Target::User(user), Some(device), true) = (&self.target, self.device, guarded.knows_devices()) {
            return vec![of(Subject::Device(*user, device))];
        }
        let target = match &self.target {
            Target::Unknown(nobody) => Subject::Unknown(nobody.clone()),
            Target::User(id) => Subject::User(*id),
        };
        [Some(target), self.ip_address.map(Subject::ip)].into_iter().flatten().map(of).collect()
    }
}

#[cfg(test)]
#[path = "bucket_tests.rs"]
mod tests;
