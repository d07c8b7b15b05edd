//! Which code runs, decided at run time.

use std::fmt;

#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
use crate::neon;
#[cfg(target_arch = "x86_64")]
use crate::{avx2, avx512};
use crate::{block::Block, portable, segment::Run};

/// A way to compute that this processor has: there is no value for what it has not.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Path(Choice);

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Choice {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
    Neon,
    Portable,
}

impl Path {
    /// The code for every processor.
    pub const PORTABLE: Self = Self(Choice::Portable);

    /// The fastest of this processor.
    pub fn fastest() -> Self {
        Self::available().next().unwrap_or(Self::PORTABLE)
    }

    /// All of this processor, the fastest first.
    pub fn available() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let special = [
            std::arch::is_x86_feature_detected!("avx512f").then_some(Self(Choice::Avx512)),
            std::arch::is_x86_feature_detected!("avx2").then_some(Self(Choice::Avx2)),
        ];
        #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
        let special = [std::arch::is_aarch64_feature_detected!("neon").then_some(Self(Choice::Neon))];
        #[cfg(not(any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little"))))]
        let special = [];
        special.into_iter().flatten().chain([Self::PORTABLE])
    }

    /// What people call it.
    pub const fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Choice::Avx512 => "AVX-512",
            #[cfg(target_arch = "x86_64")]
            Choice::Avx2 => "AVX2",
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            Choice::Neon => "NEON",
            Choice::Portable => "portable",
        }
    }

    /// Makes the blocks of a run.
    pub(crate) fn fill(self, memory: &mut [Block], run: &Run<'_>) {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the value exists only where `available` has found AVX-512F.
            Choice::Avx512 => unsafe { avx512::fill(memory, run) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the value exists only where `available` has found AVX2.
            Choice::Avx2 => unsafe { avx2::fill(memory, run) },
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            // SAFETY: the value exists only where `available` has found NEON.
            Choice::Neon => unsafe { neon::fill(memory, run) },
            Choice::Portable => portable::fill(memory, run),
        }
    }

    /// The compression function G (RFC 9106, 3.5).
    pub(crate) fn compress(self, previous: &Block, reference: &Block) -> Block {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Choice::Avx512 => unsafe { avx512::compress(previous, reference) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Choice::Avx2 => unsafe { avx2::compress(previous, reference) },
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            // SAFETY: as above.
            Choice::Neon => unsafe { neon::compress(previous, reference) },
            Choice::Portable => portable::compress(previous, reference),
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
