//! Password hashes without a service around them: the same kernel, threads and priority as in the hash lane.

use std::{
    thread,
    time::{Duration, Instant},
};

use argon2::{Algorithm, Version};
use signet::crypto::{
    argon2_kernel::{Argon2Cost, Argon2Input, Argon2Kernel},
    hash_lane::lower_priority,
};

use crate::proc;

/// How the lane's threads are niced.
const NICENESS: u8 = 10;

/// How fast it hashed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Speed {
    /// Hashes a second, of all threads together.
    pub(crate) per_second: f64,
    /// CPU time of one hash, in seconds.
    pub(crate) cpu_seconds: f64,
}

/// Hashes at the service's default cost, for about that long.
pub(crate) fn measure(threads: usize, seconds: f64) -> Speed {
    let running: Vec<_> = (0..threads).map(|_| thread::spawn(move || hash_for(seconds))).collect();
    let speeds: Vec<_> = running.into_iter().map(|thread| thread.join().unwrap()).collect();
    Speed {
        per_second: speeds.iter().map(|speed| speed.per_second).sum(),
        cpu_seconds: speeds.iter().map(|speed| speed.cpu_seconds).sum::<f64>() / threads as f64,
    }
}

fn hash_for(seconds: f64) -> Speed {
    lower_priority(NICENESS);
    let (mut kernel, mut tag) = (Argon2Kernel::default(), [0; 32]);
    let input = Argon2Input {
        algorithm: Algorithm::Argon2id,
        version: Version::V0x13,
        cost: Argon2Cost::OWASP,
        password: b"analytical engine 1843",
        salt: b"sixteen bytes...",
    };
    // The first one fetches the memory.
    kernel.derive(&input, &mut tag).unwrap();
    let (started, cpu_before, until) = (Instant::now(), proc::cpu_of_this_thread(), Duration::from_secs_f64(seconds));
    let mut hashes = 0.0;
    while started.elapsed() < until {
        kernel.derive(&input, &mut tag).unwrap();
        hashes += 1.0;
    }
    let cpu = proc::cpu_of_this_thread().saturating_sub(cpu_before);
    Speed { per_second: hashes / started.elapsed().as_secs_f64(), cpu_seconds: cpu.as_secs_f64() / hashes }
}
