//! The dashboard: whole, and of numbers that exist. Grafana itself is not at hand; its queries are run by `prometheus.rs`.

use std::{collections::BTreeSet, fmt::Write as _, fs, process::Command};

use serde_json::Value;
use signet::metrics::Form;
use signet_test_support::programs;

use crate::{known, queries::unknown_in};

const DASHBOARD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/helm/signet/dashboards/signet.json");

fn dashboard() -> Value {
    serde_json::from_str(&fs::read_to_string(DASHBOARD).unwrap()).unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Title of the panel, and query with values for Grafana's variables.
pub(crate) fn queries() -> Vec<(String, String)> {
    let dashboard = dashboard();
    let targets =
        list(&dashboard["panels"]).iter().flat_map(|panel| list(&panel["targets"]).iter().map(move |t| (panel, t)));
    let query = |(panel, target): (&Value, &Value)| {
        let query = target["expr"].as_str().unwrap().replace("$__rate_interval", "1m").replace("$job", ".*");
        (panel["title"].to_string(), query)
    };
    targets.map(query).collect()
}

#[test]
fn the_dashboard_asks_for_numbers_that_exist() {
    let known = known::series(&known::page(Form::Classic));
    let queries = queries();
    assert!(queries.len() > 30, "the queries are read");
    for (panel, query) in &queries {
        assert_eq!(unknown_in(query, &known), [] as [&str; 0], "{panel}");
        assert!(!query.contains('$'), "a variable that nobody sets: {query}");
    }
    let asked: String = queries.into_iter().map(|(_, query)| query).collect();
    // No number is collected for nobody to see.
    let base = |name: &str| {
        ["_bucket", "_count", "_sum"].into_iter().find_map(|end| name.strip_suffix(end).map(str::to_owned))
    };
    for name in known.keys() {
        let name = base(name).unwrap_or_else(|| name.clone());
        assert!(asked.contains(&name), "{name} is in no panel");
    }
}

#[test]
fn promtool_reads_every_query() {
    let Some(promtool) = programs::program("promtool") else { return };
    let mut rules = "groups:\n  - name: queries\n    rules:\n".to_owned();
    for (number, (_, query)) in queries().iter().enumerate() {
        writeln!(rules, "      - record: panel_{number}\n        expr: '{query}'").unwrap();
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("rules.yaml");
    fs::write(&file, rules).unwrap();
    let output = Command::new(promtool).args(["check", "rules"]).arg(file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_panels_are_whole_and_stand_beside_each_other() {
    let dashboard = dashboard();
    let panels = list(&dashboard["panels"]);
    let (mut ids, mut places) = (BTreeSet::new(), BTreeSet::new());
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
        let place = ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap());
        let [x, y, width, height] = place;
        assert!(x + width <= 24, "{panel}");
        for spot in (x..x + width).flat_map(|x| (y..y + height).map(move |y| (x, y))) {
            assert!(places.insert(spot), "{} lies on another panel", panel["title"]);
        }
        if panel["type"] == "row" {
            continue;
        }
        assert!(!panel["description"].as_str().unwrap().is_empty() && !list(&panel["targets"]).is_empty(), "{panel}");
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{panel}");
        let names: BTreeSet<_> =
            list(&panel["targets"]).iter().map(|target| target["refId"].as_str().unwrap()).collect();
        assert_eq!(names.len(), list(&panel["targets"]).len(), "{panel}");
    }
    let variables: Vec<_> = list(&dashboard["templating"]["list"]).iter().map(|variable| &variable["name"]).collect();
    assert_eq!(variables, ["datasource", "job"]);
}
