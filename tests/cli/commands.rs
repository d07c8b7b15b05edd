//! The commands that set a service up, while it runs.

use std::process::Command;

use serde_json::Value;
use signet::config::keys::DEV_MASTER_KEY;
use tempfile::TempDir;
use tonic::Code;

use crate::{
    FREE_PORTS,
    calls::{BackEnd, get},
    process::{Finished, Running, run, run_with_input, signet},
};

/// A running demo, and commands on its database.
struct Shop {
    directory: TempDir,
    running: Running,
    ready: Value,
}

impl Shop {
    fn open() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut command = signet(directory.path(), &["dev", "--json"]);
        command.args(FREE_PORTS);
        let running = Running::start(command);
        let ready = serde_json::from_str(&running.line()).unwrap();
        Self { directory, running, ready }
    }

    fn text(&self, name: &str) -> &str {
        self.ready[name].as_str().unwrap()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = signet(self.directory.path(), args);
        command.env("SIGNET_DATABASE_URL", "sqlite://signet-dev.db").env("SIGNET_MASTER_KEY", DEV_MASTER_KEY);
        command
    }

    /// Runs a command on the project of the demo.
    fn run(&self, args: &[&str]) -> Finished {
        run(self.command(&[args, &["--project", self.text("project_id")]].concat()))
    }

    async fn authenticate(&self, secret: &str, email: &str, password: &str) -> Result<(), Code> {
        let mut back_end = BackEnd::connect(self.text("grpc"), self.text("client_id"), secret).await;
        back_end.authenticate_password(email, password).await.map(drop).map_err(|status| status.code())
    }
}

#[test]
fn migrate_says_what_it_did_and_that_there_is_nothing_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let first = run(signet(directory.path(), &["migrate"]));
    assert!(first.code == 0 && first.stdout.contains("create_schema"), "{first:?}");
    let second = run(signet(directory.path(), &["migrate"]));
    assert!(second.code == 0 && second.stdout.contains("nothing to do"), "{second:?}");
    assert_eq!(run(signet(directory.path(), &["migrate", "--json"])).json(), serde_json::json!({ "applied": [] }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_secret_is_shown_once_and_rotated_in_two_ways() {
    let shop = Shop::open();
    let (email, password) =
        (shop.ready["user"]["email"].as_str().unwrap(), shop.ready["user"]["password"].as_str().unwrap());
    let first = shop.text("client_secret").to_owned();
    let rotate = ["client", "rotate-secret", "--client", shop.text("client_id"), "--json"];

    let second = shop.run(&rotate).json()["client_secret"].as_str().unwrap().to_owned();
    for secret in [&first, &second] {
        assert_eq!(shop.authenticate(secret, email, password).await, Ok(()));
    }
    let third = shop.run(&[&rotate[..], &["--revoke-others"]].concat()).json();
    let third = third["client_secret"].as_str().unwrap().to_owned();
    assert_eq!(shop.authenticate(&third, email, password).await, Ok(()));
    for secret in [&first, &second] {
        assert_eq!(shop.authenticate(secret, email, password).await, Err(Code::Unauthenticated));
    }

    let created = shop.run(&["client", "create", "--name", "Till"]);
    let secret = created.stdout.split_whitespace().find(|word| word.starts_with("signet_cs_")).unwrap();
    assert!(created.stdout.contains("cannot be shown again"), "{created:?}");
    for form in [&["client", "list"][..], &["client", "list", "--json"]] {
        let listed = shop.run(form);
        assert!(listed.stdout.contains("Till") && !listed.stdout.contains("signet_cs_"), "{listed:?}");
    }
    let files = std::fs::read_dir(shop.directory.path()).unwrap();
    for file in files.map(|entry| entry.unwrap().path()) {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "stored in {}", file.display());
    }

    let public = shop.run(&["client", "create", "--name", "Web shop", "--public", "--json"]).json();
    assert_eq!((&public["type"], public.get("client_secret")), (&Value::from("public"), None));
    let public = public["client_id"].as_str().unwrap().to_owned();
    shop.run(&["client", "rotate-secret", "--client", &public]).refused(64, &["public client"]);
    let operator = run(shop.command(&["client", "create", "--operator", "--name", "Deploy", "--json"])).json();
    assert!(operator["client_secret"].as_str().unwrap().starts_with("signet_os_"), "{operator}");
    shop.run(&["client", "create", "--operator", "--name", "Deploy"]).refused(64, &["--operator", "--project"]);
    assert_eq!(shop.running.terminate().code, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_operator_is_listed_gets_another_secret_and_is_deleted() {
    let shop = Shop::open();
    let may_list = async |id: &str, secret: &str| {
        let mut operator = BackEnd::connect(shop.text("grpc"), id, secret).await;
        operator.list_projects().await.map_err(|status| status.code())
    };
    let created = run(shop.command(&["client", "create", "--operator", "--name", "Deploy", "--json"])).json();
    let id = created["client_id"].as_str().unwrap();
    let leaked = created["client_secret"].as_str().unwrap();
    assert_eq!(may_list(id, leaked).await, Ok(1));

    let listed = run(shop.command(&["client", "list", "--operator", "--json"])).json();
    assert_eq!((listed["client_id"].as_str(), listed["name"].as_str()), (Some(id), Some("Deploy")));
    let shown = run(shop.command(&["client", "list", "--operator"]));
    assert!(shown.stdout.contains(id) && !shown.stdout.contains("signet_os_"), "{shown:?}");

    let rotated = run(shop.command(&["client", "rotate-secret", "--operator", "--client", id, "--json"])).json();
    let secret = rotated["client_secret"].as_str().unwrap();
    assert_eq!(may_list(id, leaked).await, Err(Code::Unauthenticated));
    assert_eq!(may_list(id, secret).await, Ok(1));

    let delete = ["client", "delete", "--operator", "--client", id];
    assert_eq!(run(shop.command(&[&delete[..], &["--json"]].concat())).json(), serde_json::json!({ "client_id": id }));
    assert_eq!(may_list(id, secret).await, Err(Code::Unauthenticated));
    assert_eq!(run(shop.command(&["client", "list", "--operator", "--json"])).json_lines(), Vec::<Value>::new());
    run(shop.command(&delete)).refused(1, &["no operator with that id", "signet client list --operator"]);
    run(shop.command(&["client", "rotate-secret", "--operator", "--client", id])).refused(1, &["no operator"]);
    run(shop.command(&["client", "list"])).refused(64, &["--project"]);
    run(shop.command(&["client", "delete", "--client", id])).refused(64, &["--project"]);
    assert_eq!(shop.running.terminate().code, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_deleted_client_is_let_in_no_more() {
    let shop = Shop::open();
    let (email, password) =
        (shop.ready["user"]["email"].as_str().unwrap(), shop.ready["user"]["password"].as_str().unwrap());
    let (id, secret) = (shop.text("client_id"), shop.text("client_secret"));
    assert_eq!(shop.authenticate(secret, email, password).await, Ok(()));
    run(shop.command(&["client", "delete", "--operator", "--client", id])).refused(1, &["no operator"]);
    let deleted = shop.run(&["client", "delete", "--client", id]);
    assert!(deleted.code == 0 && deleted.stdout.contains("work no more"), "{deleted:?}");
    assert_eq!(shop.authenticate(secret, email, password).await, Err(Code::Unauthenticated));
    shop.run(&["client", "delete", "--client", id]).refused(1, &["no client with that id"]);
    assert_eq!(shop.running.terminate().code, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_user_gets_a_password_by_standard_input_or_file_and_never_by_argument() {
    let shop = Shop::open();
    let project = shop.text("project_id");
    let secret = shop.text("client_secret");
    let create = ["user", "create", "--project", project, "--email", "Alan@Example.com", "--email-verified", "--json"];

    let refused = run(shop.command(&[&create[..], &["--password", "turing machine 1936"]].concat()));
    refused.refused(64, &["--password"]);
    assert!(!refused.stderr.contains("turing"), "{refused:?}");
    run_with_input(shop.command(&[&create[..], &["--password-stdin"]].concat()), "short\n")
        .refused(1, &["at least 8 characters"]);
    run_with_input(shop.command(&[&create[..], &["--password-stdin"]].concat()), "")
        .refused(64, &["must not be empty"]);
    assert!(shop.run(&["user", "list", "--email", "alan@example.com", "--json"]).json_lines().is_empty());

    let created = run_with_input(shop.command(&[&create[..], &["--password-stdin"]].concat()), "turing machine 1936\n");
    let created = created.json();
    assert_eq!((&created["email"], &created["has_password"]), (&Value::from("alan@example.com"), &Value::from(true)));
    assert_eq!(shop.authenticate(secret, "alan@example.com", "turing machine 1936").await, Ok(()));
    run(shop.command(&create)).refused(1, &["another user", "email"]);

    let file = shop.directory.path().join("password");
    std::fs::write(&file, "halting problem 1937\n").unwrap();
    let user = created["user_id"].as_str().unwrap();
    let set = ["user", "set-password", "--user", user];
    shop.run(&set).refused(64, &["--password-stdin", "--password-file"]);
    assert_eq!(shop.run(&[&set[..], &["--password-file", file.to_str().unwrap()]].concat()).code, 0);
    assert_eq!(shop.authenticate(secret, "alan@example.com", "halting problem 1937").await, Ok(()));
    let old = shop.authenticate(secret, "alan@example.com", "turing machine 1936").await;
    assert_eq!(old, Err(Code::Unauthenticated));

    let emails = shop.run(&["user", "list", "--json"]).json_lines();
    let emails: Vec<_> = emails.iter().map(|user| user["email"].as_str().unwrap()).collect();
    assert_eq!(emails, ["ada@example.com", "grace@example.com", "alan@example.com"]);
    let found = shop.run(&["user", "list", "--username", "ADA", "--json"]).json();
    assert_eq!(found["given_name"], "Ada");
    assert!(!shop.running.command_line().contains(shop.ready["user"]["password"].as_str().unwrap()));
    assert_eq!(shop.running.terminate().code, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn users_are_listed_beyond_one_page() {
    let shop = Shop::open();
    // One more than a page holds, with the two of the demo.
    let mut back_end = BackEnd::of_demo(&shop.ready).await;
    for number in 0..99 {
        back_end.create_user(&format!("user-{number}")).await;
    }
    assert_eq!(shop.run(&["user", "list", "--json"]).json_lines().len(), 101);
    let page = shop.run(&["user", "list"]).stdout;
    assert_eq!((page.lines().count(), page.matches("LAST SIGN-IN").count()), (102, 1), "one heading: {page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn sessions_are_listed_and_ended_one_by_one_or_all_of_a_user() {
    let shop = Shop::open();
    let mut back_end = BackEnd::of_demo(&shop.ready).await;
    let (email, password) =
        (shop.ready["user"]["email"].as_str().unwrap(), shop.ready["user"]["password"].as_str().unwrap());
    let mut sessions = Vec::new();
    for _ in 0..3 {
        sessions.push(back_end.authenticate_password(email, password).await.unwrap().session.unwrap());
    }
    let user = sessions[0].user_id.clone();
    let listed = || {
        let listed = shop.run(&["session", "list", "--user", &user, "--json"]).json_lines();
        listed.iter().map(|session| session["session_id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let mut expected: Vec<_> = sessions.iter().map(|session| session.session_id.clone()).collect();
    assert_eq!(listed(), expected, "oldest first");
    let table = shop.run(&["session", "list", "--user", &user]).stdout;
    assert!(table.starts_with("SESSION") && table.lines().count() == 4, "{table}");

    let first = expected.remove(0);
    let revoke = ["session", "revoke", "--session", &first];
    let revoked = shop.run(&[&revoke[..], &["--json"]].concat()).json();
    assert_eq!((&revoked["session_id"], &revoked["user_id"]), (&Value::from(first.as_str()), &Value::from(&*user)));
    assert!(revoked["revoked_at"].is_string() && revoked.get("expires_at").is_none(), "{revoked}");
    assert_eq!(listed(), expected);
    let again = shop.run(&revoke);
    assert!(again.code == 0 && again.stdout.contains("has ended"), "{again:?}");
    assert!(back_end.session_is_live(&expected[0]).await && !back_end.session_is_live(&first).await);

    let all = ["session", "revoke", "--user", &user];
    assert_eq!(shop.run(&[&all[..], &["--json"]].concat()).json()["revoked_sessions"], 2);
    assert!(listed().is_empty() && !back_end.session_is_live(&expected[0]).await);
    assert!(shop.run(&all).stdout.contains("ended sessions  0"));

    let nobody = "user_01M7ZZMBNVEP7TMCP4KZTGWZT8";
    shop.run(&["session", "list", "--user", nobody]).refused(1, &["no user", "signet user list"]);
    shop.run(&["session", "revoke", "--user", nobody]).refused(1, &["no user", "signet user list"]);
    let never = "session_01M7ZZMBNVEP7TMCP4KZTGWZT8";
    shop.run(&["session", "revoke", "--session", never]).refused(1, &["no session", "signet session list"]);
    shop.run(&["session", "revoke"]).refused(64, &["--session", "--user"]);
    shop.run(&["session", "revoke", "--session", never, "--user", nobody]).refused(64, &["cannot be used with"]);
    assert_eq!(shop.running.terminate().code, 0);
}

#[test]
fn a_new_key_is_published_before_it_signs_unless_it_is_wanted_now() {
    let shop = Shop::open();
    let states = || {
        let keys = shop.run(&["key", "list", "--json"]).json_lines();
        let keys = keys.iter().filter(|key| key["use"] == "tokens");
        keys.map(|key| key["state"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(states(), ["active"]);
    let rotated = shop.run(&["key", "rotate", "--json"]).json();
    assert_eq!((&rotated["state"], &rotated["algorithm"]), (&Value::from("pending"), &Value::from("RS256")));
    assert_eq!(states(), ["active", "pending"]);
    assert_eq!(shop.run(&["key", "rotate", "--now", "--json"]).json()["state"], "active");
    let after = states();
    assert_eq!(after[0], "retiring", "{after:?}");
    assert_eq!(after[2], "active", "{after:?}");

    // The running process takes the keys up by itself.
    let path = format!("/projects/{}/.well-known/jwks.json", shop.text("project_id"));
    let published = || get(shop.text("rest"), &path).1["keys"].as_array().unwrap().len();
    let patience = std::time::Instant::now() + crate::process::PATIENCE;
    while published() < 3 && std::time::Instant::now() < patience {
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert_eq!(published(), 3);
    assert_eq!(shop.running.terminate().code, 0);
}

#[test]
fn the_key_of_refresh_tokens_is_replaced_when_it_is_named() {
    let shop = Shop::open();
    let states = |key_use: &str| {
        let keys = shop.run(&["key", "list", "--json"]).json_lines();
        let mut states: Vec<_> =
            keys.iter().filter(|key| key["use"] == key_use).map(|key| key["state"].clone()).collect();
        states.sort_by_key(ToString::to_string);
        states
    };
    let rotated = shop.run(&["key", "rotate", "--use", "refresh-tokens", "--json"]).json();
    assert_eq!((&rotated["use"], &rotated["state"]), (&Value::from("refresh tokens"), &Value::from("pending")));
    shop.run(&["key", "rotate", "--use", "refresh-tokens", "--now"]);
    assert_eq!(states("refresh tokens"), ["active", "pending", "retiring"]);
    assert_eq!(states("tokens"), ["active"]);
    run(shop.command(&["key", "rotate", "--use", "passwords"])).refused(64, &["tokens, refresh-tokens"]);
    assert_eq!(shop.running.terminate().code, 0);
}

#[test]
fn an_unknown_project_is_refused_with_the_way_to_find_the_known_ones() {
    let shop = Shop::open();
    let sessions = ["session", "list", "--user", "user_01M7ZZMBNVEP7TMCP4KZTGWZT8"];
    let nobody = "project_01M7ZZMBGZEXJTRRC87K87YW5F";
    for command in [&["client", "list"][..], &["user", "list"], &["key", "list"], &["key", "rotate"], &sessions] {
        run(shop.command(&[command, &["--project", nobody]].concat()))
            .refused(1, &["no project", "signet project list"]);
    }
    run(shop.command(&["project", "create", "--name", " "])).refused(64, &["name"]);
}
