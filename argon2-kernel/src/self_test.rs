//! What a process asks before it trusts a path with passwords.

use crate::{
    kernel::Kernel,
    parameters::{Input, Parameters, Variant, Version},
    path::Path,
};

/// A path computes something else than the standard says.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the {path} code of Argon2 fails its self-test: it does not compute {vector}")]
pub struct SelfTestError {
    /// The path.
    pub path: Path,
    /// What it did not compute.
    pub vector: &'static str,
}

struct Vector {
    name: &'static str,
    input: Input<'static>,
    /// In hexadecimal digits.
    tag: &'static str,
}

/// Those of the RFC have several lanes and passes, so every kind of reference block, but little memory. The last has more blocks in a segment than one block of
/// addresses reaches.
fn vectors() -> [Vector; 4] {
    let rfc = |name, variant, tag| Vector {
        name,
        input: Input {
            variant,
            version: Version::V0x13,
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
        rfc(
            "the test vector of RFC 9106, 5.1",
            Variant::D,
            "512b391b6f1162975371d30919734294f868e3be3984f3c1a13a4db9fabe4acb",
        ),
        rfc(
            "the test vector of RFC 9106, 5.2",
            Variant::I,
            "c814d9d1dc7f37aa13f0d77f2494bda1c8de6b016dd388d29952a4c4672b6ce8",
        ),
        rfc(
            "the test vector of RFC 9106, 5.3",
            Variant::Id,
            "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659",
        ),
        longer,
    ]
}

impl Path {
    /// Computes test vectors of RFC 9106 and of the reference code, which takes a few milliseconds.
    ///
    /// # Errors
    /// The path computes something else: do not use it.
    pub fn self_test(self) -> Result<(), SelfTestError> {
        let mut kernel = Kernel::new(self);
        for Vector { name, input, tag: expected } in vectors() {
            let mut tag = [0; 32];
            let derived = kernel.derive(&input, &mut tag);
            if derived.is_err() || hexadecimal(&tag) != expected {
                return Err(SelfTestError { path: self, vector: name });
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
}
