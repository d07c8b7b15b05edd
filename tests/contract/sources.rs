//! The files of this repository.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Path of a file or directory of the repository.
pub(crate) fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

/// The Rust files under a directory of the repository, as paths relative to the repository, in a stable order.
pub(crate) fn rust_files(directory: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut open = vec![path(directory)];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display())) {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                open.push(entry.path());
            } else if entry.path().extension().is_some_and(|extension| extension == "rs") {
                files.push(entry.path().strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().to_owned());
            }
        }
    }
    files.sort();
    assert!(!files.is_empty(), "no Rust files under {directory}");
    files
}

/// Content of a file of the repository.
pub(crate) fn read(relative: &Path) -> String {
    fs::read_to_string(path(".").join(relative)).unwrap_or_else(|error| panic!("{}: {error}", relative.display()))
}
