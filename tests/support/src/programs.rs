//! Programs of others, as they are installed.

use std::{
    env,
    path::{Path, PathBuf},
};

use crate::environment::once;

/// A program by its name, from `PATH` or from where `.ci/run` puts what it builds. `None`, after saying so, where it is not; with
/// `CI=true` that is a failure instead.
///
/// # Panics
/// If it is not there and `CI=true`.
pub fn program(name: &str) -> Option<PathBuf> {
    once(name, || find(name).ok_or_else(|| format!("{name} is neither on the PATH nor among the tools of .ci/run")))
}

fn find(name: &str) -> Option<PathBuf> {
    let home = env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or(home).map(|cache| cache.join("signet-ci/bin"));
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).chain(cache).map(|directory| directory.join(name)).find(|program| program.is_file())
}
