//! The compression function without vectors: for every processor, and the one to read first.

use crate::{
    block::{Block, WORDS},
    segment::{Run, Step},
};

/// Makes the blocks of a run.
pub(crate) fn fill(memory: &mut [Block], run: &Run<'_>) {
    run.walk(memory, |memory, Step { previous, reference, current, xor, next }| {
        let mut made = compress(&memory[previous], &memory[reference]);
        if xor {
            made ^= &memory[current];
        }
        let first_word = made.0[0];
        memory[current] = made;
        next.index(first_word)
    });
}

/// G (RFC 9106, 3.5): combines two blocks.
pub(crate) fn compress(previous: &Block, reference: &Block) -> Block {
    let mut input = previous.clone();
    input ^= reference;
    let mut state = input.clone();
    for row in 0..8 {
        permute(&mut state, |word| 16 * row + word);
    }
    for column in 0..8 {
        permute(&mut state, |word| 16 * (word / 2) + 2 * column + word % 2);
    }
    state ^= &input;
    state
}

/// P (RFC 9106, 3.6) on 16 words of a block, whose numbers `word` tells.
#[inline(always)]
fn permute(state: &mut Block, word: impl Fn(usize) -> usize) {
    let mut v: [u64; 16] = std::array::from_fn(|at| state.get(word(at)));
    for at in 0..4 {
        mix(&mut v, [at, 4 + at, 8 + at, 12 + at]);
    }
    for at in 0..4 {
        mix(&mut v, [at, 4 + (at + 1) % 4, 8 + (at + 2) % 4, 12 + (at + 3) % 4]);
    }
    for (at, value) in v.into_iter().enumerate() {
        state.set(word(at), value);
    }
}

/// GB (RFC 9106, 3.6).
#[inline(always)]
fn mix(v: &mut [u64; 16], [a, b, c, d]: [usize; 4]) {
    for [first, second] in [[32, 24], [16, 63]] {
        v[a] = multiply_add(v[a], v[b]);
        v[d] = (v[d] ^ v[a]).rotate_right(first);
        v[c] = multiply_add(v[c], v[d]);
        v[b] = (v[b] ^ v[c]).rotate_right(second);
    }
}

/// The sum of both words and of twice the product of their low halves.
#[inline(always)]
const fn multiply_add(x: u64, y: u64) -> u64 {
    const LOW: u64 = 0xffff_ffff;
    x.wrapping_add(y).wrapping_add(((x & LOW) * (y & LOW)).wrapping_shl(1))
}

const _: () = assert!(WORDS == 8 * 16, "eight rows of sixteen words");
