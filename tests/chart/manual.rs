//! What docs/operations.md says about Kubernetes: names, values and lines that fit each other, the chart and the cluster.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use serde_json::{Value, json};

use crate::{
    api_server::{self, collection},
    chart::{self, Rendered},
    notes::made,
};

fn page() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md")).unwrap()
}

/// What is below a heading, down to the next one.
fn section(heading: &str) -> String {
    let page = page();
    let section = page.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no {heading}")).1;
    section.split("\n##").next().unwrap().to_owned()
}

/// The blocks of a language; those within lists are indented.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, bool, String)> = None;
    for line in text.lines() {
        let fence = line.trim_start().strip_prefix("```");
        match (fence, open.take()) {
            (Some(name), None) => open = Some((line.len() - line.trim_start().len(), name == language, String::new())),
            (Some(_), Some((_, true, block))) => blocks.push(block.replace("\\\n", " ")),
            (None, Some((indent, wanted, block))) => {
                open = Some((indent, wanted, block + line.get(indent..).unwrap_or_default() + "\n"));
            }
            (_, None | Some(_)) => {}
        }
    }
    blocks
}

/// The release that the page installs, with further values over its own.
fn installed(further: &str) -> Option<Rendered> {
    let directory = tempfile::tempdir().unwrap();
    let [values] = &blocks(&section("### On Kubernetes"), "yaml")[..] else { panic!("one values.yaml") };
    let [first, second] = ["first.yaml", "second.yaml"].map(|file| directory.path().join(file));
    fs::write(&first, values).unwrap();
    fs::write(&second, further).unwrap();
    Some(chart::of_file(&first, &["--values", second.to_str().unwrap()])?.unwrap())
}

#[test]
fn the_page_makes_the_secrets_that_its_values_name() {
    let Some(rendered) = installed("") else { return };
    let lines = blocks(&section("### On Kubernetes"), "sh").concat();
    assert_eq!(made(&lines), rendered.secrets());
    assert_eq!(rendered.secrets().len(), 3);
}

#[test]
fn every_line_names_the_same_release_and_waits_for_longer_than_the_job_may_take() {
    let Some(rendered) = installed("") else { return };
    let job = rendered.one("Job")["spec"]["activeDeadlineSeconds"].as_u64().unwrap();
    let mut seen = BTreeMap::<&str, usize>::new();
    let blocks = blocks(&page(), "sh");
    for line in blocks.iter().flat_map(|block| block.lines()) {
        if let Some(rest) = line.strip_prefix("helm ") {
            let verb = rest.strip_prefix("-n auth ").unwrap_or_else(|| panic!("{line}")).split(' ').next().unwrap();
            *seen.entry(verb).or_default() += 1;
            if ["install", "upgrade"].contains(&verb) {
                assert!(
                    line.contains(" signet helm/signet --values values.yaml ") && line.contains(" --wait "),
                    "{line}"
                );
                let minutes = line.split_once(" --timeout ").unwrap().1.strip_suffix('m').unwrap();
                assert!(minutes.parse::<u64>().unwrap() * 60 > job, "{line}");
            }
        }
        if line.starts_with("kubectl ") && line != "kubectl create namespace auth" {
            assert!(line.starts_with("kubectl -n auth "), "{line}");
            assert!(!line.contains("deploy/") || line.contains("deploy/signet "), "{line}");
            *seen.entry("kubectl").or_default() += 1;
        }
    }
    assert!(seen["install"] == 1 && seen["upgrade"] == 3 && seen["kubectl"] > 15, "{seen:?}");
    assert!(!page().contains("--reuse-values"), "it would undo, or be undone by, what is in values.yaml");
}

#[test]
fn the_steps_of_an_exchange_of_the_master_key_mount_the_keys_that_they_tell() {
    let steps = blocks(&section("### The master key"), "yaml");
    let expected = [
        json!([{ "key": "master-key", "path": "master-key" }, { "key": "master-key-2", "path": "previous-master-key" }]),
        json!([{ "key": "master-key", "path": "previous-master-key" }, { "key": "master-key-2", "path": "master-key" }]),
        json!([{ "key": "master-key-2", "path": "master-key" }]),
    ];
    assert_eq!(steps.len(), expected.len(), "{steps:?}");
    for (step, expected) in steps.iter().zip(expected) {
        let Some(rendered) = installed(step) else { return };
        let volumes = &rendered.one("Deployment")["spec"]["template"]["spec"]["volumes"];
        let keys = volumes.as_array().unwrap().iter().find(|volume| volume["name"] == "keys").unwrap();
        assert_eq!(keys["secret"]["items"], expected, "{step}");
        assert_eq!(keys["secret"]["secretName"], "signet-master-key", "{step}");
    }
}

#[test]
fn the_page_names_the_values_that_bring_alerts_and_dashboard() {
    let Some(default) = installed("") else { return };
    for (value, kind) in
        [("serviceMonitor", "ServiceMonitor"), ("prometheusRule", "PrometheusRule"), ("dashboard", "ConfigMap")]
    {
        assert_eq!(default.of_kind(kind).count(), 0, "{value}");
        assert_eq!(installed(&format!("metrics: {{{value}: {{enabled: true}}}}")).unwrap().of_kind(kind).count(), 1);
        for heading in ["### On Kubernetes", "### Metrics"] {
            assert!(section(heading).contains(&format!("`metrics.{value}.enabled`")), "{heading}: {value}");
        }
    }
}

const RESTORE: &str = "### On Kubernetes, with either database";

#[test]
fn the_pod_of_a_restore_is_taken_by_the_cluster_and_has_the_volume_of_the_service() {
    let Some(trial) = chart::one("sqlite") else { return };
    let [manifest] = &blocks(&section(RESTORE), "yaml")[..] else { panic!("one manifest") };
    let Some(read) = chart::read(manifest, &[], Vec::new()) else { return };
    let pod = &read["objects"][0];
    let Some(mut server) = api_server::shared() else { return };
    let answer = server.post(&format!("{}?dryRun=All&fieldValidation=Strict", collection(pod)), pod);
    assert!(answer.status == 201 && answer.warnings.is_empty(), "{answer:?}");

    let service = &trial.one("Deployment")["spec"]["template"]["spec"];
    assert_eq!(pod["spec"]["securityContext"], service["securityContext"], "the files have the same owner");
    let claim = &pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"];
    assert_eq!(*claim, trial.one("PersistentVolumeClaim")["metadata"]["name"]);
    let mount = &pod["spec"]["containers"][0]["volumeMounts"][0];
    assert!(service["containers"][0]["volumeMounts"].as_array().unwrap().contains(mount), "{mount}");
}

#[test]
fn the_pods_that_a_restore_waits_for_are_those_of_the_service() {
    let Some(rendered) = installed("") else { return };
    let lines = blocks(&section(RESTORE), "sh").concat();
    let selector = lines.split_once("--selector=").unwrap().1.split_whitespace().next().unwrap();
    let labels = &rendered.one("Deployment")["spec"]["template"]["metadata"]["labels"];
    for pair in selector.split(',') {
        let (name, value) = pair.split_once('=').unwrap();
        assert_eq!(labels[name], Value::from(value), "{selector}");
    }
    let migrates = &rendered.one("Job")["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/component"];
    assert!(!selector.ends_with(migrates.as_str().unwrap()));
    let stopped = installed("replicaCount: 0").unwrap();
    assert_eq!(stopped.one("Deployment")["spec"]["replicas"], 0, "the job migrates, and no pod is started");
}

/// What the page runs in the pod, run here.
#[test]
fn a_restore_puts_the_file_in_the_place_of_the_old_one_and_its_log() {
    let directory = tempfile::tempdir().unwrap();
    let volume = directory.path().join("volume");
    fs::create_dir(&volume).unwrap();
    for file in ["signet.db", "signet.db-wal", "signet.db-shm"] {
        fs::write(volume.join(file), "old").unwrap();
    }
    fs::write(directory.path().join("signet.db"), "backup").unwrap();
    let blocks = blocks(&section(RESTORE), "sh").concat();
    let inside: Vec<&str> = blocks.lines().filter_map(|line| Some(line.split_once(" signet-restore -- ")?.1)).collect();
    assert_eq!(inside.len(), 3, "{inside:?}");
    let script = inside.join("\n").replace("/var/lib/signet", volume.to_str().unwrap());
    let output = Command::new("sh").args(["-euc", &script]).current_dir(directory.path()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let left: Vec<_> = fs::read_dir(&volume).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["signet.db"]);
    assert_eq!(fs::read(volume.join("signet.db")).unwrap(), b"backup");
}
