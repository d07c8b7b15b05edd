//! What the system knows of processes (proc(5)): their CPU time and their memory.

use std::{fs, path::Path, thread, time::Duration};

/// Ticks a second in `stat`, on every Linux that Signet runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU time that a process has used, threads that have ended included.
pub(crate) fn cpu(pid: u32) -> Duration {
    of_stat(&stat(pid).unwrap(), 11..=12)
}

/// CPU time of a process and of its children, those that have ended included.
pub(crate) fn cpu_with_children(pid: u32) -> Duration {
    let processes =
        fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    let stats = processes.filter_map(|pid: u32| Some((pid, stat(pid)?)));
    let children = stats.filter(|(_, fields)| fields[1] == pid.to_string());
    of_stat(&stat(pid).unwrap(), 11..=14) + children.map(|(_, fields)| of_stat(&fields, 11..=14)).sum::<Duration>()
}

/// CPU time of the threads of a process whose names begin like that, and how many there are. To the nanosecond.
pub(crate) fn threads(pid: u32, name: &str) -> (Duration, usize) {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap().map(|task| task.unwrap().path());
    let named = tasks.filter(|task| fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.starts_with(name)));
    named.map(|task| cpu_of_thread(&task)).fold((Duration::ZERO, 0), |(sum, count), cpu| (sum + cpu, count + 1))
}

/// CPU time of the calling thread.
pub(crate) fn cpu_of_this_thread() -> Duration {
    cpu_of_thread("/proc/thread-self".as_ref())
}

fn cpu_of_thread(task: &Path) -> Duration {
    let schedstat = fs::read_to_string(task.join("schedstat")).unwrap();
    Duration::from_nanos(schedstat.split(' ').next().unwrap().parse().unwrap())
}

/// CPUs that a process may use.
pub(crate) fn cpus() -> f64 {
    thread::available_parallelism().unwrap().get() as f64
}

/// Time that the CPUs had nothing to do, and time that they worked for others than this machine, all together.
pub(crate) fn idle_and_stolen() -> (Duration, Duration) {
    let stat = fs::read_to_string("/proc/stat").unwrap();
    let fields: Vec<f64> =
        stat.lines().next().unwrap().split_whitespace().filter_map(|field| field.parse().ok()).collect();
    let seconds = |ticks: f64| Duration::from_secs_f64(ticks / TICKS_PER_SECOND);
    (seconds(fields[3] + fields[4]), seconds(fields[7]))
}

/// Memory of a process that is in RAM, in bytes; counted page by page, while `VmRSS` may be off by some hundred
/// kilobytes.
pub(crate) fn rss(pid: u32) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() * 1024
}

/// The fields of a process's `stat` after its name: the state is number 0.
fn stat(pid: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(stat.rsplit_once(')')?.1.split_whitespace().map(str::to_owned).collect())
}

fn of_stat(fields: &[String], which: std::ops::RangeInclusive<usize>) -> Duration {
    let ticks: f64 = fields[which].iter().map(|field| field.parse::<f64>().unwrap()).sum();
    Duration::from_secs_f64(ticks / TICKS_PER_SECOND)
}
