//! A real Prometheus scrapes a real service, evaluates the rules and answers the dashboard.

use std::{
    fs,
    net::TcpListener,
    process::{Child, Command, Stdio},
};

use serde_json::Value;
use signet_test_support::{Engine, programs};
use tempfile::TempDir;

use crate::{
    dashboard, http,
    installation::{Installation, PASSWORD, VERIFIED},
    process::wait_for,
};

const RULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/helm/signet/rules/signet.yaml");

struct Prometheus {
    process: Child,
    address: String,
    _directory: TempDir,
}

impl Prometheus {
    fn scraping(ops: &str) -> Option<Self> {
        let program = programs::program("prometheus")?;
        let directory = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (config, address) = (directory.path().join("prometheus.yaml"), format!("127.0.0.1:{port}"));
        let text = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: ['{RULES}']\n\
             scrape_configs:\n  - job_name: signet\n    static_configs: [{{targets: ['{ops}']}}]\n"
        );
        fs::write(&config, text).unwrap();
        let process = Command::new(program)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let prometheus = Self { process, address, _directory: directory };
        wait_for(|| std::net::TcpStream::connect(&prometheus.address).ok());
        Some(prometheus)
    }

    /// The data of an answer of its API; none if it refuses.
    fn get(&self, path: &str) -> Result<Value, String> {
        let (status, _, body) = http::call(&self.address, &format!("GET /api/v1/{path}"), &[], "");
        let mut answer: Value = serde_json::from_str(&body).unwrap_or_default();
        if status == 200 { Ok(answer["data"].take()) } else { Err(body) }
    }

    /// The series that a query gives.
    fn query(&self, query: &str) -> Result<Vec<Value>, String> {
        let query: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
        let data = self.get(&format!("query?query={query}"))?;
        Ok(data["result"].as_array().cloned().unwrap_or_default())
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_scrapes_the_service_evaluates_the_rules_and_answers_the_dashboard() {
    let installation = Installation::on(Engine::Sqlite).await.unwrap();
    let service = installation.serve(&[]);
    let Some(prometheus) = Prometheus::scraping(&service.ops) else { return };
    // Signs in until rates can be told: of a series that is scraped twice.
    wait_for(|| {
        assert_eq!(installation.sign_in(&service.rest, VERIFIED, PASSWORD, "").0, 200);
        let rates = prometheus.query("rate(signet_events_total{kind=\"user.signed_in\"}[1m]) > 0").unwrap();
        (rates.len() == 1).then_some(())
    });

    let targets = prometheus.get("targets").unwrap();
    let target = &targets["activeTargets"][0];
    assert_eq!((&target["health"], &target["lastError"]), (&"up".into(), &"".into()), "{target}");
    // The rules are evaluated once a second.
    let rules = wait_for(|| {
        let groups = prometheus.get("rules").unwrap();
        let rules = groups["groups"][0]["rules"].as_array()?.clone();
        rules.iter().all(|rule| rule["health"] != "unknown").then_some(rules)
    });
    for rule in &rules {
        assert_eq!((&rule["health"], &rule["state"]), (&"ok".into(), &"inactive".into()), "{rule}");
    }
    let mut answered = 0;
    for (panel, query) in dashboard::queries() {
        answered +=
            usize::from(!prometheus.query(&query).unwrap_or_else(|error| panic!("{panel}: {error}")).is_empty());
    }
    // A service that is well has no numbers of what went wrong.
    assert!(answered > 25, "{answered} queries have an answer");
}
