//! A service with its demo, and the foreign programs that call it.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;
use signet_test_support::{node, process::Running, python, rust};

use crate::signet;

/// `signet dev` on free ports. It is killed with this value.
pub(crate) struct Service {
    /// What it said when it was ready: addresses, credentials in every vendor's form, the demo users.
    pub(crate) ready: Value,
    running: Running,
    directory: tempfile::TempDir,
}

impl Service {
    /// Starts it; `arguments` are added to those of the command.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut all = vec!["dev", "--json"];
        all.extend(["--grpc-addr", "127.0.0.1:0", "--rest-addr", "127.0.0.1:0", "--ops-addr", "127.0.0.1:0"]);
        all.extend(arguments);
        let running = Running::start(signet(directory.path(), &all));
        let ready = serde_json::from_str(&running.line()).unwrap();
        Self { ready, running, directory }
    }

    /// Base of the REST API, without a slash at the end.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.ready["rest"].as_str().unwrap())
    }

    /// Its directory, with its database `signet-dev.db`.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.running.stderr()
    }
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk")
}

/// Runs `tests/sdk/node/<script>` with `task` on its standard input. It prints one JSON value, which is given back; whatever it
/// asserts in vain ends it with another code than 0, and fails the test with all that it said. `None` without Node.
pub(crate) fn run_node(script: &str, task: &Value) -> Option<Value> {
    let environment = node::environment("sdk-node", &sources().join("node"))?;
    // A module finds its packages, and its neighbours, from where it stands.
    let copies = tempfile::Builder::new().tempdir_in(&environment).unwrap();
    for source in fs::read_dir(sources().join("node")).unwrap().map(|entry| entry.unwrap().path()) {
        if source.extension().is_some_and(|extension| extension == "mjs") {
            fs::copy(&source, copies.path().join(source.file_name().unwrap())).unwrap();
        }
    }
    let mut command = Command::new("node");
    command.arg(copies.path().join(script));
    Some(run(command, script, task))
}

/// Runs `tests/sdk/python/<name>.py` with what `tests/sdk/python/<name>.txt` pins; else as [`run_node`].
pub(crate) fn run_python(name: &str, task: &Value) -> Option<Value> {
    let sources = sources().join("python");
    let python = python::environment(&format!("sdk-python-{name}"), &sources.join(format!("{name}.txt")))?;
    let mut command = Command::new(python);
    command.arg(sources.join(format!("{name}.py")));
    Some(run(command, name, task))
}

/// Runs the program of the package in `tests/sdk/rust`, which is called `name`; else as [`run_node`].
pub(crate) fn run_rust(name: &str, task: &Value) -> Option<Value> {
    let program = rust::program(name, &sources().join("rust"))?;
    Some(run(Command::new(program), name, task))
}

fn run(mut command: Command, name: &str, task: &Value) -> Value {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(task.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{name} failed:\n{said}\n{complained}");
    let last = said.lines().last().unwrap_or("null");
    serde_json::from_str(last).unwrap_or_else(|_| panic!("{name} did not end with JSON:\n{said}\n{complained}"))
}
