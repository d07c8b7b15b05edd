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

/// Asks for all of a block. Nothing is read: any address will do.
#[cfg(target_arch = "aarch64")]
#[inline(always)]
pub(crate) fn prefetch(block: *const Block) {
    use std::arch::asm;

    // Where lines are longer, each is asked for twice.
    const LINE_BYTES: usize = 64;
    for line in 0..size_of::<Block>() / LINE_BYTES {
        let address = block.cast::<u8>().wrapping_add(line * LINE_BYTES);
        // SAFETY: a hint, for which stable Rust has no function; it neither reads nor writes, whatever the address.
        unsafe { asm!("prfm pldl1keep, [{}]", in(reg) address, options(nostack, preserves_flags, readonly)) };
    }
}

/// There is no such hint in stable Rust.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
#[inline(always)]
pub(crate) fn prefetch(_: *const Block) {}
