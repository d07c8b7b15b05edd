//! The machine in words, for whoever compares figures of two of them.

use std::{fs, io::Write as _, thread, time::Instant};

use crate::numbers::{Figure, quantile};

/// Its CPUs, and how long it takes until something is on its disk: each sign-in waits for that twice.
pub(crate) fn in_words() -> String {
    let cpus = thread::available_parallelism().unwrap();
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| cpuinfo.lines().find_map(|line| line.strip_prefix(name)?.split_once(':'));
    let model = field("model name").map_or("unknown", |(_, model)| model.trim());
    let flags = field("flags").map_or("", |(_, flags)| flags);
    let widest = ["avx512f", "avx2"].into_iter().find(|wanted| flags.split(' ').any(|flag| flag == *wanted));
    let widest = widest.map_or_else(String::new, |flag| format!(" with {flag}"));
    let sync = Figure(sync_ms());
    format!(
        "{cpus} CPUs ({model}{widest}); a write of 4 KiB is on the disk of the temporary directory after {sync} ms."
    )
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
