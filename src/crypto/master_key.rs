//! The master key: everything secret that has to be read again is stored encrypted under it.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hmac,
};
use secrecy::{ExposeSecret as _, SecretBox};
use subtle::{Choice, ConstantTimeEq as _};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::random::Random;

const VERSION: u8 = 1;
const FINGERPRINT_LEN: usize = 4;
const HEADER_LEN: usize = 1 + FINGERPRINT_LEN + NONCE_LEN;

/// What an encrypted value is. Bound into it, so that one cannot be passed off as another.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// An answer that is kept for repetitions of its call.
    Answer,
    /// A code on its way to an email address.
    EmailCode,
    /// A mail in the outbox.
    Mail,
    /// Token and page of a password reset.
    PasswordReset,
    /// The secret half of a signing key.
    SigningKey,
}

impl Purpose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Answer => "signet/v1/answer",
            Self::EmailCode => "signet/v1/email-code",
            Self::Mail => "signet/v1/mail",
            Self::PasswordReset => "signet/v1/password-reset",
            Self::SigningKey => "signet/v1/signing-key",
        }
    }
}

/// An encrypted value could not be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum OpenError {
    /// Not in the format, cut, changed, or encrypted as something else.
    #[error("the encrypted value is damaged")]
    Damaged,
    /// Encrypted under a master key that is not here.
    #[error("the value was encrypted under another master key than SIGNET_MASTER_KEY and SIGNET_PREVIOUS_MASTER_KEY")]
    OtherKey,
}

/// Two master keys cannot be told apart in what they sealed. For keys made by chance this is as likely as one in four
/// thousand million, so it is nearly always twice the same key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the two master keys have the same fingerprint")]
pub struct SameFingerprint;

/// Tells under which master key a value was sealed. No secret: it stands in front of every sealed value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fingerprint([u8; FINGERPRINT_LEN]);

impl Fingerprint {
    /// Where it begins in a sealed value, counted from 1 as in SQL.
    pub const POSITION: usize = 2;
    /// Its length in bytes.
    pub const LENGTH: usize = FINGERPRINT_LEN;

    /// Its bytes, as they stand in a sealed value.
    pub const fn as_bytes(&self) -> &[u8; FINGERPRINT_LEN] {
        &self.0
    }
}

/// A 256-bit key from the operator (AES-256-GCM, HMAC-SHA-256), and during a rotation a second one beside it, which
/// opens and compares, but never makes anything.
pub struct MasterKey {
    current: Derived,
    previous: Option<Derived>,
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey")
    }
}

impl MasterKey {
    /// Takes the 32 bytes. Each use gets a key of its own, derived from them.
    pub fn new(bytes: &SecretBox<[u8; 32]>) -> Self {
        Self { current: Derived::from(bytes), previous: None }
    }

    /// Opens what another key sealed, too.
    ///
    /// # Errors
    ///
    /// The keys are the same, or cannot be told apart.
    pub fn with_previous(self, bytes: &SecretBox<[u8; 32]>) -> Result<Self, SameFingerprint> {
        let previous = Derived::from(bytes);
        if previous.fingerprint == self.current.fingerprint {
            return Err(SameFingerprint);
        }
        Ok(Self { previous: Some(previous), ..self })
    }

    /// Of the key that seals.
    pub const fn fingerprint(&self) -> Fingerprint {
        Fingerprint(self.current.fingerprint)
    }

    /// Whether there is a second key, which only opens.
    pub const fn has_previous(&self) -> bool {
        self.previous.is_some()
    }

    /// Whether a value was sealed under the key that seals today.
    pub fn sealed_it(&self, sealed: &[u8]) -> bool {
        sealed.get(1..=FINGERPRINT_LEN).is_some_and(|fingerprint| fingerprint == self.current.fingerprint)
    }

    /// Encrypts a value that belongs to the row `id`.
    pub fn seal(&self, purpose: Purpose, id: Uuid, plain: &[u8], random: &Random) -> Vec<u8> {
        let nonce: [u8; NONCE_LEN] = random.bytes();
        let mut sealed = Vec::with_capacity(HEADER_LEN + plain.len() + AES_256_GCM.tag_len());
        sealed.push(VERSION);
        sealed.extend_from_slice(&self.current.fingerprint);
        sealed.extend_from_slice(&nonce);
        let mut secret = plain.to_vec();
        self.current
            .aead
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad(purpose, id), &mut secret)
            .expect("a value in memory is far below the limit of AES-GCM");
        sealed.append(&mut secret);
        sealed
    }

    /// Decrypts a value that was sealed for the same purpose and row, under either key.
    pub fn open(&self, purpose: Purpose, id: Uuid, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let (header, secret) = sealed.split_at_checked(HEADER_LEN).ok_or(OpenError::Damaged)?;
        let (fingerprint, nonce) = header[1..].split_at(FINGERPRINT_LEN);
        if header[0] != VERSION {
            return Err(OpenError::Damaged);
        }
        let key = self.keys().find(|key| key.fingerprint == fingerprint).ok_or(OpenError::OtherKey)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| OpenError::Damaged)?;
        let mut buffer = Zeroizing::new(secret.to_vec());
        let length =
            key.aead.open_in_place(nonce, aad(purpose, id), &mut buffer).map_err(|_| OpenError::Damaged)?.len();
        buffer.truncate(length);
        Ok(buffer)
    }

    /// Keyed hash of a short code that belongs to the row `id`: with the database alone it cannot be guessed.
    pub fn hash_code(&self, id: Uuid, code: &str) -> [u8; 32] {
        self.current.hash_code(id, code)
    }

    /// Compares a code with a stored hash, in constant time. A hash does not tell which key made it, so each is tried,
    /// whatever the one before said.
    pub fn code_matches(&self, id: Uuid, code: &str, hash: &[u8; 32]) -> bool {
        let matches = self.keys().map(|key| key.hash_code(id, code).ct_eq(hash));
        matches.fold(Choice::from(0), |any, one| any | one).into()
    }

    fn keys(&self) -> impl Iterator<Item = &Derived> {
        std::iter::once(&self.current).chain(&self.previous)
    }
}

/// What is made of the 32 bytes.
struct Derived {
    aead: LessSafeKey,
    codes: hmac::Key,
    fingerprint: [u8; FINGERPRINT_LEN],
}

impl From<&SecretBox<[u8; 32]>> for Derived {
    fn from(bytes: &SecretBox<[u8; 32]>) -> Self {
        let root = hmac::Key::new(hmac::HMAC_SHA256, bytes.expose_secret());
        let derive = |label: &str| hmac::sign(&root, label.as_bytes());
        let aead =
            UnboundKey::new(&AES_256_GCM, derive("signet/v1/seal").as_ref()).expect("HMAC-SHA-256 gives 32 bytes");
        let mut fingerprint = [0; FINGERPRINT_LEN];
        fingerprint.copy_from_slice(&derive("signet/v1/fingerprint").as_ref()[..FINGERPRINT_LEN]);
        Self {
            aead: LessSafeKey::new(aead),
            codes: hmac::Key::new(hmac::HMAC_SHA256, derive("signet/v1/codes").as_ref()),
            fingerprint,
        }
    }
}

impl Derived {
    fn hash_code(&self, id: Uuid, code: &str) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.codes);
        context.update(id.as_bytes());
        context.update(code.as_bytes());
        let mut hash = [0; 32];
        hash.copy_from_slice(context.sign().as_ref());
        hash
    }
}

fn aad(purpose: Purpose, id: Uuid) -> Aad<Vec<u8>> {
    Aad::from([purpose.as_str().as_bytes(), id.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> MasterKey {
        MasterKey::new(&SecretBox::new(Box::new([byte; 32])))
    }

    #[test]
    fn a_sealed_value_opens_only_as_what_it_is() {
        let (id, random) = (Uuid::from_u128(1), Random::seeded(1));
        let sealed = key(1).seal(Purpose::Mail, id, b"secret", &random);
        assert_eq!(key(1).open(Purpose::Mail, id, &sealed).unwrap().as_slice(), b"secret");
        assert_eq!(key(2).open(Purpose::Mail, id, &sealed), Err(OpenError::OtherKey));
        assert_eq!(key(1).open(Purpose::SigningKey, id, &sealed), Err(OpenError::Damaged));
        assert_eq!(key(1).open(Purpose::Mail, Uuid::from_u128(2), &sealed), Err(OpenError::Damaged));
        for cut in 0..sealed.len() {
            assert!(key(1).open(Purpose::Mail, id, &sealed[..cut]).is_err());
        }
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(key(1).open(Purpose::Mail, id, &flipped).is_err());
        }
    }

    #[test]
    fn a_code_matches_only_for_its_row() {
        let hash = key(1).hash_code(Uuid::from_u128(1), "123456");
        assert!(key(1).code_matches(Uuid::from_u128(1), "123456", &hash));
        assert!(!key(1).code_matches(Uuid::from_u128(1), "123457", &hash));
        assert!(!key(1).code_matches(Uuid::from_u128(2), "123456", &hash));
        assert!(!key(2).code_matches(Uuid::from_u128(1), "123456", &hash));
    }

    #[test]
    fn a_second_key_opens_and_compares_but_makes_nothing() {
        let bytes = |byte: u8| SecretBox::new(Box::new([byte; 32]));
        let both = key(2).with_previous(&bytes(1)).unwrap();
        let (id, random) = (Uuid::from_u128(1), Random::seeded(1));
        let before = key(1).seal(Purpose::Mail, id, b"secret", &random);
        assert_eq!(both.open(Purpose::Mail, id, &before).unwrap().as_slice(), b"secret");
        assert_eq!(both.open(Purpose::SigningKey, id, &before), Err(OpenError::Damaged), "bound as ever");
        assert!(both.has_previous() && !both.sealed_it(&before));

        let after = both.seal(Purpose::Mail, id, b"secret", &random);
        assert!(both.sealed_it(&after) && key(2).sealed_it(&after));
        assert_eq!(key(2).open(Purpose::Mail, id, &after).unwrap().as_slice(), b"secret");
        assert_eq!(key(1).open(Purpose::Mail, id, &after), Err(OpenError::OtherKey));
        let position = Fingerprint::POSITION - 1;
        assert_eq!(&after[position..position + Fingerprint::LENGTH], both.fingerprint().as_bytes());
        assert!(!both.sealed_it(&[]) && !both.sealed_it(&after[..FINGERPRINT_LEN]), "what is cut is nobody's");

        let third = key(3).seal(Purpose::Mail, id, b"secret", &random);
        assert_eq!(both.open(Purpose::Mail, id, &third), Err(OpenError::OtherKey));

        assert_eq!(both.hash_code(id, "123456"), key(2).hash_code(id, "123456"));
        for maker in [1, 2] {
            let hash = key(maker).hash_code(id, "123456");
            assert!(both.code_matches(id, "123456", &hash));
            assert!(!both.code_matches(id, "123457", &hash));
        }
        assert!(!both.code_matches(id, "123456", &key(3).hash_code(id, "123456")));
    }

    #[test]
    fn a_key_is_not_its_own_predecessor() {
        assert!(matches!(key(1).with_previous(&SecretBox::new(Box::new([1; 32]))), Err(SameFingerprint)));
    }

    #[test]
    fn keys_that_cannot_be_told_apart_are_refused() {
        let numbered = |number: u32| {
            let mut bytes = [0; 32];
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            SecretBox::new(Box::new(bytes))
        };
        // Found by trying: other keys, the same fingerprint.
        let (one, other) = (numbered(102_183), numbered(102_680));
        assert!(matches!(MasterKey::new(&one).with_previous(&other), Err(SameFingerprint)));
        assert!(MasterKey::new(&one).with_previous(&numbered(102_681)).is_ok());
    }
}
