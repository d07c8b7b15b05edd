//! Credentials for the client libraries of other vendors, made by the command line and by the demo.

use serde_json::Value;
use signet::config::keys::DEV_MASTER_KEY;
use tempfile::TempDir;

use crate::{
    FREE_PORTS,
    calls::BackEnd,
    process::{Finished, Running, run, signet},
};

struct Demo {
    directory: TempDir,
    running: Running,
    ready: Value,
}

impl Demo {
    fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap())
    }

    fn start_in(directory: TempDir) -> Self {
        let mut command = signet(directory.path(), &["dev", "--json"]);
        command.args(FREE_PORTS);
        let running = Running::start(command);
        let ready = serde_json::from_str(&running.line()).unwrap();
        Self { directory, running, ready }
    }

    fn create(&self, args: &[&str]) -> Finished {
        let project = self.ready["project_id"].as_str().unwrap();
        let mut command = signet(self.directory.path(), &["client", "create", "--project", project, "--name", "Shop"]);
        command.args(args).env("SIGNET_DATABASE_URL", "sqlite://signet-dev.db");
        run({
            command.env("SIGNET_MASTER_KEY", DEV_MASTER_KEY);
            command
        })
    }

    /// Signs the demo's user in; gives the client whose session it is.
    async fn sign_in(&self, authorization: &str) -> String {
        let (grpc, user) = (self.ready["grpc"].as_str().unwrap(), &self.ready["user"]);
        let mut back_end = BackEnd::with(grpc, authorization.to_owned()).await;
        let (email, password) = (user["email"].as_str().unwrap(), user["password"].as_str().unwrap());
        let answer = back_end.authenticate_password(email, password).await.unwrap();
        answer.session.unwrap().client_id
    }
}

/// The members of the credentials, each text.
fn members(credentials: &Value) -> Vec<(&str, &str)> {
    let members = credentials.as_object().unwrap().iter();
    members.map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect()
}

/// Holds the credentials of the four vendors against what their libraries take, and signs in with each of them.
async fn check(demo: &Demo, of: impl Fn(&str) -> Value) {
    let project = demo.ready["project_id"].as_str().unwrap();

    let workos = of("workos");
    let [("api_key", api_key), ("client_id", client_id)] = members(&workos)[..] else { panic!("{workos}") };
    let secret = api_key.strip_prefix("sk_").unwrap();
    assert_eq!(demo.sign_in(&format!("Bearer {secret}")).await, client_id);

    let transmit = of("transmit");
    let [("client_id", client_id), ("client_secret", secret)] = members(&transmit)[..] else { panic!("{transmit}") };
    assert_eq!(demo.sign_in(&format!("Bearer {secret}")).await, client_id);

    let stytch = of("stytch");
    let [("project_id", id), ("public_token", token), ("secret", secret)] = members(&stytch)[..] else {
        panic!("{stytch}")
    };
    assert!(id.starts_with("project-live-") && id.len() == 13 + 36, "{id}");
    assert!(token.starts_with("public-token-live-") && token.len() == 18 + 36, "{token}");
    demo.sign_in(&format!("Bearer {project}:{secret}")).await;

    let descope = of("descope");
    let [("management_key", key), ("project_id", id)] = members(&descope)[..] else { panic!("{descope}") };
    assert!(id.starts_with('P') && id.len() == 28, "{id}");
    assert!(!key.contains(':'));
    demo.sign_in(&format!("Bearer {id}:{key}")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_client_for_a_vendor_comes_with_credentials_in_its_form() {
    let demo = Demo::start();
    check(&demo, |vendor| demo.create(&["--for", vendor, "--json"]).json()).await;
    let shown = demo.create(&["--for", "workos", "--public-url", "https://auth.example.com"]);
    for part in ["client_id", "api_key", "new WorkOS({ apiKey: 'sk_signet_cs_", "apiHostname: 'auth.example.com' }"] {
        assert!(shown.stdout.contains(part), "{part} is not in {}", shown.stdout);
    }
    let plain = demo.create(&["--for", "stytch", "--refresh-token-cookie"]);
    assert!(plain.code == 0 && plain.stdout.contains("env: 'http://localhost:8080/'"), "{plain:?}");
    // The project of the demo requires verified addresses, which not every vendor's library knows.
    assert!(!shown.stderr.contains("note:"), "{shown:?}");
    assert!(plain.stderr.contains("note: the project requires verified email addresses"), "{plain:?}");
}

#[test]
fn what_does_not_go_together_is_refused() {
    let demo = Demo::start();
    for args in [
        &["--for", "workos", "--public"][..],
        &["--for", "workos", "--jwt-refresh-tokens"],
        &["--for", "workos", "--refresh-token-cookie"],
        // The demo's applications of Descope have their tokens in the body.
        &["--for", "descope", "--refresh-token-cookie"],
        &["--refresh-token-cookie"],
        &["--for", "somebody"],
    ] {
        assert_eq!(demo.create(args).code, 64, "{args:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_demo_has_credentials_for_every_vendor_and_the_same_clients_at_each_start() {
    let demo = Demo::start();
    check(&demo, |vendor| demo.ready[vendor].clone()).await;
    let mut back_end = BackEnd::of_demo(&demo.ready).await;
    let metadata = back_end.provider_metadata().await;
    assert_eq!(metadata.project_id, demo.ready["project_id"].as_str().unwrap());
    assert_eq!(metadata.issuer, format!("{}/projects/{}", metadata.public_url, metadata.project_id));
    assert_eq!(metadata.signing_algorithms, ["RS256"]);
    drop(back_end);
    assert_eq!(demo.running.terminate().code, 0);

    let first = demo.ready;
    let demo = Demo::start_in(demo.directory);
    assert_eq!(demo.ready["workos"]["client_id"], first["workos"]["client_id"]);
    assert_ne!(demo.ready["workos"]["api_key"], first["workos"]["api_key"], "a new secret at each start");
    assert_eq!(demo.ready["stytch"]["public_token"], first["stytch"]["public_token"]);
    assert_eq!(demo.ready["transmit"]["client_id"], first["transmit"]["client_id"]);
}
