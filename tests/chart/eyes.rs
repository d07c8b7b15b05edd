//! What the chart brings for Prometheus and Grafana.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::chart;

#[test]
fn the_alerts_and_the_dashboard_are_the_files_of_the_chart() {
    let Some(rendered) = chart::one("production") else { return };
    let rules = fs::read_to_string(chart::path("rules/signet.yaml")).unwrap();
    let Some(rules) = chart::read(&rules, &[], Vec::new()) else { return };
    assert_eq!(rendered.one("PrometheusRule")["spec"], rules["objects"][0]);

    let board = fs::read_to_string(chart::path("dashboards/signet.json")).unwrap();
    let config = rendered.one("ConfigMap");
    assert_eq!(config["metadata"]["labels"]["grafana_dashboard"], "1");
    let kept: Value = serde_json::from_str(config["data"]["signet.json"].as_str().unwrap()).unwrap();
    assert_eq!(kept, serde_json::from_str::<Value>(&board).unwrap());
}

#[test]
fn prometheus_finds_the_metrics() {
    let Some(rendered) = chart::one("production") else { return };
    let monitor = rendered.one("ServiceMonitor");
    assert_eq!(monitor["metadata"]["labels"]["release"], "prometheus");
    let endpoint = &monitor["spec"]["endpoints"][0];
    assert_eq!((&endpoint["port"], &endpoint["path"]), (&json!("ops"), &json!("/metrics")));
    let wanted = monitor["spec"]["selector"]["matchLabels"].as_object().unwrap();
    let found: Vec<&Value> = rendered
        .of_kind("Service")
        .filter(|service| wanted.iter().all(|(key, value)| service["metadata"]["labels"][key] == *value))
        .collect();
    let [service] = found[..] else { panic!("{found:?}") };
    assert_eq!(service["spec"]["ports"][0]["name"], "ops");
    assert_eq!(monitor["spec"]["namespaceSelector"]["matchNames"], json!([chart::NAMESPACE]));
}

/// An autoscaler that waits for numbers of another name does nothing, and says so only in its status.
#[test]
fn the_numbers_that_values_files_name_are_numbers_of_the_service() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let known = fs::read_to_string(page).unwrap();
    let mut seen = 0;
    for name in chart::values_files() {
        let text = fs::read_to_string(chart::path(&format!("ci/{name}-values.yaml"))).unwrap();
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        for word in words.filter(|word| word.starts_with("signet_")) {
            assert!(known.contains(&format!("| `{word}` |")), "{name}: {word}");
            seen += 1;
        }
    }
    assert!(seen > 0);
}
