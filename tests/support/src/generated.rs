//! Pages that are made from the code.

use std::{env, fs, path::Path};

/// Fails unless `file` holds `page`; writes it instead if `SIGNET_UPDATE_DOCS` is set. `tests`: what of `cargo test` does that.
///
/// # Panics
/// If it holds something else, or cannot be written.
#[track_caller]
pub fn assert_current(file: &Path, page: &str, tests: &str) {
    if env::var_os("SIGNET_UPDATE_DOCS").is_some() {
        fs::write(file, page).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
    let kept = fs::read_to_string(file).unwrap_or_default();
    let difference = page.lines().zip(kept.lines()).find(|(new, old)| new != old);
    assert!(
        page == kept,
        "{} is stale: run `SIGNET_UPDATE_DOCS=1 cargo test {tests}` and commit it. First difference: {difference:?}",
        file.display()
    );
}
