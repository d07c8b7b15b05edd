//! One memory for many hashes: it grows, it is kept, it is wiped, and what is in it changes no hash.

use proptest::{collection::vec, prelude::*};
use signet_argon2_kernel::{Input, Kernel, Parameters, Path, Variant, Version};

use crate::paths::{derive, oracle};

const KIB: usize = 1024;
/// The multiple that memory is asked for by.
const PAGE_KIB: usize = 64;

fn input(memory_kib: u32, passes: u32, lanes: u32) -> Input<'static> {
    Input {
        variant: Variant::Id,
        version: Version::V0x13,
        parameters: Parameters::new(memory_kib, passes, lanes).unwrap(),
        password: b"analytical engine",
        salt: b"sixteen bytes, a",
        secret: b"",
        associated_data: b"",
    }
}

/// What may be asked of a kernel, in any order.
#[derive(Clone, Copy, Debug)]
enum Action {
    Derive(u32, u32, u32),
    Wipe,
    Release,
}

fn action() -> impl Strategy<Value = Action> {
    let memory_kib = prop_oneof![8 => 72..200_u32, 3 => 200..3000_u32, 1 => 3000..9000_u32];
    prop_oneof![
        6 => (memory_kib, 1..=2_u32, 1..=9_u32)
            .prop_map(|(memory_kib, passes, lanes)| Action::Derive(memory_kib, passes, lanes)),
        1 => Just(Action::Wipe),
        1 => Just(Action::Release),
    ]
}

#[test]
fn costs_in_any_order() {
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) };
    proptest!(config, |(actions in vec(action(), 1..16))| {
        for path in Path::available() {
            let mut kernel = Kernel::new(path);
            for action in &actions {
                match *action {
                    Action::Derive(memory_kib, passes, lanes) => {
                        let input = input(memory_kib, passes, lanes);
                        prop_assert_eq!(derive(&mut kernel, &input, 32), oracle(&input, 32), "{}", path);
                    }
                    Action::Wipe => kernel.wipe(),
                    Action::Release => {
                        kernel.release();
                        prop_assert_eq!(kernel.memory_bytes(), 0);
                    }
                }
            }
        }
    });
}

#[test]
fn memory_is_taken_by_the_first_hash_and_kept() {
    let mut kernel = Kernel::new(Path::fastest());
    assert_eq!(kernel.memory_bytes(), 0);
    for (memory_kib, kept_kib) in [(8, PAGE_KIB), (64, PAGE_KIB), (68, 2 * PAGE_KIB), (8, 2 * PAGE_KIB)] {
        derive(&mut kernel, &input(memory_kib, 1, 1), 32);
        assert_eq!(kernel.memory_bytes(), kept_kib * KIB, "after {memory_kib} KiB");
        kernel.wipe();
        assert_eq!(kernel.memory_bytes(), kept_kib * KIB, "wiped after {memory_kib} KiB");
    }
    kernel.release();
    assert_eq!(kernel.memory_bytes(), 0);
    kernel.release();
    let small = input(8, 1, 1);
    assert_eq!(derive(&mut kernel, &small, 32), oracle(&small, 32));
    assert_eq!(kernel.memory_bytes(), PAGE_KIB * KIB);
}

#[test]
fn a_kernel_moves_between_threads() {
    let mut kernel = Kernel::new(Path::fastest());
    let small = input(64, 2, 2);
    derive(&mut kernel, &small, 32);
    let tag = std::thread::spawn(move || derive(&mut kernel, &small, 32)).join().unwrap();
    assert_eq!(tag, oracle(&small, 32));
}
