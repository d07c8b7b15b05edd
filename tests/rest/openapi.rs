//! The description of the canonical API, read by a validator that nobody here wrote, and the page that shows it.

use std::{io::Write as _, path::Path, process::Command};

use signet_test_support::python;

use crate::{rest_app::RestApp, support::Engine};

const REQUIREMENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rest/requirements.txt");

#[tokio::test]
async fn the_description_is_valid_openapi() {
    let app = RestApp::start(Engine::Sqlite).await.unwrap();
    let answer = app.get("/api/v1/openapi.json").await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, "public, max-age=300"));
    assert_eq!(answer.json["openapi"], "3.1.0");
    let Some(python) = python::environment("openapi-validator", Path::new(REQUIREMENTS)) else { return };
    let mut file = tempfile::Builder::new().suffix(".json").tempfile().unwrap();
    file.write_all(&answer.body).unwrap();
    let output = Command::new(python).args(["-m", "openapi_spec_validator"]).arg(file.path()).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
}

#[tokio::test]
async fn the_page_needs_no_other_host_and_runs_nothing_but_its_own_script() {
    let app = RestApp::start(Engine::Sqlite).await.unwrap();
    let page = app.get("/api/v1/docs").await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    let policy = page.header("content-security-policy");
    for part in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert!(!page.text().contains(" style=") && !page.text().contains("<style") && !page.text().contains("onclick"));
    let (script, style) = (app.get("/api/v1/docs/page.js").await, app.get("/api/v1/docs/page.css").await);
    assert_eq!(script.header("content-type"), "text/javascript; charset=utf-8");
    assert_eq!(style.header("content-type"), "text/css; charset=utf-8");
    for file in [page.text(), script.text(), style.text()] {
        assert!(!file.contains("http://") && !file.contains("https://"), "{file}");
        assert!(!file.contains("innerHTML") && !file.contains("eval("), "what is described is never markup");
    }
}
