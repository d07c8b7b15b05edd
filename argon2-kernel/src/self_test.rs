//! What a process asks before it trusts a path with passwords.

use crate::{
    arena::OutOfMemory,
    kernel::{DeriveError, Kernel},
    parameters::{Input, Parameters, Variant, Version},
    path::Path,
};

/// A path is not to be trusted.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SelfTestError {
    /// It computes something else than the standard says.
    #[error("the {path} code of Argon2 fails its self-test: it does not compute {vector}")]
    Wrong {
        /// The path.
        path: Path,
        /// What it did not compute.
        vector: &'static str,
    },
    /// Nobody knows, because there was no memory for the test.
    #[error("the {path} code of Argon2 could not be tested: {error}")]
    OutOfMemory {
        /// The path.
        path: Path,
        /// What was asked for.
        error: OutOfMemory,
    },
}

struct Vector {
    name: &'static str,
    input: Input<'static>,
    /// In hexadecimal digits.
    tag: &'static str,
}

/// Those of the RFC have several lanes and passes, so every kind of reference block, but little memory. The last has
/// more blocks in a segment than one block of addresses reaches.
fn vectors() -> [Vector; 5] {
    let example = |name, variant, version, tag| Vector {
        name,
        input: Input {
            variant,
            version,
            parameters: Parameters::new(32, 3, 4).expect("what the RFC computes"),
            password: &[1; 32],
            salt: &[2; 16],
            secret: &[3; 8],
            associated_data: &[4; 12],
        },
        tag,
    };
    let longer = Vector {
        name: "Argon2id with 1 MiB as the reference code does",
        input: Input {
            variant: Variant::Id,
            version: Version::V0x13,
            parameters: Parameters::new(1024, 2, 1).expect("more than the least"),
            password: b"password",
            salt: b"somesalt",
            secret: &[],
            associated_data: &[],
        },
        tag: "ec57ec9c0eaf51eeea2e92ffdcaa9cdee478f1927215b515b7b8d66657f41ed9",
    };
    [
        example(
            "the test vector of RFC 9106, 5.1",
            Variant::D,
            Version::V0x13,
            "512b391b6f1162975371d30919734294f868e3be3984f3c1a13a4db9fabe4acb",
        ),
        example(
            "the test vector of RFC 9106, 5.2",
            Variant::I,
            Version::V0x13,
            "c814d9d1dc7f37aa13f0d77f2494bda1c8de6b016dd388d29952a4c4672b6ce8",
        ),
        example(
            "the test vector of RFC 9106, 5.3",
            Variant::Id,
            Version::V0x13,
            "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659",
        ),
        // Later passes overwrite.
        example(
            "the same with version 0x10, as the reference code does",
            Variant::Id,
            Version::V0x10,
            "b64615f07789b66b645b67ee9ed3b377ae350b6bfcbb0fc95141ea8f322613c0",
        ),
        longer,
    ]
}

impl Path {
    /// Computes test vectors of RFC 9106 and of the reference code, which takes a few milliseconds.
    ///
    /// # Errors
    /// The path computes something else, or there is no memory to see that it does not: do not use it.
    pub fn self_test(self) -> Result<(), SelfTestError> {
        let mut kernel = Kernel::new(self);
        for Vector { name, input, tag: expected } in vectors() {
            let mut tag = [0; 32];
            let derived = kernel.derive(&input, &mut tag);
            if let Err(DeriveError::OutOfMemory(error)) = derived {
                return Err(SelfTestError::OutOfMemory { path: self, error });
            }
            if derived.is_err() || hexadecimal(&tag) != expected {
                return Err(SelfTestError::Wrong { path: self, vector: name });
            }
        }
        Ok(())
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_of_this_processor_passes() {
        for path in Path::available() {
            assert_eq!(path.self_test(), Ok(()));
        }
    }

    #[test]
    fn want_of_memory_is_not_taken_for_wrong_code() {
        let error = SelfTestError::OutOfMemory { path: Path::PORTABLE, error: OutOfMemory { bytes: 7 } };
        let text =
            "the portable code of Argon2 could not be tested: no memory of 7 bytes is to be had for a password hash";
        assert_eq!(error.to_string(), text);
    }
}
