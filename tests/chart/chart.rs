//! Rendering the chart.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::LazyLock,
};

use serde_json::Value;
use signet_test_support::{go, programs, python};

/// The oldest version of Kubernetes that the chart takes, and the newest whose schemas there are.
pub(crate) const KUBERNETES: [&str; 2] = ["1.30", "1.37"];
/// Where the tests install the chart.
pub(crate) const NAMESPACE: &str = "auth";

/// The files of `ci/` by their names without `-values.yaml`, rendered. `None` without Helm or Python.
static RENDERED: LazyLock<Option<BTreeMap<String, Rendered>>> = LazyLock::new(|| {
    let names = values_files().into_iter();
    names.map(|name| Some((name.clone(), render(&name, &[], &KUBERNETES)?.unwrap()))).collect()
});

/// What a rendering gave.
#[derive(Clone, Debug)]
pub(crate) struct Rendered {
    /// All objects, hooks included.
    pub(crate) objects: Vec<Value>,
    /// What the schemas of Kubernetes have against them.
    pub(crate) problems: Vec<String>,
}

impl Rendered {
    pub(crate) fn of_kind(&self, kind: &'static str) -> impl Iterator<Item = &Value> {
        self.objects.iter().filter(move |object| object["kind"] == kind)
    }

    /// The only object of its kind. Panics if there are more, or none.
    pub(crate) fn one(&self, kind: &'static str) -> &Value {
        let all: Vec<&Value> = self.of_kind(kind).collect();
        let [one] = all[..] else { panic!("{} objects are a {kind}", all.len()) };
        one
    }

    /// The specifications of all pods, with the name of what they belong to.
    pub(crate) fn pods(&self) -> Vec<(String, &Value)> {
        let spec = |object: &'_ Value| match object["kind"].as_str() {
            Some("Pod") => Some("/spec"),
            Some("Deployment" | "Job") => Some("/spec/template/spec"),
            _ => None,
        };
        let named = |object: &'_ Value| format!("{} {}", object["kind"], object["metadata"]["name"]);
        let pods = self.objects.iter().filter_map(|object| Some((named(object), object.pointer(spec(object)?)?)));
        pods.collect()
    }

    /// The keys of the secrets that the chart itself mounts, by the names of the secrets.
    pub(crate) fn secrets(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut secrets = BTreeMap::<String, BTreeSet<String>>::new();
        let pods = self.pods();
        let volumes = pods.iter().filter_map(|(_, pod)| pod["volumes"].as_array()).flatten();
        for secret in volumes.map(|volume| &volume["secret"]) {
            // Those of extraVolumes name no items.
            let keys = secret["items"].as_array().into_iter().flatten().map(|item| item["key"].as_str().unwrap());
            for key in keys {
                let name = secret["secretName"].as_str().unwrap().to_owned();
                secrets.entry(name).or_default().insert(key.to_owned());
            }
        }
        secrets
    }

    /// The container of the service.
    pub(crate) fn server(&self) -> &Value {
        &self.one("Deployment")["spec"]["template"]["spec"]["containers"][0]
    }
}

/// All containers of a pod.
pub(crate) fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    ["initContainers", "containers"].into_iter().filter_map(|list| pod[list].as_array()).flatten()
}

/// The variables of a container.
pub(crate) fn variables(container: &Value) -> BTreeMap<&str, &str> {
    let list = container["env"].as_array().into_iter().flatten();
    list.map(|entry| (entry["name"].as_str().unwrap(), entry["value"].as_str().unwrap())).collect()
}

/// Every values file, rendered.
pub(crate) fn all() -> Option<&'static BTreeMap<String, Rendered>> {
    RENDERED.as_ref()
}

/// A values file, rendered.
pub(crate) fn one(name: &str) -> Option<&'static Rendered> {
    all().map(|all| &all[name])
}

/// A values file, rendered with further arguments of `helm template`, or what Helm says against it.
pub(crate) fn with(name: &str, arguments: &[&str]) -> Option<Result<Rendered, String>> {
    render(name, arguments, &[])
}

/// A values file that is not one of `ci/`, rendered.
pub(crate) fn of_file(values: &Path, arguments: &[&str]) -> Option<Result<Rendered, String>> {
    rendered(template_file(values, arguments)?, &[])
}

/// Names of the files in `ci/`, without `-values.yaml`.
pub(crate) fn values_files() -> Vec<String> {
    let files = fs::read_dir(path("ci")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    files.map(|file| file.strip_suffix("-values.yaml").expect("all of ci/ are values files").to_owned()).collect()
}

/// A file of the chart.
pub(crate) fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("helm/signet").join(relative)
}

/// Helm, which knows no cluster but the one that it is told of.
pub(crate) fn helm(arguments: &[&str]) -> Option<Output> {
    let mut command = Command::new(programs::program("helm")?);
    command.args(arguments).env("KUBECONFIG", "/dev/null").stdin(Stdio::null());
    Some(command.output().unwrap())
}

/// The text of manifests, or what Helm says against it.
pub(crate) fn template(name: &str, arguments: &[&str]) -> Option<Result<String, String>> {
    template_file(&path(&format!("ci/{name}-values.yaml")), arguments)
}

fn template_file(values: &Path, arguments: &[&str]) -> Option<Result<String, String>> {
    let chart = path("");
    let mut all = vec!["template", "signet", chart.to_str().unwrap(), "--namespace", NAMESPACE];
    // Not built by its makers, Helm takes a cluster that it does not ask for a very old one.
    all.extend(["--kube-version", KUBERNETES[0], "--values", values.to_str().unwrap()]);
    all.extend(arguments);
    let output = helm(&all)?;
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Some(if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) })
}

fn render(name: &str, arguments: &[&str], versions: &[&str]) -> Option<Result<Rendered, String>> {
    rendered(template(name, arguments)?, versions)
}

fn rendered(told: Result<String, String>, versions: &[&str]) -> Option<Result<Rendered, String>> {
    let text = match told {
        Ok(text) => text,
        Err(refusal) => return Some(Err(refusal)),
    };
    let read = read(&text, versions, if versions.is_empty() { Vec::new() } else { definitions()? })?;
    let problems = serde_json::from_value(read["problems"].clone()).unwrap();
    Some(Ok(Rendered { objects: read["objects"].as_array().unwrap().clone(), problems }))
}

/// Reads manifests by `python/manifests.py`.
pub(crate) fn read(text: &str, versions: &[&str], definitions: Vec<PathBuf>) -> Option<Value> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chart/python");
    let python = python::environment("chart-python", &sources.join("requirements.txt"))?;
    let mut command = Command::new(python);
    command.arg(sources.join("manifests.py")).args(versions).args(definitions);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let text = text.to_owned();
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success(), "manifests.py fails");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

/// The definitions of the custom resources, as their projects publish them: of the Gateway API the first version that has
/// `GRPCRoute` as v1.
pub(crate) fn definitions() -> Option<Vec<PathBuf>> {
    let gateway = go::module("sigs.k8s.io/gateway-api", "v1.1.0", "h1:DsLDXCi6jR+Xz8/xd0Z1PYl2Pn0TyaFMOPPZIj4inDM=")?;
    let operator = go::module(
        "github.com/prometheus-operator/prometheus-operator",
        "v0.85.0",
        "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
    )?;
    let of = |directory: PathBuf, files: [&str; 2]| files.map(|file| directory.join(file));
    let routes = of(
        gateway.join("config/crd/standard"),
        ["gateway.networking.k8s.io_grpcroutes.yaml", "gateway.networking.k8s.io_httproutes.yaml"],
    );
    let monitors = of(
        operator.join("example/prometheus-operator-crd"),
        ["monitoring.coreos.com_prometheusrules.yaml", "monitoring.coreos.com_servicemonitors.yaml"],
    );
    Some(routes.into_iter().chain(monitors).collect())
}
