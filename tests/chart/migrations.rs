//! Who migrates, and when.

use serde_json::json;

use crate::chart;

#[test]
fn the_mode_says_who_migrates() {
    let Some(all) = chart::all() else { return };
    for (file, jobs, containers) in [
        ("minimal", 1, 0),
        ("migrations-job", 1, 0),
        ("migrations-init-container", 0, 1),
        ("migrations-none", 0, 0),
        ("sqlite", 0, 1),
    ] {
        let rendered = &all[file];
        assert_eq!(rendered.of_kind("Job").count(), jobs, "{file}");
        let inits = &rendered.one("Deployment")["spec"]["template"]["spec"]["initContainers"];
        assert_eq!(inits.as_array().map_or(0, Vec::len), containers, "{file}");
        let job = rendered.of_kind("Job").map(|job| &job["spec"]["template"]["spec"]["containers"][0]);
        for container in job.chain(inits.as_array().into_iter().flatten()) {
            assert_eq!(container["args"], json!(["migrate"]), "{file}");
            assert_eq!(container["image"], rendered.server()["image"], "{file}: the same version");
        }
    }
}

/// On an install nothing else of the release is there yet: what the job needs is a hook before it, or was there before.
#[test]
fn the_job_runs_before_anything_else_and_needs_nothing_of_the_release() {
    let Some(all) = chart::all() else { return };
    for file in ["minimal", "production"] {
        let rendered = &all[file];
        let job = rendered.one("Job");
        let annotations = &job["metadata"]["annotations"];
        assert_eq!(annotations["helm.sh/hook"], "pre-install,pre-upgrade", "{file}");
        assert_eq!(annotations["helm.sh/hook-delete-policy"], "before-hook-creation,hook-succeeded", "{file}");
        let pod = &job["spec"]["template"]["spec"];
        for account in rendered.of_kind("ServiceAccount") {
            assert_ne!(pod["serviceAccountName"], account["metadata"]["name"], "{file}: is made later");
        }
        assert!(!pod.to_string().contains("configMapRef"), "{file}");
        assert_eq!(pod["restartPolicy"], "Never", "{file}: each try leaves its log");
        assert!(job["spec"]["activeDeadlineSeconds"].as_u64().is_some_and(|seconds| seconds > 0), "{file}");
    }
    let annotations = |kind| &all["production"].one(kind)["spec"]["template"]["metadata"]["annotations"];
    assert_eq!(annotations("Deployment"), &json!({ "example.com/inject": "true" }));
    assert_eq!(annotations("Job"), &json!({ "example.com/inject": "false" }), "a sidecar would never let it end");
    let weight = |object: &serde_json::Value| -> i32 {
        object["metadata"]["annotations"]["helm.sh/hook-weight"].as_str().unwrap().parse().unwrap()
    };
    let production = &all["production"];
    let policy = production.of_kind("NetworkPolicy").find(|policy| policy["metadata"]["name"] == "signet-migrate");
    let policy = policy.expect("the job has to reach the database");
    assert!(weight(policy) < weight(production.one("Job")));
    let labels = &production.one("Job")["spec"]["template"]["metadata"]["labels"];
    for (key, value) in policy["spec"]["podSelector"]["matchLabels"].as_object().unwrap() {
        assert_eq!(labels[key], *value);
    }
}

#[test]
fn an_account_that_is_there_can_be_used_for_the_job_too() {
    let account = |set: &str| {
        let rendered = chart::with("minimal", &["--set", set])?.unwrap();
        Some(rendered.one("Job")["spec"]["template"]["spec"]["serviceAccountName"].as_str().unwrap().to_owned())
    };
    let Some(default) = account("serviceAccount.create=true") else { return };
    assert_eq!(default, "default");
    assert_eq!(account("serviceAccount.create=false,serviceAccount.name=mine").unwrap(), "mine");
    assert_eq!(account("migrations.serviceAccountName=theirs,serviceAccount.name=mine").unwrap(), "theirs");
}
