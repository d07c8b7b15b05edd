//! The choice of a path, and what each says about itself.

use signet_argon2_kernel::{Kernel, Path};

#[test]
fn the_fastest_comes_first_and_there_is_always_one() {
    let paths: Vec<_> = Path::available().collect();
    assert_eq!(paths.first(), Some(&Path::fastest()));
    assert_eq!(paths.last(), Some(&Path::PORTABLE));
    assert_eq!(Kernel::new(paths[0]).path(), paths[0]);
}

#[test]
fn every_path_passes_its_self_test() {
    for path in Path::available() {
        assert_eq!(path.self_test(), Ok(()));
    }
}

/// `.ci/kernel-checks` and `.ci/kernel-aarch64` run this on emulated processors and say which paths are to be found
/// there.
#[test]
fn the_paths_are_those_of_the_processor() {
    let names: Vec<_> = Path::available().map(|path| path.to_string()).collect();
    if let Ok(expected) = std::env::var("KERNEL_PATHS") {
        assert_eq!(names.join(" "), expected);
    }
}

/// A processor that can do more than what is tested on it would be tested with what it never runs. Emulators are told
/// what to expect above: they show the flags of the machine that they run on.
#[test]
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn what_the_system_says_of_the_processor_is_among_the_tested() {
    if std::env::var_os("KERNEL_PATHS").is_some() {
        return;
    }
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap();
    let flags = cpus.lines().find_map(|line| line.strip_prefix("flags")?.split_once(':')).unwrap().1;
    let names: Vec<_> = Path::available().map(|path| path.to_string()).collect();
    for (flag, name) in [("avx512f", "AVX-512"), ("avx2", "AVX2")] {
        let has_it = flags.split_whitespace().any(|other| other == flag);
        assert_eq!(names.iter().any(|path| path == name), has_it, "{name}: {flags}");
    }
}
