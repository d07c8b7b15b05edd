//! The one small interface to Argon2 (RFC 9106): parameters, password and salt in, tag out. A faster kernel goes under it.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use zeroize::Zeroize;

/// Most memory of a hash, in KiB. What asks for more is refused, not computed. The settings of `config::passwords` end there.
pub const MEMORY_KIB_MAX: u32 = 256 * 1024;
/// Most passes of a hash.
pub const ITERATIONS_MAX: u32 = 16;
/// Most lanes of a hash.
pub const PARALLELISM_MAX: u32 = 16;

/// Blocks of 1 KiB from which on glibc maps an allocation for itself and unmaps it when it is freed, whatever was freed before
/// (mallopt(3), `M_MMAP_THRESHOLD`: 32 MiB at most). What is smaller stays with the process, and three floods made 110 MB of two arenas.
/// Pages that are not touched cost nothing.
const MAPPED_BLOCKS: usize = 33 * 1024;

/// Cost of an Argon2id hash.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Argon2Cost {
    /// Memory, in KiB (`m`).
    pub memory_kib: u32,
    /// Passes (`t`).
    pub iterations: u32,
    /// Lanes (`p`).
    pub parallelism: u32,
}

impl Argon2Cost {
    /// What OWASP asks for at least, and our default.
    pub const OWASP: Self = Self { memory_kib: 19456, iterations: 2, parallelism: 1 };

    /// Refuses a cost that this service does not compute, or that Argon2 knows no way to.
    pub fn check(&self) -> Result<(), CostError> {
        self.params(None).map(drop)
    }

    fn params(&self, tag_bytes: Option<usize>) -> Result<Params, CostError> {
        let Self { memory_kib, iterations, parallelism } = *self;
        if memory_kib > MEMORY_KIB_MAX || iterations > ITERATIONS_MAX || parallelism > PARALLELISM_MAX {
            return Err(CostError);
        }
        Params::new(memory_kib, iterations, parallelism, tag_bytes).map_err(|_| CostError)
    }

    /// The work it is: memory times passes, in KiB. Time goes with it.
    pub const fn work_kib(&self) -> u64 {
        self.memory_kib as u64 * self.iterations as u64
    }

    /// What is left to compute of this cost after `done`. None if that is nothing.
    pub fn rest_after(&self, done: &Self) -> Option<Self> {
        let rest = self.work_kib().checked_sub(done.work_kib())? / u64::from(self.iterations.max(1));
        let rest = Self { memory_kib: u32::try_from(rest).ok()?, ..*self };
        rest.check().is_ok().then_some(rest)
    }

    /// True if this cost is below `floor` in any respect that makes guessing cheaper.
    pub const fn is_below(&self, floor: &Self) -> bool {
        self.memory_kib < floor.memory_kib || self.iterations < floor.iterations
    }
}

/// The cost is outside of what Argon2 or this service allows.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("Argon2 cost out of range")]
pub struct CostError;

/// What to compute.
#[derive(Clone, Copy, Debug)]
pub struct Argon2Input<'a> {
    /// Variant.
    pub algorithm: Algorithm,
    /// Version, 0x10 or 0x13.
    pub version: Version,
    /// Cost.
    pub cost: Argon2Cost,
    /// Password.
    pub password: &'a [u8],
    /// Salt.
    pub salt: &'a [u8],
}

/// Computes Argon2 in memory of its own, the arena, which it keeps from one hash to the next.
///
/// A hash leaves its working memory behind: the next one writes over it, and clearing 19 MiB takes up to a tenth of a hash. Whoever owns
/// the kernel calls [`Self::wipe`] once no hash follows. Nothing goes back to the system unwiped: neither by [`Self::release`], nor when a
/// hash needs another arena, nor when the kernel is dropped.
pub struct Argon2Kernel {
    arena: Vec<Block>,
    /// Blocks that are kept after a hash.
    kept: usize,
    /// Blocks, from the first one on, that hold what hashes left.
    used: usize,
    /// The cost of each hash that was computed.
    #[cfg(test)]
    pub(super) computed: Vec<Argon2Cost>,
}

impl Argon2Kernel {
    /// A kernel that keeps as much memory as a hash of this cost takes. What a dearer one takes is given back after it: one dear
    /// stored hash does not make the process fat for ever.
    pub fn keeping(cost: &Argon2Cost) -> Self {
        Self {
            arena: Vec::new(),
            kept: usize::try_from(cost.memory_kib).unwrap_or(usize::MAX),
            used: 0,
            #[cfg(test)]
            computed: Vec::new(),
        }
    }

    /// How hashes are computed on this machine, for people.
    pub const fn path(&self) -> &'static str {
        "the argon2 crate"
    }

    /// Fills `tag` with the hash.
    pub fn derive(&mut self, input: &Argon2Input<'_>, tag: &mut [u8]) -> Result<(), CostError> {
        let params = input.cost.params(Some(tag.len()))?;
        #[cfg(test)]
        self.computed.push(input.cost);
        let blocks = params.block_count();
        if self.arena.len() < blocks {
            // Not by growing, which would leave a copy behind.
            self.release();
            self.arena = Vec::with_capacity(blocks.max(MAPPED_BLOCKS));
            self.arena.resize(blocks, Block::new());
        }
        self.used = self.used.max(blocks);
        let result = Argon2::new(input.algorithm, input.version, params)
            .hash_password_into_with_memory(input.password, input.salt, tag, &mut self.arena[..blocks])
            .map_err(|_| CostError);
        if self.arena.len() > self.kept {
            self.release();
        }
        result
    }

    /// Clears what hashes left in the arena, and keeps the arena.
    pub fn wipe(&mut self) {
        // Not by `fill`, which a compiler may leave out before memory that is given back.
        self.arena[..self.used].iter_mut().for_each(Zeroize::zeroize);
        self.used = 0;
    }

    /// True if there is nothing to wipe.
    pub const fn is_wiped(&self) -> bool {
        self.used == 0
    }

    /// Wipes the arena and gives it back to the system. The next hash gets a new one, and pays for its pages.
    pub fn release(&mut self) {
        self.wipe();
        self.arena = Vec::new();
    }

    /// True if there is nothing to release.
    pub const fn is_released(&self) -> bool {
        self.arena.is_empty()
    }

    /// Looks whether every byte of the arena is zero.
    #[cfg(test)]
    pub(super) fn holds_nothing(&self) -> bool {
        self.arena.iter().all(|block| block.as_ref().iter().all(|word| *word == 0))
    }
}

impl Default for Argon2Kernel {
    fn default() -> Self {
        Self::keeping(&Argon2Cost::OWASP)
    }
}

impl Drop for Argon2Kernel {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap();
        bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
    }

    #[test]
    fn it_computes_the_test_vectors_of_the_reference_code() {
        // `echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1`, from the reference code's tests.
        let cost = Argon2Cost { memory_kib: 256, iterations: 2, parallelism: 1 };
        let (mut kernel, mut tag) = (Argon2Kernel::keeping(&cost), [0; 32]);
        let mut input = Argon2Input {
            algorithm: Algorithm::Argon2id,
            version: Version::V0x13,
            cost,
            password: b"password",
            salt: b"somesalt",
        };
        for _ in 0..2 {
            kernel.derive(&input, &mut tag).unwrap();
            assert_eq!(hex(&tag), "9dfeb910e80bad0311fee20f9c0e2b12c17987b4cac90c2ef54d5b3021c68bfe");
        }
        input.cost.memory_kib = 65536;
        kernel.derive(&input, &mut tag).unwrap();
        assert_eq!(hex(&tag), "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7");
        assert!(kernel.is_released(), "what is more than is kept is given back");
    }

    fn derive(kernel: &mut Argon2Kernel, memory_kib: u32) {
        let input = Argon2Input {
            algorithm: Algorithm::Argon2id,
            version: Version::V0x13,
            cost: Argon2Cost { memory_kib, iterations: 1, parallelism: 1 },
            password: b"password",
            salt: b"somesalt",
        };
        kernel.derive(&input, &mut [0; 32]).unwrap();
    }

    #[test]
    fn its_memory_stays_where_it_is_until_it_is_released() {
        let mut kernel = Argon2Kernel::default();
        let mut places = std::collections::HashSet::new();
        for memory_kib in [1024, 1024, 512, 64, 1024] {
            derive(&mut kernel, memory_kib);
            kernel.wipe();
            places.insert((kernel.arena.as_ptr(), kernel.arena.capacity()));
        }
        assert_eq!(places.len(), 1);
        kernel.release();
        assert!(kernel.is_released() && kernel.arena.capacity() == 0);
        derive(&mut kernel, 64);
    }

    #[test]
    fn a_wipe_leaves_nothing_of_any_hash_before_it() {
        let mut kernel = Argon2Kernel::default();
        for costs in [&[1024][..], &[1024, 64], &[64, 1024, 8], &[8]] {
            for memory_kib in costs {
                derive(&mut kernel, *memory_kib);
            }
            assert!(!kernel.is_wiped() && !kernel.holds_nothing(), "{costs:?}");
            kernel.wipe();
            assert!(kernel.is_wiped() && kernel.holds_nothing(), "{costs:?}");
        }
    }

    #[test]
    fn a_cost_out_of_bounds_is_refused() {
        let cost = |memory_kib, iterations, parallelism| Argon2Cost { memory_kib, iterations, parallelism };
        for cost in [cost(MEMORY_KIB_MAX + 1, 1, 1), cost(64, ITERATIONS_MAX + 1, 1), cost(64, 0, 1), cost(1, 1, 1)] {
            let input = Argon2Input {
                algorithm: Algorithm::Argon2id,
                version: Version::V0x13,
                cost,
                password: b"password",
                salt: b"somesalt",
            };
            assert_eq!(Argon2Kernel::default().derive(&input, &mut [0; 32]), Err(CostError));
            assert_eq!(cost.check(), Err(CostError));
        }
    }
}
