//! Stored password hashes, as PHC strings.

use argon2::{
    Algorithm, Params, Version,
    password_hash::phc::{self, Output, ParamsString, Salt},
};
use subtle::ConstantTimeEq as _;

use super::argon2_kernel::{Argon2Cost, Argon2Input, Argon2Kernel, CostError, HashError};
use crate::domain::password::Password;

/// Bytes of a new salt.
pub const SALT_BYTES: usize = 16;
const TAG_BYTES: usize = 32;

/// The stored text is not a hash this service can verify.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the stored password hash is not an Argon2 PHC string with a supported cost")]
pub struct ParseHashError;

/// A stored hash.
#[derive(Clone)]
pub struct PasswordHash(phc::PasswordHash);

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PasswordHash({})", self.0.algorithm)
    }
}

impl PasswordHash {
    /// Reads a PHC string. Refuses what is dearer than this service computes ([`Argon2Cost::check`]).
    pub fn parse(phc: &str) -> Result<Self, ParseHashError> {
        let hash = phc::PasswordHash::new(phc).map_err(|_| ParseHashError)?;
        let known = Self(hash);
        known.cost().filter(|cost| cost.check().is_ok()).ok_or(ParseHashError)?;
        Ok(known)
    }

    /// The PHC string to store.
    pub fn to_phc(&self) -> String {
        self.0.to_string()
    }

    /// True if the hash should be made anew: another scheme, or cheaper to guess than today's.
    pub fn is_outdated(&self, today: &Argon2Cost) -> bool {
        self.parts().is_none_or(|(algorithm, version, cost)| {
            algorithm != Algorithm::Argon2id || version != Version::V0x13 || cost.is_below(today)
        })
    }

    /// What it costs to compute.
    pub fn cost(&self) -> Option<Argon2Cost> {
        self.parts().map(|(_, _, cost)| cost)
    }

    /// Hashes a password anew.
    pub fn compute(
        kernel: &mut Argon2Kernel,
        cost: Argon2Cost,
        password: &Password,
        salt: &[u8; SALT_BYTES],
    ) -> Result<Self, HashError> {
        let mut tag = [0; TAG_BYTES];
        let (algorithm, version) = (Algorithm::Argon2id, Version::V0x13);
        let input = Argon2Input { algorithm, version, cost, password: password.expose_bytes(), salt };
        kernel.derive(&input, &mut tag)?;
        let params = Params::new(cost.memory_kib, cost.iterations, cost.parallelism, None).map_err(|_| CostError)?;
        Ok(Self(phc::PasswordHash {
            algorithm: algorithm.ident(),
            version: Some(version.into()),
            params: ParamsString::try_from(&params).map_err(|_| CostError)?,
            salt: Some(Salt::new(salt).map_err(|_| CostError)?),
            hash: Some(Output::new(&tag).map_err(|_| CostError)?),
        }))
    }

    /// Compares a password with the hash, in constant time once the tag is computed.
    pub fn verify(&self, kernel: &mut Argon2Kernel, password: &Password) -> Result<bool, HashError> {
        let (algorithm, version, cost) = self.parts().ok_or(CostError)?;
        let salt = self.0.salt.as_ref().ok_or(CostError)?;
        let expected = self.0.hash.as_ref().ok_or(CostError)?;
        let mut tag = vec![0; expected.len()];
        let input = Argon2Input { algorithm, version, cost, password: password.expose_bytes(), salt };
        kernel.derive(&input, &mut tag)?;
        Ok(tag.ct_eq(expected.as_bytes()).into())
    }

    fn parts(&self) -> Option<(Algorithm, Version, Argon2Cost)> {
        let algorithm = Algorithm::try_from(self.0.algorithm.as_str()).ok()?;
        let version = Version::try_from(self.0.version.unwrap_or(Version::V0x10.into())).ok()?;
        let params = Params::try_from(&self.0).ok()?;
        self.0.salt.as_ref().zip(self.0.hash.as_ref())?;
        let cost =
            Argon2Cost { memory_kib: params.m_cost(), iterations: params.t_cost(), parallelism: params.p_cost() };
        Some((algorithm, version, cost))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: Argon2Cost = Argon2Cost { memory_kib: 64, iterations: 1, parallelism: 1 };

    #[test]
    fn a_hash_verifies_its_password_only() {
        let mut kernel = Argon2Kernel::default();
        let password = |text| Password::parse(text).unwrap();
        let hash = PasswordHash::compute(&mut kernel, CHEAP, &password("right"), &[7; SALT_BYTES]).unwrap();
        let hash = PasswordHash::parse(&hash.to_phc()).unwrap();
        assert!(hash.verify(&mut kernel, &password("right")).unwrap());
        assert!(!hash.verify(&mut kernel, &password("wrong")).unwrap());
        assert!(!hash.is_outdated(&CHEAP));
        assert!(hash.is_outdated(&Argon2Cost::OWASP));
    }

    #[test]
    fn other_hashes_are_refused() {
        for text in [
            "",
            "secret",
            "$2b$12$abcdefghijklmnopqrstuv",
            "$argon2id$v=19$m=64,t=1,p=1",
            "$scrypt$ln=1$YWJjZGVmZ2g$YWJj",
        ] {
            assert!(PasswordHash::parse(text).is_err(), "{text}");
        }
        // Dearer than what this service computes.
        for (memory_kib, iterations, parallelism, is_read) in
            [(262_144, 16, 16, true), (262_145, 1, 1, false), (64, 17, 1, false), (136, 1, 17, false)]
        {
            let tag = "c29tZSB0YWcgb2Ygc2l4dGVlbiBieXRlcw";
            let text = format!("$argon2id$v=19$m={memory_kib},t={iterations},p={parallelism}$c29tZXNhbHQ${tag}");
            assert_eq!(PasswordHash::parse(&text).is_ok(), is_read, "{text}");
        }
    }
}
