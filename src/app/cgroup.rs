//! How much memory the process may take, and how many hash workers that is enough for.

use std::{fs, num::NonZeroUsize, path::Path};

/// The part of the memory that the arenas may fill: the rest is for everything else, and for the peaks of dear stored hashes.
const ARENAS_SHARE: u64 = 4;

/// The memory limit of the process's control group (cgroup v2), in bytes; none outside of containers and the like.
/// `root` is `/`, except in tests.
pub(super) fn memory_max(root: &Path) -> Option<u64> {
    let mount = root.join("sys/fs/cgroup");
    // In a container the group is seen as the root of the mount; on a host its path is told by the kernel.
    let own = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let own = own.lines().find_map(|line| line.strip_prefix("0::/"));
    let groups = [Some(mount.clone()), own.map(|path| mount.join(path))];
    let limits = groups.into_iter().flatten().filter_map(|group| {
        // Holds the word `max` where there is no limit.
        fs::read_to_string(group.join("memory.max")).ok()?.trim().parse().ok()
    });
    limits.min()
}

/// As many workers as there are processors, but no more than whose arenas fit; one in any case.
pub(super) fn workers_that_fit(processors: NonZeroUsize, arena_kib: u32, memory_max: Option<u64>) -> NonZeroUsize {
    let Some(memory_max) = memory_max else { return processors };
    let arenas = memory_max / ARENAS_SHARE / (u64::from(arena_kib) * 1024).max(1);
    let arenas = usize::try_from(arenas).unwrap_or(usize::MAX);
    NonZeroUsize::new(arenas).map_or(NonZeroUsize::MIN, |arenas| arenas.min(processors))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    #[test]
    fn arenas_take_no_more_than_a_quarter_of_the_memory() {
        let workers = |memory_max| workers_that_fit(NonZeroUsize::new(8).unwrap(), 19_456, memory_max).get();
        assert_eq!(workers(None), 8);
        assert_eq!(workers(Some(2048 * MIB)), 8);
        assert_eq!(workers(Some(256 * MIB)), 3, "19 MiB each, 64 MiB in all");
        assert_eq!(workers(Some(64 * MIB)), 1, "one worker there must be");
    }

    #[test]
    fn the_limit_is_that_of_the_mount_or_of_the_own_group_whichever_is_less() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        assert_eq!(memory_max(root.path()), None);
        write("sys/fs/cgroup/memory.max", "max\n");
        assert_eq!(memory_max(root.path()), None);
        write("proc/self/cgroup", "0::/system.slice/signet.service\n");
        write("sys/fs/cgroup/system.slice/signet.service/memory.max", "268435456\n");
        assert_eq!(memory_max(root.path()), Some(256 * MIB));
        write("sys/fs/cgroup/memory.max", "1048576\n");
        assert_eq!(memory_max(root.path()), Some(MIB));
    }
}
