//! Programs and files that come as modules of Go. `.ci/run` builds the programs; the files are fetched when they are asked for.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::environment::once;

/// A program on the path, or where `.ci/run` puts what it builds. `None`, after saying so, where there is none; with `CI=true` that
/// is a failure instead.
///
/// # Panics
/// If there is none and `CI=true`.
pub fn program(name: &str) -> Option<PathBuf> {
    once(name, || {
        let home = env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
        let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or(home);
        let path = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&path)
            .chain(cache.map(|cache| cache.join("signet-ci/bin")))
            .map(|place| place.join(name))
            .find(|candidate| candidate.is_file())
            .ok_or_else(|| format!("{name} is not installed (`.ci/run` builds it)"))
    })
}

/// The directory of the module `path` in `version`, whose files have the checksum `sum` (as in a `go.sum`). `None`, after saying so,
/// where it cannot be had; with `CI=true` that is a failure instead.
///
/// # Panics
/// If it cannot be had and `CI=true`.
pub fn module(path: &str, version: &str, sum: &str) -> Option<PathBuf> {
    once(path, || {
        let mut command = Command::new("go");
        // Outside of any module, whose requirements would count.
        command.args(["mod", "download", "-json", &format!("{path}@{version}")]).current_dir(env::temp_dir());
        let output = command.output().map_err(|error| format!("go does not start: {error}"))?;
        let told: Value = serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
        match (told["Dir"].as_str(), told["Sum"].as_str()) {
            (Some(directory), Some(found)) if found == sum => Ok(PathBuf::from(directory)),
            _ => Err(format!("go cannot download it with the checksum {sum}: {told}")),
        }
    })
}
