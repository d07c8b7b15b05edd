//! What the standard does not know is refused, and nothing is done.

use signet_argon2_kernel::{DeriveError, Input, Kernel, ParameterError, Parameters, Path, Variant, Version};

#[test]
fn costs() {
    let refused = |memory_kib, passes, lanes| Parameters::new(memory_kib, passes, lanes).unwrap_err();
    assert_eq!(refused(7, 1, 1), ParameterError::Memory);
    assert_eq!(refused(0, 1, 1), ParameterError::Memory);
    assert_eq!(refused(8 * 1000 - 1, 1, 1000), ParameterError::Memory);
    assert_eq!(refused(8, 0, 1), ParameterError::Passes);
    assert_eq!(refused(8, 1, 0), ParameterError::Lanes);
    assert_eq!(refused(u32::MAX, 1, 1 << 24), ParameterError::Lanes);
    let most = Parameters::new(u32::MAX, u32::MAX, (1 << 24) - 1).unwrap();
    assert_eq!((most.memory_kib(), most.passes(), most.lanes()), (u32::MAX, u32::MAX, (1 << 24) - 1));
}

#[test]
fn lengths() {
    let mut kernel = Kernel::new(Path::fastest());
    let mut input = Input {
        variant: Variant::Id,
        version: Version::V0x13,
        parameters: Parameters::new(8, 1, 1).unwrap(),
        password: b"",
        salt: b"8 bytes.",
        secret: b"",
        associated_data: b"",
    };
    let mut tag = [7; 4];
    assert_eq!(kernel.derive(&input, &mut tag[..3]), Err(DeriveError::Parameters(ParameterError::Tag)));
    assert_eq!(kernel.derive(&input, &mut []), Err(DeriveError::Parameters(ParameterError::Tag)));
    input.salt = b"7 bytes";
    assert_eq!(kernel.derive(&input, &mut tag), Err(DeriveError::Parameters(ParameterError::Salt)));
    assert_eq!(tag, [7; 4]);
    assert_eq!(kernel.memory_bytes(), 0);
}
