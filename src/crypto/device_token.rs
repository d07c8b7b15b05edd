//! Device tokens: proof that a user has signed in on a device, so that strangers' failures do not slow it down.
//!
//! Made with the keys of refresh tokens: the label in the MAC is another, so that neither passes for the other.

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::SecretString;
use uuid::Uuid;

use crate::{
    clock::Timestamp,
    domain::id::{DeviceId, SigningKeyId, UserId},
};

const PREFIX: &str = "signet_dt_";
const BODY_BYTES: usize = 16 + 16 + 16 + 8 + 4;
const MAC_BYTES: usize = 32;

/// The key that device tokens of a project are made with.
pub struct DeviceTokenKey {
    id: SigningKeyId,
    key: hmac::Key,
}

/// What a good token says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct VerifiedDevice {
    /// The device.
    pub device: DeviceId,
    /// When the token was made.
    pub issued_at: Timestamp,
}

impl DeviceTokenKey {
    /// Takes the secret of a key of the ring.
    pub fn new(id: SigningKeyId, secret: &[u8]) -> Self {
        Self { id, key: hmac::Key::new(hmac::HMAC_SHA256, secret) }
    }

    /// The token of a device that a user signed in on with that version of their credential.
    pub fn mint(&self, user: UserId, credential_version: i32, device: DeviceId, now: Timestamp) -> SecretString {
        let mut token = Vec::with_capacity(BODY_BYTES + MAC_BYTES);
        for id in [Uuid::from(self.id), user.into(), device.into()] {
            token.extend_from_slice(id.as_bytes());
        }
        token.extend_from_slice(&now.timestamp().to_be_bytes());
        token.extend_from_slice(&credential_version.to_be_bytes());
        let mac = hmac::sign(&self.key, &[PREFIX.as_bytes(), &token].concat());
        token.extend_from_slice(mac.as_ref());
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(token)).into()
    }

    /// What a token says, if this key made it for that user and the password they still have. Whoever once had a
    /// password could have stocked tokens: they must not bring guesses at the next one.
    pub fn verify(&self, token: &str, user: UserId, credential_version: i32) -> Option<VerifiedDevice> {
        let token = decode(token)?;
        let (body, mac) = token.split_at_checked(BODY_BYTES)?;
        // In constant time; nothing of the body is believed before.
        hmac::verify(&self.key, &[PREFIX.as_bytes(), body].concat(), mac).ok()?;
        let uuid = |at: usize| Uuid::from_slice(body.get(at..at + 16)?).ok();
        let seconds = i64::from_be_bytes(body.get(48..56)?.try_into().ok()?);
        let version = i32::from_be_bytes(body.get(56..)?.try_into().ok()?);
        let is_theirs =
            uuid(0)? == Uuid::from(self.id) && uuid(16)? == Uuid::from(user) && version == credential_version;
        let issued_at = Timestamp::from_timestamp_secs(seconds)?;
        is_theirs.then_some(VerifiedDevice { device: uuid(32)?.into(), issued_at })
    }
}

/// The key that a token says it was made with; nothing is verified yet.
pub fn key_id_of(token: &str) -> Option<SigningKeyId> {
    Uuid::from_slice(decode(token)?.get(..16)?).ok().map(Into::into)
}

fn decode(token: &str) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(token.strip_prefix(PREFIX)?).ok()?;
    (bytes.len() == BODY_BYTES + MAC_BYTES).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use chrono::Duration;
    use secrecy::{ExposeSecret as _, SecretBox};

    use super::*;
    use crate::{
        crypto::{
            master_key::MasterKey,
            project_keys::{CLOCK_SKEW_MAX, ProjectKeys, generate},
            refresh_token::{RefreshGrant, RefreshTokenKey},
        },
        domain::{id::ProjectId, signing_key::KeyUse},
        random::Random,
    };

    fn key(byte: u8) -> DeviceTokenKey {
        DeviceTokenKey::new(Uuid::from_u128(9).into(), &[byte; 32])
    }

    fn user(number: u128) -> UserId {
        Uuid::from_u128(number).into()
    }

    fn now() -> Timestamp {
        Timestamp::from_timestamp_secs(1_800_000_000).unwrap()
    }

    fn token() -> String {
        key(1).mint(user(1), 3, Uuid::from_u128(7).into(), now()).expose_secret().to_owned()
    }

    #[test]
    fn a_token_is_good_for_its_user_and_key_only() {
        let verified = VerifiedDevice { device: Uuid::from_u128(7).into(), issued_at: now() };
        assert_eq!(key(1).verify(&token(), user(1), 3), Some(verified));
        assert_eq!(key_id_of(&token()), Some(Uuid::from_u128(9).into()));
        assert_eq!(key(1).verify(&token(), user(2), 3), None);
        assert_eq!(key(2).verify(&token(), user(1), 3), None);
        assert_eq!(key(1).verify(&token(), user(1), 4), None, "there is a new password");
        assert_eq!(key(1).verify(&token(), user(1), 0), None, "there is none any more");
        let other_id = DeviceTokenKey::new(Uuid::from_u128(8).into(), &[1; 32]);
        assert_eq!(other_id.verify(&token(), user(1), 3), None);
    }

    #[test]
    fn a_token_cut_or_changed_anywhere_is_worthless() {
        let token = token();
        for cut in 0..token.len() {
            assert_eq!(key(1).verify(&token[..cut], user(1), 3), None, "cut at {cut}");
        }
        for bit in 0..token.len() * 8 {
            let mut bytes = token.clone().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            if let Ok(flipped) = String::from_utf8(bytes) {
                assert_eq!(key(1).verify(&flipped, user(1), 3), None, "bit {bit}");
            }
        }
        assert_eq!(key(1).verify(&format!("{token}A"), user(1), 3), None);
    }

    #[test]
    fn a_refresh_token_is_no_device_token_under_its_name() {
        let grant = RefreshGrant { session_id: Uuid::from_u128(1).into(), generation: 1 };
        let refresh = RefreshTokenKey::new(Uuid::from_u128(9).into(), &[1; 32]).mint(grant);
        let disguised = refresh.expose_secret().replace("signet_rt_", PREFIX);
        assert_eq!(key(1).verify(&disguised, user(1), 3), None);
        // Neither does the same body get the same MAC.
        let bytes = decode(&token()).unwrap();
        let forged = hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA256, &[1; 32]),
            &[b"signet_rt_".as_slice(), &bytes[..BODY_BYTES]].concat(),
        );
        assert_ne!(forged.as_ref(), &bytes[BODY_BYTES..]);
    }

    #[test]
    fn a_token_is_good_while_its_key_is_and_until_it_is_too_old() {
        let (random, made, year) = (Random::seeded(1), now(), Duration::days(365));
        let master_key = MasterKey::new(&SecretBox::new(Box::new([1; 32])));
        let project = ProjectId::generate(made, &random);
        let mut stored = generate(project, KeyUse::RefreshTokenMac, made, made, &master_key, &random).unwrap();
        let keys = ProjectKeys::open(&master_key, vec![stored.clone()]);
        let device = DeviceId::from(Uuid::from_u128(7));
        let token = keys.device_token_key(made).unwrap().mint(user(1), 3, device, made);
        let known = |keys: &ProjectKeys, at| keys.known_device(token.expose_secret(), (user(1), 3), at, year);

        let second = Duration::seconds(1);
        assert_eq!(known(&keys, made + year - second), Some(device));
        assert_eq!(known(&keys, made + year), None, "too old");
        assert_eq!(known(&keys, made - CLOCK_SKEW_MAX), Some(device), "of a replica whose clock runs early");
        assert_eq!(known(&keys, made - CLOCK_SKEW_MAX - second), None);

        (stored.replaced_at, stored.retires_at) = (Some(made + second * 10), Some(made + second * 20));
        let keys = ProjectKeys::open(&master_key, vec![stored]);
        assert_eq!(known(&keys, made + second * 19), Some(device), "its key is retiring");
        assert_eq!(known(&keys, made + second * 20), None, "its key has retired");
    }
}
