//! Virtual environments for foreign programs in Python.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::environment::{directory, once, run};

/// The interpreter of an environment that holds what the file `requirements` pins. `None`, after saying so, where Python or
/// its packages cannot be had; with `CI=true` that is a failure instead.
///
/// # Panics
/// If it cannot be had and `CI=true`.
pub fn environment(name: &str, requirements: &Path) -> Option<PathBuf> {
    once(name, || make(name, requirements))
}

fn make(name: &str, requirements: &Path) -> Result<PathBuf, String> {
    let pins = fs::read_to_string(requirements).map_err(|error| error.to_string())?;
    let environment = directory(name, &pins, |environment| {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(environment))?;
        // The list is whole. What the packages say of each other does not count: some ask for what is not out yet.
        run(Command::new(environment.join("bin/python"))
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--require-hashes",
                "--no-deps",
                "-r",
            ])
            .arg(requirements))
    })?;
    Ok(environment.join("bin/python"))
}
