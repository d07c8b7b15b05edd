//! The keys of a project, decrypted and parsed, ready for use.

use chrono::Duration;
use uuid::Uuid;

use super::{
    device_token::{DeviceTokenKey, key_id_of},
    json_web_key::JsonWebKey,
    master_key::{MasterKey, OpenError, Purpose},
    refresh_token::RefreshTokenKey,
    signing_key::{SigningKey, SigningKeyError, VerifyingKey},
};
use crate::{
    clock::Timestamp,
    domain::{
        id::{DeviceId, ProjectId, SigningKeyId, UserId},
        signing_key::{KeyState, KeyUse, StoredKey},
    },
    random::Random,
};

/// How far the clocks of two replicas may be apart: a token of one must not be too early for the other.
pub const CLOCK_SKEW_MAX: Duration = Duration::seconds(60);

/// A stored key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProjectKeysError {
    /// It cannot be decrypted.
    #[error("signing key {id}: {source}")]
    Open {
        /// The key.
        id: SigningKeyId,
        /// Why.
        source: OpenError,
    },
    /// It cannot be parsed.
    #[error(transparent)]
    Key(#[from] SigningKeyError),
    /// The project has no key that may be used now.
    #[error("the project has no active key for {0}; make one with `signet key rotate`")]
    NoActiveKey(&'static str),
}

/// A key for JWTs.
pub struct JwtKey {
    stored: StoredKey,
    /// Signs.
    pub signing: SigningKey,
    /// Its public half, as published.
    pub json_web_key: JsonWebKey,
    verifying: VerifyingKey,
}

/// All keys of a project that have not retired.
pub struct ProjectKeys {
    jwt: Vec<JwtKey>,
    refresh_token: Vec<(StoredKey, RefreshTokenKey)>,
    /// The same keys at another work.
    device_token: Vec<(StoredKey, DeviceTokenKey)>,
}

impl ProjectKeys {
    /// Decrypts and parses stored keys.
    pub fn open(master_key: &MasterKey, stored: Vec<StoredKey>) -> Result<Self, ProjectKeysError> {
        let mut keys = Self { jwt: Vec::new(), refresh_token: Vec::new(), device_token: Vec::new() };
        for key in stored {
            let secret = master_key
                .open(Purpose::SigningKey, key.id.into(), &key.sealed)
                .map_err(|source| ProjectKeysError::Open { id: key.id, source })?;
            match key.key_use {
                KeyUse::RefreshTokenMac => {
                    keys.device_token.push((key.clone(), DeviceTokenKey::new(key.id, &secret)));
                    let refresh_token_key = RefreshTokenKey::new(key.id, &secret);
                    keys.refresh_token.push((key, refresh_token_key));
                }
                KeyUse::Jwt(algorithm) => {
                    let signing = SigningKey::from_pkcs8(algorithm, &secret)?;
                    let public = signing.public_key();
                    let verifying = VerifyingKey::new(algorithm, &public)?;
                    let json_web_key = JsonWebKey { kid: key.id.to_string(), alg: algorithm, key_use: "sig", public };
                    keys.jwt.push(JwtKey { stored: key, signing, json_web_key, verifying });
                }
            }
        }
        Ok(keys)
    }

    /// The key that signs JWTs at that time.
    pub fn signer(&self, now: Timestamp) -> Result<&JwtKey, ProjectKeysError> {
        newest_active(&self.jwt, |key| &key.stored, now).ok_or(ProjectKeysError::NoActiveKey("tokens"))
    }

    /// The key for refresh tokens at that time.
    pub fn refresh_token_key(&self, now: Timestamp) -> Result<&RefreshTokenKey, ProjectKeysError> {
        let newest = newest_active(&self.refresh_token, |(stored, _)| stored, now);
        newest.map(|(_, key)| key).ok_or(ProjectKeysError::NoActiveKey("refresh tokens"))
    }

    /// The key for device tokens at that time.
    pub fn device_token_key(&self, now: Timestamp) -> Result<&DeviceTokenKey, ProjectKeysError> {
        let newest = newest_active(&self.device_token, |(stored, _)| stored, now);
        newest.map(|(_, key)| key).ok_or(ProjectKeysError::NoActiveKey("device tokens"))
    }

    /// The device that a token stands for, if it was made for that user no longer ago than `lifetime`.
    pub fn known_device(&self, token: &str, user: UserId, now: Timestamp, lifetime: Duration) -> Option<DeviceId> {
        let id = key_id_of(token)?;
        let (_, key) = self.device_token.iter().find(|(stored, _)| stored.id == id && may_have_made(stored, now))?;
        let verified = key.verify(token, user)?;
        let age = now - verified.issued_at;
        (-CLOCK_SKEW_MAX <= age && age < lifetime).then_some(verified.device)
    }

    /// The key with that `kid`, unless it has retired or does not sign yet.
    pub fn verifier(&self, kid: &str, now: Timestamp) -> Option<&VerifyingKey> {
        let usable = |key: &&JwtKey| key.json_web_key.kid == kid && may_have_made(&key.stored, now);
        self.jwt.iter().find(usable).map(|key| &key.verifying)
    }

    /// The public keys to publish: those that sign, soon will, or lately did.
    pub fn json_web_keys(&self, now: Timestamp) -> Vec<JsonWebKey> {
        let published = self.jwt.iter().filter(|key| key.stored.state_at(now) != KeyState::Retired);
        published.map(|key| key.json_web_key.clone()).collect()
    }
}

/// True if a token of that key can be good: also one of a key that another replica's clock has seen become active already.
fn may_have_made(stored: &StoredKey, now: Timestamp) -> bool {
    match stored.state_at(now) {
        KeyState::Active | KeyState::Retiring => true,
        KeyState::Pending => stored.state_at(now + CLOCK_SKEW_MAX) == KeyState::Active,
        KeyState::Retired => false,
    }
}

/// The key that became active last; the newer one if two did together, so that all replicas choose the same. If there is none
/// yet, one that another replica's clock may have seen become active already: the first key of a new project.
fn newest_active<K>(keys: &[K], stored: impl Fn(&K) -> &StoredKey, now: Timestamp) -> Option<&K> {
    let at = |now| {
        let active = keys.iter().filter(|key| stored(key).state_at(now) == KeyState::Active);
        active.max_by_key(|key| (stored(key).activates_at, stored(key).id))
    };
    at(now).or_else(|| at(now + CLOCK_SKEW_MAX))
}

/// Makes a key that signs from `activates_at`. An RSA key takes a tenth of a second or more: call off the runtime.
pub fn generate(
    project_id: ProjectId,
    key_use: KeyUse,
    activates_at: Timestamp,
    now: Timestamp,
    master_key: &MasterKey,
    random: &Random,
) -> Result<StoredKey, SigningKeyError> {
    let id = SigningKeyId::generate(now, random);
    let seal = |secret: &[u8]| master_key.seal(Purpose::SigningKey, Uuid::from(id), secret, random);
    let sealed = match key_use {
        KeyUse::RefreshTokenMac => seal(&zeroize::Zeroizing::new(random.bytes::<32>())[..]),
        KeyUse::Jwt(algorithm) => seal(&SigningKey::generate(algorithm)?),
    };
    Ok(StoredKey {
        id,
        project_id,
        key_use,
        sealed,
        created_at: now,
        activates_at,
        replaced_at: None,
        retires_at: None,
    })
}

#[cfg(test)]
#[path = "jwt_tests.rs"]
mod tests;
