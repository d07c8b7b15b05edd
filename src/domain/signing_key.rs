//! The life of a signing key: pending, active, retiring, retired.
//!
//! The state is not stored but follows from times, so that no worker has to run for a key to become active or to vanish.

use chrono::Duration;
use serde::{Deserialize, Serialize};

use super::{
    event::Cause,
    id::{ProjectId, SigningKeyId},
};
use crate::clock::Timestamp;

/// How long a new key is published before it signs: longer than verifiers keep a key set.
pub const PUBLISH_LEAD: Duration = Duration::minutes(10);

/// Algorithm of a token's signature (RFC 7518, RFC 8037).
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub enum SigningAlgorithm {
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// ECDSA with P-256 and SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// RSASSA-PKCS1-v1_5 with SHA-256, 2048 bits.
    #[default]
    #[serde(rename = "RS256")]
    Rs256,
}

impl SigningAlgorithm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::EdDsa, Self::Es256, Self::Rs256];

    /// Its name in JOSE headers and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        }
    }
}

/// What a key is used for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum KeyUse {
    /// MAC of refresh tokens and of device tokens (HMAC-SHA-256); never published.
    RefreshTokenMac,
    /// Signature of JWTs; its public half is in the JWKS.
    Jwt(SigningAlgorithm),
}

impl KeyUse {
    /// The word for it in the audit trail.
    pub const fn cause(self) -> Cause {
        match self {
            Self::RefreshTokenMac => Cause::Hs256,
            Self::Jwt(SigningAlgorithm::EdDsa) => Cause::EdDsa,
            Self::Jwt(SigningAlgorithm::Es256) => Cause::Es256,
            Self::Jwt(SigningAlgorithm::Rs256) => Cause::Rs256,
        }
    }

    /// The word for it in the database: the JOSE name of the algorithm, which also tells the use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RefreshTokenMac => "HS256",
            Self::Jwt(algorithm) => algorithm.as_str(),
        }
    }

    /// What it is made for.
    pub const fn purpose(self) -> KeyPurpose {
        match self {
            Self::RefreshTokenMac => KeyPurpose::RefreshTokens,
            Self::Jwt(_) => KeyPurpose::Tokens,
        }
    }

    /// Reads the word from the database.
    pub fn from_word(word: &str) -> Option<Self> {
        let jwt = SigningAlgorithm::ALL.into_iter().map(Self::Jwt);
        jwt.chain([Self::RefreshTokenMac]).find(|key_use| key_use.as_str() == word)
    }
}

/// What keys are made for, whatever their algorithm. Each purpose has successors of its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyPurpose {
    /// MACs of opaque refresh tokens, and of device tokens.
    RefreshTokens,
    /// Signatures of JWTs.
    Tokens,
}

impl KeyPurpose {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::RefreshTokens, Self::Tokens];

    /// The word for it, for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RefreshTokens => "refresh tokens",
            Self::Tokens => "tokens",
        }
    }

    /// What a key for it is used for, in a project whose JWTs have that algorithm.
    pub const fn key_use(self, algorithm: SigningAlgorithm) -> KeyUse {
        match self {
            Self::RefreshTokens => KeyUse::RefreshTokenMac,
            Self::Tokens => KeyUse::Jwt(algorithm),
        }
    }
}

/// What a key may do at a point in time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyState {
    /// Published, does not sign yet.
    Pending,
    /// Signs.
    Active,
    /// Signs no more; still published, because its tokens may be valid.
    Retiring,
    /// Worthless.
    Retired,
}

impl KeyState {
    /// The word for it, for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Retiring => "retiring",
            Self::Retired => "retired",
        }
    }
}

/// A key as it is stored: its secret half encrypted under the master key.
#[derive(Clone, Debug)]
pub struct StoredKey {
    /// Id, the `kid` of its tokens.
    pub id: SigningKeyId,
    /// Project.
    pub project_id: ProjectId,
    /// What it is used for.
    pub key_use: KeyUse,
    /// Encrypted secret half.
    pub sealed: Vec<u8>,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Signs from then on.
    pub activates_at: Timestamp,
    /// Signs until then; set when its successor is made.
    pub replaced_at: Option<Timestamp>,
    /// Published until then; set when its successor is made.
    pub retires_at: Option<Timestamp>,
}

impl StoredKey {
    /// What it may do at that time.
    pub fn state_at(&self, now: Timestamp) -> KeyState {
        match (self.replaced_at, self.retires_at) {
            _ if now < self.activates_at => KeyState::Pending,
            (_, Some(retires_at)) if now >= retires_at => KeyState::Retired,
            (Some(replaced_at), _) if now >= replaced_at => KeyState::Retiring,
            _ => KeyState::Active,
        }
    }

    /// Ends its signing when `successor` begins to, and its life `kept_for` later. False if nothing changes: it is of another
    /// purpose, or ends earlier.
    pub fn end_with(&mut self, successor: &Self, kept_for: Duration) -> bool {
        let ends_later = self.replaced_at.is_none_or(|end| end > successor.activates_at);
        let is_followed = ends_later && self.key_use.purpose() == successor.key_use.purpose();
        if is_followed {
            self.replaced_at = Some(successor.activates_at);
            self.retires_at = Some(successor.activates_at + kept_for);
        }
        is_followed
    }
}

#[cfg(test)]
mod tests {
    use super::{KeyState::*, *};

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_timestamp_secs(1_800_000_000).unwrap() + Duration::minutes(minutes)
    }

    fn key_from(key_use: KeyUse, activates_at: Timestamp) -> StoredKey {
        StoredKey {
            id: uuid::Uuid::nil().into(),
            project_id: uuid::Uuid::nil().into(),
            key_use,
            sealed: Vec::new(),
            created_at: at(0),
            activates_at,
            replaced_at: None,
            retires_at: None,
        }
    }

    const RS256: KeyUse = KeyUse::Jwt(SigningAlgorithm::Rs256);

    #[test]
    fn a_key_ends_with_its_first_successor_of_the_same_purpose() {
        let (mut key, kept_for) = (key_from(RS256, at(0)), Duration::minutes(60));
        assert!(!key.end_with(&key_from(KeyUse::RefreshTokenMac, at(1)), kept_for));
        assert_eq!((key.replaced_at, key.retires_at), (None, None));
        assert!(key.end_with(&key_from(KeyUse::Jwt(SigningAlgorithm::Es256), at(10)), kept_for), "of any algorithm");
        assert_eq!((key.replaced_at, key.retires_at), (Some(at(10)), Some(at(70))));
        assert!(!key.end_with(&key_from(RS256, at(10)), kept_for), "a later one changes nothing");
        assert!(key.end_with(&key_from(RS256, at(5)), kept_for), "one that signs before does");
        assert_eq!((key.replaced_at, key.retires_at), (Some(at(5)), Some(at(65))));
    }

    #[test]
    fn a_key_goes_through_its_states() {
        let mut key = key_from(RS256, at(10));
        (key.replaced_at, key.retires_at) = (Some(at(20)), Some(at(30)));
        let states = [0, 9, 10, 19, 20, 29, 30].map(|minute| key.state_at(at(minute)));
        assert_eq!(states, [Pending, Pending, Active, Active, Retiring, Retiring, Retired]);
    }
}
