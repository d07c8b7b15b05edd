//! What a process asks before it trusts a path with passwords.

use crate::{
    kernel::Kernel,
    parameters::{Input, Parameters, Variant, Version},
    path::Path,
};

/// A path computes something else than the standard.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "the {path} code of Argon2 fails its self-test: it does not compute the test vector of RFC 9106 for {variant:?}"
)]
pub struct SelfTestError {
    /// The path.
    pub path: Path,
    /// The variant.
    pub variant: Variant,
}

/// The test vectors of RFC 9106, 5.1 to 5.3: several lanes and passes, so every kind of reference block. 32 KiB each.
const VECTORS: [(Variant, [u8; 32]); 3] = [
    (
        Variant::D,
        [
            0x51, 0x2b, 0x39, 0x1b, 0x6f, 0x11, 0x62, 0x97, 0x53, 0x71, 0xd3, 0x09, 0x19, 0x73, 0x42, 0x94, 0xf8, 0x68,
            0xe3, 0xbe, 0x39, 0x84, 0xf3, 0xc1, 0xa1, 0x3a, 0x4d, 0xb9, 0xfa, 0xbe, 0x4a, 0xcb,
        ],
    ),
    (
        Variant::I,
        [
            0xc8, 0x14, 0xd9, 0xd1, 0xdc, 0x7f, 0x37, 0xaa, 0x13, 0xf0, 0xd7, 0x7f, 0x24, 0x94, 0xbd, 0xa1, 0xc8, 0xde,
            0x6b, 0x01, 0x6d, 0xd3, 0x88, 0xd2, 0x99, 0x52, 0xa4, 0xc4, 0x67, 0x2b, 0x6c, 0xe8,
        ],
    ),
    (
        Variant::Id,
        [
            0x0d, 0x64, 0x0d, 0xf5, 0x8d, 0x78, 0x76, 0x6c, 0x08, 0xc0, 0x37, 0xa3, 0x4a, 0x8b, 0x53, 0xc9, 0xd0, 0x1e,
            0xf0, 0x45, 0x2d, 0x75, 0xb6, 0x5e, 0xb5, 0x25, 0x20, 0xe9, 0x6b, 0x01, 0xe6, 0x59,
        ],
    ),
];

impl Path {
    /// Computes the test vectors of RFC 9106, which takes less than a millisecond.
    ///
    /// # Errors
    /// The path computes something else: do not use it.
    pub fn self_test(self) -> Result<(), SelfTestError> {
        let Ok(parameters) = Parameters::new(32, 3, 4) else { unreachable!("the parameters of the RFC") };
        let mut kernel = Kernel::new(self);
        for (variant, expected) in VECTORS {
            let input = Input {
                variant,
                version: Version::V0x13,
                parameters,
                password: &[1; 32],
                salt: &[2; 16],
                secret: &[3; 8],
                associated_data: &[4; 12],
            };
            let mut tag = [0; 32];
            if kernel.derive(&input, &mut tag).is_err() || tag != expected {
                return Err(SelfTestError { path: self, variant });
            }
        }
        Ok(())
    }
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
