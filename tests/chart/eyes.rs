//! What the chart brings for Prometheus and Grafana.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::chart;

/// Whom the alert misses in the namespace of the tests: what the operator calls a target of the `ServiceMonitor`.
const ABSENT: &str = "absent(signet_build_info{namespace=\"auth\",job=\"signet-ops\"})";

/// The rules of the chart's file after a change of their text.
fn rules(change: impl Fn(String) -> String) -> Option<Value> {
    let rules = change(fs::read_to_string(chart::path("rules/signet.yaml")).unwrap());
    Some(chart::read(&rules, &[], Vec::new())?["objects"][0].take())
}

#[test]
fn the_alert_of_absence_is_about_any_signet_if_the_chart_does_not_say_who_is_scraped() {
    let arguments = ["--set", "metrics.serviceMonitor.enabled=false"];
    let (Some(rendered), Some(rules)) = (chart::with("production", &arguments), rules(|rules| rules)) else { return };
    assert_eq!(rendered.unwrap().one("PrometheusRule")["spec"], rules);
}

#[test]
fn the_alert_of_absence_asks_for_the_job_that_the_monitor_makes() {
    let Some(rendered) = chart::one("production") else { return };
    // The operator calls a job like the Service, unless it is told of a label.
    assert_eq!(rendered.one("ServiceMonitor")["spec"]["jobLabel"], Value::Null);
    let service = rendered.of_kind("Service").find(|service| service["spec"]["ports"][0]["name"] == "ops").unwrap();
    let job = service["metadata"]["name"].as_str().unwrap();
    assert_eq!(ABSENT, format!("absent(signet_build_info{{namespace=\"{}\",job=\"{job}\"}})", chart::NAMESPACE));
}

#[test]
fn runbooks_are_where_the_files_are_served() {
    for base in ["https://git.example.com/signet/-/blob/v1", "https://git.example.com/signet/-/blob/v1/"] {
        let setting = format!("metrics.prometheusRule.runbookBaseUrl={base}");
        let Some(rendered) = chart::with("production", &["--set", &setting]) else { return };
        let rendered = rendered.unwrap();
        let rules = rendered.one("PrometheusRule")["spec"]["groups"][0]["rules"].as_array().unwrap();
        for rule in rules {
            let name = rule["alert"].as_str().unwrap().to_ascii_lowercase();
            let section = format!("https://git.example.com/signet/-/blob/v1/docs/operations.md#{name}");
            assert_eq!(rule["annotations"]["runbook_url"], section.as_str());
        }
    }
    let refused = chart::with("production", &["--set", "metrics.prometheusRule.runbookBaseUrl=docs"]);
    assert!(refused.is_none_or(|refused| refused.is_err()), "no URL");
}

#[test]
fn the_alerts_and_the_dashboard_are_the_files_of_the_chart() {
    let Some(rendered) = chart::one("production") else { return };
    let Some(rules) = rules(|rules| rules) else { return };
    // Nothing but whom it misses.
    let Some(own) = self::rules(|rules| rules.replace("absent(signet_build_info)", ABSENT)) else { return };
    assert_ne!(rules, own);
    assert_eq!(rendered.one("PrometheusRule")["spec"], own);

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
