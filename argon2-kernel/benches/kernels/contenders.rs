//! Who takes part.

use std::ffi::c_void;

use libloading::Library;
use signet_argon2_kernel::{Input, Kernel, Parameters, Path, Variant, Version};

const SALT: &[u8] = b"sixteen bytes...";

/// The crate `argon2` as its documentation shows it, which the goal is about.
pub(crate) const ARGON2_PLAIN: &str = "`argon2`, plain";

/// What a hash costs, on one lane.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) struct Cost {
    pub(crate) memory_kib: u32,
    pub(crate) passes: u32,
}

/// From a password to its tag.
pub(crate) type Hash = Box<dyn FnMut(&[u8]) -> [u8; 32]>;

/// Somebody who computes Argon2id.
pub(crate) struct Contender {
    pub(crate) name: String,
    pub(crate) hash: Hash,
}

/// All that this machine has. The fastest path of ours is first.
pub(crate) fn all(cost: Cost) -> Vec<Contender> {
    let own = Path::available().map(|path| own(path, cost)).chain([wiped(cost)]);
    own.chain([argon2_rust_pooled(cost), argon2_reused(cost), argon2_plain(cost)]).chain(libargon2(cost)).collect()
}

fn own(path: Path, cost: Cost) -> Contender {
    let mut kernel = Kernel::new(path);
    let hash = move |password: &[u8]| derive(&mut kernel, cost, password);
    Contender { name: format!("this kernel, {path}"), hash: Box::new(hash) }
}

/// Ours as a caller has it who comes alone: its memory is wiped after the hash.
fn wiped(cost: Cost) -> Contender {
    let mut kernel = Kernel::new(Path::fastest());
    let name = format!("this kernel, {}, wiped after each hash", kernel.path().name());
    let hash = move |password: &[u8]| {
        let tag = derive(&mut kernel, cost, password);
        kernel.wipe();
        tag
    };
    Contender { name, hash: Box::new(hash) }
}

fn derive(kernel: &mut Kernel, cost: Cost, password: &[u8]) -> [u8; 32] {
    let parameters = Parameters::new(cost.memory_kib, cost.passes, 1).expect("parameters");
    let (variant, version) = (Variant::Id, Version::V0x13);
    let input = Input { variant, version, parameters, password, salt: SALT, secret: &[], associated_data: &[] };
    let mut tag = [0; 32];
    kernel.derive(&input, &mut tag).expect("a hash");
    tag
}

/// The crate `argon2-rust` with memory that it keeps.
fn argon2_rust_pooled(cost: Cost) -> Contender {
    use argon2_rust::{Algorithm, Argon2, Params, Version, params::Memory};

    let params =
        Params::builder().memory(Memory::kib(cost.memory_kib.into())).passes(cost.passes).build().expect("parameters");
    let mut hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hasher();
    let hash = move |password: &[u8]| {
        let mut tag = [0; 32];
        hasher.hash_into(password, SALT, &mut tag).expect("a hash");
        tag
    };
    Contender { name: "`argon2-rust`, pooled".into(), hash: Box::new(hash) }
}

fn argon2(cost: Cost) -> argon2::Argon2<'static> {
    let params = argon2::Params::new(cost.memory_kib, cost.passes, 1, None).expect("parameters");
    argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params)
}

/// The crate `argon2` with memory that is kept.
fn argon2_reused(cost: Cost) -> Contender {
    let argon2 = argon2(cost);
    let mut memory = vec![argon2::Block::new(); argon2.params().block_count()];
    let hash = move |password: &[u8]| {
        let mut tag = [0; 32];
        argon2.hash_password_into_with_memory(password, SALT, &mut tag, &mut memory).expect("a hash");
        tag
    };
    Contender { name: "`argon2`, memory reused".into(), hash: Box::new(hash) }
}

/// The crate `argon2` as its documentation shows it.
fn argon2_plain(cost: Cost) -> Contender {
    let argon2 = argon2(cost);
    let hash = move |password: &[u8]| {
        let mut tag = [0; 32];
        argon2.hash_password_into(password, SALT, &mut tag).expect("a hash");
        tag
    };
    Contender { name: ARGON2_PLAIN.into(), hash: Box::new(hash) }
}

/// `argon2id_hash_raw` of the reference code: passes, KiB, lanes, then password, salt and output with their lengths.
type HashRaw =
    unsafe extern "C" fn(u32, u32, u32, *const c_void, usize, *const c_void, usize, *mut c_void, usize) -> i32;

/// The reference code, if the system has it.
fn libargon2(cost: Cost) -> Option<Contender> {
    // SAFETY: a library of the system, whose initialisers every program that uses it runs.
    let library = unsafe { Library::new("libargon2.so.1") }.ok()?;
    // SAFETY: the type is that of argon2.h.
    let hash_raw = *unsafe { library.get::<HashRaw>(b"argon2id_hash_raw") }.ok()?;
    let hash = move |password: &[u8]| {
        // The function is the library's: it lives as long as this.
        let _ = &library;
        let mut tag = [0; 32];
        let (password_at, salt_at, tag_at) = (password.as_ptr().cast(), SALT.as_ptr().cast(), tag.as_mut_ptr().cast());
        let Cost { memory_kib, passes } = cost;
        // SAFETY: the lengths are those of what the pointers point to.
        let code = unsafe {
            hash_raw(passes, memory_kib, 1, password_at, password.len(), salt_at, SALT.len(), tag_at, tag.len())
        };
        assert_eq!(code, 0, "libargon2");
        tag
    };
    Some(Contender { name: "libargon2 of the system".into(), hash: Box::new(hash) })
}
