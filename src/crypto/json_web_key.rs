//! Public keys as JSON (RFC 7517).

use serde::Serialize;

use super::key_certificate::KeyCertificate;
use crate::domain::signing_key::SigningAlgorithm;

/// The numbers of a public key, base64url without padding.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "kty")]
pub enum PublicKey {
    /// RFC 7518, section 6.2.
    #[serde(rename = "EC")]
    Ec {
        /// Curve, always `P-256`.
        crv: &'static str,
        /// X coordinate.
        x: String,
        /// Y coordinate.
        y: String,
    },
    /// RFC 8037, section 2.
    #[serde(rename = "OKP")]
    Okp {
        /// Curve, always `Ed25519`.
        crv: &'static str,
        /// The public key.
        x: String,
    },
    /// RFC 7518, section 6.3.
    #[serde(rename = "RSA")]
    Rsa {
        /// Modulus.
        n: String,
        /// Exponent.
        e: String,
    },
}

/// A public key with what a verifier has to know about it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct JsonWebKey {
    /// Key id.
    pub kid: String,
    /// Algorithm: the only one to accept with this key.
    pub alg: SigningAlgorithm,
    /// Always `sig`.
    #[serde(rename = "use")]
    pub key_use: &'static str,
    /// The key.
    #[serde(flatten)]
    pub public: PublicKey,
    /// A certificate of the key, if somebody may ask for one.
    #[serde(skip)]
    pub certificate: Option<KeyCertificate>,
}
