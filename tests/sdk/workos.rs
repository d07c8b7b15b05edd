//! `WorkOS`: its official libraries for Node, Python and Rust.

use serde_json::{Value, json};

use crate::service::{Service, run_node, run_python, run_rust};

/// What the programs have to know: where the service is, their credentials, and where its mails can be read.
fn task(service: &Service) -> Value {
    let credentials = &service.ready["workos"];
    let client_id = credentials["client_id"].as_str().expect("`dev` names a client for WorkOS");
    let port = service.url().rsplit(':').next().unwrap().to_owned();
    json!({
        "url": service.url(),
        // Where nothing else is set, this is the public address of the service.
        "issuer": format!("http://localhost:{port}/user_management/{client_id}"),
        "client_id": client_id,
        "api_key": credentials["api_key"].as_str().expect("`dev` names an API key for WorkOS"),
        "mails": format!("http://{}/dev/mails", service.ready["ops"].as_str().unwrap()),
    })
}

/// What no library may cause to be logged.
fn no_secret_was_logged(service: &Service, task: &Value) {
    let log = service.log();
    let api_key = task["api_key"].as_str().unwrap();
    let secret = api_key.strip_prefix("sk_").expect("an API key starts with sk_");
    for secret in [secret, "a nanosecond of wire", "enigma of bletchley", "eyJ"] {
        let line = log.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "a secret in the log: {}", line.unwrap_or_default());
    }
}

#[test]
fn the_node_library_does_what_it_does_with_workos() {
    let service = Service::start(&[]);
    let task = task(&service);
    let Some(answer) = run_node("workos.mjs", &task) else { return };
    assert_eq!(answer["done"].as_array().map(Vec::len), Some(15), "{answer}");
    no_secret_was_logged(&service, &task);
}

#[test]
fn the_python_library_does_what_it_does_with_workos() {
    let service = Service::start(&[]);
    let task = task(&service);
    let Some(answer) = run_python("workos", &task) else { return };
    assert_eq!(answer, json!({ "done": true }));
    no_secret_was_logged(&service, &task);
}

#[test]
fn the_rust_library_does_what_it_does_with_workos() {
    let service = Service::start(&[]);
    let task = task(&service);
    let Some(answer) = run_rust("signet-sdk-workos", &task) else { return };
    assert_eq!(answer, json!({ "done": true }));
    no_secret_was_logged(&service, &task);
}
