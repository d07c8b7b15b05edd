//! Hashes with as many threads as the lane has, and takes their times.

use std::{
    io,
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};

use crate::{
    crypto::{
        argon2_kernel::{Argon2Cost, Argon2Kernel, HashError, MEMORY_KIB_MAX},
        hash_lane::{LaneSettings, lower_priority},
        password_hash::{PasswordHash, SALT_BYTES},
    },
    domain::password::Password,
};

/// The kernels of the workers, and how they run.
pub(super) struct Bench {
    kernels: Vec<Argon2Kernel>,
    niceness: u8,
    password: Password,
}

/// What was measured of one cost, in all of its rounds.
#[derive(Clone, Default)]
pub(super) struct Measured {
    /// Times of single hashes.
    times: Vec<Duration>,
    /// Hashes a second of all workers, a figure a round.
    rates: Vec<f64>,
    /// How long the workers were on a CPU.
    cpu: Duration,
}

/// What a worker did in a round.
#[derive(Default)]
struct Stint {
    times: Vec<Duration>,
    cpu: Duration,
}

impl Bench {
    /// Makes a kernel for each worker.
    pub(super) fn new(lane: &LaneSettings) -> anyhow::Result<Self> {
        let most = Argon2Cost { memory_kib: MEMORY_KIB_MAX, iterations: 1, parallelism: 1 };
        let kernels = (0..lane.workers.get()).map(|_| Argon2Kernel::keeping(&most)).collect();
        let password = Password::parse("correct horse battery staple")?;
        Ok(Self { kernels, niceness: lane.niceness, password })
    }

    /// Gets the pages for hashes with so much memory, so that none of those that are timed pays for them.
    pub(super) fn warm_up(&mut self, memory_kib: u32) -> io::Result<()> {
        let cost = Argon2Cost { memory_kib, iterations: 1, parallelism: 1 };
        self.measure(&cost, Duration::ZERO, &mut Measured::default())
    }

    pub(super) const fn workers(&self) -> usize {
        self.kernels.len()
    }

    pub(super) const fn niceness(&self) -> u8 {
        self.niceness
    }

    /// What computes hashes here: the name of a path of our kernel, or of what stands in for it.
    pub(super) fn kernel(&self) -> &'static str {
        self.kernels.first().map(Argon2Kernel::engine).unwrap_or_default()
    }

    /// Hashes with all workers for so long, each at least once, and adds what came of it.
    pub(super) fn measure(&mut self, cost: &Argon2Cost, time: Duration, into: &mut Measured) -> io::Result<()> {
        let start = Barrier::new(self.kernels.len());
        let (niceness, password, start) = (self.niceness, &self.password, &start);
        let of_workers = thread::scope(|scope| {
            let spawn = |(number, kernel)| {
                let builder = thread::Builder::new().name(format!("bench-{number}"));
                builder.spawn_scoped(scope, move || {
                    lower_priority(niceness);
                    start.wait();
                    hash_for(kernel, *cost, password, time)
                })
            };
            let threads = self.kernels.iter_mut().enumerate().map(spawn).collect::<io::Result<Vec<_>>>()?;
            let join = |thread: thread::ScopedJoinHandle<'_, Result<Stint, HashError>>| {
                let stint = thread.join().map_err(|_| io::Error::other("a worker panicked"))?;
                stint.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
            };
            threads.into_iter().map(join).collect::<io::Result<Vec<_>>>()
        })?;
        into.rates.push(of_workers.iter().map(|stint| rate_of(&stint.times)).sum());
        into.cpu += of_workers.iter().map(|stint| stint.cpu).sum::<Duration>();
        into.times.extend(of_workers.into_iter().flat_map(|stint| stint.times));
        Ok(())
    }
}

fn hash_for(
    kernel: &mut Argon2Kernel,
    cost: Argon2Cost,
    password: &Password,
    time: Duration,
) -> Result<Stint, HashError> {
    let (begin, cpu_before, mut stint) = (Instant::now(), cpu_time(), Stint::default());
    while stint.times.is_empty() || begin.elapsed() < time {
        let started = Instant::now();
        PasswordHash::compute(kernel, cost, password, &[7; SALT_BYTES])?;
        stint.times.push(started.elapsed());
    }
    stint.cpu = cpu_time().saturating_sub(cpu_before);
    Ok(stint)
}

/// How long this thread has been on a CPU.
fn cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// Hashes a second of a worker. It is busy all of the time.
fn rate_of(times: &[Duration]) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "they are few")]
    let hashes = times.len() as f64;
    hashes / times.iter().sum::<Duration>().as_secs_f64().max(f64::MIN_POSITIVE)
}

impl Measured {
    /// How many hashes were computed.
    pub(super) const fn hashes(&self) -> usize {
        self.times.len()
    }

    /// Hashes a second of all workers: the median of the rounds.
    pub(super) fn rate(&self) -> f64 {
        let mut rates = self.rates.clone();
        rates.sort_unstable_by(f64::total_cmp);
        rates.get(rates.len() / 2).copied().unwrap_or_default()
    }

    /// The part of the time in which the workers were on a CPU, of 1.
    pub(super) fn cpu_share(&self) -> f64 {
        let all = self.times.iter().sum::<Duration>().as_secs_f64();
        (self.cpu.as_secs_f64() / all.max(f64::MIN_POSITIVE)).min(1.0)
    }

    /// Time of one hash, of the middling one.
    pub(super) fn p50(&self) -> Duration {
        self.quantile(50)
    }

    /// Time of one hash that 99 of 100 stay within.
    pub(super) fn p99(&self) -> Duration {
        self.quantile(99)
    }

    /// The nearest rank.
    fn quantile(&self, percent: usize) -> Duration {
        let mut times = self.times.clone();
        times.sort_unstable();
        let rank = (times.len() * percent).div_ceil(100);
        times.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;

    const CHEAP: Argon2Cost = Argon2Cost { memory_kib: 64, iterations: 1, parallelism: 1 };

    #[test]
    fn every_worker_hashes_and_every_hash_is_timed() {
        let lane =
            LaneSettings { workers: NonZeroUsize::new(3).unwrap(), niceness: 0, queue_length_max: 1, cost: CHEAP };
        let mut bench = Bench::new(&lane).unwrap();
        bench.warm_up(CHEAP.memory_kib).unwrap();
        let mut measured = Measured::default();
        bench.measure(&CHEAP, Duration::ZERO, &mut measured).unwrap();
        assert_eq!((bench.workers(), measured.hashes()), (3, 3), "one each, however little time there is");
        bench.measure(&CHEAP, Duration::from_millis(5), &mut measured).unwrap();
        assert!(measured.hashes() >= 6 && measured.rates.len() == 2);
        assert!(measured.p50() <= measured.p99() && measured.rate() > 0.0);
        assert!(measured.cpu > Duration::ZERO && measured.cpu_share() > 0.0);
    }

    #[test]
    fn quantiles_are_times_that_were_measured() {
        let times = (1..=200).rev().map(Duration::from_millis).collect();
        let cpu = Duration::from_millis(10_050);
        let measured = Measured { times, rates: vec![3.0, 9.0, 5.0], cpu };
        assert_eq!(measured.p50(), Duration::from_millis(100));
        assert_eq!(measured.p99(), Duration::from_millis(198));
        assert!((measured.rate() - 5.0).abs() < 1e-9);
        assert!((measured.cpu_share() - 0.5).abs() < 1e-9);
    }
}
