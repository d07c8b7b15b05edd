//! `signet dev`.

use std::path::Path;

use serde_json::Value;
use tonic::Code;

use crate::{
    FREE_PORTS,
    calls::{BackEnd, get, mailed_code, pending_authentication},
    process::{Running, run, signet},
};

/// Starts the demo; gives what its one line says.
fn start(directory: &Path) -> (Running, Value) {
    let mut command = signet(directory, &["dev", "--json"]);
    command.args(FREE_PORTS);
    let running = Running::start(command);
    let ready = serde_json::from_str(&running.line()).unwrap();
    (running, ready)
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn dev_prints_one_line_and_answers_as_it_says() {
    let directory = tempfile::tempdir().unwrap();
    let (running, ready) = start(directory.path());
    let (user, unverified) = (&ready["user"], &ready["unverified_user"]);
    let mut back_end = BackEnd::of_demo(&ready).await;

    let answer = back_end.authenticate_password(text(user, "email"), text(user, "password")).await.unwrap();
    assert_eq!(answer.user.unwrap().username(), text(user, "username"));
    let refused = back_end.authenticate_password(text(user, "email"), "wrong password").await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);

    let email = text(unverified, "email");
    let refused = back_end.authenticate_password(email, text(unverified, "password")).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    let token = pending_authentication(&refused).pending_authentication_token;
    let code = mailed_code(text(&ready, "ops"), email);
    let answer = back_end.authenticate_email_verification(&token, &code).await.unwrap();
    assert!(answer.user.unwrap().email_verified);

    let issuer = issuer_of(&answer.tokens.unwrap().access_token);
    let key_set = issuer.strip_prefix("http://localhost:").and_then(|rest| rest.split_once('/')).unwrap();
    assert!(text(&ready, "rest").ends_with(key_set.0), "the issuer is where the key set is: {issuer}");
    assert_eq!(get(text(&ready, "rest"), &format!("/{}/.well-known/jwks.json", key_set.1)).0, 200);

    let healthcheck = run(signet(directory.path(), &["healthcheck", "--addr", text(&ready, "grpc")]));
    assert_eq!(healthcheck.code, 0, "{healthcheck:?}");
    drop(back_end);
    let ended = running.terminate();
    assert_eq!((ended.code, ended.stdout.as_str()), (0, ""), "nothing but the one line: {ended:?}");
    assert!(ended.stderr.contains(&format!("Mail to {email}")), "{}", ended.stderr);
    for secret in [text(user, "password"), text(&ready, "client_secret"), token.as_str()] {
        assert!(!ended.stderr.contains(secret), "a secret is in the log: {}", ended.stderr);
    }
}

/// The issuer in a token, unverified.
fn issuer_of(token: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    text(&serde_json::from_slice(&claims).unwrap(), "iss").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn dev_can_be_stopped_and_killed_and_started_again() {
    let directory = tempfile::tempdir().unwrap();
    let (running, first) = start(directory.path());
    let unverified = &first["unverified_user"];
    let (email, password) = (text(unverified, "email"), text(unverified, "password"));
    let mut back_end = BackEnd::of_demo(&first).await;
    let refused = back_end.authenticate_password(email, password).await.unwrap_err();
    let token = pending_authentication(&refused).pending_authentication_token;
    let code = mailed_code(text(&first, "ops"), email);
    back_end.authenticate_email_verification(&token, &code).await.unwrap();
    running.kill();

    let (running, second) = start(directory.path());
    for name in ["project_id", "client_id", "public_client_id", "user", "unverified_user"] {
        assert_eq!(first[name], second[name], "{name} stays");
    }
    assert_ne!(first["client_secret"], second["client_secret"]);
    let mut back_end = BackEnd::of_demo(&second).await;
    let refused = back_end.authenticate_password(email, password).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "unverified again, as the line says");
    let secret = text(&first, "client_secret");
    let mut old = BackEnd::connect(text(&second, "grpc"), text(&second, "client_id"), secret).await;
    let refused = old.authenticate_password(email, password).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated, "the secret of the first start is worthless");
    drop((old, back_end));
    assert_eq!(running.terminate().code, 0);

    let (running, _) = start(directory.path());
    assert_eq!(running.terminate().code, 0);
}

#[test]
fn dev_welcomes_people_with_calls_to_paste() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = signet(directory.path(), &["dev"]);
    command.args(FREE_PORTS);
    let running = Running::start(command);
    let lines: Vec<String> =
        std::iter::repeat_with(|| running.line()).take_while(|line| !line.contains("Ctrl-C")).collect();
    let page = lines.join("\n");
    for part in ["grpcurl -plaintext", "AuthenticatePassword", "SignIn", "jwks.json", "new WorkOS({", "DescopeClient("]
    {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    // The rest of a small shell: the line that sets up the other commands, and one of them.
    let export = lines.iter().find_map(|line| line.trim().strip_prefix("export ")).unwrap();
    let mut list = signet(directory.path(), &["project", "list", "--json"]);
    for assignment in export.split(' ') {
        let (name, value) = assignment.split_once('=').unwrap();
        list.env(name, value.trim_matches('\''));
    }
    assert_eq!(run(list).json()["name"], "Demo");
    assert_eq!(running.terminate().code, 0);
}

#[test]
fn dev_names_the_flag_of_a_port_that_is_taken() {
    let directory = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let refused = run(signet(directory.path(), &["dev", "--grpc-addr", &address]));
    refused.refused(1, &["--grpc-addr (SIGNET_GRPC_ADDR)", &address, "--grpc-addr 127.0.0.1:0"]);
}
