//! Any hash, on every path, against the argon2 crate. Each path has one kernel for all inputs, so that costs come in
//! any order.
#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::{
    arbitrary::{self, Arbitrary},
    fuzz_target,
};
use signet_argon2_kernel::{Input, Kernel, Parameters, Path, Variant, Version};

/// The argon2 crate takes no more associated data, in bytes.
const ASSOCIATED_DATA_BYTES_MAX: usize = 32;

#[derive(Arbitrary, Debug)]
struct Case<'a> {
    variant: Kind,
    older_version: bool,
    lanes: u8,
    /// Beyond the least; bounded, as a fuzzer lives on many runs.
    more_kib: u16,
    passes: u8,
    tag_bytes: u16,
    wipe: bool,
    password: &'a [u8],
    salt: &'a [u8],
    secret: &'a [u8],
    associated_data: &'a [u8],
}

#[derive(Arbitrary, Debug)]
enum Kind {
    D,
    I,
    Id,
}

thread_local! {
    static KERNELS: RefCell<Vec<Kernel>> = RefCell::new(Path::available().map(Kernel::new).collect());
}

fuzz_target!(|case: Case<'_>| {
    let (variant, algorithm) = match case.variant {
        Kind::D => (Variant::D, argon2::Algorithm::Argon2d),
        Kind::I => (Variant::I, argon2::Algorithm::Argon2i),
        Kind::Id => (Variant::Id, argon2::Algorithm::Argon2id),
    };
    let (version, oracle_version) = match case.older_version {
        true => (Version::V0x10, argon2::Version::V0x10),
        false => (Version::V0x13, argon2::Version::V0x13),
    };
    let lanes = u32::from(case.lanes % 9);
    let memory_kib = (8 * lanes).saturating_sub(1) + u32::from(case.more_kib % 1100);
    let passes = u32::from(case.passes % 5);
    let associated_data = &case.associated_data[..case.associated_data.len().min(ASSOCIATED_DATA_BYTES_MAX)];

    // What one refuses, the other does, too.
    let parameters = Parameters::new(memory_kib, passes, lanes);
    let data = argon2::AssociatedData::new(associated_data).expect("short enough");
    let params = argon2::ParamsBuilder::new().m_cost(memory_kib).t_cost(passes).p_cost(lanes).data(data).build();
    assert_eq!(parameters.is_ok(), params.is_ok(), "{memory_kib} {passes} {lanes}");
    let (Ok(parameters), Ok(params)) = (parameters, params) else { return };
    let mut expected = vec![0; usize::from(case.tag_bytes % 1100)];
    let oracle = argon2::Argon2::new_with_secret(case.secret, algorithm, oracle_version, params)
        .expect("short enough")
        .hash_password_into(case.password, case.salt, &mut expected);

    let Case { password, salt, secret, .. } = case;
    let input = Input { variant, version, parameters, password, salt, secret, associated_data };
    KERNELS.with_borrow_mut(|kernels| {
        for kernel in kernels {
            let mut tag = vec![0; expected.len()];
            let derived = kernel.derive(&input, &mut tag);
            assert_eq!(derived.is_ok(), oracle.is_ok(), "{}", kernel.path());
            assert_eq!(tag, expected, "{}", kernel.path());
            if case.wipe {
                kernel.wipe();
            }
        }
    });
});
