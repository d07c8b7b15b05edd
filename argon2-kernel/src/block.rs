//! A block: 1 KiB, the unit of Argon2's memory (RFC 9106, 3.2).

use std::ops::BitXorAssign;

use zeroize::Zeroize;

/// Words of 64 bits in a block.
pub(crate) const WORDS: usize = 128;
/// Bytes of a block.
pub(crate) const BYTES: usize = 1024;

/// A block whose words are in the order that suits vectors: see [`stored_at`]. Blocks are combined word by word, so any
/// fixed order will do, as long as a block is translated where it comes from bytes and where it goes to bytes.
#[derive(Clone)]
#[repr(C, align(64))]
pub(crate) struct Block(pub(crate) [u64; WORDS]);

/// Where a word of a block is stored.
///
/// The standard sees 8 rows of 16 words. The permutation P works on each row, four words (a quarter) at a time, and
/// then on columns that are two words wide. With word = 16 row + 4 quarter + 2 pair + half, we store at 32 quarter + 8
/// (row / 2) + 4 pair + 2 (row % 2) + half. So a vector of eight words holds one quarter of two rows, and its halves
/// are pieces of two columns: what P combines is at one and the same place of four vectors, for rows and for columns,
/// and nothing has to be moved between the two.
pub(crate) const fn stored_at(word: usize) -> usize {
    let (row, quarter, pair, half) = (word / 16, word / 4 % 4, word / 2 % 2, word % 2);
    32 * quarter + 8 * (row / 2) + 4 * pair + 2 * (row % 2) + half
}

impl Block {
    pub(crate) const ZERO: Self = Self([0; WORDS]);

    /// A block from its bytes, as the standard orders them.
    pub(crate) fn from_bytes(bytes: &[u8; BYTES]) -> Self {
        let mut block = Self::ZERO;
        let (words, _) = bytes.as_chunks();
        for (number, word) in words.iter().enumerate() {
            block.set(number, u64::from_le_bytes(*word));
        }
        block
    }

    /// The bytes of the block, as the standard orders them.
    pub(crate) fn to_bytes(&self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        let (words, _) = bytes.as_chunks_mut();
        for (number, word) in words.iter_mut().enumerate() {
            *word = self.get(number).to_le_bytes();
        }
        bytes
    }

    /// A word, by its number in the standard.
    pub(crate) const fn get(&self, word: usize) -> u64 {
        self.0[stored_at(word)]
    }

    /// Sets a word, by its number in the standard.
    pub(crate) const fn set(&mut self, word: usize, value: u64) {
        self.0[stored_at(word)] = value;
    }
}

impl BitXorAssign<&Self> for Block {
    fn bitxor_assign(&mut self, other: &Self) {
        for (word, other) in self.0.iter_mut().zip(&other.0) {
            *word ^= other;
        }
    }
}

impl Zeroize for Block {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_has_a_place_of_its_own_and_the_first_is_first() {
        let mut places: Vec<_> = (0..WORDS).map(stored_at).collect();
        assert_eq!(places[0], 0);
        places.sort_unstable();
        assert_eq!(places, (0..WORDS).collect::<Vec<_>>());
    }

    #[test]
    fn bytes_come_back_as_they_went_in() {
        let bytes = std::array::from_fn(|at| u8::try_from(at * 7 % 251).unwrap());
        assert_eq!(Block::from_bytes(&bytes).to_bytes(), bytes);
    }
}
