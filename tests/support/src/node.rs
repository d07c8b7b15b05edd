//! Packages for foreign programs in JavaScript, and a browser for them.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::environment::{directory, once, run};

/// A directory whose `node_modules` holds what the `package-lock.json` in `pinned` pins; a script runs from inside of it. `None`,
/// after saying so, where Node or its packages cannot be had; with `CI=true` that is a failure instead.
///
/// # Panics
/// If it cannot be had and `CI=true`.
pub fn environment(name: &str, pinned: &Path) -> Option<PathBuf> {
    once(name, || {
        let text = |error: std::io::Error| error.to_string();
        let lock = fs::read_to_string(pinned.join("package-lock.json")).map_err(text)?;
        directory(name, &lock, |environment| {
            for file in ["package.json", "package-lock.json"] {
                fs::copy(pinned.join(file), environment.join(file)).map_err(text)?;
            }
            // No package runs anything of its own while it is installed.
            let arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
            run(Command::new("npm").args(arguments).current_dir(environment))
        })
    })
}

/// A Chromium. `None`, after saying so, where there is none; with `CI=true` that is a failure instead.
///
/// # Panics
/// If there is none and `CI=true`.
pub fn chromium() -> Option<PathBuf> {
    once("Chromium", || {
        let path = env::var_os("PATH").unwrap_or_default();
        let places: Vec<PathBuf> = env::split_paths(&path).collect();
        ["chromium", "chromium-browser", "google-chrome"]
            .into_iter()
            .flat_map(|name| places.iter().map(move |place| place.join(name)))
            .find(|candidate| candidate.is_file())
            .ok_or_else(|| "no Chromium is installed (Debian: apt-get install chromium)".to_owned())
    })
}
