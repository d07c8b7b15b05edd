//! The compression function for AVX2: vectors of four words, two rows or two columns at a time.

use std::arch::x86_64::{
    __m256i, _mm256_add_epi64, _mm256_alignr_epi8, _mm256_mul_epu32, _mm256_or_si256, _mm256_permute4x64_epi64,
    _mm256_setr_epi8, _mm256_shuffle_epi8, _mm256_shuffle_epi32, _mm256_srli_epi64, _mm256_xor_si256,
};

use crate::{
    block::Block,
    prefetch::prefetch,
    segment::{Run, Step},
};

/// Vectors of a block: `[quarter][pair of rows][pair of words]`, see [`crate::block::stored_at`].
type State = [[[__m256i; 2]; 4]; 4];

/// Makes the blocks of a run.
#[target_feature(enable = "avx2")]
pub(crate) fn fill(memory: &mut [Block], run: &Run<'_>) {
    let mut previous = memory[run.previous()].clone();
    let start = memory.as_ptr();
    run.walk(memory, |memory, Step { reference, current, xor, next }| {
        let replaced = if xor { memory[current].0[0] } else { 0 };
        let mut next_reference = 0;
        let mut made = combine(&previous, &memory[reference], |first_word| {
            next_reference = next.index(first_word ^ replaced);
            prefetch(start.wrapping_add(next_reference));
        });
        if xor {
            xor_blocks(&mut made, &memory[current]);
        }
        memory[current] = made.clone();
        previous = made;
        next_reference
    });
}

/// G (RFC 9106, 3.5): combines two blocks.
#[target_feature(enable = "avx2")]
pub(crate) fn compress(previous: &Block, reference: &Block) -> Block {
    combine(previous, reference, |_| ())
}

/// G. Calls `known` with the first word of the result as soon as it is there: then the rest of the columns is still to be computed.
#[inline]
#[target_feature(enable = "avx2")]
fn combine(previous: &Block, reference: &Block, known: impl FnOnce(u64)) -> Block {
    let mut input = previous.clone();
    xor_blocks(&mut input, reference);
    let mut block = input.clone();
    let state = vectors_mut(&mut block);
    for rows in 0..4 {
        let mut lines = [state[0][rows], state[1][rows], state[2][rows], state[3][rows]];
        permute_rows(&mut lines);
        [state[0][rows], state[1][rows], state[2][rows], state[3][rows]] = lines;
    }
    permute_columns(&mut state[0]);
    known(block.0[0] ^ input.0[0]);
    for quarter in &mut vectors_mut(&mut block)[1..] {
        permute_columns(quarter);
    }
    xor_blocks(&mut block, &input);
    block
}

/// P (RFC 9106, 3.6) on two rows. A row is spread over both vectors of a quarter.
#[inline]
#[target_feature(enable = "avx2")]
fn permute_rows([a, b, c, d]: &mut [[__m256i; 2]; 4]) {
    half_round(a, b, c, d);
    *b = turned(*b);
    c.swap(0, 1);
    *d = turned_back(*d);
    half_round(a, b, c, d);
    *b = turned_back(*b);
    c.swap(0, 1);
    *d = turned(*d);
}

/// P on the four columns of a quarter. A column is in one vector of each pair of rows.
#[inline]
#[target_feature(enable = "avx2")]
fn permute_columns([a, b, c, d]: &mut [[__m256i; 2]; 4]) {
    half_round(a, b, c, d);
    for half in 0..2 {
        b[half] = _mm256_permute4x64_epi64::<0b00_11_10_01>(b[half]);
        c[half] = _mm256_permute4x64_epi64::<0b01_00_11_10>(c[half]);
        d[half] = _mm256_permute4x64_epi64::<0b10_01_00_11>(d[half]);
    }
    half_round(a, b, c, d);
    for half in 0..2 {
        b[half] = _mm256_permute4x64_epi64::<0b10_01_00_11>(b[half]);
        c[half] = _mm256_permute4x64_epi64::<0b01_00_11_10>(c[half]);
        d[half] = _mm256_permute4x64_epi64::<0b00_11_10_01>(d[half]);
    }
}

/// Two rows, each turned by one word.
#[inline]
#[target_feature(enable = "avx2")]
fn turned([low, high]: [__m256i; 2]) -> [__m256i; 2] {
    [_mm256_alignr_epi8::<8>(high, low), _mm256_alignr_epi8::<8>(low, high)]
}

/// Two rows, each turned by one word the other way.
#[inline]
#[target_feature(enable = "avx2")]
fn turned_back([low, high]: [__m256i; 2]) -> [__m256i; 2] {
    [_mm256_alignr_epi8::<8>(low, high), _mm256_alignr_epi8::<8>(high, low)]
}

/// Four GB (RFC 9106, 3.6) in each lane of each vector.
#[inline]
#[target_feature(enable = "avx2")]
fn half_round(a: &mut [__m256i; 2], b: &mut [__m256i; 2], c: &mut [__m256i; 2], d: &mut [__m256i; 2]) {
    for at in 0..2 {
        a[at] = multiply_add(a[at], b[at]);
        d[at] = _mm256_shuffle_epi32::<0b10_11_00_01>(_mm256_xor_si256(d[at], a[at]));
    }
    for at in 0..2 {
        c[at] = multiply_add(c[at], d[at]);
        b[at] = rotated_by_bytes::<3>(_mm256_xor_si256(b[at], c[at]));
    }
    for at in 0..2 {
        a[at] = multiply_add(a[at], b[at]);
        d[at] = rotated_by_bytes::<2>(_mm256_xor_si256(d[at], a[at]));
    }
    for at in 0..2 {
        c[at] = multiply_add(c[at], d[at]);
        let mixed = _mm256_xor_si256(b[at], c[at]);
        b[at] = _mm256_or_si256(_mm256_add_epi64(mixed, mixed), _mm256_srli_epi64::<63>(mixed));
    }
}

/// The sum of both and of twice the product of their low halves.
#[inline]
#[target_feature(enable = "avx2")]
fn multiply_add(x: __m256i, y: __m256i) -> __m256i {
    let product = _mm256_mul_epu32(x, y);
    _mm256_add_epi64(_mm256_add_epi64(x, y), _mm256_add_epi64(product, product))
}

/// Each word turned to the right by so many bytes.
#[inline]
#[target_feature(enable = "avx2")]
fn rotated_by_bytes<const BYTES: i8>(vector: __m256i) -> __m256i {
    let [a, b, c, d, e, f, g, h] = const { turn_of(BYTES, 0) };
    let [i, j, k, l, m, n, o, p] = const { turn_of(BYTES, 8) };
    let order = _mm256_setr_epi8(
        a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p,
    );
    _mm256_shuffle_epi8(vector, order)
}

/// The bytes that make a word that begins at `start`, turned to the right.
const fn turn_of(bytes: i8, start: i8) -> [i8; 8] {
    let mut order = [0; 8];
    let mut at = 0;
    while at < 8 {
        order[at as usize] = start + (at + bytes) % 8;
        at += 1;
    }
    order
}

#[inline]
#[target_feature(enable = "avx2")]
fn xor_blocks(left: &mut Block, right: &Block) {
    for (left, right) in left.0.iter_mut().zip(&right.0) {
        *left ^= right;
    }
}

const fn vectors_mut(block: &mut Block) -> &mut State {
    // SAFETY: both are 1024 bytes, the block is aligned to more than a vector is, any bits are a value of either, and the borrow goes over.
    unsafe { &mut *(&raw mut *block).cast() }
}

const _: () = assert!(size_of::<State>() == size_of::<Block>() && align_of::<State>() <= align_of::<Block>());
