//! What the tokens of a client look like, as far as it is more than their claims: those are written in `usecase/token_forms.rs`.

use chrono::Duration;

use super::{
    claims::CLAIMS_BYTES_MAX, client::RefreshTokenFormat, project::ProjectSettings, refresh::RefreshPolicy,
    session::AuthenticationMethod,
};
use crate::clock::Timestamp;

/// What the tokens of a client's sign-ins look like: `standard` is RFC 9068 and OIDC, the others are what the official client
/// libraries of that vendor verify.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum TokenProfile {
    /// Descope.
    Descope,
    /// RFC 9068 and OIDC Core.
    #[default]
    Standard,
    /// Stytch (Consumer).
    Stytch,
    /// Transmit Security (Mosaic).
    Transmit,
    /// `WorkOS` `AuthKit`.
    WorkOs,
}

/// Lifetime of session tokens of Stytch, whatever the session's is (contract section 5).
const STYTCH_SESSION_TOKEN_LIFETIME: Duration = Duration::seconds(300);

/// Largest custom claims of a session of Stytch, in bytes of JSON. Its browser library keeps the session token in a cookie, and
/// browsers drop one of more than 4096 bytes without a word: with these the token stays below 4000 characters.
const STYTCH_CUSTOM_CLAIMS_BYTES_MAX: usize = 1600;

impl TokenProfile {
    /// Every profile.
    pub const ALL: [Self; 5] = [Self::Descope, Self::Standard, Self::Stytch, Self::Transmit, Self::WorkOs];

    /// The word for it in the database and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Descope => "descope",
            Self::Standard => "standard",
            Self::Stytch => "stytch",
            Self::Transmit => "transmit",
            Self::WorkOs => "workos",
        }
    }

    /// Reads the word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.as_str() == word)
    }

    /// True if a sign-in stops at an email address that is not verified, where the project asks for that. The other vendors'
    /// libraries know no such step.
    pub const fn asks_for_verified_email(self) -> bool {
        matches!(self, Self::Standard | Self::WorkOs)
    }

    /// True if a password or an address is changed only by whoever signed in a moment ago. Descope's libraries change both with any
    /// refresh token, however old its sign-in is.
    pub const fn asks_for_recent_authentication(self) -> bool {
        !matches!(self, Self::Descope)
    }

    /// True if its tokens have to be signed with RS256: the vendors' libraries take nothing else.
    pub const fn needs_rs256(self) -> bool {
        !matches!(self, Self::Standard)
    }

    /// The form of its refresh tokens, where it leaves a choice the wanted one.
    pub const fn refresh_token_format(self, wanted: RefreshTokenFormat) -> RefreshTokenFormat {
        match self {
            Self::Standard => wanted,
            Self::Descope => RefreshTokenFormat::Jwt,
            Self::Stytch | Self::Transmit | Self::WorkOs => RefreshTokenFormat::Opaque,
        }
    }

    /// How its refresh tokens are handled in a project with those settings. One of Stytch is what that vendor calls a session token,
    /// which stands as long as the session.
    pub fn refresh_policy(self, settings: &ProjectSettings) -> RefreshPolicy {
        let policy = settings.refresh_policy();
        RefreshPolicy { rotates: policy.rotates && self != Self::Stytch, ..policy }
    }

    /// When a session token ends that is made now, of a session that ends then: no later than that, except of Stytch, whose
    /// libraries reckon with its one lifetime.
    pub fn session_token_end(self, settings: &ProjectSettings, now: Timestamp, session_end: Timestamp) -> Timestamp {
        match self {
            Self::Stytch => now + STYTCH_SESSION_TOKEN_LIFETIME,
            Self::Descope | Self::Standard | Self::Transmit | Self::WorkOs => {
                (now + settings.session_token_lifetime()).min(session_end)
            }
        }
    }

    /// Largest custom claims of its sessions, in bytes of JSON.
    pub const fn custom_claims_bytes_max(self) -> usize {
        match self {
            Self::Stytch => STYTCH_CUSTOM_CLAIMS_BYTES_MAX,
            Self::Descope | Self::Standard | Self::Transmit | Self::WorkOs => CLAIMS_BYTES_MAX,
        }
    }

    /// What a user did, in its words for `amr`.
    pub fn amr(self, methods: &[AuthenticationMethod]) -> Vec<&'static str> {
        let word = |method: &AuthenticationMethod| match (method, self) {
            (AuthenticationMethod::Password, _) => "pwd",
            (AuthenticationMethod::EmailCode, Self::Descope) => "email",
            (AuthenticationMethod::EmailCode, Self::Transmit) => "eotp",
            (AuthenticationMethod::EmailCode, Self::Standard | Self::Stytch | Self::WorkOs) => "otp",
        };
        let mut words: Vec<_> = methods.iter().map(word).collect();
        if methods.len() > 1 && matches!(self, Self::Descope | Self::Transmit) {
            words.push("mfa");
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refresh_token_of_stytch_stands_whatever_the_project_says() {
        let rotating = ProjectSettings::default();
        assert!(rotating.rotate_refresh_tokens);
        for profile in TokenProfile::ALL {
            assert_eq!(profile.refresh_policy(&rotating).rotates, profile != TokenProfile::Stytch, "{profile:?}");
            let standing = ProjectSettings { rotate_refresh_tokens: false, ..ProjectSettings::default() };
            assert!(!profile.refresh_policy(&standing).rotates, "{profile:?}");
        }
    }

    #[test]
    fn a_second_method_is_told_in_the_vendors_words() {
        use AuthenticationMethod::{EmailCode, Password};
        assert_eq!(TokenProfile::Descope.amr(&[Password]), ["pwd"]);
        assert_eq!(TokenProfile::Descope.amr(&[Password, EmailCode]), ["pwd", "email", "mfa"]);
        assert_eq!(TokenProfile::Transmit.amr(&[Password, EmailCode]), ["pwd", "eotp", "mfa"]);
        assert_eq!(TokenProfile::Standard.amr(&[Password, EmailCode]), ["pwd", "otp"]);
    }

    #[test]
    fn every_profile_has_a_word() {
        for profile in TokenProfile::ALL {
            assert_eq!(TokenProfile::from_word(profile.as_str()), Some(profile));
        }
    }
}
