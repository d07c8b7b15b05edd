//! Costs at the borders of what there may be, against the argon2 crate.

use signet_argon2_kernel::{Input, Parameters, Variant, Version};

use crate::paths::{on_every_path, oracle};

fn check(memory_kib: u32, passes: u32, lanes: u32, tag_bytes: usize) {
    for variant in [Variant::D, Variant::I, Variant::Id] {
        for version in [Version::V0x10, Version::V0x13] {
            let input = Input {
                variant,
                version,
                parameters: Parameters::new(memory_kib, passes, lanes).unwrap(),
                password: b"password",
                salt: b"somesalt",
                secret: b"",
                associated_data: b"",
            };
            on_every_path(&input, &oracle(&input, tag_bytes));
        }
    }
}

/// Two blocks in a segment: the least there is.
#[test]
fn least_memory() {
    for lanes in [1, 2, 3, 4, 7, 16, 64, 255] {
        check(8 * lanes, 3, lanes, 32);
    }
}

/// m is rounded down to m', four blocks for each lane; what goes into `H_0` is m.
#[test]
fn memory_between_two_sizes() {
    for lanes in [1, 2, 3, 5] {
        for more_kib in 0..=4 * lanes {
            check(16 * lanes + more_kib, 2, lanes, 32);
        }
    }
}

/// Where references follow from the position, their indexes come 128 at a time: segments of just as many blocks, and of
/// some more and fewer.
#[test]
fn segments_about_as_long_as_a_block_of_addresses() {
    for segment_blocks in [125, 126, 127, 128, 129, 130, 255, 256, 257, 384, 385] {
        check(4 * segment_blocks, 2, 1, 32);
        check(8 * segment_blocks, 1, 2, 32);
    }
}

#[test]
fn powers_of_two_and_their_neighbours() {
    for exponent in 3..=12 {
        for memory_kib in [(1 << exponent) - 4, 1 << exponent, (1 << exponent) + 4] {
            if memory_kib >= 8 {
                check(memory_kib, 1, 1, 32);
            }
        }
    }
}

#[test]
fn many_passes() {
    check(8, 100, 1, 32);
    check(64, 33, 4, 32);
}

/// Tags of one hash, of two, and of a chain.
#[test]
fn lengths_of_tags() {
    for tag_bytes in [4, 5, 31, 32, 33, 63, 64, 65, 95, 96, 97, 127, 128, 129, 1023, 1024, 1025, 4096] {
        check(16, 1, 2, tag_bytes);
    }
}
