//! The memory of the hashes: from the system, on huge pages where there are any, not part of a core dump.

use std::{ffi::c_void, ptr::NonNull, slice};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

use crate::block::Block;

/// Bytes of a huge page on the processors that have them (`x86_64`, and aarch64 with pages of 4 KiB).
const HUGE_PAGE_BYTES: usize = 2 * 1024 * 1024;
/// What memory is asked for by the multiple: the largest of the small pages that any of our systems has. What does not
/// fill a huge page is on small ones, at most 511 of 4 KiB; no difference was measured.
const SMALL_PAGE_BYTES: usize = 64 * 1024;

/// The system has no memory for the hash.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no memory of {bytes} bytes is to be had for a password hash")]
pub struct OutOfMemory {
    /// What was asked for.
    pub bytes: usize,
}

/// Memory that stays where it is from one hash to the next.
#[derive(Default)]
pub(crate) struct Arena {
    mapping: Option<Mapping>,
    /// No block from here on has been written since the last wipe.
    written: usize,
}

impl Arena {
    /// Memory for so many blocks. It holds zeros or what earlier hashes left.
    pub(crate) fn blocks(&mut self, count: usize) -> Result<&mut [Block], OutOfMemory> {
        self.reserve(count)?;
        self.written = self.written.max(count);
        Ok(&mut self.all()[..count])
    }

    /// Sees to it that there is memory for so many blocks.
    pub(crate) fn reserve(&mut self, count: usize) -> Result<(), OutOfMemory> {
        if self.capacity() < count {
            // Before the larger is there: the two need not exist side by side.
            self.release();
            self.mapping = Some(Mapping::new(count)?);
        }
        Ok(())
    }

    /// All of it, whatever was asked for.
    pub(crate) fn all(&mut self) -> &mut [Block] {
        self.mapping.as_mut().map_or(&mut [], Mapping::as_mut_slice)
    }

    pub(crate) const fn is_wiped(&self) -> bool {
        self.written == 0
    }

    /// How many blocks there is memory for.
    pub(crate) fn capacity(&self) -> usize {
        self.mapping.as_ref().map_or(0, Mapping::capacity)
    }

    /// Overwrites what the hashes since the last wipe left.
    pub(crate) fn wipe(&mut self) {
        self.mapping = self.mapping.take().map(|mapping| mapping.wiped(self.written));
        self.written = 0;
    }

    /// Wipes the memory and gives it back to the system.
    pub(crate) fn release(&mut self) {
        self.wipe();
        self.mapping = None;
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        self.release();
    }
}

/// A private mapping that begins where a huge page can. It is unmapped when it is dropped.
struct Mapping {
    start: NonNull<Block>,
    bytes: usize,
}

// SAFETY: the mapping belongs to this value alone, and blocks are plain numbers.
unsafe impl Send for Mapping {}

impl Mapping {
    fn new(blocks: usize) -> Result<Self, OutOfMemory> {
        let wanted =
            blocks.checked_mul(size_of::<Block>()).and_then(|bytes| bytes.checked_next_multiple_of(SMALL_PAGE_BYTES));
        let failed = OutOfMemory { bytes: wanted.unwrap_or(usize::MAX) };
        let bytes = wanted.ok_or(failed)?;
        // A huge page more than needed, so that one begins inside; the ends are given back.
        let mapped_bytes = bytes.checked_add(HUGE_PAGE_BYTES).ok_or(failed)?;
        let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
        // SAFETY: without an address and MAP_FIXED the system chooses one where nothing else is.
        let mapped =
            unsafe { mmap_anonymous(std::ptr::null_mut(), mapped_bytes, protection, flags) }.map_err(|_| failed)?;
        let before = mapped.align_offset(HUGE_PAGE_BYTES);
        let start = mapped.wrapping_byte_add(before);
        unmap(mapped, before);
        unmap(start.wrapping_byte_add(bytes), mapped_bytes - before - bytes);
        advise(start, bytes);
        let start = NonNull::new(start.cast()).ok_or(failed)?;
        Ok(Self { start, bytes })
    }

    const fn capacity(&self) -> usize {
        self.bytes / size_of::<Block>()
    }

    const fn as_mut_slice(&mut self) -> &mut [Block] {
        // SAFETY: the mapping is aligned to a huge page, has room for so many blocks, and is readable, writable and
        // initialised, as the system fills new pages with zeros and any bits are a block. It lives as long as `self`,
        // and the borrow keeps anybody else from it.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), self.capacity()) }
    }

    fn wiped(mut self, blocks: usize) -> Self {
        self.as_mut_slice()[..blocks].fill(Block::ZERO);
        // What is never read again may not be skipped for that.
        std::hint::black_box(self.start.as_ptr());
        self
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        unmap(self.start.as_ptr().cast(), self.bytes);
    }
}

/// Gives pages back that nobody refers to any more.
fn unmap(start: *mut c_void, bytes: usize) {
    if bytes == 0 {
        return;
    }
    // SAFETY: part of a mapping of ours, aligned to pages, and the callers hand over what they know no reference to.
    let unmapped = unsafe { munmap(start, bytes) };
    debug_assert!(unmapped.is_ok(), "{unmapped:?}");
}

/// Asks for huge pages, and not to be part of a core dump. Both are wishes: without, it is slower, or as private as
/// other memory.
fn advise(start: *mut c_void, bytes: usize) {
    #[cfg(target_os = "linux")]
    for advice in [Advice::LinuxHugepage, Advice::LinuxDontDump] {
        // SAFETY: the whole of a mapping of ours; neither advice changes what is read from it.
        let advised = unsafe { madvise(start, bytes, advice) };
        // An old system may know none of it.
        let _ = advised.ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_where_it_is_unless_it_must_grow() {
        let mut arena = Arena::default();
        let first = arena.blocks(100).unwrap().as_ptr();
        assert_eq!(arena.blocks(50).unwrap().as_ptr(), first);
        assert_eq!(first.align_offset(HUGE_PAGE_BYTES), 0);
        assert_eq!(arena.capacity(), 128);
        arena.wipe();
        arena.reserve(128).unwrap();
        assert!(arena.is_wiped(), "nothing was written");
        assert_eq!(arena.blocks(129).unwrap().len(), 129);
    }

    #[test]
    fn nothing_is_left_after_a_wipe() {
        let mut arena = Arena::default();
        arena.blocks(100).unwrap().fill(Block([7; 128]));
        // A smaller hash after a larger one.
        arena.blocks(10).unwrap().fill(Block([8; 128]));
        arena.wipe();
        assert!(arena.blocks(100).unwrap().iter().all(|block| block.0 == [0; 128]));
    }

    #[test]
    fn what_the_system_does_not_have_is_refused_and_leaves_it_usable() {
        let mut arena = Arena::default();
        assert!(arena.blocks(usize::MAX / 4096).is_err());
        assert!(arena.blocks(usize::MAX).is_err());
        assert_eq!(arena.capacity(), 0);
        assert_eq!(arena.blocks(8).unwrap().len(), 8);
        arena.release();
        assert_eq!(arena.capacity(), 0);
    }
}
