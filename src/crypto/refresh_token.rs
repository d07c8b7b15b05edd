//! Refresh tokens: session, generation and a MAC, so that none needs a row of its own.

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::SecretString;
use uuid::Uuid;

use crate::domain::id::{SessionId, SigningKeyId};

const PREFIX: &str = "signet_rt_";

/// The key that refresh tokens of a project are made with.
pub struct RefreshTokenKey {
    id: SigningKeyId,
    key: hmac::Key,
}

impl RefreshTokenKey {
    /// Takes the secret of a key of the ring.
    pub fn new(id: SigningKeyId, secret: &[u8]) -> Self {
        Self { id, key: hmac::Key::new(hmac::HMAC_SHA256, secret) }
    }

    /// The refresh token of a session's generation. The same for the same input, which is what lets a lost answer be repeated.
    pub fn mint(&self, session: SessionId, generation: u32) -> SecretString {
        let mut body = Vec::with_capacity(16 + 16 + 4 + 32);
        body.extend_from_slice(Uuid::from(self.id).as_bytes());
        body.extend_from_slice(Uuid::from(session).as_bytes());
        body.extend_from_slice(&generation.to_be_bytes());
        let mac = hmac::sign(&self.key, &[PREFIX.as_bytes(), &body].concat());
        body.extend_from_slice(mac.as_ref());
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(body)).into()
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn a_token_depends_on_session_generation_and_key() {
        let key = |byte: u8| RefreshTokenKey::new(Uuid::from_u128(9).into(), &[byte; 32]);
        let mint = |byte, session, generation| {
            key(byte).mint(Uuid::from_u128(session).into(), generation).expose_secret().to_owned()
        };
        let token = mint(1, 1, 1);
        assert_eq!(mint(1, 1, 1), token);
        assert_ne!(mint(1, 1, 2), token);
        assert_ne!(mint(1, 2, 1), token);
        assert_ne!(mint(2, 1, 1), token);
    }
}
