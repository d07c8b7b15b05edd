//! Any hash at all, against the argon2 crate. `PROPTEST_CASES` says how many, of every property test that runs.

use proptest::{collection::vec, prelude::*, sample::select};
use signet_argon2_kernel::{Input, Parameters, Variant, Version};

use crate::paths::{on_every_path, oracle};

/// The argon2 crate takes no more associated data, in bytes.
const ASSOCIATED_DATA_BYTES_MAX: usize = 32;

#[derive(Clone, Debug)]
struct Case {
    variant: Variant,
    version: Version,
    parameters: Parameters,
    password: Vec<u8>,
    salt: Vec<u8>,
    secret: Vec<u8>,
    associated_data: Vec<u8>,
    tag_bytes: usize,
}

impl Case {
    fn input(&self) -> Input<'_> {
        Input {
            variant: self.variant,
            version: self.version,
            parameters: self.parameters,
            password: &self.password,
            salt: &self.salt,
            secret: &self.secret,
            associated_data: &self.associated_data,
        }
    }
}

/// Lanes, and memory from the least they may have; mostly little, so that segments are short and every kind of
/// reference occurs.
fn parameters() -> impl Strategy<Value = Parameters> {
    let more_kib = prop_oneof![4 => 0..40_u32, 4 => 0..600_u32, 1 => 0..4000_u32];
    (1..=9_u32, more_kib, 1..=4_u32)
        .prop_map(|(lanes, more_kib, passes)| Parameters::new(8 * lanes + more_kib, passes, lanes).unwrap())
}

/// Bytes, often as many as a buffer of the hash below holds or one more or less.
fn bytes(least: usize, most: usize) -> impl Strategy<Value = Vec<u8>> {
    let lengths = prop_oneof![
        Just(least),
        least..=most,
        select(vec![31_usize, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257])
            .prop_map(move |length| length.clamp(least, most)),
    ];
    lengths.prop_flat_map(|length| vec(any::<u8>(), length))
}

fn case() -> impl Strategy<Value = Case> {
    let kind = (select(vec![Variant::D, Variant::I, Variant::Id]), select(vec![Version::V0x10, Version::V0x13]));
    // Up to 64 bytes a tag is one hash; beyond, it is a chain of them.
    let tag_bytes = prop_oneof![Just(32_usize), 4..=130_usize, 4..=1100_usize];
    let strings = (bytes(0, 600), bytes(8, 300), bytes(0, 300), bytes(0, ASSOCIATED_DATA_BYTES_MAX));
    (kind, parameters(), strings, tag_bytes).prop_map(
        |((variant, version), parameters, (password, salt, secret, associated_data), tag_bytes)| Case {
            variant,
            version,
            parameters,
            password,
            salt,
            secret,
            associated_data,
            tag_bytes,
        },
    )
}

#[test]
fn any_hash() {
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(case in case())| {
        let input = case.input();
        on_every_path(&input, &oracle(&input, case.tag_bytes));
    });
}
