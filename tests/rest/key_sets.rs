//! The keys of a project, where verifiers look for them.

use serde_json::json;

use crate::{rest_app::RestApp, support::Engine};

#[tokio::test]
async fn a_key_set_lies_below_the_project() {
    let app = RestApp::start(Engine::Sqlite).await.unwrap();
    let answer = app.get(&format!("/projects/{}/.well-known/jwks.json", app.fixture.project_id)).await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, "public, max-age=300"));
    let [key] = &answer.json["keys"].as_array().unwrap()[..] else { panic!("one key: {}", answer.text()) };
    assert_eq!((&key["kty"], &key["use"], &key["crv"]), (&json!("OKP"), &json!("sig"), &json!("Ed25519")));
    assert!(key.get("n").is_none() && key.get("x5c").is_none(), "members of another type are absent: {key}");

    let nobodys = app.get("/projects/project_01M7ZZMBGZEXJTRRC87K87YW5F/.well-known/jwks.json").await;
    assert_eq!(nobodys.status, 404, "{}", nobodys.text());
}
