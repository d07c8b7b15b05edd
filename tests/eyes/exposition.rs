//! The page of numbers, by those who read such pages: `promtool` the classic form, the parser of the Prometheus project the other.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Output, Stdio},
};

use signet::{domain::event::EventKind, metrics::Form};
use signet_test_support::{Engine, programs, python};

use crate::{
    http,
    installation::{self, Installation, PASSWORD, VERIFIED},
    known,
    process::wait_for,
};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/eyes/python/open_metrics.py");
const REQUIREMENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/eyes/python/requirements.txt");
/// What asks for events by their kind.
const ASKERS: [&str; 3] = [
    concat!(env!("CARGO_MANIFEST_DIR"), "/helm/signet/rules/signet.yaml"),
    concat!(env!("CARGO_MANIFEST_DIR"), "/helm/signet/dashboards/signet.json"),
    concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md"),
];
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0";

fn fed(command: &mut Command, page: &str) -> Output {
    let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Who finds a fault may stop reading.
    drop(process.stdin.take().unwrap().write_all(page.as_bytes()));
    process.wait_with_output().unwrap()
}

/// Fails unless `promtool` finds nothing to complain of.
#[track_caller]
fn assert_clean(promtool: &Path, page: &str) {
    let output = fed(Command::new(promtool).args(["check", "metrics"]), page);
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.is_empty(), "{said}");
}

/// The families of a page and their types, as the parser finds them.
fn families(python: &Path, page: &str) -> BTreeMap<String, String> {
    let output = fed(Command::new(python).arg(SCRIPT), page);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn every_number_there_can_be_is_well_formed() {
    if let Some(promtool) = programs::program("promtool") {
        assert_clean(&promtool, &known::page(Form::Classic));
        let output = fed(Command::new(promtool).args(["check", "metrics"]), &known::page(Form::OpenMetrics));
        assert!(!output.stderr.is_empty(), "it is not easily pleased");
    }
    let Some(python) = python::environment("open-metrics", Path::new(REQUIREMENTS)) else { return };
    let families = families(&python, &known::page(Form::OpenMetrics));
    let of = |name: &str| families.get(name).map(String::as_str);
    assert_eq!(of("signet_rpcs"), Some("counter"));
    assert_eq!(of("signet_build"), Some("info"));
    assert_eq!(of("signet_rpc_duration_seconds"), Some("histogram"));
    assert_eq!(of("signet_clock_offset_seconds"), Some("gauge"));
    assert_eq!(fed(Command::new(&python).arg(SCRIPT), &known::page(Form::Classic)).status.code(), Some(1));
}

/// The kinds of events that a text asks for in queries.
fn kinds_in(text: &str) -> BTreeSet<String> {
    // In JSON the quotes are escaped.
    let text = text.replace("\\\"", "\"");
    let asked = text.split("signet_events_total{kind=").skip(1).map(|rest| rest.split('"').nth(1).unwrap().to_owned());
    asked.flat_map(|kinds| kinds.split('|').map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_bursts_are_seen_by_is_zero_before_the_first_of_them() {
    let installation = Installation::on(Engine::Sqlite).await.unwrap();
    let service = installation.serve(&[]);
    let page = http::metrics(&service.ops, "text/plain");
    let asked: BTreeSet<String> = ASKERS.iter().flat_map(|file| kinds_in(&fs::read_to_string(file).unwrap())).collect();
    assert!(asked.len() > 4 && asked.contains("refresh.reused"), "the queries are read: {asked:?}");
    for kind in asked {
        let kind = EventKind::parse(&kind).unwrap();
        let mut causes: Vec<&str> = kind.causes().iter().map(|cause| cause.as_str()).collect();
        if causes.is_empty() || kind == EventKind::SignedIn {
            causes.push("");
        }
        let begins = format!("signet_events_total{{kind=\"{}\",", kind.as_str());
        assert_eq!(page.lines().filter(|line| line.starts_with(&begins)).count(), causes.len(), "{kind:?} in {page}");
        for cause in causes {
            let line = format!("{begins}cause=\"{cause}\"}} 0");
            assert!(page.lines().any(|each| each == line), "{line} in {page}");
        }
    }

    let gateway = installation::gateway(&[("SIGNET_UPSTREAM", format!("http://{}", service.grpc))]);
    // Shown when it has first been asked.
    let page = wait_for(|| {
        let page = http::metrics(&gateway.ops, "text/plain");
        page.contains("signet_dependency_up{dependency=\"upstream\"}").then_some(page)
    });
    assert!(!page.contains("signet_events_total{"), "a gateway has no audit trail: {page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_service_shows_what_it_did_in_both_forms() {
    let installation = Installation::on(Engine::Sqlite).await.unwrap();
    let service = installation.serve(&[]);
    assert_eq!(installation.sign_in(&service.rest, VERIFIED, PASSWORD, "").0, 200);
    assert_eq!(installation.sign_in(&service.rest, VERIFIED, "another", "").0, 401);

    let classic = http::metrics(&service.ops, "text/plain");
    for line in [
        "signet_rpcs_total{rpc=\"auth.v1.AuthService/AuthenticatePassword\",outcome=\"INVALID_CREDENTIALS\"} 1",
        "signet_rest_requests_total{dialect=\"canonical\",status=\"2xx\"} 1",
        "signet_rest_requests_total{dialect=\"canonical\",status=\"4xx\"} 1",
        "signet_events_total{kind=\"user.signed_in\",cause=\"\"} 1",
        "signet_events_total{kind=\"password.failed\",cause=\"wrong_password\"} 1",
        "signet_database_failures_total{cause=\"no_connection\"} 0",
        "signet_hash_duration_seconds_count{scheme=\"argon2id\"} 2",
    ] {
        assert!(classic.lines().any(|each| each == line), "{line} in {classic}");
    }
    if let Some(promtool) = programs::program("promtool") {
        assert_clean(&promtool, &classic);
    }
    let Some(python) = python::environment("open-metrics", Path::new(REQUIREMENTS)) else { return };
    assert!(families(&python, &http::metrics(&service.ops, OPEN_METRICS)).contains_key("signet_rpcs"));
}
