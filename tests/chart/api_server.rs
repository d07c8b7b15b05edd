//! A real API server of Kubernetes, which keeps what it is given; nothing runs.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
};

use serde_json::{Value, json};
use signet_test_support::{programs, python};
use tempfile::TempDir;

use crate::chart::{NAMESPACE, definitions};

/// A namespace in which nothing is ever made.
const DRY_RUNS: &str = "dry-runs";

/// One for all tests of this binary, as its start takes seconds. It ends with this process.
static SERVER: LazyLock<Option<Mutex<ApiServer>>> = LazyLock::new(|| ApiServer::start().map(Mutex::new));

pub(crate) struct ApiServer {
    /// Lives as long as the two pipes.
    _child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    directory: TempDir,
}

/// What the server says to a request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u64,
    pub(crate) warnings: Vec<String>,
    pub(crate) body: Value,
}

/// The server, for one test at a time; it has the definitions of the custom resources, and namespaces that take no pod but the most
/// restricted. `None`, after saying so, where it cannot be had.
pub(crate) fn shared() -> Option<MutexGuard<'static, ApiServer>> {
    Some(SERVER.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
}

impl ApiServer {
    fn start() -> Option<Self> {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chart/python");
        let python = python::environment("chart-python", &sources.join("requirements.txt"))?;
        let directory = tempfile::tempdir().unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        for (file, pem) in [("accounts.key", key.serialize_pem()), ("accounts.pub", key.public_key_pem())] {
            std::fs::write(directory.path().join(file), pem).unwrap();
        }
        let mut command = Command::new(python);
        command.arg(sources.join("api_server.py"));
        command.args([programs::program("kube-apiserver")?, programs::program("etcd")?]).arg(directory.path());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut server = Self { _child: child, input, output, directory };
        assert_eq!(server.line(), "ready");
        server.fill(&definitions()?);
        Some(server)
    }

    fn fill(&mut self, definitions: &[PathBuf]) {
        for file in definitions {
            let text = std::fs::read_to_string(file).unwrap();
            let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
            self.ask("POST", path, "application/yaml", &text).created();
        }
        for namespace in [NAMESPACE, DRY_RUNS] {
            self.make_namespace(namespace);
        }
    }

    fn make_namespace(&mut self, namespace: &str) {
        let level = "restricted";
        let labels = json!({
            "pod-security.kubernetes.io/enforce": level,
            "pod-security.kubernetes.io/warn": level,
        });
        let metadata = json!({ "name": namespace, "labels": labels });
        let object = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": metadata });
        self.post("/api/v1/namespaces", &object).created();
        // What a controller would make, and what the values files take for granted.
        for name in ["default", "migrations"] {
            let account = json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": name } });
            self.post(&format!("/api/v1/namespaces/{namespace}/serviceaccounts"), &account).created();
        }
    }

    /// For `helm --kubeconfig`.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.directory.path().join("kubeconfig")
    }

    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.ask("GET", path, "application/json", "")
    }

    pub(crate) fn post(&mut self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path, "application/json", &body.to_string())
    }

    pub(crate) fn patch(&mut self, path: &str, body: &Value) -> Answer {
        self.ask("PATCH", path, "application/merge-patch+json", &body.to_string())
    }

    fn ask(&mut self, method: &str, path: &str, form: &str, body: &str) -> Answer {
        let request = json!({ "method": method, "path": path, "type": form, "body": body });
        writeln!(self.input, "{request}").unwrap();
        let answer: Value = serde_json::from_str(&self.line()).unwrap();
        let warnings = answer["warnings"].as_array().unwrap().iter();
        Answer {
            status: answer["status"].as_u64().unwrap(),
            warnings: warnings.map(|warning| warning.as_str().unwrap().to_owned()).collect(),
            body: serde_json::from_str(answer["body"].as_str().unwrap()).unwrap_or_default(),
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "the API server is gone");
        line.trim_end().to_owned()
    }
}

impl Answer {
    #[track_caller]
    fn created(&self) {
        assert!(self.status == 201, "{self:?}");
    }
}

/// Where objects like this one are tried.
pub(crate) fn collection(object: &Value) -> String {
    let version = object["apiVersion"].as_str().unwrap();
    let root = if version.contains('/') { "apis" } else { "api" };
    let plural = match object["kind"].as_str().unwrap() {
        "Ingress" => "ingresses".to_owned(),
        "NetworkPolicy" => "networkpolicies".to_owned(),
        kind => format!("{}s", kind.to_lowercase()),
    };
    format!("/{root}/{version}/namespaces/{DRY_RUNS}/{plural}")
}
