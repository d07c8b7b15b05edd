//! The two ends of a hash: `H_0` and the hash function of variable length H' (RFC 9106, 3.2 and 3.3).

use blake2::{
    Blake2b512, Blake2bVarCore, Digest as _,
    digest::{
        array::Array,
        block_api::{UpdateCore as _, VariableOutputCore as _},
        block_buffer::LazyBuffer,
    },
};
use zeroize::Zeroizing;

use crate::parameters::Input;

/// Bytes of a whole `BLAKE2b` hash.
const HASH_BYTES: usize = 64;
/// Bytes of one that go into a longer output.
const HALF_BYTES: usize = HASH_BYTES / 2;

/// `H_0`: everything that the tag depends on, in 64 bytes. The caller has checked that all lengths fit into 32 bits.
pub(crate) fn initial_hash(input: &Input<'_>, tag_bytes: usize) -> Zeroizing<[u8; HASH_BYTES]> {
    let parameters = &input.parameters;
    let mut digest = Blake2b512::new();
    let mut number = |number: u32| digest.update(number.to_le_bytes());
    number(parameters.lanes());
    number(length(tag_bytes));
    number(parameters.memory_kib());
    number(parameters.passes());
    number(input.version.number());
    number(input.variant.number());
    for bytes in [input.password, input.salt, input.secret, input.associated_data] {
        digest.update(length(bytes.len()).to_le_bytes());
        digest.update(bytes);
    }
    Zeroizing::new(digest.finalize().into())
}

/// H': fills `output` from all inputs, one after the other.
pub(crate) fn blake2b_long(inputs: &[&[u8]], output: &mut [u8]) {
    let prefix = length(output.len()).to_le_bytes();
    let inputs: Vec<&[u8]> = [&prefix[..]].into_iter().chain(inputs.iter().copied()).collect();
    if output.len() <= HASH_BYTES {
        return blake2b(&inputs, output);
    }
    let mut hash = Zeroizing::new([0; HASH_BYTES]);
    blake2b(&inputs, &mut *hash);
    let mut rest = output;
    while rest.len() > HASH_BYTES {
        let (next, after) = rest.split_at_mut(HALF_BYTES);
        next.copy_from_slice(&hash[..HALF_BYTES]);
        rest = after;
        if rest.len() > HASH_BYTES {
            let last = hash.clone();
            blake2b(&[&*last], &mut *hash);
        }
    }
    blake2b(&[&*hash], rest);
}

/// `BLAKE2b` of 1 to 64 bytes.
fn blake2b(inputs: &[&[u8]], output: &mut [u8]) {
    let Ok(mut core) = Blake2bVarCore::new(output.len()) else { unreachable!("at most 64 bytes are asked for") };
    let mut buffer = LazyBuffer::default();
    for input in inputs {
        buffer.digest_blocks(input, |blocks| core.update_blocks(blocks));
    }
    let mut whole = Array::default();
    core.finalize_variable_core(&mut buffer, &mut whole);
    output.copy_from_slice(&whole[..output.len()]);
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("lengths have been checked")
}
