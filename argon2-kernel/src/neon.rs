//! The compression function for NEON: vectors of two words, two rows or two columns at a time. All of a block is more
//! than the registers hold.

use std::arch::aarch64::{
    uint64x2_t, vaddq_u64, vcombine_u8, vcreate_u8, veorq_u64, vextq_u64, vget_low_u32, vgetq_lane_u64, vmull_high_u32,
    vmull_u32, vqtbl1q_u8, vreinterpretq_u8_u64, vreinterpretq_u32_u64, vreinterpretq_u64_u8, vreinterpretq_u64_u32,
    vrev64q_u32, vsriq_n_u64, vuzp1q_u32,
};

use crate::{
    block::Block,
    prefetch::prefetch,
    segment::{Run, Step},
};

/// A quarter of two rows: `[pair of words][row]`. Or of two columns: `[column][row]`.
type Quad = [uint64x2_t; 4];
/// Vectors of a block: `[quarter][pair of rows]`, see [`crate::block::stored_at`].
type State = [[Quad; 4]; 4];

/// How far apart in a quad the two vectors are that belong to one row.
const ROWS: usize = 2;
/// How far apart those are that belong to one column.
const COLUMNS: usize = 1;

/// Makes the blocks of a run.
#[target_feature(enable = "neon")]
pub(crate) fn fill(memory: &mut [Block], run: &Run<'_>) {
    let start = memory.as_ptr();
    run.walk(memory, |memory, Step { previous, reference, current, xor, next }| {
        let input = sum(vectors(&memory[previous]), vectors(&memory[reference]));
        let made = vectors_mut(&mut memory[current]);
        let mut next_reference = 0;
        let known = |first_word| {
            next_reference = next.index(first_word);
            prefetch(start.wrapping_add(next_reference));
        };
        if xor {
            permute::<true>(&input, made, known);
        } else {
            permute::<false>(&input, made, known);
        }
        next_reference
    });
}

/// G (RFC 9106, 3.5): combines two blocks.
#[target_feature(enable = "neon")]
pub(crate) fn compress(previous: &Block, reference: &Block) -> Block {
    let mut block = Block::ZERO;
    permute::<false>(&sum(vectors(previous), vectors(reference)), vectors_mut(&mut block), |_| ());
    block
}

/// The second half of G: permutes rows and columns and adds what was there before; with `XOR`, what is in the place of
/// the result, too. Calls `known` with the first word of the result as soon as it is there: then the rest of the
/// columns is still to be computed.
#[inline]
#[target_feature(enable = "neon")]
fn permute<const XOR: bool>(input: &State, made: &mut State, known: impl FnOnce(u64)) {
    let mut state = *input;
    let [a, b, c, d] = &mut state;
    for rows in 0..4 {
        [a[rows], b[rows], c[rows], d[rows]] = round::<ROWS>([a[rows], b[rows], c[rows], d[rows]]);
    }
    permute_columns::<XOR>(&state[0], &input[0], &mut made[0]);
    known(vgetq_lane_u64::<0>(made[0][0][0]));
    for quarter in 1..4 {
        permute_columns::<XOR>(&state[quarter], &input[quarter], &mut made[quarter]);
    }
}

/// The end of G for the columns of a quarter.
#[inline]
#[target_feature(enable = "neon")]
fn permute_columns<const XOR: bool>(state: &[Quad; 4], input: &[Quad; 4], made: &mut [Quad; 4]) {
    let columns = round::<COLUMNS>(*state);
    for rows in 0..4 {
        for at in 0..4 {
            let vector = veorq_u64(columns[rows][at], input[rows][at]);
            made[rows][at] = if XOR { veorq_u64(vector, made[rows][at]) } else { vector };
        }
    }
}

/// P (RFC 9106, 3.6) on two rows or two columns, whose vectors are so far apart. Two, so that no instruction waits for
/// the one before.
#[inline]
#[target_feature(enable = "neon")]
fn round<const APART: usize>([mut a, mut b, mut c, mut d]: [Quad; 4]) -> [Quad; 4] {
    half_round(&mut a, &mut b, &mut c, &mut d);
    b = turned::<APART>(b);
    c = turned_twice::<APART>(c);
    d = turned_back::<APART>(d);
    half_round(&mut a, &mut b, &mut c, &mut d);
    b = turned_back::<APART>(b);
    c = turned_twice::<APART>(c);
    d = turned::<APART>(d);
    [a, b, c, d]
}

/// Each quarter turned by one word.
#[inline]
#[target_feature(enable = "neon")]
fn turned<const APART: usize>(quad: Quad) -> Quad {
    let mut turned = quad;
    for at in 0..4 {
        turned[at] = vextq_u64::<1>(quad[at], quad[at ^ APART]);
    }
    turned
}

/// Each quarter turned by one word the other way.
#[inline]
#[target_feature(enable = "neon")]
fn turned_back<const APART: usize>(quad: Quad) -> Quad {
    let mut turned = quad;
    for at in 0..4 {
        turned[at] = vextq_u64::<1>(quad[at ^ APART], quad[at]);
    }
    turned
}

/// Each quarter turned by two words, which are a vector.
#[inline]
#[target_feature(enable = "neon")]
fn turned_twice<const APART: usize>(quad: Quad) -> Quad {
    [quad[APART], quad[1 ^ APART], quad[2 ^ APART], quad[3 ^ APART]]
}

/// Four GB (RFC 9106, 3.6) for each of both.
#[inline]
#[target_feature(enable = "neon")]
fn half_round(a: &mut Quad, b: &mut Quad, c: &mut Quad, d: &mut Quad) {
    multiply_add(a, b);
    for at in 0..4 {
        let mixed = vreinterpretq_u32_u64(veorq_u64(d[at], a[at]));
        d[at] = vreinterpretq_u64_u32(vrev64q_u32(mixed));
    }
    multiply_add(c, d);
    for at in 0..4 {
        b[at] = rotated_by_bytes::<3>(veorq_u64(b[at], c[at]));
    }
    multiply_add(a, b);
    for at in 0..4 {
        d[at] = rotated_by_bytes::<2>(veorq_u64(d[at], a[at]));
    }
    multiply_add(c, d);
    for at in 0..4 {
        let mixed = veorq_u64(b[at], c[at]);
        b[at] = vsriq_n_u64::<63>(vaddq_u64(mixed, mixed), mixed);
    }
}

/// Adds to `x` what is in `y`, and twice the product of their low halves. One instruction takes the low halves out of
/// two vectors.
#[inline]
#[target_feature(enable = "neon")]
fn multiply_add(x: &mut Quad, y: &Quad) {
    for at in [0, 2] {
        let of_x = vuzp1q_u32(vreinterpretq_u32_u64(x[at]), vreinterpretq_u32_u64(x[at + 1]));
        let of_y = vuzp1q_u32(vreinterpretq_u32_u64(y[at]), vreinterpretq_u32_u64(y[at + 1]));
        let products = [vmull_u32(vget_low_u32(of_x), vget_low_u32(of_y)), vmull_high_u32(of_x, of_y)];
        for (half, product) in products.into_iter().enumerate() {
            x[at + half] = vaddq_u64(vaddq_u64(x[at + half], y[at + half]), vaddq_u64(product, product));
        }
    }
}

/// Each word turned to the right by so many bytes.
#[inline]
#[target_feature(enable = "neon")]
fn rotated_by_bytes<const BYTES: u8>(vector: uint64x2_t) -> uint64x2_t {
    let order = vcombine_u8(vcreate_u8(const { turn_of(BYTES, 0) }), vcreate_u8(const { turn_of(BYTES, 8) }));
    vreinterpretq_u64_u8(vqtbl1q_u8(vreinterpretq_u8_u64(vector), order))
}

/// The bytes that make a word that begins at `start`, turned to the right.
const fn turn_of(bytes: u8, start: u8) -> u64 {
    let mut order = [0; 8];
    let mut at = 0;
    while at < 8 {
        order[at as usize] = start + (at + bytes) % 8;
        at += 1;
    }
    u64::from_le_bytes(order)
}

#[inline]
#[target_feature(enable = "neon")]
fn sum(left: &State, right: &State) -> State {
    let mut state = *left;
    for (left, right) in state.as_flattened_mut().as_flattened_mut().iter_mut().zip(right.as_flattened().as_flattened())
    {
        *left = veorq_u64(*left, *right);
    }
    state
}

const fn vectors(block: &Block) -> &State {
    // SAFETY: both are 1024 bytes, the block is aligned to more than a vector is, and any bits are a value of either.
    unsafe { &*(&raw const *block).cast() }
}

const fn vectors_mut(block: &mut Block) -> &mut State {
    // SAFETY: as above, and the borrow goes over.
    unsafe { &mut *(&raw mut *block).cast() }
}

const _: () = assert!(size_of::<State>() == size_of::<Block>() && align_of::<State>() <= align_of::<Block>());
