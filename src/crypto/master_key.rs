//! The master key: everything secret that has to be read again is stored encrypted under it.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hmac,
};
use secrecy::{ExposeSecret as _, SecretBox};
use subtle::ConstantTimeEq as _;
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
    /// Encrypted under another master key.
    #[error("the value was encrypted under another master key than SIGNET_MASTER_KEY")]
    OtherKey,
}

/// A 256-bit key from the operator (AES-256-GCM, HMAC-SHA-256).
pub struct MasterKey {
    aead: LessSafeKey,
    codes: hmac::Key,
    fingerprint: [u8; FINGERPRINT_LEN],
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey")
    }
}

impl MasterKey {
    /// Takes the 32 bytes. Each use gets a key of its own, derived from them.
    pub fn new(bytes: &SecretBox<[u8; 32]>) -> Self {
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

    /// Encrypts a value that belongs to the row `id`.
    pub fn seal(&self, purpose: Purpose, id: Uuid, plain: &[u8], random: &Random) -> Vec<u8> {
        let nonce: [u8; NONCE_LEN] = random.bytes();
        let mut sealed = Vec::with_capacity(HEADER_LEN + plain.len() + AES_256_GCM.tag_len());
        sealed.push(VERSION);
        sealed.extend_from_slice(&self.fingerprint);
        sealed.extend_from_slice(&nonce);
        let mut secret = plain.to_vec();
        self.aead
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad(purpose, id), &mut secret)
            .expect("a value in memory is far below the limit of AES-GCM");
        sealed.append(&mut secret);
        sealed
    }

    /// Decrypts a value that was sealed for the same purpose and row.
    pub fn open(&self, purpose: Purpose, id: Uuid, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let (header, secret) = sealed.split_at_checked(HEADER_LEN).ok_or(OpenError::Damaged)?;
        let (fingerprint, nonce) = header[1..].split_at(FINGERPRINT_LEN);
        if header[0] != VERSION {
            return Err(OpenError::Damaged);
        }
        if fingerprint != self.fingerprint {
            return Err(OpenError::OtherKey);
        }
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| OpenError::Damaged)?;
        let mut buffer = Zeroizing::new(secret.to_vec());
        let length =
            self.aead.open_in_place(nonce, aad(purpose, id), &mut buffer).map_err(|_| OpenError::Damaged)?.len();
        buffer.truncate(length);
        Ok(buffer)
    }

    /// Keyed hash of a short code that belongs to the row `id`: with the database alone it cannot be guessed.
    pub fn hash_code(&self, id: Uuid, code: &str) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.codes);
        context.update(id.as_bytes());
        context.update(code.as_bytes());
        let mut hash = [0; 32];
        hash.copy_from_slice(context.sign().as_ref());
        hash
    }

    /// Compares a code with a stored hash, in constant time.
    pub fn code_matches(&self, id: Uuid, code: &str, hash: &[u8; 32]) -> bool {
        self.hash_code(id, code).ct_eq(hash).into()
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
}
