//! The keys of a project, decrypted and parsed, ready for use.

use std::sync::OnceLock;

use chrono::Duration;
use uuid::Uuid;

use super::{
    device_token::{DeviceTokenKey, key_id_of},
    json_web_key::JsonWebKey,
    key_certificate::KeyCertificate,
    master_key::{MasterKey, OpenError, Purpose},
    refresh_token::{RefreshGrant, RefreshTokenKey, SealedRefreshToken},
    signing_key::{SigningKey, SigningKeyError, VerifyingKey},
};
use crate::{
    clock::Timestamp,
    domain::{
        id::{DeviceId, ProjectId, SigningKeyId, UserId},
        signing_key::{KeyPurpose, KeyState, KeyUse, SigningAlgorithm, StoredKey},
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
    /// The key cannot be read, so that nothing can be said about what was made with it.
    #[error("signing key {0} cannot be read")]
    Unreadable(SigningKeyId),
}

/// A key for JWTs.
pub struct JwtKey {
    stored: StoredKey,
    /// Signs.
    pub signing: SigningKey,
    /// Its public half, as published.
    pub json_web_key: JsonWebKey,
    /// Made when it is first asked for: it costs as much as a token.
    certificate: OnceLock<Option<KeyCertificate>>,
    verifying: VerifyingKey,
}

impl JwtKey {
    fn to_publish(&self) -> JsonWebKey {
        let make = || KeyCertificate::of(&self.signing, self.stored.id, self.stored.created_at);
        JsonWebKey { certificate: self.certificate.get_or_init(make).clone(), ..self.json_web_key.clone() }
    }
}

/// A key for tokens that only the service itself reads.
struct MacKey {
    stored: StoredKey,
    refresh_token: RefreshTokenKey,
    device_token: DeviceTokenKey,
}

/// All keys of a project that have not retired.
pub struct ProjectKeys {
    jwt: Vec<JwtKey>,
    mac: Vec<MacKey>,
    /// Those that cannot be used.
    unreadable: Vec<StoredKey>,
}

impl ProjectKeys {
    /// Decrypts and parses stored keys. One that cannot be read is logged and left aside: the others go on working.
    pub fn open(master_key: &MasterKey, stored: Vec<StoredKey>) -> Self {
        let mut keys = Self { jwt: Vec::new(), mac: Vec::new(), unreadable: Vec::new() };
        for key in stored {
            if let Err(error) = keys.add(master_key, &key) {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    project = %key.project_id,
                    key = %key.id,
                    "a signing key cannot be read; replace it with `signet key rotate --now`"
                );
                keys.unreadable.push(key);
            }
        }
        keys
    }

    fn add(&mut self, master_key: &MasterKey, key: &StoredKey) -> Result<(), ProjectKeysError> {
        let secret = master_key
            .open(Purpose::SigningKey, key.id.into(), &key.sealed)
            .map_err(|source| ProjectKeysError::Open { id: key.id, source })?;
        match key.key_use {
            KeyUse::RefreshTokenMac => {
                let refresh_token = RefreshTokenKey::new(key.id, &secret);
                let device_token = DeviceTokenKey::new(key.id, &secret);
                self.mac.push(MacKey { stored: key.clone(), refresh_token, device_token });
            }
            KeyUse::Jwt(algorithm) => {
                let signing = SigningKey::from_pkcs8(algorithm, &secret)?;
                let public = signing.public_key();
                let verifying = VerifyingKey::new(algorithm, &public)?;
                let kid = key.id.to_string();
                let json_web_key = JsonWebKey { kid, alg: algorithm, key_use: "sig", public, certificate: None };
                let certificate = OnceLock::new();
                self.jwt.push(JwtKey { stored: key.clone(), signing, json_web_key, certificate, verifying });
            }
        }
        Ok(())
    }

    /// Whether the key with that id is one of them, of whatever use and state.
    pub fn know(&self, id: SigningKeyId) -> Result<bool, ProjectKeysError> {
        if self.unreadable.iter().any(|key| key.id == id) {
            return Err(ProjectKeysError::Unreadable(id));
        }
        let mut stored = self.jwt.iter().map(|key| &key.stored).chain(self.mac.iter().map(|key| &key.stored));
        Ok(stored.any(|key| key.id == id))
    }

    /// The key that signs JWTs at that time.
    pub fn signer(&self, now: Timestamp) -> Result<&JwtKey, ProjectKeysError> {
        let signer = self.signing(&self.jwt, |key| &key.stored, KeyPurpose::Tokens, now);
        signer.ok_or(ProjectKeysError::NoActiveKey("tokens"))
    }

    /// The key for refresh tokens at that time.
    pub fn refresh_token_key(&self, now: Timestamp) -> Result<&RefreshTokenKey, ProjectKeysError> {
        let newest = self.signing(&self.mac, |key| &key.stored, KeyPurpose::RefreshTokens, now);
        newest.map(|key| &key.refresh_token).ok_or(ProjectKeysError::NoActiveKey("refresh tokens"))
    }

    /// The key that signs. If that cannot be read, its predecessor goes on in its place, for as long as it is
    /// published: its tokens are still taken anyway, so that nothing is gained by signing in nobody.
    fn signing<'k, K>(
        &self,
        keys: &'k [K],
        stored: impl Fn(&K) -> &StoredKey,
        purpose: KeyPurpose,
        now: Timestamp,
    ) -> Option<&'k K> {
        newest_active(keys, &stored, now).or_else(|| {
            let is_lost = |key: &StoredKey| key.key_use.purpose() == purpose && key.state_at(now) == KeyState::Active;
            let retiring = keys.iter().filter(|key| stored(key).state_at(now) == KeyState::Retiring);
            let last = retiring.max_by_key(|key| (stored(key).replaced_at, stored(key).activates_at, stored(key).id));
            last.filter(|_| self.unreadable.iter().any(is_lost))
        })
    }

    /// The key for device tokens at that time.
    pub fn device_token_key(&self, now: Timestamp) -> Result<&DeviceTokenKey, ProjectKeysError> {
        let newest = self.signing(&self.mac, |key| &key.stored, KeyPurpose::RefreshTokens, now);
        newest.map(|key| &key.device_token).ok_or(ProjectKeysError::NoActiveKey("device tokens"))
    }

    /// The device that a token stands for, if it was made for that user and version of their credential, no longer ago
    /// than `lifetime`.
    pub fn known_device(
        &self,
        token: &str,
        (user, credential_version): (UserId, i32),
        now: Timestamp,
        lifetime: Duration,
    ) -> Option<DeviceId> {
        let id = key_id_of(token)?;
        let verified = self.mac_verifier(id, now)?.device_token.verify(token, user, credential_version)?;
        let age = now - verified.issued_at;
        (-CLOCK_SKEW_MAX <= age && age < lifetime).then_some(verified.device)
    }

    /// The key with that `kid`, unless it has retired or does not sign yet.
    pub fn verifier(&self, kid: &str, now: Timestamp) -> Option<&VerifyingKey> {
        let usable = |key: &&JwtKey| key.json_web_key.kid == kid && may_have_signed(&key.stored, now);
        self.jwt.iter().find(usable).map(|key| &key.verifying)
    }

    /// What an opaque refresh token stands for, if a key that has not retired made it.
    pub fn open_refresh_token(&self, token: &SealedRefreshToken, now: Timestamp) -> Option<RefreshGrant> {
        self.mac_verifier(token.key_id(), now)?.refresh_token.open(token)
    }

    fn mac_verifier(&self, id: SigningKeyId, now: Timestamp) -> Option<&MacKey> {
        self.mac.iter().find(|key| key.stored.id == id && may_have_signed(&key.stored, now))
    }

    /// The public keys to publish: those that sign, soon will, or lately did.
    pub fn json_web_keys(&self, now: Timestamp) -> Vec<JsonWebKey> {
        self.published(now).map(JwtKey::to_publish).collect()
    }

    /// The algorithm of each of these.
    pub fn algorithms(&self, now: Timestamp) -> impl Iterator<Item = SigningAlgorithm> {
        self.published(now).map(|key| key.signing.algorithm())
    }

    fn published(&self, now: Timestamp) -> impl Iterator<Item = &JwtKey> {
        self.jwt.iter().filter(move |key| key.stored.state_at(now) != KeyState::Retired)
    }
}

/// True if a token of that key may be about. The clock of the replica that made it may run ahead.
fn may_have_signed(stored: &StoredKey, now: Timestamp) -> bool {
    match stored.state_at(now) {
        KeyState::Active | KeyState::Retiring => true,
        KeyState::Pending => stored.state_at(now + CLOCK_SKEW_MAX) == KeyState::Active,
        KeyState::Retired => false,
    }
}

/// The key that became active last; the newer one if two did together, so that all replicas choose the same. If there
/// is none yet, one that another replica's clock may have seen become active already: the first key of a new project.
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
