//! A certificate of a signing key (RFC 7517, section 4.7), for client libraries that insist on one. It is signed by the
//! key itself, so it says no more than the key does.
//!
//! Every replica makes the same one whenever it is asked: all that stands in it follows from the key's id and time of
//! creation, and a signature of RSASSA-PKCS1-v1_5 is always the same.

use aws_lc_rs::{rsa::KeyPair as RsaKeyPair, signature::KeyPair as _};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use chrono::Datelike as _;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, Error, PKCS_RSA_SHA256, PublicKeyData, SerialNumber,
    SignatureAlgorithm, date_time_ymd,
};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::signing_key::SigningKey;
use crate::{clock::Timestamp, domain::id::SigningKeyId};

/// A certificate as it stands in a key set.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyCertificate {
    /// Base64 of the DER form.
    pub x5c: String,
    /// SHA-256 of the DER form, base64url.
    pub x5t_s256: String,
}

impl KeyCertificate {
    /// The certificate of a key; none if it is not an RSA key, for which nobody asks for one.
    pub fn of(key: &SigningKey, id: SigningKeyId, created_at: Timestamp) -> Option<Self> {
        let SigningKey::Rs256(pair) = key else { return None };
        let mut name = DistinguishedName::new();
        name.push(DnType::CommonName, id.to_string());
        let date = created_at.date_naive();
        let day = |of_month: u32| u8::try_from(of_month).unwrap_or(1);
        let mut params = CertificateParams::default();
        params.distinguished_name = name;
        params.serial_number = Some(SerialNumber::from_slice(Uuid::from(id).as_bytes()));
        params.not_before = date_time_ymd(date.year(), day(date.month()), day(date.day()));
        // No well-defined end (RFC 5280, section 4.1.2.5): the key set says which keys are good.
        params.not_after = date_time_ymd(9999, 12, 31);
        match params.self_signed(&Signer { key, pair }) {
            Ok(certificate) => Some(Self {
                x5c: STANDARD.encode(certificate.der()),
                x5t_s256: URL_SAFE_NO_PAD.encode(Sha256::digest(certificate.der())),
            }),
            Err(error) => {
                tracing::error!(%error, key = %id, "a signing key gets no certificate; its key set goes without");
                None
            }
        }
    }
}

/// An RSA key, for the library that writes certificates.
struct Signer<'k> {
    key: &'k SigningKey,
    pair: &'k RsaKeyPair,
}

impl PublicKeyData for Signer<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_RSA_SHA256
    }
}

impl rcgen::SigningKey for Signer<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.key.sign(message).map_err(|_| Error::RemoteKeyError)
    }
}

#[cfg(test)]
mod tests {
    use chrono::Duration;
    use rustls::{RootCertStore, pki_types::CertificateDer};

    use super::*;
    use crate::{domain::signing_key::SigningAlgorithm, random::Random};

    #[test]
    fn every_replica_makes_the_same_certificate_of_a_key() {
        let now = Timestamp::from_timestamp_secs(1_800_000_000).unwrap();
        let id = SigningKeyId::generate(now, &Random::seeded(1));
        let pkcs8 = SigningKey::generate(SigningAlgorithm::Rs256).unwrap();
        let of = |id, created_at| {
            let key = SigningKey::from_pkcs8(SigningAlgorithm::Rs256, &pkcs8).unwrap();
            KeyCertificate::of(&key, id, created_at).unwrap()
        };
        let certificate = of(id, now);
        assert_eq!(of(id, now), certificate);
        assert_eq!(of(id, now + Duration::microseconds(1)), certificate, "a database may keep less of the time");
        assert_ne!(of(SigningKeyId::generate(now, &Random::seeded(2)), now), certificate);

        let der = STANDARD.decode(&certificate.x5c).unwrap();
        assert_eq!(URL_SAFE_NO_PAD.encode(Sha256::digest(&der)), certificate.x5t_s256);
        RootCertStore::empty().add(CertificateDer::from(der.clone())).expect("another library can read it");
        let key = SigningKey::from_pkcs8(SigningAlgorithm::Rs256, &pkcs8).unwrap();
        let SigningKey::Rs256(pair) = &key else { panic!("an RSA key") };
        let public = pair.public_key().as_ref();
        assert!(der.windows(public.len()).any(|part| part == public), "it is about that key");
    }

    #[test]
    fn other_keys_have_none() {
        let id = SigningKeyId::generate(Timestamp::UNIX_EPOCH, &Random::seeded(1));
        for algorithm in [SigningAlgorithm::EdDsa, SigningAlgorithm::Es256] {
            let key = SigningKey::from_pkcs8(algorithm, &SigningKey::generate(algorithm).unwrap()).unwrap();
            assert_eq!(KeyCertificate::of(&key, id, Timestamp::UNIX_EPOCH), None);
        }
    }
}
