//! Directories with what foreign programs need, each made once.

use std::{
    collections::HashMap,
    env, fs,
    fs::File,
    io::{self, Write as _},
    path::PathBuf,
    process::{Command, Stdio},
    sync::{LazyLock, Mutex, PoisonError},
};

/// What was found out about each environment, so that a skip is said once.
static ENVIRONMENTS: LazyLock<Mutex<HashMap<String, Option<PathBuf>>>> = LazyLock::new(Mutex::default);

/// What `make` finds or makes under that name, made once per process. `None`, after saying so, where it cannot be had; with
/// `CI=true` that is a failure instead.
///
/// # Panics
/// If it cannot be had and `CI=true`.
pub(crate) fn once(name: &str, make: impl FnOnce() -> Result<PathBuf, String>) -> Option<PathBuf> {
    let mut known = ENVIRONMENTS.lock().unwrap_or_else(PoisonError::into_inner);
    let entry = known.entry(name.to_owned()).or_insert_with(|| match make() {
        Ok(path) => Some(path),
        Err(reason) => {
            report_skip(name, &reason);
            None
        }
    });
    entry.clone()
}

pub(crate) fn report_skip(name: &str, reason: &str) {
    assert_ne!(env::var("CI").as_deref(), Ok("true"), "the tests that need {name} must run in CI, but {reason}");
    // Not by a macro, whose output is shown of failed tests only.
    let message = format!("\n*** SKIPPED: the tests that need {name} did not run: {reason}\n\n");
    drop(io::stderr().write_all(message.as_bytes()));
}

/// A directory that is filled by `fill` unless it was filled for the same `pins` before. It stands beside the test binary, in the
/// target directory: it survives a rebuild and goes with `cargo clean`.
pub(crate) fn directory(
    name: &str,
    pins: &str,
    fill: impl FnOnce(&PathBuf) -> Result<(), String>,
) -> Result<PathBuf, String> {
    let text = |error: io::Error| error.to_string();
    let binary = env::current_exe().map_err(text)?;
    let root = binary.ancestors().nth(3).ok_or("the test binary stands in no target directory")?.join("tmp");
    fs::create_dir_all(&root).map_err(text)?;
    // Other test processes may want it at the same time.
    let lock = File::create(root.join(format!("{name}.lock"))).map_err(text)?;
    lock.lock().map_err(text)?;
    let (directory, done) = (root.join(name), root.join(name).join("installed.txt"));
    if fs::read_to_string(&done).is_ok_and(|installed| installed == pins) {
        return Ok(directory);
    }
    drop(fs::remove_dir_all(&directory));
    fs::create_dir_all(&directory).map_err(text)?;
    fill(&directory)?;
    fs::write(done, pins).map_err(text)?;
    Ok(directory)
}

/// Runs a command to its end; what it said, if it failed.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    let output =
        command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?} does not start: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?} fails: {}", String::from_utf8_lossy(&output.stderr)))
}
