//! Keys that sign JWTs (RFC 7515), parsed once: parsing an RSA key costs more than signing with it.

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rand::SystemRandom,
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey};
use zeroize::Zeroizing;

use super::json_web_key::PublicKey;
use crate::domain::signing_key::SigningAlgorithm;

/// A key could not be made, read or used.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SigningKeyError {
    /// The cryptographic library could not make a key.
    #[error("no {0:?} key could be made")]
    Generate(SigningAlgorithm),
    /// The stored key is not a PKCS #8 key of that algorithm.
    #[error("the stored {0:?} key cannot be read")]
    Read(SigningAlgorithm),
    /// The cryptographic library could not sign.
    #[error("signing with {0:?} failed")]
    Sign(SigningAlgorithm),
}

/// A private key, ready to sign.
pub enum SigningKey {
    /// Ed25519.
    EdDsa(Ed25519KeyPair),
    /// ECDSA with P-256.
    Es256(EcdsaKeyPair),
    /// RSA with 2048 bits.
    Rs256(RsaKeyPair),
}

impl SigningKey {
    /// Makes a key; gives its PKCS #8 (version 1) form. An RSA key takes a tenth of a second or more: call off the
    /// runtime.
    pub fn generate(algorithm: SigningAlgorithm) -> Result<Zeroizing<Vec<u8>>, SigningKeyError> {
        let random = SystemRandom::new();
        let pkcs8 = match algorithm {
            SigningAlgorithm::EdDsa => Ed25519KeyPair::generate_pkcs8v1(&random).map(|key| key.as_ref().to_vec()),
            SigningAlgorithm::Es256 => {
                EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).map(|key| key.as_ref().to_vec())
            }
            SigningAlgorithm::Rs256 => RsaKeyPair::generate(KeySize::Rsa2048)
                .and_then(|key| Ok(AsDer::<Pkcs8V1Der<'_>>::as_der(&key)?.as_ref().to_vec())),
        };
        pkcs8.map(Zeroizing::new).map_err(|_| SigningKeyError::Generate(algorithm))
    }

    /// Reads the PKCS #8 form.
    pub fn from_pkcs8(algorithm: SigningAlgorithm, pkcs8: &[u8]) -> Result<Self, SigningKeyError> {
        let key = match algorithm {
            SigningAlgorithm::EdDsa => Ed25519KeyPair::from_pkcs8(pkcs8).map(Self::EdDsa),
            SigningAlgorithm::Es256 => {
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).map(Self::Es256)
            }
            SigningAlgorithm::Rs256 => RsaKeyPair::from_pkcs8(pkcs8).map(Self::Rs256),
        };
        key.map_err(|_| SigningKeyError::Read(algorithm))
    }

    /// Its algorithm.
    pub const fn algorithm(&self) -> SigningAlgorithm {
        match self {
            Self::EdDsa(_) => SigningAlgorithm::EdDsa,
            Self::Es256(_) => SigningAlgorithm::Es256,
            Self::Rs256(_) => SigningAlgorithm::Rs256,
        }
    }

    /// Signs a message; the signature has the form of RFC 7518.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningKeyError> {
        let random = SystemRandom::new();
        let signature = match self {
            Self::EdDsa(key) => key.try_sign(message).map(|signature| signature.as_ref().to_vec()),
            Self::Es256(key) => key.sign(&random, message).map(|signature| signature.as_ref().to_vec()),
            Self::Rs256(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map(|()| signature)
            }
        };
        signature.map_err(|_| SigningKeyError::Sign(self.algorithm()))
    }

    /// Its public half.
    pub fn public_key(&self) -> PublicKey {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::EdDsa(key) => PublicKey::Okp { crv: "Ed25519", x: encode(key.public_key().as_ref()) },
            Self::Es256(key) => {
                // SEC 1, section 2.3.3: 0x04, then both coordinates of 32 bytes.
                let (x, y) = key.public_key().as_ref()[1..].split_at(32);
                PublicKey::Ec { crv: "P-256", x: encode(x), y: encode(y) }
            }
            Self::Rs256(key) => PublicKey::Rsa {
                n: encode(key.public_key().modulus().big_endian_without_leading_zero()),
                e: encode(key.public_key().exponent().big_endian_without_leading_zero()),
            },
        }
    }
}

/// A public key, ready to verify with the one algorithm it is for.
pub struct VerifyingKey {
    /// The only algorithm to accept.
    pub algorithm: Algorithm,
    /// The key.
    pub key: DecodingKey,
}

impl VerifyingKey {
    /// Takes a public key.
    pub fn new(algorithm: SigningAlgorithm, public: &PublicKey) -> Result<Self, SigningKeyError> {
        let key = match public {
            PublicKey::Ec { x, y, .. } => DecodingKey::from_ec_components(x, y),
            PublicKey::Okp { x, .. } => DecodingKey::from_ed_components(x),
            PublicKey::Rsa { n, e } => DecodingKey::from_rsa_components(n, e),
        };
        let key = key.map_err(|_| SigningKeyError::Read(algorithm))?;
        let algorithm = match algorithm {
            SigningAlgorithm::EdDsa => Algorithm::EdDSA,
            SigningAlgorithm::Es256 => Algorithm::ES256,
            SigningAlgorithm::Rs256 => Algorithm::RS256,
        };
        Ok(Self { algorithm, key })
    }
}
