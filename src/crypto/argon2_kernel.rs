//! The one small interface to Argon2 (RFC 9106): parameters, password and salt in, tag out.
//!
//! What computes is `argon2-kernel`, after a self-test. Should this fail, the process says so and takes the `argon2`
//! crate, which is slower.

mod fallback;

use std::sync::OnceLock;

use argon2::{Algorithm, Params, Version};
use signet_argon2_kernel::{DeriveError, Input, Kernel, OutOfMemory, Parameters, Path, SelfTestError, Variant};

use self::fallback::Fallback;

/// Most memory of a hash, in KiB. What asks for more is refused, not computed. The settings of `config::passwords` end
/// there.
pub const MEMORY_KIB_MAX: u32 = 256 * 1024;
/// Most passes of a hash.
pub const ITERATIONS_MAX: u32 = 16;
/// Most lanes of a hash.
pub const PARALLELISM_MAX: u32 = 16;

/// Cost of an Argon2id hash.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Argon2Cost {
    /// Memory, in KiB (`m`).
    pub memory_kib: u32,
    /// Passes over the memory (`t`): "number of passes" in RFC 9106, "iterations" in most other places.
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

/// No hash was computed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum HashError {
    /// Its cost is out of range.
    #[error(transparent)]
    Cost(#[from] CostError),
    /// The system has no memory for it.
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
}

/// Computes Argon2 in memory of its own, the arena, which it keeps from one hash to the next.
///
/// A hash leaves its working memory behind: the next one writes over it, and clearing 19 MiB takes an eighth of a
/// hash. Whoever owns the kernel calls [`Self::wipe`] once no hash follows. Nothing goes back to the system unwiped:
/// neither by [`Self::release`], nor when a hash needs another arena, nor when the kernel is dropped.
pub struct Argon2Kernel {
    engine: Engine,
    /// Memory that is kept after a hash.
    kept_kib: u32,
    /// The work of all hashes so far.
    computed_kib: u64,
    /// The cost of each hash that was computed.
    #[cfg(test)]
    pub(super) computed: Vec<Argon2Cost>,
    /// Hashes with more find no memory.
    #[cfg(test)]
    pub(super) memory_kib_max: u32,
}

/// What computes.
enum Engine {
    Own(Kernel),
    /// The `argon2` crate.
    Crate(Fallback),
}

/// The fastest code of this processor, if it passes its self-test. That takes a few milliseconds, once a process.
fn trusted() -> Option<Path> {
    static TRUSTED: OnceLock<Option<Path>> = OnceLock::new();
    *TRUSTED.get_or_init(|| {
        let path = Path::fastest();
        judged(path, path.self_test())
    })
}

fn judged(path: Path, outcome: Result<(), SelfTestError>) -> Option<Path> {
    let complain = |error: &SelfTestError| {
        tracing::error!(
            %error,
            "passwords are hashed with the argon2 crate instead, which is slower; report it, unless this processor is \
             broken"
        );
    };
    outcome.inspect_err(complain).is_ok().then_some(path)
}

impl Argon2Kernel {
    /// A kernel that keeps as much memory as a hash of this cost takes. What a dearer one takes is given back after it:
    /// one dear stored hash does not make the process fat for ever.
    ///
    /// The first of a process tests the code that it will run, which takes a few milliseconds.
    pub fn keeping(cost: &Argon2Cost) -> Self {
        Self::of(trusted(), cost)
    }

    fn of(path: Option<Path>, cost: &Argon2Cost) -> Self {
        Self {
            engine: path.map_or_else(|| Engine::Crate(Fallback::default()), |path| Engine::Own(Kernel::new(path))),
            kept_kib: cost.memory_kib,
            computed_kib: 0,
            #[cfg(test)]
            computed: Vec::new(),
            #[cfg(test)]
            memory_kib_max: u32::MAX,
        }
    }

    /// How hashes are computed on this machine, for people.
    pub const fn engine(&self) -> &'static str {
        match &self.engine {
            Engine::Own(kernel) => kernel.path().name(),
            Engine::Crate(_) => "the argon2 crate",
        }
    }

    /// The work of all hashes that it computed (see [`Argon2Cost::work_kib`]).
    pub const fn computed_kib(&self) -> u64 {
        self.computed_kib
    }

    /// Gets the memory of a hash that will take so much, so that it does not fail halfway.
    ///
    /// # Errors
    /// More than [`MEMORY_KIB_MAX`], or memory that the system has not.
    pub fn prepare(&mut self, memory_kib: u32) -> Result<(), HashError> {
        if memory_kib > MEMORY_KIB_MAX {
            return Err(CostError.into());
        }
        #[cfg(test)]
        if memory_kib > self.memory_kib_max {
            return Err(OutOfMemory { bytes: 0 }.into());
        }
        match &mut self.engine {
            Engine::Own(kernel) => kernel.reserve(memory_kib)?,
            Engine::Crate(fallback) => fallback.reserve(usize::try_from(memory_kib).unwrap_or(usize::MAX))?,
        }
        Ok(())
    }

    /// Fills `tag` with the hash.
    pub fn derive(&mut self, input: &Argon2Input<'_>, tag: &mut [u8]) -> Result<(), HashError> {
        let params = input.cost.params(Some(tag.len()))?;
        self.prepare(input.cost.memory_kib)?;
        match &mut self.engine {
            Engine::Own(kernel) => kernel.derive(&kernel_input(input)?, tag).map_err(|error| match error {
                DeriveError::Parameters(_) => HashError::Cost(CostError),
                DeriveError::OutOfMemory(error) => HashError::OutOfMemory(error),
            })?,
            Engine::Crate(fallback) => fallback.derive(input, params, tag)?,
        }
        self.computed_kib += input.cost.work_kib();
        #[cfg(test)]
        self.computed.push(input.cost);
        if input.cost.memory_kib > self.kept_kib {
            self.release();
        }
        Ok(())
    }

    /// Clears what hashes left in the arena, and keeps the arena.
    pub fn wipe(&mut self) {
        match &mut self.engine {
            Engine::Own(kernel) => kernel.wipe(),
            Engine::Crate(fallback) => fallback.wipe(),
        }
    }

    /// True if there is nothing to wipe.
    pub const fn is_wiped(&self) -> bool {
        match &self.engine {
            Engine::Own(kernel) => kernel.is_wiped(),
            Engine::Crate(fallback) => fallback.is_wiped(),
        }
    }

    /// Wipes the arena and gives it back to the system. The next hash gets a new one, and pays for its pages.
    pub fn release(&mut self) {
        match &mut self.engine {
            Engine::Own(kernel) => kernel.release(),
            Engine::Crate(fallback) => fallback.release(),
        }
    }

    /// True if there is nothing to release.
    pub fn is_released(&self) -> bool {
        match &self.engine {
            Engine::Own(kernel) => kernel.memory_bytes() == 0,
            Engine::Crate(fallback) => fallback.is_released(),
        }
    }

    /// Looks whether every byte of the arena is zero.
    #[cfg(test)]
    pub(super) fn holds_nothing(&mut self) -> bool {
        match &mut self.engine {
            Engine::Own(kernel) => kernel.holds_nothing(),
            Engine::Crate(fallback) => fallback.holds_nothing(),
        }
    }
}

/// The same, in the words of the kernel.
fn kernel_input<'a>(input: &Argon2Input<'a>) -> Result<Input<'a>, CostError> {
    let Argon2Cost { memory_kib, iterations, parallelism } = input.cost;
    Ok(Input {
        variant: match input.algorithm {
            Algorithm::Argon2d => Variant::D,
            Algorithm::Argon2i => Variant::I,
            Algorithm::Argon2id => Variant::Id,
        },
        version: match input.version {
            Version::V0x10 => signet_argon2_kernel::Version::V0x10,
            Version::V0x13 => signet_argon2_kernel::Version::V0x13,
        },
        parameters: Parameters::new(memory_kib, iterations, parallelism).map_err(|_| CostError)?,
        password: input.password,
        salt: input.salt,
        secret: &[],
        associated_data: &[],
    })
}

impl Default for Argon2Kernel {
    fn default() -> Self {
        Self::keeping(&Argon2Cost::OWASP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap();
        bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
    }

    const CHEAP: Argon2Cost = Argon2Cost { memory_kib: 256, iterations: 2, parallelism: 1 };

    /// A kernel whose self-test has failed.
    fn distrusted(cost: &Argon2Cost) -> Argon2Kernel {
        let path = Path::PORTABLE;
        Argon2Kernel::of(judged(path, Err(SelfTestError::Wrong { path, vector: "a test vector" })), cost)
    }

    #[test]
    fn it_computes_the_test_vectors_of_the_reference_code() {
        assert_eq!(Argon2Kernel::default().engine(), Path::fastest().name());
        compute_the_test_vectors(Argon2Kernel::keeping(&CHEAP));
    }

    #[test]
    fn code_that_fails_its_self_test_is_not_used() {
        assert_eq!(distrusted(&CHEAP).engine(), "the argon2 crate");
        compute_the_test_vectors(distrusted(&CHEAP));
    }

    fn compute_the_test_vectors(mut kernel: Argon2Kernel) {
        // `echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1`, from the reference code's tests.
        let mut tag = [0; 32];
        let mut input = Argon2Input {
            algorithm: Algorithm::Argon2id,
            version: Version::V0x13,
            cost: CHEAP,
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
    fn a_wipe_leaves_nothing_of_any_hash_before_it() {
        let keeping = Argon2Cost { memory_kib: 1024, ..CHEAP };
        for mut kernel in [Argon2Kernel::keeping(&keeping), distrusted(&keeping)] {
            for costs in [&[1024][..], &[1024, 64], &[64, 1024, 8], &[8]] {
                for memory_kib in costs {
                    derive(&mut kernel, *memory_kib);
                }
                assert!(!kernel.is_wiped() && !kernel.holds_nothing(), "{costs:?}");
                kernel.wipe();
                assert!(kernel.is_wiped() && kernel.holds_nothing() && !kernel.is_released(), "{costs:?}");
            }
            kernel.release();
            assert!(kernel.is_released());
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
            for mut kernel in [Argon2Kernel::default(), distrusted(&CHEAP)] {
                assert_eq!(kernel.derive(&input, &mut [0; 32]), Err(CostError.into()));
            }
            assert_eq!(cost.check(), Err(CostError));
        }
    }
}
