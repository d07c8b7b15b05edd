//! Transmit Security: there is no official client for back ends, so one written from the contract with stock OAuth and JWT libraries.

use serde_json::{Value, json};

use crate::service::{Service, run_python};

/// What the client has to know of a service.
fn task(service: &Service, part: &str) -> Value {
    let transmit = &service.ready["transmit"];
    json!({
        "part": part,
        "url": service.url(),
        "client_id": transmit["client_id"],
        "client_secret": transmit["client_secret"],
        "user": service.ready["user"],
        "unverified_user": service.ready["unverified_user"],
    })
}

#[test]
fn a_back_end_with_stock_libraries_meets_the_rate_limit() {
    // One password is hashed at a time, and one may wait.
    let service = Service::start(&["--hash-workers", "1", "--hash-queue", "1"]);
    run_python("transmit", &task(&service, "limit"));
}

#[test]
fn a_back_end_with_stock_libraries_signs_people_in() {
    let service = Service::start(&[]);
    let transmit = &service.ready["transmit"];
    let Some(_) = run_python("transmit", &task(&service, "all")) else { return };
    let log = service.log();
    for secret in [transmit["client_secret"].as_str().unwrap(), "temporary, for now", "signet_rt_", "eyJ"] {
        assert!(!log.contains(secret), "a secret in the log: {secret}");
    }
}
