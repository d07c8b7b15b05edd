//! Opaque secrets: 256 random bits, shown once, stored only as their SHA-256.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use crate::random::Random;

const RANDOM_BYTES: usize = 32;
const ENCODED_LEN: usize = 43;

/// What a secret opens. Each kind has a prefix of its own, which also lets secret scanners find a leaked one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SecretKind {
    /// Secret of a confidential client.
    ClientSecret,
    /// Secret of an operator.
    OperatorSecret,
    /// Token of a password reset.
    PasswordReset,
    /// Token of a pending authentication.
    PendingAuthentication,
}

impl SecretKind {
    const fn prefix(self) -> &'static str {
        match self {
            Self::ClientSecret => "signet_cs_",
            Self::OperatorSecret => "signet_os_",
            Self::PasswordReset => "signet_pr_",
            Self::PendingAuthentication => "signet_pa_",
        }
    }
}

/// A secret in plain text, on its way to its owner or from them.
#[derive(Clone, Debug)]
pub struct PlainSecret(SecretString);

/// What is stored of a secret. A hash without salt is enough for 256 random bits.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct SecretHash(pub [u8; 32]);

impl PlainSecret {
    /// A new secret.
    pub fn generate(kind: SecretKind, random: &Random) -> Self {
        let bytes: [u8; RANDOM_BYTES] = random.bytes();
        Self(format!("{}{}", kind.prefix(), URL_SAFE_NO_PAD.encode(bytes)).into())
    }

    /// Takes what a caller sent, if it has the form of that kind.
    pub fn parse(kind: SecretKind, text: &str) -> Option<Self> {
        let encoded = text.strip_prefix(kind.prefix())?;
        let fine = encoded.len() == ENCODED_LEN && URL_SAFE_NO_PAD.decode(encoded).is_ok();
        fine.then(|| Self(text.to_owned().into()))
    }

    /// What to store and to look for.
    pub fn hash(&self) -> SecretHash {
        SecretHash(Sha256::digest(self.0.expose_secret()).into())
    }

    /// The text, for the one answer that shows it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_taken_only_as_its_kind() {
        let secret = PlainSecret::generate(SecretKind::ClientSecret, &Random::seeded(1));
        let text = secret.expose();
        assert_eq!(PlainSecret::parse(SecretKind::ClientSecret, text).unwrap().hash(), secret.hash());
        assert!(PlainSecret::parse(SecretKind::PendingAuthentication, text).is_none());
        for cut in 0..text.len() {
            assert!(PlainSecret::parse(SecretKind::ClientSecret, &text[..cut]).is_none());
        }
        assert!(!format!("{secret:?}").contains(&text[10..]));
    }
}
