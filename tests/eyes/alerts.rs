//! The alert rules: rules at all, of numbers that exist, tried out both ways, and explained.

use std::{collections::BTreeSet, fs, process::Command};

use signet::metrics::Form;
use signet_test_support::programs;

use crate::{known, queries::unknown_in};

const RULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/helm/signet/rules/signet.yaml");
const TRIALS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/eyes/rules_test.yaml");
const MANUAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md");

/// Name and text of each alert.
fn alerts() -> Vec<(String, String)> {
    let rules = fs::read_to_string(RULES).unwrap();
    let alert = |text: &str| {
        let (name, body) = text.split_once('\n').unwrap();
        (name.trim().to_owned(), body.to_owned())
    };
    let alerts: Vec<_> = rules.split("- alert:").skip(1).map(alert).collect();
    assert!(alerts.len() > 10, "the rules are read");
    alerts
}

#[test]
fn promtool_takes_the_rules_and_each_fires_when_it_has_to_and_only_then() {
    let Some(promtool) = programs::program("promtool") else { return };
    for arguments in [["check", "rules", RULES], ["test", "rules", TRIALS]] {
        let output = Command::new(&promtool).args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}");
    }
}

#[test]
fn every_alert_is_tried_out_both_ways() {
    let trials = fs::read_to_string(TRIALS).unwrap();
    for (name, _) in alerts() {
        let of_it = format!("alertname=\"{name}\",alertstate=\"firing\"}}");
        let of_it = trials.split("\n  - name:").filter(|trial| trial.contains(&of_it));
        let (quiet, firing): (Vec<_>, Vec<_>) = of_it.partition(|trial| trial.contains("exp_samples: []"));
        assert!(!quiet.is_empty() && !firing.is_empty(), "{name}");
    }
}

#[test]
fn the_rules_ask_for_numbers_that_exist() {
    let known = known::series(&known::page(Form::Classic));
    for (name, text) in alerts() {
        let query = text.split_once("expr:").unwrap().1.split("\n        labels:").next().unwrap();
        assert_eq!(unknown_in(query, &known), [] as [&str; 0], "{name}");
    }
}

#[test]
fn every_alert_says_how_grave_it_is_and_where_to_read_on() {
    for (name, text) in alerts() {
        let line = |key: &str| {
            let line = text.lines().find_map(|line| line.trim().strip_prefix(key));
            line.unwrap_or_else(|| panic!("{name} has no {key}")).trim()
        };
        assert!(["critical", "warning"].contains(&line("severity:")), "{name}");
        assert!(!line("summary:").is_empty() && !line("description:").is_empty(), "{name}");
        let section = format!("docs/operations.md#{}", name.to_ascii_lowercase());
        assert_eq!(line("runbook_url:"), section, "{name}");
    }
}

#[test]
fn the_manual_explains_every_alert_and_no_other() {
    let manual = fs::read_to_string(MANUAL).unwrap();
    let chapter = manual.split_once("\n## What each alert means\n").unwrap().1.split("\n## ").next().unwrap();
    let sections: Vec<_> = chapter.split("\n### ").skip(1).map(|section| section.split_once('\n').unwrap()).collect();
    let explained: BTreeSet<&str> = sections.iter().map(|(name, _)| *name).collect();
    let alerts = alerts();
    assert_eq!(explained, alerts.iter().map(|(name, _)| name.as_str()).collect());
    for (name, text) in sections {
        for part in ["**Look at**", "**Do**"] {
            assert!(text.contains(part), "{name} does not say what to {part}");
        }
    }
}
