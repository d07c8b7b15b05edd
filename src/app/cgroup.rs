//! How much memory the process may take, and how many hash workers that is enough for.

use std::{
    fs,
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

/// The part of the memory that the arenas may fill: the rest is for everything else, and for the peaks of dear stored hashes.
const ARENAS_SHARE: u64 = 4;
/// What version 1 says of a group without a limit is the largest number of bytes in whole pages, which depends on the page.
const NO_LIMIT: u64 = 1 << 62;

/// Where version 2 and version 1 of control groups are mounted, and in which files their limits stand. `memory.high` kills nobody, but
/// who is above it is slowed down until nothing moves.
const HIERARCHIES: [(&str, &[&str]); 2] =
    [("sys/fs/cgroup", &["memory.max", "memory.high"]), ("sys/fs/cgroup/memory", &["memory.limit_in_bytes"])];

/// How many bytes the arenas of all hash workers may take; none where the memory of the process is not limited.
pub fn arenas_max() -> Option<u64> {
    memory_max(Path::new("/")).map(|bytes| bytes / ARENAS_SHARE)
}

/// The memory limit of the process's control group, or of a group above it if that is less, in bytes; none outside of containers
/// and the like. `root` is `/`, except in tests.
fn memory_max(root: &Path) -> Option<u64> {
    let own = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let [v2, v1] = HIERARCHIES.map(|(mount, files)| (root.join(mount), files));
    let limits_v2 = limits(&v2.0, own.lines().find_map(|line| line.strip_prefix("0::/")), v2.1);
    let limits_v1 = limits(&v1.0, own.lines().find_map(path_v1), v1.1);
    limits_v2.into_iter().chain(limits_v1).min()
}

/// The path of the group whose memory is counted, in a line such as `4:memory:/system.slice/signet.service`.
fn path_v1(line: &str) -> Option<&str> {
    let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
    controllers.split(',').any(|controller| controller == "memory").then(|| path.trim_start_matches('/'))
}

/// The limits of a group and of all above it. In a container the group is seen as the mount itself, whatever the path says.
fn limits(mount: &Path, path: Option<&str>, files: &[&str]) -> Vec<u64> {
    let groups = Path::new(path.unwrap_or_default()).ancestors().map(|path| mount.join(path));
    // Version 2 writes `max` where there is no limit, version 1 a number that no machine has.
    let read = |file: PathBuf| fs::read_to_string(file).ok()?.trim().parse().ok().filter(|bytes| *bytes < NO_LIMIT);
    groups.flat_map(|group| files.iter().map(move |file| group.join(file))).filter_map(read).collect()
}

/// As many workers as there are processors, but no more than whose arenas fit; one in any case.
pub(super) fn workers_that_fit(processors: NonZeroUsize, arena_kib: u32, arenas_max: Option<u64>) -> NonZeroUsize {
    let Some(arenas_max) = arenas_max else { return processors };
    let arenas = arenas_max / (u64::from(arena_kib) * 1024).max(1);
    let arenas = usize::try_from(arenas).unwrap_or(usize::MAX);
    NonZeroUsize::new(arenas).map_or(NonZeroUsize::MIN, |arenas| arenas.min(processors))
}

#[cfg(test)]
mod tests {
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

    /// The limit on a machine with such files.
    fn limit(files: &[(&str, &str)]) -> Option<u64> {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        memory_max(root.path())
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
}
