//! Virtual environments for foreign programs in Python, each made once.

use std::{
    collections::HashMap,
    env, fs,
    fs::File,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{LazyLock, Mutex, PoisonError},
};

/// What was found out about each environment, so that a skip is said once.
static ENVIRONMENTS: LazyLock<Mutex<HashMap<String, Option<PathBuf>>>> = LazyLock::new(Mutex::default);

/// The interpreter of an environment that holds what the file `requirements` pins. `None`, after saying so, where Python or
/// its packages cannot be had; with `CI=true` that is a failure instead.
///
/// # Panics
/// If it cannot be had and `CI=true`.
pub fn environment(name: &str, requirements: &Path) -> Option<PathBuf> {
    let mut known = ENVIRONMENTS.lock().unwrap_or_else(PoisonError::into_inner);
    let entry = known.entry(name.to_owned()).or_insert_with(|| match make(name, requirements) {
        Ok(python) => Some(python),
        Err(reason) => {
            report_skip(name, &reason);
            None
        }
    });
    entry.clone()
}

fn report_skip(name: &str, reason: &str) {
    assert_ne!(env::var("CI").as_deref(), Ok("true"), "the tests that need {name} must run in CI, but {reason}");
    // Not by a macro, whose output is shown of failed tests only.
    let message = format!("\n*** SKIPPED: the tests that need {name} did not run: {reason}\n\n");
    drop(io::stderr().write_all(message.as_bytes()));
}

fn make(name: &str, requirements: &Path) -> Result<PathBuf, String> {
    let text = |error: io::Error| error.to_string();
    // Beside the test binary, in the target directory: it survives a rebuild and goes with `cargo clean`.
    let binary = env::current_exe().map_err(text)?;
    let root = binary.ancestors().nth(3).ok_or("the test binary stands in no target directory")?.join("tmp");
    fs::create_dir_all(&root).map_err(text)?;
    // Other test processes may want it at the same time.
    let lock = File::create(root.join(format!("{name}.lock"))).map_err(text)?;
    lock.lock().map_err(text)?;
    let environment = root.join(name);
    let requirements_text = fs::read_to_string(requirements).map_err(text)?;
    let python = environment.join("bin/python");
    let done = environment.join("installed.txt");
    if fs::read_to_string(&done).is_ok_and(|installed| installed == requirements_text) && python.exists() {
        return Ok(python);
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))?;
    run(Command::new(&python)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r"])
        .arg(requirements))?;
    fs::write(done, requirements_text).map_err(text)?;
    Ok(python)
}

fn run(command: &mut Command) -> Result<(), String> {
    let output =
        command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?} does not start: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?} fails: {}", String::from_utf8_lossy(&output.stderr)))
}
