//! The machine in words, for whoever compares figures of two of them.

use std::{fs, io::Write as _, thread, time::Instant};

use signet::crypto::argon2_kernel::Argon2Kernel;
use signet_test_support::OwnServer;

use crate::numbers::{Figure, quantile};

/// Its CPUs and how they hash, its memory, its database, and how long it takes until something is on its disk: each
/// sign-in waits for that twice.
pub(crate) fn in_words() -> String {
    let cpus = thread::available_parallelism().unwrap();
    let model = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned());
    let engine = Argon2Kernel::default().engine();
    let memory = field("/proc/meminfo", "MemTotal").and_then(|kb| kb.trim_end_matches("kB").trim().parse::<f64>().ok());
    let memory = Figure(memory.unwrap_or(f64::NAN) * 1024.0 / 1e9);
    let system = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let postgres = OwnServer::version().unwrap_or_else(|| "none".to_owned());
    let (system, huge_pages, sync) = (system.trim(), huge_pages(), Figure(sync_ms()));
    format!(
        "{cpus} CPUs ({model}), hashes by {engine}; {memory} GB of memory, transparent huge pages: {huge_pages}; \
         Linux {system}; PostgreSQL: {postgres}; a write of 4 KiB is on the disk of the temporary directory after \
         {sync} ms."
    )
}

/// The first value of that name in a file of the system.
fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.split_once(':'))?.1;
    Some(value.trim().to_owned())
}

/// Whom the system gives them to, which is what the memory of a hash depends on.
fn huge_pages() -> String {
    let choices = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").unwrap_or_default();
    let chosen = choices.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    chosen.map_or("none", |(chosen, _)| chosen).to_owned()
}

/// Median, in milliseconds.
fn sync_ms() -> f64 {
    let mut file = tempfile::tempfile().unwrap();
    let times = (0..100).map(|_| {
        let started = Instant::now();
        file.write_all(&[1; 4096]).unwrap();
        file.sync_data().unwrap();
        started.elapsed().as_secs_f64() * 1e3
    });
    quantile(&times.collect::<Vec<_>>(), 0.5)
}
