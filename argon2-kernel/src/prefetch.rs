//! Asks for memory before it is needed.

use crate::block::Block;

/// Asks for all of a block. Nothing is read: any address will do.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) fn prefetch(block: *const Block) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};

    const LINE_BYTES: usize = 64;
    for line in 0..size_of::<Block>() / LINE_BYTES {
        // SAFETY: a hint; it neither reads nor writes, whatever the address, and every x86_64 has it (SSE).
        unsafe { _mm_prefetch::<_MM_HINT_T0>(block.cast::<i8>().wrapping_add(line * LINE_BYTES)) };
    }
}

/// There is no such hint in stable Rust.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
pub(crate) fn prefetch(_: *const Block) {}
