//! What holds for every pod.

use serde_json::json;

use crate::chart::{self, containers};

#[test]
fn no_pod_can_do_more_than_it_must() {
    let Some(all) = chart::all() else { return };
    let mut pods = 0;
    for (name, rendered) in all {
        for (owner, pod) in rendered.pods() {
            pods += 1;
            let at = format!("{name}: {owner}");
            assert_eq!(pod["automountServiceAccountToken"], false, "{at}");
            assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{at}");
            let user = if name == "openshift" { json!(null) } else { json!(65_532) };
            for field in ["runAsUser", "runAsGroup", "fsGroup"] {
                assert_eq!(pod["securityContext"][field], user, "{at}");
            }
            assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault", "{at}");
            for field in ["hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"] {
                assert_eq!(pod[field], json!(null), "{at}");
            }
            for container in containers(pod) {
                let expected = json!({
                    "allowPrivilegeEscalation": false,
                    "readOnlyRootFilesystem": true,
                    "capabilities": { "drop": ["ALL"] },
                });
                assert_eq!(container["securityContext"], expected, "{at}");
                assert!(container["resources"]["limits"]["memory"].is_string(), "{at}");
                assert!(container["resources"]["requests"]["cpu"].is_string(), "{at}");
                assert_eq!(container["command"], json!(null), "{at}: the image says what is run");
            }
        }
    }
    assert!(pods > 20, "{pods}");
}

/// For a service called signet Kubernetes would set `SIGNET_PORT`, which is no setting.
#[test]
fn no_pod_is_told_of_services_by_variables() {
    let Some(all) = chart::all() else { return };
    for (name, rendered) in all {
        for (owner, pod) in rendered.pods() {
            assert_eq!(pod["enableServiceLinks"], false, "{name}: {owner}");
        }
    }
}

/// The selector of a Deployment cannot be changed: with another one no release could be upgraded.
#[test]
fn the_selector_never_changes_and_finds_the_pods_of_the_service_alone() {
    let Some(all) = chart::all() else { return };
    let selector = json!({
        "app.kubernetes.io/component": "server",
        "app.kubernetes.io/instance": "signet",
        "app.kubernetes.io/name": "signet",
    });
    for (name, rendered) in all {
        let spec = &rendered.one("Deployment")["spec"];
        assert_eq!(spec["selector"]["matchLabels"], selector, "{name}");
        let selected =
            |labels: &serde_json::Value| selector.as_object().unwrap().iter().all(|(key, value)| labels[key] == *value);
        assert!(selected(&spec["template"]["metadata"]["labels"]), "{name}");
        for service in rendered.of_kind("Service") {
            assert_eq!(service["spec"]["selector"], selector, "{name}");
        }
        for budget in rendered.of_kind("PodDisruptionBudget") {
            assert_eq!(budget["spec"]["selector"]["matchLabels"], selector, "{name}");
        }
        let others = rendered.of_kind("Job").map(|job| &job["spec"]["template"]).chain(rendered.of_kind("Pod"));
        for other in others {
            assert!(!selected(&other["metadata"]["labels"]), "{name}: takes calls");
        }
    }
}

#[test]
fn labels_of_the_user_are_everywhere_but_in_selectors() {
    let Some(rendered) = chart::one("production") else { return };
    for object in &rendered.objects {
        assert_eq!(object["metadata"]["labels"]["team"], "identity", "{}", object["kind"]);
    }
    let pod = &rendered.one("Deployment")["spec"]["template"]["metadata"]["labels"];
    assert_eq!((&pod["team"], &pod["example.com/tier"]), (&json!("identity"), &json!("backend")));
    let arguments = ["--set", r"podLabels.app\.kubernetes\.io/component=evil"];
    let Some(rendered) = chart::with("minimal", &arguments) else { return };
    let rendered = rendered.unwrap();
    let labels = &rendered.one("Deployment")["spec"]["template"]["metadata"]["labels"];
    assert_eq!(labels["app.kubernetes.io/component"], "server", "nobody takes the service from its pods");
}

#[test]
fn every_pod_waits_longer_for_its_end_than_the_service_may_take() {
    let Some(all) = chart::all() else { return };
    let seconds = |text: &str| text.strip_suffix('s').unwrap().parse::<u64>().unwrap();
    for (name, rendered) in all {
        let pod = &rendered.one("Deployment")["spec"]["template"]["spec"];
        let server = rendered.server();
        let delay = seconds(chart::variables(server)["SIGNET_STOP_DELAY"]);
        let drain = seconds(chart::variables(server)["SIGNET_DRAIN_TIMEOUT"]);
        assert!(pod["terminationGracePeriodSeconds"].as_u64().unwrap() >= delay + drain + 5, "{name}");
        assert_eq!(delay > 0, name != "openshift", "{name}");
    }
}

#[test]
fn a_changed_setting_replaces_the_pods_and_a_new_version_of_the_chart_alone_does_not() {
    let template = |arguments: &[&str]| {
        let rendered = chart::with("minimal", arguments)?.unwrap();
        Some(rendered.one("Deployment")["spec"]["template"].clone())
    };
    let Some(first) = template(&[]) else { return };
    assert_ne!(template(&["--set", "settings.SIGNET_LOG=debug"]).unwrap(), first);
    assert_eq!(template(&["--set", "podDisruptionBudget.enabled=false"]).unwrap(), first);
    assert!(!first.to_string().contains("helm.sh/chart"), "{first}");
}

#[test]
fn an_image_is_named_by_its_digest_its_tag_or_the_version() {
    let Some(all) = chart::all() else { return };
    let version = env!("CARGO_PKG_VERSION");
    let digest = format!("@sha256:{}", "0".repeat(64));
    for (name, end) in
        [("production", digest), ("ingress", ":0.1.0-rc.1".to_owned()), ("minimal", format!(":{version}"))]
    {
        for (owner, pod) in all[name].pods() {
            for container in containers(pod) {
                assert_eq!(container["image"], format!("registry.example.com/signet{end}"), "{name}: {owner}");
            }
        }
    }
}
