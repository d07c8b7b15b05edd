//! What to compute.

/// Least bytes of a tag (RFC 9106, 3.1).
pub(crate) const TAG_BYTES_MIN: usize = 4;
/// Least bytes of a salt. The RFC names no least; this is that of the reference implementation.
pub(crate) const SALT_BYTES_MIN: usize = 8;
/// Least memory for each lane, in KiB: two blocks for each of four slices (RFC 9106, 3.1).
pub(crate) const LANE_KIB_MIN: u32 = 8;
/// Most lanes (RFC 9106, 3.1).
const LANES_MAX: u32 = (1 << 24) - 1;

/// How the reference blocks are chosen: "type y" of RFC 9106, 3.1.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Variant {
    /// Argon2d: by what was computed.
    D,
    /// Argon2i: by the position alone.
    I,
    /// Argon2id: by the position in the first half of the first pass, then by what was computed.
    Id,
}

impl Variant {
    pub(crate) const fn number(self) -> u32 {
        match self {
            Self::D => 0,
            Self::I => 1,
            Self::Id => 2,
        }
    }
}

/// Version of the algorithm.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Version {
    /// 0x10, before the RFC: later passes overwrite.
    V0x10,
    /// 0x13, that of RFC 9106: later passes XOR.
    V0x13,
}

impl Version {
    pub(crate) const fn number(self) -> u32 {
        match self {
            Self::V0x10 => 0x10,
            Self::V0x13 => 0x13,
        }
    }
}

/// Cost of a hash, within what the RFC allows (3.1).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Parameters {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// The standard knows no such hash.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ParameterError {
    /// Too little memory for the lanes.
    #[error("memory must be at least 8 KiB for each lane")]
    Memory,
    /// No pass.
    #[error("there must be at least one pass")]
    Passes,
    /// No lane, or too many.
    #[error("there must be 1 to 16777215 lanes")]
    Lanes,
    /// Tag too short or too long.
    #[error("a tag must have 4 to 4294967295 bytes")]
    Tag,
    /// Salt too short or too long.
    #[error("a salt must have 8 to 4294967295 bytes")]
    Salt,
    /// Password, secret or associated data too long.
    #[error("a password, a secret and associated data must have at most 4294967295 bytes")]
    TooLong,
}

impl Parameters {
    /// `memory_kib`: memory in KiB (m); `passes`: passes over it (t); `lanes`: lanes (p), which this crate computes one
    /// after the other.
    ///
    /// # Errors
    /// What RFC 9106, 3.1, does not allow.
    pub const fn new(memory_kib: u32, passes: u32, lanes: u32) -> Result<Self, ParameterError> {
        if lanes == 0 || lanes > LANES_MAX {
            return Err(ParameterError::Lanes);
        }
        if memory_kib < LANE_KIB_MIN.saturating_mul(lanes) {
            return Err(ParameterError::Memory);
        }
        if passes == 0 {
            return Err(ParameterError::Passes);
        }
        Ok(Self { memory_kib, passes, lanes })
    }

    /// Memory (m), in KiB.
    pub const fn memory_kib(&self) -> u32 {
        self.memory_kib
    }

    /// Passes (t).
    pub const fn passes(&self) -> u32 {
        self.passes
    }

    /// Lanes (p).
    pub const fn lanes(&self) -> u32 {
        self.lanes
    }
}

/// All that a tag depends on, but for its length.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// Variant (y).
    pub variant: Variant,
    /// Version (v).
    pub version: Version,
    /// Cost (m, t, p).
    pub parameters: Parameters,
    /// Password (P): any bytes, none as well.
    pub password: &'a [u8],
    /// Salt (S), at least 8 bytes.
    pub salt: &'a [u8],
    /// Secret (K), or nothing.
    pub secret: &'a [u8],
    /// Associated data (X), or nothing.
    pub associated_data: &'a [u8],
}

impl Input<'_> {
    pub(crate) fn check(&self, tag_bytes: usize) -> Result<(), ParameterError> {
        let fits = |length: usize| u32::try_from(length).is_ok();
        if tag_bytes < TAG_BYTES_MIN || !fits(tag_bytes) {
            return Err(ParameterError::Tag);
        }
        if self.salt.len() < SALT_BYTES_MIN || !fits(self.salt.len()) {
            return Err(ParameterError::Salt);
        }
        let others = [self.password, self.secret, self.associated_data];
        if others.iter().all(|bytes| fits(bytes.len())) { Ok(()) } else { Err(ParameterError::TooLong) }
    }
}
