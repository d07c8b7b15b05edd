//! Whether Kubernetes takes what the chart renders: by its schemas, oldest and newest, and by a real API server.

use std::{
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use signet_test_support::{process::PATIENCE, programs};

use crate::{
    api_server::{self, ApiServer, collection},
    chart::{self, NAMESPACE},
};

const JOB: &str = "/apis/batch/v1/namespaces/auth/jobs/signet-migrate";
const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/auth/deployments/signet";

#[test]
fn helm_has_nothing_against_the_chart_with_any_values() {
    let directory = chart::path("");
    let mut arguments = vec![None];
    arguments.extend(chart::values_files().into_iter().map(Some));
    for name in arguments {
        let values = name.map(|name| chart::path(&format!("ci/{name}-values.yaml")).to_str().unwrap().to_owned());
        let mut all = vec!["lint", "--strict", directory.to_str().unwrap()];
        all.extend(values.iter().flat_map(|values| ["--values", values]));
        let Some(output) = chart::helm(&all) else { return };
        assert!(output.status.success(), "{values:?}: {}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn every_object_is_valid_by_the_schemas_of_the_oldest_and_the_newest_kubernetes() {
    let Some(all) = chart::all() else { return };
    assert!(all.len() >= 10, "{:?}", all.keys());
    for (name, rendered) in all {
        assert!(rendered.objects.len() >= 5, "{name}");
        assert!(rendered.problems.is_empty(), "{name}: {:#?}", rendered.problems);
        for object in &rendered.objects {
            let length = object["metadata"]["name"].as_str().unwrap().len();
            assert!(length <= 63, "{name}");
        }
    }
}

/// A test of the test before: it has to find what it is there for.
#[test]
fn a_field_that_kubernetes_does_not_know_is_found() {
    let Some(text) = chart::template("gateway-api", &[]) else { return };
    let wrong = text.unwrap().replace("appProtocol:", "appProtokol:").replace("sectionName:", "section:");
    let Some(definitions) = chart::definitions() else { return };
    let Some(read) = chart::read(&wrong, &chart::KUBERNETES, definitions) else { return };
    let problems = read["problems"].to_string();
    for part in ["Service signet-grpc: by 1.30", "by 1.37", "appProtokol", "GRPCRoute signet-grpc: by its definition"] {
        assert!(problems.contains(part), "{problems}");
    }
}

#[test]
fn an_api_server_takes_every_object_without_a_warning() {
    let Some(all) = chart::all() else { return };
    let Some(mut server) = api_server::shared() else { return };
    for (name, rendered) in all {
        for object in &rendered.objects {
            // A dry run makes no account, and a pod needs one.
            let mut object = object.clone();
            if object["kind"] == "Pod" {
                object["spec"]["serviceAccountName"] = json!("default");
            }
            check(&mut server, name, &object);
            if let Some(template) = object.pointer("/spec/template").filter(|_| object["kind"] != "Pod") {
                let mut pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": template["metadata"] });
                pod["metadata"]["name"] = json!("of-the-template");
                pod["spec"] = template["spec"].clone();
                pod["spec"]["serviceAccountName"] = json!("default");
                check(&mut server, name, &pod);
            }
        }
    }
    let mut unknown = all["minimal"].one("Deployment").clone();
    unknown["spec"]["template"]["spec"]["containers"][0]["probe"] = json!({});
    assert_eq!(server.post(&strict(&unknown), &unknown).status, 400, "unknown fields are refused");
    let mut privileged = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "x" } });
    privileged["spec"] = json!({ "containers": [{ "name": "x", "image": "x" }] });
    let refused = server.post(&strict(&privileged), &privileged);
    assert_eq!(refused.status, 403, "pods without restrictions are not taken: {refused:?}");
}

#[track_caller]
fn check(server: &mut ApiServer, name: &str, object: &Value) {
    let answer = server.post(&strict(object), object);
    assert!(answer.status == 201 && answer.warnings.is_empty(), "{name}: {}: {answer:?}", object["kind"]);
}

fn strict(object: &Value) -> String {
    format!("{}?dryRun=All&fieldValidation=Strict", collection(object))
}

/// The test plays the controllers: it says how the job ended.
#[test]
fn a_release_migrates_first_and_can_be_upgraded_to_any_other_values() {
    let Some(mut server) = api_server::shared() else { return };
    let install = start(&server, &["install"], "minimal");
    wait_for_job(&mut server);
    assert_eq!(server.get(DEPLOYMENT).status, 404, "nothing else is there while the job runs");
    finish_job(&mut server, &["SuccessCriteriaMet", "Complete"]);
    let installed = end(install);
    assert!(installed.status.success(), "{installed:?}");
    assert_eq!(server.get(JOB).status, 404, "a job that went well is gone");
    let first = server.get(DEPLOYMENT).body;
    assert_eq!(first["spec"]["replicas"], 2);

    let upgrade = start(&server, &["upgrade", "--set", "settings.SIGNET_LOG=debug"], "minimal");
    wait_for_job(&mut server);
    finish_job(&mut server, &["FailureTarget", "Failed"]);
    assert!(!end(upgrade).status.success(), "a migration that failed stops the upgrade");
    assert_eq!(server.get(DEPLOYMENT).body["spec"], first["spec"], "the pods of before go on");
    assert_eq!(server.get(JOB).status, 200, "for its logs");

    turn_autoscaling_on(&mut server);
    // The hooks are left out from here on: what counts is that no field is changed that cannot be.
    let names = chart::values_files();
    for name in names.iter().chain([&names[0]]) {
        let upgraded = end(start(&server, &["upgrade", "--no-hooks"], name));
        assert!(upgraded.status.success(), "to {name}: {}", String::from_utf8_lossy(&upgraded.stderr));
    }
    let gone = end(helm(&server, &["uninstall", "signet", "--namespace", NAMESPACE]));
    assert!(gone.status.success(), "{gone:?}");
    assert_eq!(server.get("/api/v1/namespaces/auth/persistentvolumeclaims/signet").status, 200, "data stay");
}

/// Without a number in the manifest Kubernetes would make one pod of them all until the autoscaler acts.
fn turn_autoscaling_on(server: &mut ApiServer) {
    // The latter is a service that is stopped, for a restore.
    for replicas in [7, 0] {
        let scaled = server.patch(&format!("{DEPLOYMENT}/scale"), &json!({ "spec": { "replicas": replicas } }));
        assert_eq!(scaled.status, 200, "{scaled:?}");
        let upgraded = end(start(server, &["upgrade", "--no-hooks", "--set", "autoscaling.enabled=true"], "minimal"));
        assert!(upgraded.status.success(), "{upgraded:?}");
        assert_eq!(server.get(DEPLOYMENT).body["spec"]["replicas"], replicas);
    }
}

fn start(server: &ApiServer, arguments: &[&str], values: &str) -> std::process::Child {
    let (directory, values) = (chart::path(""), chart::path(&format!("ci/{values}-values.yaml")));
    let mut all = arguments.to_vec();
    all.extend(["signet", directory.to_str().unwrap(), "--namespace", NAMESPACE, "--timeout", "60s"]);
    all.extend(["--values", values.to_str().unwrap()]);
    helm(server, &all)
}

fn helm(server: &ApiServer, arguments: &[&str]) -> std::process::Child {
    let mut command = Command::new(programs::program("helm").unwrap());
    command.args(arguments).env("KUBECONFIG", server.kubeconfig());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Helm bounds itself.
fn end(helm: std::process::Child) -> Output {
    helm.wait_with_output().unwrap()
}

/// Waits for a job that has not ended.
fn wait_for_job(server: &mut ApiServer) {
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        let job = server.get(JOB);
        if job.status == 200 && job.body["status"]["conditions"].is_null() {
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("no job after {PATIENCE:?}");
}

fn finish_job(server: &mut ApiServer, conditions: &[&str]) {
    let now = "2026-11-22T12:00:00Z";
    let conditions: Vec<Value> = conditions
        .iter()
        .map(|name| json!({ "type": name, "status": "True", "reason": "Test", "lastTransitionTime": now }))
        .collect();
    let mut status = json!({ "startTime": now, "conditions": conditions });
    if conditions.iter().any(|condition| condition["type"] == "Complete") {
        status["completionTime"] = json!(now);
        status["succeeded"] = json!(1);
    } else {
        status["failed"] = json!(1);
    }
    let answer = server.patch(&format!("{JOB}/status"), &json!({ "status": status }));
    assert_eq!(answer.status, 200, "{answer:?}");
}
