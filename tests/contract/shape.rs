//! The shape of the source: files one can read in one sitting, and names that say something.

use std::path::PathBuf;

use crate::sources;

const LINES_MAX: usize = 500;
const LINES_OF_MAIN_MAX: usize = 60;
/// Names that collect whatever has no home.
const EMPTY_NAMES: [&str; 7] = ["common", "core", "helper", "helpers", "misc", "types", "util"];

fn files() -> impl Iterator<Item = PathBuf> {
    ["src", "tests", "benches", "migrations"].into_iter().flat_map(sources::rust_files)
}

#[test]
fn no_rust_file_has_more_than_500_lines() {
    let long: Vec<_> = files()
        .map(|file| (sources::read(&file).lines().count(), file))
        .filter(|(lines, _)| *lines > LINES_MAX)
        .collect();
    assert!(long.is_empty(), "split these: {long:?}");
}

#[test]
fn main_has_at_most_60_lines() {
    let lines = sources::read("src/main.rs".as_ref()).lines().count();
    assert!(lines <= LINES_OF_MAIN_MAX, "src/main.rs has {lines} lines; move something to src/cli");
}

#[test]
fn no_module_has_a_name_that_says_nothing() {
    let empty: Vec<_> = files()
        .filter(|file| file.with_extension("").iter().any(|name| EMPTY_NAMES.iter().any(|empty| name == *empty)))
        .collect();
    assert!(empty.is_empty(), "name these after what they hold: {empty:?}");
}

#[test]
fn a_module_is_a_file_beside_its_directory() {
    let old: Vec<_> = files().filter(|file| file.ends_with("mod.rs")).collect();
    assert!(old.is_empty(), "make these `<module>.rs`: {old:?}");
}
