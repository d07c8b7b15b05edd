//! Stytch: its client libraries for back ends, and the one for browsers in a browser.

use serde_json::{Value, json};
use signet_test_support::node;

use crate::service::{Service, run_node, run_python};

/// What a script has to know.
fn task(service: &Service) -> Value {
    let customer = &service.ready["stytch"];
    json!({
        "url": service.url(),
        "ops": format!("http://{}", service.ready["ops"].as_str().unwrap()),
        "project_id": customer["project_id"],
        "secret": customer["secret"],
        "public_token": customer["public_token"],
        "user": service.ready["user"],
        "reset_url": "http://localhost:3000/reset-password",
    })
}

#[test]
fn stytch_for_node() {
    let service = Service::start(&[]);
    let Some(told) = run_node("stytch.mjs", &task(&service)) else { return };
    assert!(told["user_id"].is_string(), "{told}\n{}", service.log());
}

#[test]
fn stytch_for_python() {
    let service = Service::start(&[]);
    let Some(told) = run_python("stytch", &task(&service)) else { return };
    assert!(told["user_id"].is_string(), "{told}\n{}", service.log());
}

#[test]
fn stytch_in_a_browser() {
    let Some(chromium) = node::chromium() else { return };
    let service = Service::start(&[]);
    let mut task = task(&service);
    task["chromium"] = json!(chromium);
    let Some(told) = run_node("stytch-browser.mjs", &task) else { return };
    assert!(told["session_id"].is_string(), "{told}\n{}", service.log());
}
