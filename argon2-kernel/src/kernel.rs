//! A hash from end to end (RFC 9106, 3.2).

use zeroize::Zeroize as _;

use crate::{
    arena::{Arena, OutOfMemory},
    blake2b_long::{blake2b_long, initial_hash},
    block::{BYTES, Block},
    parameters::{Input, ParameterError},
    path::Path,
    segment::Layout,
};

/// Computes one hash after the other, each on the thread that asks, in memory that it keeps.
///
/// What a hash leaves in the memory is overwritten by the next. Whoever has no next one calls [`Kernel::wipe`].
/// Dropping does it, too.
pub struct Kernel {
    path: Path,
    arena: Arena,
}

/// No hash was computed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DeriveError {
    /// The standard knows no such hash.
    #[error(transparent)]
    Parameters(#[from] ParameterError),
    /// The system has no memory for it.
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
}

impl Kernel {
    /// A kernel without memory: the first hash asks for it.
    pub fn new(path: Path) -> Self {
        Self { path, arena: Arena::default() }
    }

    /// The code that this kernel runs.
    pub const fn path(&self) -> Path {
        self.path
    }

    /// Fills `tag` (4 bytes or more) with the hash. It takes as much memory as the parameters say, rounded up to 64 KiB,
    /// and keeps it.
    ///
    /// # Errors
    /// Lengths that the standard does not allow; memory that is not to be had. `tag` is then as it was.
    pub fn derive(&mut self, input: &Input<'_>, tag: &mut [u8]) -> Result<(), DeriveError> {
        input.check(tag.len())?;
        let layout = Layout::of(input);
        let memory = self.arena.blocks(layout.blocks())?;
        begin(input, tag.len(), &layout, memory);
        for segment in layout.segments() {
            segment.fill(self.path, memory);
        }
        finish(&layout, memory, tag);
        Ok(())
    }

    /// Takes the memory that a hash with so much takes, if the kernel has less: such a hash then fails for want of it
    /// no more.
    ///
    /// # Errors
    /// The memory is not to be had. The kernel then has none.
    pub fn reserve(&mut self, memory_kib: u32) -> Result<(), OutOfMemory> {
        // A block is a KiB, and a number of KiB that no address reaches cannot be had, either.
        self.arena.reserve(usize::try_from(memory_kib).unwrap_or(usize::MAX))
    }

    /// Bytes of memory that the kernel holds.
    pub fn memory_bytes(&self) -> usize {
        self.arena.capacity() * BYTES
    }

    /// True if no hash has left anything that is still to be wiped.
    pub const fn is_wiped(&self) -> bool {
        self.arena.is_wiped()
    }

    /// Reads all of the memory, to see that there is nothing but zeros in it. For tests.
    pub fn holds_nothing(&mut self) -> bool {
        self.arena.all().iter().all(|block| block.0.iter().all(|word| *word == 0))
    }

    /// Overwrites what hashes left in the memory. Costs an eighth of a hash of 19 MiB and two passes.
    pub fn wipe(&mut self) {
        self.arena.wipe();
    }

    /// Wipes the memory and gives it back to the system. The next hash takes new memory.
    pub fn release(&mut self) {
        self.arena.release();
    }
}

/// The first two blocks of each lane.
fn begin(input: &Input<'_>, tag_bytes: usize, layout: &Layout, memory: &mut [Block]) {
    let hash = initial_hash(input, tag_bytes);
    let mut bytes = [0; BYTES];
    for (lane, blocks) in (0_u32..).zip(memory.chunks_exact_mut(layout.lane_blocks)) {
        for (number, block) in (0_u32..).zip(&mut blocks[..2]) {
            blake2b_long(&[&*hash, &number.to_le_bytes(), &lane.to_le_bytes()], &mut bytes);
            *block = Block::from_bytes(&bytes);
        }
    }
    bytes.zeroize();
}

/// The tag from the last blocks of all lanes.
fn finish(layout: &Layout, memory: &[Block], tag: &mut [u8]) {
    let mut last = Block::ZERO;
    for lane in memory.chunks_exact(layout.lane_blocks) {
        last ^= &lane[layout.lane_blocks - 1];
    }
    let mut bytes = last.to_bytes();
    blake2b_long(&[&bytes], tag);
    bytes.zeroize();
    last.zeroize();
}
