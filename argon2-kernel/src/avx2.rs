//! The compression function for AVX2: vectors of four words, two rows or two columns at a time.

use std::arch::x86_64::{
    __m256i, _mm_cvtsi128_si64, _mm256_add_epi64, _mm256_alignr_epi8, _mm256_castsi256_si128, _mm256_mul_epu32,
    _mm256_or_si256, _mm256_permute4x64_epi64, _mm256_setr_epi64x, _mm256_shuffle_epi8, _mm256_shuffle_epi32,
    _mm256_srli_epi64, _mm256_xor_si256,
};

use crate::{
    block::{Block, WORDS},
    prefetch::prefetch,
    segment::{Run, Step},
};

/// Words in a vector.
const LANES: usize = 4;
/// Vectors of a block.
const VECTORS: usize = WORDS / LANES;
/// A block: vector 8 quarter + 2 (row / 2) + pair, see [`crate::block::stored_at`].
type Vectors = [__m256i; VECTORS];
/// Two vectors of each quarter of rows, or of each quarter of columns.
type Lines = [[__m256i; 2]; 4];

/// Makes the blocks of a run.
#[target_feature(enable = "avx2")]
pub(crate) fn fill(memory: &mut [Block], run: &Run<'_>) {
    let start = memory.as_ptr();
    run.walk(memory, |memory, Step { previous, reference, current, xor, next }| {
        let input = sum(vectors(&memory[previous]), vectors(&memory[reference]));
        let current = vectors_mut(&mut memory[current]);
        let input_and_replaced;
        let added = if xor {
            input_and_replaced = sum(&input, current);
            &input_and_replaced
        } else {
            &input
        };
        let mut next_reference = 0;
        permute(&input, added, current, |first_word| {
            next_reference = next.index(first_word);
            prefetch(start.wrapping_add(next_reference));
        });
        next_reference
    });
}

/// G (RFC 9106, 3.5): combines two blocks.
#[target_feature(enable = "avx2")]
pub(crate) fn compress(previous: &Block, reference: &Block) -> Block {
    let input = sum(vectors(previous), vectors(reference));
    let mut block = Block::ZERO;
    permute(&input, &input, vectors_mut(&mut block), |_| ());
    block
}

#[inline]
#[target_feature(enable = "avx2")]
fn sum(left: &Vectors, right: &Vectors) -> Vectors {
    std::array::from_fn(|at| _mm256_xor_si256(left[at], right[at]))
}

/// P on all rows and all columns of `input`, and `added`, into `block`. Calls `known` with the first word as soon as it
/// is there: most columns are still to be computed then.
#[inline]
#[target_feature(enable = "avx2")]
fn permute(input: &Vectors, added: &Vectors, block: &mut Vectors, known: impl FnOnce(u64)) {
    for rows in 0..4 {
        let line = |quarter| 8 * quarter + 2 * rows;
        let mut lines = [0, 1, 2, 3].map(|quarter| [input[line(quarter)], input[line(quarter) + 1]]);
        permute_rows(&mut lines);
        for quarter in 0..4 {
            block[line(quarter)] = lines[quarter][0];
            block[line(quarter) + 1] = lines[quarter][1];
        }
    }
    let mut known = Some(known);
    for quarter in 0..4 {
        let line = |rows| 8 * quarter + 2 * rows;
        let mut lines = [0, 1, 2, 3].map(|rows| [block[line(rows)], block[line(rows) + 1]]);
        permute_columns(&mut lines);
        for rows in 0..4 {
            block[line(rows)] = _mm256_xor_si256(lines[rows][0], added[line(rows)]);
            block[line(rows) + 1] = _mm256_xor_si256(lines[rows][1], added[line(rows) + 1]);
        }
        if let Some(known) = known.take() {
            known(first_word(block[0]));
        }
    }
}

/// P (RFC 9106, 3.6) on two rows. A row is spread over both vectors of a quarter.
#[inline]
#[target_feature(enable = "avx2")]
fn permute_rows(lines: &mut Lines) {
    half_round(lines);
    let [_, b, c, d] = lines;
    *b = turned(*b);
    c.swap(0, 1);
    *d = turned_back(*d);
    half_round(lines);
    let [_, b, c, d] = lines;
    *b = turned_back(*b);
    c.swap(0, 1);
    *d = turned(*d);
}

/// P on the two columns of a quarter. A column is in one vector of each pair of rows.
#[inline]
#[target_feature(enable = "avx2")]
fn permute_columns(lines: &mut Lines) {
    half_round(lines);
    let [_, b, c, d] = lines;
    for column in 0..2 {
        b[column] = _mm256_permute4x64_epi64::<0b00_11_10_01>(b[column]);
        c[column] = _mm256_permute4x64_epi64::<0b01_00_11_10>(c[column]);
        d[column] = _mm256_permute4x64_epi64::<0b10_01_00_11>(d[column]);
    }
    half_round(lines);
    let [_, b, c, d] = lines;
    for column in 0..2 {
        b[column] = _mm256_permute4x64_epi64::<0b10_01_00_11>(b[column]);
        c[column] = _mm256_permute4x64_epi64::<0b01_00_11_10>(c[column]);
        d[column] = _mm256_permute4x64_epi64::<0b00_11_10_01>(d[column]);
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
fn half_round([a, b, c, d]: &mut Lines) {
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
fn rotated_by_bytes<const BYTES: u8>(vector: __m256i) -> __m256i {
    let (low, high) = const { (turn_of(BYTES, 0), turn_of(BYTES, 8)) };
    _mm256_shuffle_epi8(vector, _mm256_setr_epi64x(low, high, low, high))
}

/// From where the bytes of a word come that begins at `start` and is turned to the right.
const fn turn_of(bytes: u8, start: u8) -> i64 {
    let mut order = [0, 1, 2, 3, 4, 5, 6, 7];
    let mut at = 0;
    while at < order.len() {
        order[at] = start + (order[at] + bytes) % 8;
        at += 1;
    }
    i64::from_le_bytes(order)
}

#[inline]
#[target_feature(enable = "avx2")]
#[expect(clippy::cast_sign_loss, reason = "64 bits are 64 bits")]
fn first_word(vector: __m256i) -> u64 {
    _mm_cvtsi128_si64(_mm256_castsi256_si128(vector)) as u64
}

const fn vectors(block: &Block) -> &Vectors {
    // SAFETY: both are 1024 bytes, the block is aligned to more than a vector is, and any bits are a value of either.
    unsafe { &*(&raw const *block).cast() }
}

const fn vectors_mut(block: &mut Block) -> &mut Vectors {
    // SAFETY: as above, and the borrow goes over.
    unsafe { &mut *(&raw mut *block).cast() }
}

const _: () = assert!(size_of::<Vectors>() == size_of::<Block>() && align_of::<Vectors>() <= align_of::<Block>());
