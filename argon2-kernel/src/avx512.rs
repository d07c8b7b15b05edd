//! The compression function for AVX-512F: a block is 16 vectors of eight words, all in registers.
//!
//! P works on rows, then on diagonals of rows, then on columns, then on diagonals of columns. Elements that meet must
//! be at one and the same place of four vectors. Only what that takes is moved: vectors go from rows to diagonals
//! ([`ROW_DIAGONALS`]), are columns as they are, go on to the diagonals of columns ([`COLUMN_DIAGONALS`]), and from
//! there home ([`HOME`]): 39 moves for a block.

use std::arch::x86_64::{
    __m512i, _mm_cvtsi128_si64, _mm512_add_epi64, _mm512_castsi512_si128, _mm512_mul_epu32, _mm512_permutexvar_epi64,
    _mm512_ror_epi64, _mm512_setr_epi64, _mm512_xor_si512,
};

use crate::{
    block::{Block, WORDS},
    prefetch::prefetch,
    segment::{Run, Step},
};

/// Words in a vector.
const LANES: usize = 8;
/// Vectors of a block.
const VECTORS: usize = WORDS / LANES;
/// A block: vector 4 quarter + (row / 2), see [`crate::block::stored_at`].
type Vectors = [__m512i; VECTORS];
/// For each place of a vector, from which place it is filled.
type Move = [i64; LANES];
/// Sixteen of them, by quarter and pair of rows.
type Moves = [[Move; 4]; 4];

/// Makes the blocks of a run.
#[target_feature(enable = "avx512f")]
pub(crate) fn fill(memory: &mut [Block], run: &Run<'_>) {
    // Carried from step to step in registers: what was written a moment ago takes time to be read.
    let mut previous = *vectors(&memory[run.previous()]);
    let start = memory.as_ptr();
    run.walk(memory, |memory, Step { reference, current, xor, next, .. }| {
        let replaced = if xor { memory[current].0[0] } else { 0 };
        let mut next_reference = 0;
        combine(&mut previous, vectors(&memory[reference]), |first_word| {
            next_reference = next.index(first_word ^ replaced);
            prefetch(start.wrapping_add(next_reference));
        });
        let current = vectors_mut(&mut memory[current]);
        for at in 0..VECTORS {
            if xor {
                previous[at] = _mm512_xor_si512(previous[at], current[at]);
            }
            current[at] = previous[at];
        }
        next_reference
    });
}

/// G (RFC 9106, 3.5): combines two blocks.
#[target_feature(enable = "avx512f")]
pub(crate) fn compress(previous: &Block, reference: &Block) -> Block {
    let mut block = previous.clone();
    combine(vectors_mut(&mut block), vectors(reference), |_| ());
    block
}

/// G, in the place of the block before. Calls `known` with the first word of the result as soon as it is there: then
/// the rest of the columns is still to be computed.
#[inline]
#[target_feature(enable = "avx512f")]
fn combine<Known: FnOnce(u64)>(block: &mut Vectors, reference: &Vectors, known: Known) {
    let mut input = *block;
    for at in 0..VECTORS {
        input[at] = _mm512_xor_si512(block[at], reference[at]);
    }
    let mut state = input;
    rows::<Known>(&mut state);
    columns::<0>(&mut state);
    known(first_word(state[0]) ^ first_word(input[0]));
    columns::<2>(&mut state);
    for at in 0..VECTORS {
        block[at] = _mm512_xor_si512(state[at], input[at]);
    }
}

/// P on the rows, which ends with the rows on their diagonals. One for each use, so that it becomes part of it: a call
/// would send all registers through memory.
#[inline]
#[target_feature(enable = "avx512f")]
fn rows<Use>(state: &mut Vectors) {
    let mut lines = [[state[0]; 4]; 4];
    for quarter in 0..4 {
        for row in 0..4 {
            lines[quarter][row] = state[4 * quarter + row];
        }
    }
    half_round(&mut lines);
    for (quarter, line) in lines.iter_mut().enumerate().skip(1) {
        for vector in line {
            *vector = moved(*vector, ROW_DIAGONALS[quarter]);
        }
    }
    half_round(&mut lines);
    for quarter in 0..4 {
        for row in 0..4 {
            state[4 * quarter + row] = lines[quarter][row];
        }
    }
}

/// P on the columns of two quarters, which do not depend on those of the others.
#[inline]
#[target_feature(enable = "avx512f")]
fn columns<const FROM: usize>(state: &mut Vectors) {
    let mut lines = [[state[0]; 2]; 4];
    for quarter in 0..2 {
        for row in 0..4 {
            lines[row][quarter] = state[4 * (FROM + quarter) + row];
        }
    }
    half_round(&mut lines);
    for quarter in 0..2 {
        for row in 1..4 {
            lines[row][quarter] = moved(lines[row][quarter], COLUMN_DIAGONALS[FROM + quarter][row]);
        }
    }
    half_round(&mut lines);
    for quarter in 0..2 {
        for row in 0..4 {
            state[4 * (FROM + quarter) + row] = moved(lines[row][quarter], HOME[FROM + quarter][row]);
        }
    }
}

/// Four GB (RFC 9106, 3.6) in each lane of each vector.
#[inline]
#[target_feature(enable = "avx512f")]
fn half_round<const N: usize>([a, b, c, d]: &mut [[__m512i; N]; 4]) {
    for at in 0..N {
        a[at] = multiply_add(a[at], b[at]);
        d[at] = _mm512_ror_epi64::<32>(_mm512_xor_si512(d[at], a[at]));
    }
    for at in 0..N {
        c[at] = multiply_add(c[at], d[at]);
        b[at] = _mm512_ror_epi64::<24>(_mm512_xor_si512(b[at], c[at]));
    }
    for at in 0..N {
        a[at] = multiply_add(a[at], b[at]);
        d[at] = _mm512_ror_epi64::<16>(_mm512_xor_si512(d[at], a[at]));
    }
    for at in 0..N {
        c[at] = multiply_add(c[at], d[at]);
        b[at] = _mm512_ror_epi64::<63>(_mm512_xor_si512(b[at], c[at]));
    }
}

/// The sum of both and of twice the product of their low halves.
#[inline]
#[target_feature(enable = "avx512f")]
fn multiply_add(x: __m512i, y: __m512i) -> __m512i {
    let product = _mm512_mul_epu32(x, y);
    _mm512_add_epi64(_mm512_add_epi64(x, y), _mm512_add_epi64(product, product))
}

#[inline]
#[target_feature(enable = "avx512f")]
#[expect(clippy::cast_sign_loss, reason = "64 bits are 64 bits")]
fn first_word(vector: __m512i) -> u64 {
    _mm_cvtsi128_si64(_mm512_castsi512_si128(vector)) as u64
}

#[inline]
#[target_feature(enable = "avx512f")]
fn moved(vector: __m512i, [a, b, c, d, e, f, g, h]: Move) -> __m512i {
    _mm512_permutexvar_epi64(_mm512_setr_epi64(a, b, c, d, e, f, g, h), vector)
}

const fn vectors(block: &Block) -> &Vectors {
    // SAFETY: both are 1024 bytes, aligned to 64, and any bits are a value of either.
    unsafe { &*(&raw const *block).cast() }
}

const fn vectors_mut(block: &mut Block) -> &mut Vectors {
    // SAFETY: as above, and the borrow goes over.
    unsafe { &mut *(&raw mut *block).cast() }
}

const _: () = assert!(size_of::<Vectors>() == size_of::<Block>() && align_of::<Vectors>() == align_of::<Block>());

/// Where an element is in a vector at home: 4 pair + 2 (row % 2) + half. In a row, it is at 2 pair + half; in a column
/// at 2 (row % 2) + half.
const fn turned_in_row(place: usize, by: usize) -> usize {
    let (pair, row, half) = (place / 4, place / 2 % 2, place % 2);
    let at = (2 * pair + half + by) % 4;
    4 * (at / 2) + 2 * row + at % 2
}

/// The same, in a column.
const fn turned_in_column(place: usize, by: usize) -> usize {
    let (pair, row, half) = (place / 4, place / 2 % 2, place % 2);
    let at = (2 * row + half + by) % 4;
    4 * pair + at
}

/// What is where on the diagonals of columns, by its place at home.
const fn on_column_diagonal(place: usize, quarter: usize, row: usize) -> usize {
    turned_in_column(turned_in_row(place, quarter), row)
}

#[expect(clippy::cast_possible_wrap, reason = "less than eight")]
const fn number(place: usize) -> i64 {
    place as i64
}

/// From rows to their diagonals, for each quarter.
const ROW_DIAGONALS: [Move; 4] = {
    let mut moves = [[0; LANES]; 4];
    let mut at = 0;
    while at < 4 * LANES {
        let (quarter, place) = (at / LANES, at % LANES);
        moves[quarter][place] = number(turned_in_row(place, quarter));
        at += 1;
    }
    moves
};

/// From columns, as the diagonals of rows are, to their diagonals, for each quarter and pair of rows.
const COLUMN_DIAGONALS: Moves = {
    let mut moves = [[[0; LANES]; 4]; 4];
    let mut at = 0;
    while at < 16 * LANES {
        let (quarter, row, place) = (at / (4 * LANES), at / LANES % 4, at % LANES);
        let wanted = on_column_diagonal(place, quarter, row);
        let mut from = 0;
        while turned_in_row(from, quarter) != wanted {
            from += 1;
        }
        moves[quarter][row][place] = number(from);
        at += 1;
    }
    moves
};

/// From the diagonals of columns home, for each quarter and pair of rows.
const HOME: Moves = {
    let mut moves = [[[0; LANES]; 4]; 4];
    let mut at = 0;
    while at < 16 * LANES {
        let (quarter, row, from) = (at / (4 * LANES), at / LANES % 4, at % LANES);
        moves[quarter][row][on_column_diagonal(from, quarter, row)] = number(from);
        at += 1;
    }
    moves
};
