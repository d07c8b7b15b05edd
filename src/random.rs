//! Randomness, injected so that tests can seed it.

use std::sync::{Arc, Mutex, PoisonError};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

/// Where random bytes come from: cryptographically secure outside of tests.
#[derive(Clone, Debug, Default)]
pub enum Random {
    /// The operating system's generator, by way of AWS-LC.
    #[default]
    System,
    /// A seeded generator, for tests. Clones share one stream.
    Seeded(Arc<Mutex<StdRng>>),
}

impl Random {
    /// A generator whose stream depends only on `seed`. For tests.
    pub fn seeded(seed: u64) -> Self {
        Self::Seeded(Arc::new(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    /// `N` random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        match self {
            Self::System => aws_lc_rs::rand::fill(&mut bytes).expect("the operating system gives random bytes"),
            Self::Seeded(generator) => {
                generator.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(&mut bytes);
            }
        }
        bytes
    }

    /// Has the generator of the system ready before somebody waits for it, on a thread apart. The first bytes of a
    /// process take tens of milliseconds of CPU, because aws-lc collects the jitter of the CPU beside what the system
    /// gives.
    pub fn prepare(&self) {
        if matches!(self, Self::System) {
            tokio::task::spawn_blocking(|| Self::System.bytes::<1>());
        }
    }

    /// A number below `bound`, each equally likely.
    pub fn below(&self, bound: u32) -> u32 {
        // Numbers at or above the largest multiple of `bound` would favour the small ones: draw again.
        let limit = u32::MAX - u32::MAX % bound;
        loop {
            let number = u32::from_le_bytes(self.bytes());
            if number < limit {
                return number % bound;
            }
        }
    }
}
