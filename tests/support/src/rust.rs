//! Foreign programs in Rust, each a package of its own with a lock file of its own.

use std::{env, path::Path, path::PathBuf, process::Command};

use crate::environment::{once, run};

/// The program that the package in `sources` builds, which has the name of the package. `None`, after saying so, where it cannot be
/// built, for want of its dependencies; with `CI=true` that is a failure instead.
///
/// # Panics
/// If it cannot be built and `CI=true`.
pub fn program(name: &str, sources: &Path) -> Option<PathBuf> {
    once(name, || {
        let binary = env::current_exe().map_err(|error| error.to_string())?;
        // Beside the test binary, in the target directory: it survives a rebuild and goes with `cargo clean`.
        let target =
            binary.ancestors().nth(3).ok_or("the test binary stands in no target directory")?.join("tmp").join(name);
        let mut build = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        build.args(["build", "--quiet", "--locked", "--manifest-path"]).arg(sources.join("Cargo.toml"));
        run(build.arg("--target-dir").arg(&target))?;
        Ok(target.join("debug").join(name))
    })
}
