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

/// `.ci/kernel-checks` and `.ci/kernel-aarch64` run this on emulated processors and say which paths are to be found there.
#[test]
fn the_paths_are_those_of_the_processor() {
    let names: Vec<_> = Path::available().map(|path| path.to_string()).collect();
    if let Ok(expected) = std::env::var("KERNEL_PATHS") {
        assert_eq!(names.join(" "), expected);
    }
}
