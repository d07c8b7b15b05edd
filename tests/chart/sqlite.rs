//! A SQLite file serves one process.

use serde_json::json;

use crate::chart;

#[test]
fn sqlite_has_one_replica_that_is_gone_before_the_next_one_starts() {
    let Some(all) = chart::all() else { return };
    for name in ["sqlite", "openshift"] {
        let rendered = &all[name];
        let spec = &rendered.one("Deployment")["spec"];
        assert_eq!((&spec["replicas"], &spec["strategy"]), (&json!(1), &json!({ "type": "Recreate" })), "{name}");
        for kind in ["HorizontalPodAutoscaler", "PodDisruptionBudget", "Job"] {
            assert_eq!(rendered.of_kind(kind).count(), 0, "{name}: {kind}");
        }
        let pod = &spec["template"]["spec"];
        assert_eq!(pod["initContainers"][0]["args"], json!(["migrate"]), "{name}");
        for container in chart::containers(pod) {
            assert_eq!(chart::variables(container)["SIGNET_DATABASE_URL"], "sqlite:///var/lib/signet/signet.db");
            let mounts = container["volumeMounts"].as_array().unwrap();
            assert!(mounts.contains(&json!({ "name": "data", "mountPath": "/var/lib/signet" })), "{name}");
        }
    }
}

#[test]
fn the_volume_outlives_the_release_unless_it_is_somebody_elses() {
    let Some(all) = chart::all() else { return };
    let claim = all["sqlite"].one("PersistentVolumeClaim");
    assert_eq!(claim["metadata"]["annotations"]["helm.sh/resource-policy"], "keep");
    assert_eq!(claim["spec"]["accessModes"], json!(["ReadWriteOnce"]));
    assert_eq!(all["openshift"].of_kind("PersistentVolumeClaim").count(), 0);
    let volumes = &all["openshift"].one("Deployment")["spec"]["template"]["spec"]["volumes"];
    let data = volumes.as_array().unwrap().iter().find(|volume| volume["name"] == "data").unwrap();
    assert_eq!(data["persistentVolumeClaim"]["claimName"], "signet-data");
}

/// Whichever way somebody asks for two, there are never two.
#[test]
fn two_replicas_are_refused() {
    for (set, message) in [
        ("replicaCount=2", "replicaCount must be 1 with database.engine sqlite"),
        ("autoscaling.enabled=true", "autoscaling.enabled must be false with database.engine sqlite"),
        ("migrations.mode=job", "migrations.mode must be initContainer or none with database.engine sqlite"),
        ("database.existingSecret.name=signet", "are for database.engine postgres"),
    ] {
        let Some(refused) = chart::with("sqlite", &["--set", set]) else { return };
        let refusal = refused.unwrap_err();
        assert!(refusal.contains(message), "{refusal}");
    }
    let none = chart::with("sqlite", &["--set", "replicaCount=0"]).unwrap().unwrap();
    assert_eq!(none.one("Deployment")["spec"]["replicas"], 0, "stopped, for a copy of the file");
}

#[test]
fn postgres_has_two_replicas_or_as_many_as_the_autoscaler_says() {
    let Some(all) = chart::all() else { return };
    let deployment = all["minimal"].one("Deployment");
    assert_eq!(deployment["spec"]["replicas"], 2);
    assert_eq!(deployment["spec"]["strategy"]["rollingUpdate"], json!({ "maxUnavailable": 0, "maxSurge": 1 }));
    let autoscaled = all["production"].one("Deployment");
    assert_eq!(autoscaled["spec"]["replicas"], json!(null), "an upgrade would undo what the autoscaler did");
    let target = &all["production"].one("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"];
    assert_eq!(target["name"], autoscaled["metadata"]["name"]);
}
