//! The binary, called by a client that nobody here wrote: Python's grpcio by reflection, and `PyJWT` for the tokens.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod process;

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use signet_test_support::{Engine, TestDatabase, mail_peer::Peer, python};

use self::process::{Signet, run};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/foreign/client.py");
const REQUIREMENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/foreign/requirements.txt");

/// Lets the client go through everything; `code` gives the digits that were mailed to an address.
fn call_everything(task: &Value, code: impl Fn(&str) -> String) {
    let Some(python) = python::environment("foreign-client", Path::new(REQUIREMENTS)) else { return };
    let mut client = Command::new(python).arg(SCRIPT).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = client.stdin.take().unwrap();
    writeln!(input, "{task}").unwrap();
    let mut done = false;
    for line in BufReader::new(client.stdout.take().unwrap()).lines() {
        let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
        match line["code_for"].as_str() {
            Some(address) => writeln!(input, "{}", code(address)).unwrap(),
            None => done = line["done"] == true,
        }
    }
    assert!(client.wait().unwrap().success() && done, "the client ended early");
}

#[test]
fn a_foreign_client_gets_along_with_dev_on_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    let database = format!("sqlite://{}", directory.path().join("dev.db").display());
    let signet = Signet::start(&["dev", "--json", "--database-url", &database], &[]);
    let ready = signet.ready_on_stdout();
    let mails = format!("http://{}/dev/mails", ready["ops"].as_str().unwrap());
    call_everything(&ready, |address| {
        let mail = process::wait_for(|| {
            let mails = process::get_json(&mails)?;
            mails.as_array()?.iter().find(|mail| mail["to"] == address).cloned()
        });
        mail["code"].as_str().unwrap().to_owned()
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_client_gets_along_with_serve_on_postgresql() {
    let Some(database) = TestDatabase::from_template(Engine::Postgres, async |_| ()).await else { return };
    let Some(peer) = Peer::start::<&str>([]) else { return };
    let environment = [
        ("SIGNET_DATABASE_URL", database.url().to_owned()),
        ("SIGNET_MASTER_KEY", "dGhpcyBpcyBhIHRlc3Qga2V5LCBub3QgYSBzZWNyZXQ=".to_owned()),
        ("SIGNET_SMTP_URL", format!("smtp://127.0.0.1:{}", peer.port)),
        ("SIGNET_MAIL_FROM", "Signet <no-reply@example.com>".to_owned()),
    ];
    run(&["migrate"], &environment, "");
    let project = run(&["project", "create", "--name", "Foreign", "--json"], &environment, "");
    let project_id = project["project_id"].as_str().unwrap();
    let client = run(&["client", "create", "--project", project_id, "--name", "back end", "--json"], &environment, "");
    let users = [("ada@example.com", true), ("grace@example.com", false)];
    for (address, verified) in users {
        let mut arguments = vec!["user", "create", "--project", project_id, "--email", address, "--password-stdin"];
        arguments.extend(verified.then_some("--email-verified"));
        run(&arguments, &environment, "a horse, a lamp\n");
    }

    // At this level libraries talk too.
    let signet = Signet::start(&["serve", "--log-format", "json", "--log", "trace"], &environment);
    let ready = signet.ready_in_log();
    let user = |address: &str| json!({"email": address, "password": "a horse, a lamp"});
    let task = json!({
        "grpc": ready["grpc"],
        "project_id": project_id,
        "client_id": client["client_id"],
        "client_secret": client["client_secret"],
        "user": user(users[0].0),
        "unverified_user": user(users[1].0),
    });
    call_everything(&task, |address| {
        let mail = peer.next("accepted");
        assert_eq!(mail["rcpt_to"], json!([address]));
        let text = mail["text"].as_str().unwrap();
        let is_code = |word: &&str| matches!(word.len(), 6 | 8) && word.bytes().all(|byte| byte.is_ascii_digit());
        text.split_whitespace().find(is_code).expect("six digits in the mail").to_owned()
    });

    let log = signet.kill_and_read_log();
    assert!(log.contains("call finished"), "the log was read");
    let authorization =
        STANDARD.encode(format!("{}:{}", text_of(&client["client_id"]), text_of(&client["client_secret"])));
    let secrets =
        ["a horse, a lamp", text_of(&client["client_secret"]), &authorization, "eyJ", "signet_pa_", "signet_rt_"];
    for secret in secrets {
        let line = log.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "a secret in the log: {}", line.unwrap_or_default());
    }
}

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap()
}
