//! The chart and the binary have the same settings.

use clap::{Arg, Args as _, Command};
use serde_json::{Value, json};
use signet::config::ServeConfig;

use crate::chart::{self, containers, variables};

fn settings() -> Vec<Arg> {
    ServeConfig::augment_args(Command::new("signet")).get_arguments().cloned().collect()
}

fn variable(arg: &Arg) -> &str {
    arg.get_env().unwrap().to_str().unwrap()
}

/// The default of the binary itself.
fn default(name: &str) -> String {
    let all = settings();
    let setting = all.iter().find(|arg| variable(arg) == name).unwrap();
    setting.get_default_values()[0].to_str().unwrap().to_owned()
}

/// The port that the binary listens on by default.
fn default_port(listener: &str) -> u64 {
    let address = default(&format!("SIGNET_{}_ADDR", listener.to_uppercase()));
    address.rsplit_once(':').unwrap().1.parse().unwrap()
}

#[test]
fn every_variable_that_the_chart_sets_is_a_setting_of_the_binary() {
    let Some(all) = chart::all() else { return };
    let known = settings();
    let is_setting = |name: &str| known.iter().any(|arg| variable(arg) == name);
    let mut seen = 0;
    for (file, rendered) in all {
        for (owner, pod) in rendered.pods() {
            for name in containers(pod).flat_map(|container| variables(container).into_keys()) {
                if name.starts_with("SIGNET_") {
                    assert!(is_setting(name), "{file}: {owner}: {name}");
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 100, "{seen}");
}

#[test]
fn listeners_probes_and_services_have_the_ports_of_the_binary() {
    let Some(all) = chart::all() else { return };
    for (file, rendered) in all {
        let server = rendered.server();
        let host = if file == "production" { "[::]" } else { "0.0.0.0" };
        for listener in ["grpc", "rest", "ops"] {
            let port = default_port(listener);
            let address = variables(server)[format!("SIGNET_{}_ADDR", listener.to_uppercase()).as_str()];
            assert_eq!(address, format!("{host}:{port}"), "{file}");
            let ports = server["ports"].as_array().unwrap();
            let open = ports.iter().find(|open| open["name"] == listener).unwrap();
            assert_eq!(open["containerPort"], port, "{file}");
            let services: Vec<&Value> =
                rendered.of_kind("Service").filter(|service| service["spec"]["ports"][0]["name"] == listener).collect();
            assert!(!services.is_empty(), "{file}: {listener}");
            for service in services {
                assert_eq!(service["spec"]["ports"][0]["targetPort"], listener, "{file}");
                if service["spec"]["clusterIP"] == "None" {
                    assert_eq!(service["spec"]["ports"][0]["port"], port, "{file}: of the pods themselves");
                }
            }
        }
    }
}

#[test]
fn probes_ask_as_the_listener_can_answer_and_liveness_never_for_the_database() {
    let Some(all) = chart::all() else { return };
    let grpc = json!({ "port": default_port("grpc") });
    for (file, rendered) in all {
        let server = rendered.server();
        let tls = variables(server).contains_key("SIGNET_GRPC_TLS_CERT");
        assert_eq!(tls, file.ends_with("tls"), "{file}");
        for name in ["startupProbe", "readinessProbe", "livenessProbe"] {
            let probe = &server[name];
            let database = file == "production" && name == "readinessProbe";
            let (http, path) = match (tls, database) {
                (_, true) => (true, "/readyz"),
                (true, false) => (true, "/livez"),
                (false, false) => (false, ""),
            };
            if http {
                assert_eq!(probe["httpGet"], json!({ "path": path, "port": "ops" }), "{file}: {name}");
                assert_eq!(probe["grpc"], json!(null), "{file}: {name}");
            } else {
                assert_eq!(probe["grpc"], grpc, "{file}: {name}");
                assert_eq!(probe["httpGet"], json!(null), "{file}: {name}");
            }
        }
    }
}

#[test]
fn values_are_the_defaults_of_the_binary_and_numbers_are_written_out() {
    let Some(all) = chart::all() else { return };
    let minimal = variables(all["minimal"].server());
    assert_eq!(minimal["SIGNET_DRAIN_TIMEOUT"], default("SIGNET_DRAIN_TIMEOUT"));
    let production = variables(all["production"].server());
    assert_eq!(production["SIGNET_REST_BODY_BYTES"], "1048576");
    assert_eq!(production["SIGNET_GRPC_REFLECTION"], "false");
    assert_eq!(production["SIGNET_DRAIN_TIMEOUT"], "30s");
}

#[test]
fn a_pod_may_wait_for_its_database_as_long_as_the_service_does() {
    let Some(all) = chart::all() else { return };
    let probe = &all["minimal"].server()["startupProbe"];
    let number = |name: &str| probe[name].as_u64().unwrap();
    let waits = default("SIGNET_DATABASE_START_TIMEOUT");
    let waits = humantime::parse_duration(&waits).unwrap().as_secs();
    assert!(number("periodSeconds") * number("failureThreshold") > waits + 10, "{probe}");
}

#[test]
fn the_version_of_the_service_is_that_of_the_chart() {
    let text = std::fs::read_to_string(chart::path("Chart.yaml")).unwrap();
    let version = concat!("appVersion: \"", env!("CARGO_PKG_VERSION"), "\"");
    assert!(text.lines().any(|line| line == version), "{text}");
}
