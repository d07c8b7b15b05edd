//! `signet gateway`, in front of `signet dev`.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{
    FREE_PORTS,
    calls::get,
    process::{PATIENCE, Running, run, signet},
};

/// A request and its headers and body, and the status of its answer.
type Call<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str, u16);

/// Status, headers that do not differ from call to call, and body without the id of the request.
type Answer = (u16, Vec<String>, Value);

fn call(address: &str, request: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut connection = TcpStream::connect(address).unwrap();
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    let headers: String = headers.iter().flat_map(|(name, value)| [*name, ": ", *value, "\r\n"]).collect();
    let length = body.len();
    write!(
        connection,
        "{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-request-id: same\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap()[9..12].parse().unwrap();
    let mut kept: Vec<String> = lines.filter(|line| !line.starts_with("date:")).map(str::to_owned).collect();
    kept.sort();
    (status, kept, serde_json::from_str(body).unwrap_or_else(|_| body.into()))
}

fn dev(directory: &Path, grpc: &str) -> (Running, Value) {
    let mut command = signet(directory, &["dev", "--json", "--rest-addr", "127.0.0.1:0", "--ops-addr", "127.0.0.1:0"]);
    command.args(["--grpc-addr", grpc]);
    let running = Running::start(command);
    let ready = serde_json::from_str(&running.line()).unwrap();
    (running, ready)
}

/// The gateway and its addresses: REST and operations.
fn gateway(directory: &Path, upstream: &str) -> (Running, String, String) {
    let upstream = format!("http://{upstream}");
    let mut command = signet(directory, &["gateway", "--log-format", "json", "--upstream", &upstream]);
    command.args(&FREE_PORTS[2..]);
    let running = Running::start(command);
    let ready: Value = serde_json::from_str(&running.log_line("\"message\":\"ready\"")).unwrap();
    let address = |name: &str| ready[name].as_str().unwrap().to_owned();
    let (rest, ops) = (address("rest"), address("ops"));
    (running, rest, ops)
}

#[test]
fn a_gateway_answers_as_the_service_itself_and_heals() {
    let directory = tempfile::tempdir().unwrap();
    let (service, ready) = dev(directory.path(), "127.0.0.1:0");
    let text = |name: &str| ready[name].as_str().unwrap();
    let (running, rest, ops) = gateway(directory.path(), text("grpc"));
    assert_eq!(get(&ops, "/readyz"), (200, json!({"ready": true, "checks": {"serving": "ok", "upstream": "ok"}})));
    assert_eq!(get(&ops, "/livez").0, 200);

    let basic = format!("Basic {}", STANDARD.encode(format!("{}:{}", text("client_id"), text("client_secret"))));
    let authorization = [("authorization", basic.as_str())];
    let email = ready["user"]["email"].as_str().unwrap();
    let wrong = json!({"email": email, "password": "not the password"}).to_string();
    let jwks = format!("GET /projects/{}/.well-known/jwks.json", text("project_id"));
    let calls: [Call<'_>; 9] = [
        (&jwks, &[], "", 200),
        ("GET /api/v1/openapi.json", &[], "", 200),
        ("GET /api/v1/users", &authorization, "", 200),
        ("GET /api/v1/users", &[], "", 401),
        ("POST /api/v1/auth/password/authenticate", &authorization, &wrong, 401),
        ("POST /api/v1/auth/sign_in", &authorization, "{\"nonsense\": 1}", 400),
        ("PUT /api/v1/users", &authorization, "", 405),
        ("GET /nowhere", &[("origin", "https://app.example")], "", 404),
        ("POST /v1/auth/refresh", &[], "{", 404),
    ];
    for (request, headers, body, status) in calls {
        let (direct, through) = (call(text("rest"), request, headers, body), call(&rest, request, headers, body));
        assert_eq!(direct, through, "{request}");
        // What a vendor's words are is tested elsewhere.
        assert!(direct.0 == status || request.contains(" /v1/"), "{request}: {direct:?}");
    }

    let grpc = text("grpc").to_owned();
    assert_eq!(service.terminate().code, 0);
    let (status, headers, body) = call(&rest, "GET /api/v1/users", &authorization, "");
    assert_eq!((status, &body["details"][0]["reason"]), (503, &json!("UNAVAILABLE")), "{body}");
    assert!(headers.contains(&"retry-after: 1".to_owned()), "{headers:?}");
    assert!(!body.to_string().contains("127.0.0.1"), "{body}");
    let not_ready = json!({"ready": false, "checks": {"serving": "ok", "upstream": "failed"}});
    assert_eq!(get(&ops, "/readyz"), (503, not_ready));
    assert_eq!(get(&ops, "/livez").0, 200);

    let (service, _) = dev(directory.path(), &grpc);
    assert_eq!(call(&rest, &jwks, &[], "").0, 200, "without anybody's doing");
    assert_eq!(get(&ops, "/readyz").0, 200);
    assert_eq!(running.terminate().code, 0);
    assert_eq!(service.terminate().code, 0);
}

#[test]
fn a_gateway_starts_before_its_upstream_and_refuses_settings_that_do_not_go_together() {
    let directory = tempfile::tempdir().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let (running, rest, _) = gateway(directory.path(), &free);
    assert_eq!(call(&rest, "GET /.well-known/jwks.json", &[], "").0, 503);
    assert_eq!(running.terminate().code, 0);

    run(signet(directory.path(), &["gateway"])).refused(64, &["--upstream (SIGNET_UPSTREAM): is needed"]);
    let plain = ["gateway", "--upstream", "http://auth:1", "--upstream-ca", "ca.pem"];
    run(signet(directory.path(), &plain)).refused(64, &["--upstream-ca (SIGNET_UPSTREAM_CA): is for TLS"]);
    let both =
        ["gateway", "--upstream", "http://localhost:1", "--rest-addr", "127.0.0.1:1", "--ops-addr", "127.0.0.1:1"];
    run(signet(directory.path(), &both)).refused(64, &["--ops-addr (SIGNET_OPS_ADDR)"]);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}
