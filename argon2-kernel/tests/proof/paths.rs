//! What the tests share: every path at once, and the oracle.

use std::cell::RefCell;

use signet_argon2_kernel::{Input, Kernel, Path, Variant, Version};

thread_local! {
    /// One kernel a path, used again for every case of a thread: what one hash leaves in its memory must not matter to
    /// the next.
    static KERNELS: RefCell<Vec<Kernel>> = RefCell::new(Path::available().map(Kernel::new).collect());
}

/// Every path computes this tag.
#[track_caller]
pub(crate) fn on_every_path(input: &Input<'_>, tag: &[u8]) {
    KERNELS.with_borrow_mut(|kernels| {
        for kernel in kernels {
            assert_eq!(derive(kernel, input, tag.len()), tag, "{}: {}", kernel.path(), describe(input));
        }
    });
}

/// What the kernel computes.
#[track_caller]
pub(crate) fn derive(kernel: &mut Kernel, input: &Input<'_>, tag_bytes: usize) -> Vec<u8> {
    let mut tag = vec![0; tag_bytes];
    kernel.derive(input, &mut tag).unwrap();
    tag
}

/// What the argon2 crate computes.
#[track_caller]
pub(crate) fn oracle(input: &Input<'_>, tag_bytes: usize) -> Vec<u8> {
    let algorithm = match input.variant {
        Variant::D => argon2::Algorithm::Argon2d,
        Variant::I => argon2::Algorithm::Argon2i,
        Variant::Id => argon2::Algorithm::Argon2id,
    };
    let version = match input.version {
        Version::V0x10 => argon2::Version::V0x10,
        Version::V0x13 => argon2::Version::V0x13,
    };
    let cost = input.parameters;
    let params = argon2::ParamsBuilder::new()
        .m_cost(cost.memory_kib())
        .t_cost(cost.passes())
        .p_cost(cost.lanes())
        .data(argon2::AssociatedData::new(input.associated_data).unwrap())
        .build()
        .unwrap();
    let mut tag = vec![0; tag_bytes];
    argon2::Argon2::new_with_secret(input.secret, algorithm, version, params)
        .unwrap()
        .hash_password_into(input.password, input.salt, &mut tag)
        .unwrap();
    tag
}

pub(crate) fn describe(input: &Input<'_>) -> String {
    let [password, salt, secret, data] =
        [input.password, input.salt, input.secret, input.associated_data].map(<[u8]>::len);
    format!(
        "{:?} {:?} {:?}, bytes of password {password}, salt {salt}, secret {secret}, associated data {data}",
        input.variant, input.version, input.parameters
    )
}

pub(crate) fn from_hex(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks_exact(2);
    pairs.map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}
