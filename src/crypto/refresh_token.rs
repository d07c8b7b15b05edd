//! Opaque refresh tokens: session, generation and a MAC, so that none needs a row of its own.

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::SecretString;
use uuid::Uuid;

use crate::domain::id::{SessionId, SigningKeyId};

const PREFIX: &str = "signet_rt_";
const ID_LEN: usize = 16;
const BODY_LEN: usize = ID_LEN + ID_LEN + 4;
const MAC_LEN: usize = 32;

/// What a refresh token stands for, in whichever form it came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RefreshGrant {
    /// The session.
    pub session_id: SessionId,
    /// Which of its refresh tokens.
    pub generation: u32,
}

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

    /// The refresh token of a session's generation. The same for the same input, which is what lets a lost answer be
    /// repeated.
    pub fn mint(&self, grant: RefreshGrant) -> SecretString {
        let mut token = Vec::with_capacity(BODY_LEN + MAC_LEN);
        token.extend_from_slice(Uuid::from(self.id).as_bytes());
        token.extend_from_slice(Uuid::from(grant.session_id).as_bytes());
        token.extend_from_slice(&grant.generation.to_be_bytes());
        let mac = hmac::sign(&self.key, &authenticated(&token));
        token.extend_from_slice(mac.as_ref());
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(token)).into()
    }

    /// What the token stands for, if it was made with this key. Takes the same time for every wrong MAC.
    pub fn open(&self, token: &SealedRefreshToken) -> Option<RefreshGrant> {
        let (body, mac) = token.0.split_at(BODY_LEN);
        hmac::verify(&self.key, &authenticated(body), mac).ok()?;
        let (session_id, generation) = body[ID_LEN..].split_at(ID_LEN);
        Some(RefreshGrant {
            session_id: Uuid::from_slice(session_id).ok()?.into(),
            generation: u32::from_be_bytes(generation.try_into().ok()?),
        })
    }
}

/// A token in the form of an opaque refresh token, whose MAC has not been looked at.
pub struct SealedRefreshToken([u8; BODY_LEN + MAC_LEN]);

impl SealedRefreshToken {
    /// Takes what a caller sent; none if it does not have the form.
    pub fn parse(text: &str) -> Option<Self> {
        let encoded = text.strip_prefix(PREFIX)?;
        let mut token = [0; BODY_LEN + MAC_LEN];
        let length = URL_SAFE_NO_PAD.decode_slice(encoded, &mut token).ok()?;
        (length == token.len()).then_some(Self(token))
    }

    /// The key it claims to be made with.
    pub fn key_id(&self) -> SigningKeyId {
        let mut id = [0; ID_LEN];
        id.copy_from_slice(&self.0[..ID_LEN]);
        Uuid::from_bytes(id).into()
    }
}

/// What the MAC covers: with the prefix, so that the key can serve other kinds of token beside this one.
fn authenticated(body: &[u8]) -> Vec<u8> {
    [PREFIX.as_bytes(), body].concat()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn key(byte: u8) -> RefreshTokenKey {
        RefreshTokenKey::new(Uuid::from_u128(9).into(), &[byte; 32])
    }

    fn grant(session: u128, generation: u32) -> RefreshGrant {
        RefreshGrant { session_id: Uuid::from_u128(session).into(), generation }
    }

    #[test]
    fn a_token_depends_on_session_generation_and_key() {
        let mint = |byte, session, generation| key(byte).mint(grant(session, generation)).expose_secret().to_owned();
        let token = mint(1, 1, 1);
        assert_eq!(mint(1, 1, 1), token);
        assert_ne!(mint(1, 1, 2), token);
        assert_ne!(mint(1, 2, 1), token);
        assert_ne!(mint(2, 1, 1), token);
    }

    #[test]
    fn a_token_opens_with_its_key_and_no_other() {
        let token = key(1).mint(grant(7, 3));
        let sealed = SealedRefreshToken::parse(token.expose_secret()).unwrap();
        assert_eq!(sealed.key_id(), Uuid::from_u128(9).into());
        assert_eq!(key(1).open(&sealed), Some(grant(7, 3)));
        assert_eq!(key(2).open(&sealed), None);
    }

    #[test]
    fn a_token_cut_anywhere_or_changed_in_any_bit_is_worthless() {
        let token = key(1).mint(grant(7, 3));
        let token = token.expose_secret();
        let open = |text: &str| key(1).open(&SealedRefreshToken::parse(text)?);
        assert!((0..token.len()).all(|cut| open(&token[..cut]).is_none()));
        for bit in 0..token.len() * 8 {
            let mut bytes = token.as_bytes().to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let changed = String::from_utf8_lossy(&bytes);
            assert_eq!(open(&changed), None, "{changed}");
        }
        assert_eq!(open(&format!("{token}A")), None);
    }
}
