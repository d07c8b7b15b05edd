//! What hashes if our kernel fails its self-test: the `argon2` crate, in memory of ours.
//!
//! Memory of its own it gives back as it is, whatever its features: its `zeroize` is for who brings the memory.

use argon2::{Argon2, Block, Params};
use signet_argon2_kernel::OutOfMemory;
use zeroize::Zeroize as _;

use super::{Argon2Input, CostError, HashError};

/// Blocks of 1 KiB from which on glibc maps an allocation for itself and unmaps it when it is freed, whatever was freed
/// before (mallopt(3), `M_MMAP_THRESHOLD`: 32 MiB at most). What is smaller stays with the process. Pages that are not
/// touched cost nothing.
const MAPPED_BLOCKS: usize = 33 * 1024;

/// The crate and its arena.
#[derive(Default)]
pub(super) struct Fallback {
    arena: Vec<Block>,
    /// Blocks, from the first one on, that hold what hashes left.
    used: usize,
}

impl Fallback {
    /// Sees to it that there is memory for so many blocks.
    pub(super) fn reserve(&mut self, blocks: usize) -> Result<(), OutOfMemory> {
        if self.arena.len() >= blocks {
            return Ok(());
        }
        // Not by growing, which would leave a copy behind.
        self.release();
        let capacity = blocks.max(MAPPED_BLOCKS);
        let failed = OutOfMemory { bytes: capacity.saturating_mul(Block::SIZE) };
        self.arena.try_reserve_exact(capacity).map_err(|_| failed)?;
        self.arena.resize(blocks, Block::new());
        Ok(())
    }

    pub(super) fn derive(&mut self, input: &Argon2Input<'_>, params: Params, tag: &mut [u8]) -> Result<(), HashError> {
        let blocks = params.block_count();
        self.reserve(blocks)?;
        self.used = self.used.max(blocks);
        Argon2::new(input.algorithm, input.version, params)
            .hash_password_into_with_memory(input.password, input.salt, tag, &mut self.arena[..blocks])
            .map_err(|_| CostError.into())
    }

    pub(super) fn wipe(&mut self) {
        // Not by `fill`, which a compiler may leave out before memory that is given back.
        self.arena[..self.used].iter_mut().for_each(Block::zeroize);
        self.used = 0;
    }

    pub(super) const fn is_wiped(&self) -> bool {
        self.used == 0
    }

    pub(super) fn release(&mut self) {
        self.wipe();
        self.arena = Vec::new();
    }

    pub(super) const fn is_released(&self) -> bool {
        self.arena.is_empty()
    }

    #[cfg(test)]
    pub(super) fn holds_nothing(&self) -> bool {
        self.arena.iter().all(|block| block.as_ref().iter().all(|word| *word == 0))
    }
}

impl Drop for Fallback {
    fn drop(&mut self) {
        self.release();
    }
}
