//! Files that come as modules of Go. They are fetched when they are asked for.

use std::{env, path::PathBuf, process::Command};

use serde_json::Value;

use crate::environment::once;

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
