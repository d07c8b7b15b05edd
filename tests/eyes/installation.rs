//! A service with a project, a client and users, and what calls it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use signet_test_support::{Engine, TestDatabase, process::Running};
use tempfile::TempDir;

use crate::{
    http,
    process::{run, start},
};

pub(crate) const PASSWORD: &str = "a horse, a lamp";
/// An address that is not verified: a sign-in needs a code by mail.
pub(crate) const UNVERIFIED: &str = "grace@example.com";
pub(crate) const VERIFIED: &str = "ada@example.com";

/// What `signet serve` needs to run.
pub(crate) struct Installation {
    directory: TempDir,
    environment: Vec<(&'static str, String)>,
    pub(crate) client_secret: String,
    /// The header of a call by the client.
    pub(crate) authorization: String,
    _database: TestDatabase,
}

/// A running service and its addresses.
pub(crate) struct Service {
    pub(crate) process: Running,
    pub(crate) rest: String,
    pub(crate) grpc: String,
    pub(crate) ops: String,
}

impl Installation {
    pub(crate) async fn on(engine: Engine) -> Option<Self> {
        let database = TestDatabase::from_template(engine, async |_| ()).await?;
        let environment = vec![
            ("SIGNET_DATABASE_URL", database.url().to_owned()),
            ("SIGNET_MASTER_KEY", "dGhpcyBpcyBhIHRlc3Qga2V5LCBub3QgYSBzZWNyZXQ=".to_owned()),
            ("SIGNET_MAIL_FROM", "Signet <no-reply@example.com>".to_owned()),
        ];
        let directory = tempfile::tempdir().unwrap();
        let run = |arguments: &[&str], input: &str| run(directory.path(), arguments, &environment, input);
        run(&["migrate"], "");
        let project = run(&["project", "create", "--name", "Eyes", "--json"], "");
        let project = project["project_id"].as_str().unwrap();
        let client = run(&["client", "create", "--project", project, "--name", "back end", "--json"], "");
        for (address, verified) in [(VERIFIED, true), (UNVERIFIED, false)] {
            let mut arguments = vec!["user", "create", "--project", project, "--email", address, "--password-stdin"];
            arguments.extend(verified.then_some("--email-verified"));
            run(&arguments, &format!("{PASSWORD}\n"));
        }
        let text = |name: &str| client[name].as_str().unwrap().to_owned();
        let client_secret = text("client_secret");
        let authorization = format!("Basic {}", STANDARD.encode(format!("{}:{client_secret}", text("client_id"))));
        Some(Self { directory, environment, client_secret, authorization, _database: database })
    }

    /// Starts a replica with these settings, beside those that all need.
    pub(crate) fn serve(&self, settings: &[(&'static str, String)]) -> Service {
        let environment: Vec<_> = self.environment.iter().chain(settings).cloned().collect();
        let ports = ["--grpc-addr", "127.0.0.1:0", "--rest-addr", "127.0.0.1:0", "--ops-addr", "127.0.0.1:0"];
        let arguments = [&["serve", "--log-format", "json"][..], &ports].concat();
        service(start(self.directory.path(), &arguments, &environment))
    }

    /// Signs in over REST; gives the status and the body of the answer.
    pub(crate) fn sign_in(&self, rest: &str, email: &str, password: &str, traceparent: &str) -> (u16, Value) {
        let headers = [("authorization", self.authorization.as_str()), ("traceparent", traceparent)];
        let headers = if traceparent.is_empty() { &headers[..1] } else { &headers[..] };
        let body = json!({"email": email, "password": password}).to_string();
        let (status, _, body) = http::call(rest, "POST /api/v1/auth/password/authenticate", headers, &body);
        (status, serde_json::from_str(&body).unwrap())
    }
}

/// Starts a gateway with these settings.
pub(crate) fn gateway(settings: &[(&'static str, String)]) -> Service {
    let addresses = ["--rest-addr", "127.0.0.1:0", "--ops-addr", "127.0.0.1:0"];
    let arguments = [&["gateway", "--log-format", "json"][..], &addresses].concat();
    service(start(&std::env::temp_dir(), &arguments, settings))
}

fn service((process, ready): (Running, Value)) -> Service {
    let address = |name: &str| ready[name].as_str().unwrap_or_default().to_owned();
    Service { rest: address("rest"), grpc: address("grpc"), ops: address("ops"), process }
}
