//! How much memory the process may take, and how many hash workers that is enough for.

use std::{fs, num::NonZeroUsize, path::Path};

/// The part of the memory that the arenas may fill: the rest is for everything else, and for the peaks of dear stored
/// hashes.
const ARENAS_SHARE: u64 = 4;
/// What version 1 says of a group without a limit is the largest number of bytes in whole pages, which depends on the
/// page.
const NO_LIMIT: u64 = 1 << 62;

/// What a version of control groups calls its files.
struct Hierarchy {
    /// Where it is mounted.
    mount: &'static str,
    /// `memory.high` kills nobody, but who is above it is slowed down until nothing moves.
    limits: &'static [&'static str],
    /// What the group uses, caches of files among it.
    used: &'static str,
    /// The line of `memory.stat` with those caches that are given up first.
    given_up: &'static str,
}

/// Version 2 and version 1.
const HIERARCHIES: [Hierarchy; 2] = [
    Hierarchy {
        mount: "sys/fs/cgroup",
        limits: &["memory.max", "memory.high"],
        used: "memory.current",
        given_up: "inactive_file ",
    },
    Hierarchy {
        mount: "sys/fs/cgroup/memory",
        limits: &["memory.limit_in_bytes"],
        used: "memory.usage_in_bytes",
        given_up: "total_inactive_file ",
    },
];

/// A limit of a group of the process.
struct Limit {
    bytes: u64,
    /// Of that, what is taken and cannot be had back.
    used: u64,
}

/// How many bytes the arenas of all hash workers may take; none where the memory of the process is not limited.
pub fn arenas_max() -> Option<u64> {
    memory_max(Path::new("/")).map(|bytes| bytes / ARENAS_SHARE)
}

/// How many bytes may still be taken before something is killed for want of memory: what is left of the limits of the
/// process's control groups, and what the machine has. None where neither is told.
pub fn memory_left() -> Option<u64> {
    memory_left_of(Path::new("/"))
}

/// The memory limit of the process's control group, or of a group above it if that is less, in bytes; none outside of
/// containers and the like. `root` is `/`, except in tests.
fn memory_max(root: &Path) -> Option<u64> {
    limits(root).iter().map(|limit| limit.bytes).min()
}

fn memory_left_of(root: &Path) -> Option<u64> {
    let of_groups = limits(root).into_iter().map(|limit| limit.bytes.saturating_sub(limit.used));
    let of_machine = line_of(&root.join("proc/meminfo"), "MemAvailable:").map(|kib| kib * 1024);
    of_groups.chain(of_machine).min()
}

/// The limits of the process's control group and of all above it.
fn limits(root: &Path) -> Vec<Limit> {
    let own = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let [v2, v1] = &HIERARCHIES;
    let mut limits = v2.limits(root, own.lines().find_map(|line| line.strip_prefix("0::/")));
    limits.extend(v1.limits(root, own.lines().find_map(path_v1)));
    limits
}

impl Hierarchy {
    /// In a container the group is seen as the mount itself, whatever the path says.
    fn limits(&self, root: &Path, path: Option<&str>) -> Vec<Limit> {
        let mount = root.join(self.mount);
        let groups = Path::new(path.unwrap_or_default()).ancestors().map(|path| mount.join(path));
        groups.flat_map(|group| self.limits_of(&group)).collect()
    }

    fn limits_of(&self, group: &Path) -> Vec<Limit> {
        // Version 2 writes `max` where there is no limit, version 1 a number that no machine has.
        let read = |file: &str| fs::read_to_string(group.join(file)).ok()?.trim().parse::<u64>().ok();
        let limits = self.limits.iter().filter_map(|file| read(file)).filter(|bytes| *bytes < NO_LIMIT);
        let used = || {
            let given_up = line_of(&group.join("memory.stat"), self.given_up).unwrap_or_default();
            read(self.used).unwrap_or_default().saturating_sub(given_up)
        };
        limits.map(|bytes| Limit { bytes, used: used() }).collect()
    }
}

/// The number in the line of a file that begins so.
fn line_of(file: &Path, begin: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| line.strip_prefix(begin))?.split_whitespace().next()?.parse().ok()
}

/// The path of the group whose memory is counted, in a line such as `4:memory:/system.slice/signet.service`.
fn path_v1(line: &str) -> Option<&str> {
    let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
    controllers.split(',').any(|controller| controller == "memory").then(|| path.trim_start_matches('/'))
}

/// As many workers as there are processors, but no more than whose arenas fit; one in any case.
pub(super) fn workers_that_fit(processors: NonZeroUsize, arena_kib: u32, arenas_max: Option<u64>) -> NonZeroUsize {
    let Some(arenas_max) = arenas_max else { return processors };
    let arenas = arenas_max / (u64::from(arena_kib) * 1024).max(1);
    let arenas = usize::try_from(arenas).unwrap_or(usize::MAX);
    NonZeroUsize::new(arenas).map_or(NonZeroUsize::MIN, |arenas| arenas.min(processors))
}

/// What all workers take together when they are busy, where less is left: the system may kill the process then.
#[derive(Debug, Eq, PartialEq)]
struct Shortage {
    needed_mib: u64,
    left_mib: u64,
}

/// Warns if the workers cannot all be busy with the memory that is left: their number may be the operator's own, whom
/// nothing else stops. Not an error, as there may be swap, or never so many sign-ins at a time.
pub(super) fn warn_if_short(workers: NonZeroUsize, arena_kib: u32) {
    if let Some(Shortage { needed_mib, left_mib }) = shortage(workers, arena_kib, memory_left()) {
        tracing::warn!(
            workers,
            needed_mib,
            left_mib,
            "the hash workers take more memory when all are busy than is left, so the system may kill the process at \
             the first sign-ins; lower --hash-workers or --argon2-memory-kib, or raise the memory limit"
        );
    }
}

fn shortage(workers: NonZeroUsize, arena_kib: u32, left: Option<u64>) -> Option<Shortage> {
    let workers = u64::try_from(workers.get()).unwrap_or(u64::MAX);
    let needed = workers.saturating_mul(u64::from(arena_kib) * 1024);
    let left = left.filter(|left| needed > *left)?;
    Some(Shortage { needed_mib: needed.div_ceil(1 << 20), left_mib: left >> 20 })
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    const MIB: u64 = 1024 * 1024;

    #[test]
    fn arenas_take_no_more_than_a_quarter_of_the_memory() {
        let workers = |memory_max: Option<u64>| {
            workers_that_fit(NonZeroUsize::new(8).unwrap(), 19_456, memory_max.map(|bytes| bytes / ARENAS_SHARE)).get()
        };
        assert_eq!(workers(None), 8);
        assert_eq!(workers(Some(2048 * MIB)), 8);
        assert_eq!(workers(Some(256 * MIB)), 3, "19 MiB each, 64 MiB in all");
        assert_eq!(workers(Some(64 * MIB)), 1, "one worker there must be");
    }

    #[test]
    fn workers_are_warned_of_whose_arenas_have_no_room_together() {
        let short = |workers, left: Option<u64>| {
            shortage(NonZeroUsize::new(workers).unwrap(), 19_456, left.map(|mib| mib * MIB))
                .map(|Shortage { needed_mib, left_mib }| (needed_mib, left_mib))
        };
        assert_eq!(short(8, Some(151)), Some((152, 151)));
        assert_eq!(short(8, Some(152)), None, "it is just enough");
        assert_eq!(short(256, Some(100)), Some((4864, 100)));
        assert_eq!(short(1, Some(0)), Some((19, 0)));
        assert_eq!(short(256, None), None, "nobody knows");
    }

    /// A machine with such files.
    fn machine(files: &[(&str, &str)]) -> TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    fn limit(files: &[(&str, &str)]) -> Option<u64> {
        memory_max(machine(files).path())
    }

    fn left(files: &[(&str, &str)]) -> Option<u64> {
        memory_left_of(machine(files).path())
    }

    const V2: (&str, &str) = ("proc/self/cgroup", "0::/system.slice/signet.service\n");
    const V1: (&str, &str) = ("proc/self/cgroup", "5:cpu,cpuacct:/\n4:hugetlb,memory:/pod/signet\n0::/\n");

    #[test]
    fn without_a_limit_there_is_none() {
        assert_eq!(limit(&[]), None);
        assert_eq!(limit(&[V2, ("sys/fs/cgroup/memory.max", "max\n")]), None);
        assert_eq!(limit(&[V1, ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")]), None);
    }

    #[test]
    fn the_limit_is_the_least_of_the_own_group_and_all_above_it() {
        let (mount, above, own) = (
            "sys/fs/cgroup/memory.max",
            "sys/fs/cgroup/system.slice/memory.max",
            "sys/fs/cgroup/system.slice/signet.service/memory.max",
        );
        assert_eq!(limit(&[V2, (mount, "max\n"), (own, "268435456\n")]), Some(256 * MIB));
        assert_eq!(limit(&[V2, (above, "134217728\n"), (own, "268435456\n")]), Some(128 * MIB));
        assert_eq!(limit(&[V2, (mount, "1048576\n"), (above, "134217728\n"), (own, "max\n")]), Some(MIB));
        let high = "sys/fs/cgroup/system.slice/signet.service/memory.high";
        assert_eq!(limit(&[V2, (high, "67108864\n"), (own, "268435456\n")]), Some(64 * MIB));
    }

    #[test]
    fn version_1_is_read_too_also_beside_version_2() {
        let (above, own) =
            ("sys/fs/cgroup/memory/pod/memory.limit_in_bytes", "sys/fs/cgroup/memory/pod/signet/memory.limit_in_bytes");
        assert_eq!(limit(&[V1, (own, "268435456\n")]), Some(256 * MIB));
        assert_eq!(limit(&[V1, (above, "134217728\n"), (own, "9223372036854771712\n")]), Some(128 * MIB));
    }

    #[test]
    fn in_a_container_the_mount_is_the_own_group() {
        assert_eq!(limit(&[V2, ("sys/fs/cgroup/memory.max", "1048576\n")]), Some(MIB));
        assert_eq!(limit(&[V1, ("sys/fs/cgroup/memory/memory.limit_in_bytes", "1048576\n")]), Some(MIB));
    }

    #[test]
    fn what_is_left_is_what_the_groups_and_the_machine_have() {
        const MACHINE: (&str, &str) = ("proc/meminfo", "MemTotal:  4096 kB\nMemAvailable:    2048 kB\n");
        assert_eq!(left(&[]), None);
        assert_eq!(left(&[V2, MACHINE, ("sys/fs/cgroup/memory.max", "max\n")]), Some(2 * MIB));
        let (above, own) = ("sys/fs/cgroup/system.slice", "sys/fs/cgroup/system.slice/signet.service");
        let files = |group: &str, max: &str, current: &str| {
            [(format!("{group}/memory.max"), max.to_owned()), (format!("{group}/memory.current"), current.to_owned())]
        };
        let of = |files: &[(String, String)]| {
            let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
            left(&[&[V2, ("proc/meminfo", "MemAvailable: 1048576 kB\n")], &files[..]].concat())
        };
        let mut both = [files(own, "268435456\n", "67108864\n"), files(above, "268435456\n", "134217728\n")].concat();
        assert_eq!(of(&both), Some(128 * MIB), "what the group above has left is less");
        both.push((format!("{above}/memory.stat"), "anon 1\ninactive_file 100663296\nactive_file 7\n".to_owned()));
        assert_eq!(of(&both), Some(192 * MIB), "caches of files are given up");
        assert_eq!(of(&files(own, "1048576\n", "2097152\n")), Some(0), "a limit that was lowered");
    }

    #[test]
    fn version_1_says_what_is_left_too() {
        let files = [
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "10485760\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "5242880\n"),
            ("sys/fs/cgroup/memory/memory.stat", "inactive_file 7\ntotal_inactive_file 1048576\n"),
        ];
        assert_eq!(left(&[&[V1], &files[..]].concat()), Some(6 * MIB));
    }
}
