//! The exchange of the master key, by processes and commands as an operator runs them.

use std::{process::Command, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rstest::rstest;
use sea_orm::{ConnectOptions, ConnectionTrait as _, DatabaseConnection, Statement};
use secrecy::SecretBox;
use serde_json::{Value, json};
use signet::{
    config::keys::DEV_MASTER_KEY,
    crypto::{master_key::MasterKey, project_keys::generate},
    domain::{id::ProjectId, signing_key::KeyUse},
    random::Random,
    store::{DatabaseSettings, Store},
};
use signet_test_support::{Engine, mail_peer::Peer};

use crate::{
    MASTER_KEY as OLD, OTHER_MASTER_KEY as NEW,
    calls::{BackEnd, pending_authentication},
    installation::{EMAIL, Installation, PASSWORD, Replica},
    process::{Finished, PATIENCE, Running, run, run_with_input},
};

/// Page of `signet master-key reseal`.
const PAGE: u64 = signet::usecase::reseal::PAGE;

/// A sign-in that waits for the code in its mail.
struct Waiting {
    email: String,
    token: String,
}

/// Two replicas, and somebody who uses now one and now the other.
struct Rollout<'a> {
    installation: &'a Installation,
    replicas: [(Replica, BackEnd); 2],
    refresh_token: String,
    access_tokens: Vec<String>,
    waiting: Vec<Waiting>,
    users: usize,
    /// What the processes have said that are gone.
    said: Vec<Finished>,
}

impl<'a> Rollout<'a> {
    async fn start(installation: &'a Installation, variables: &[(&str, &str)]) -> Self {
        let one = start(installation, variables).await;
        let mut two = start(installation, variables).await;
        let tokens = two.1.authenticate_password(EMAIL, PASSWORD).await.unwrap().tokens.unwrap();
        Self {
            installation,
            replicas: [one, two],
            refresh_token: tokens.refresh_token,
            access_tokens: vec![tokens.access_token],
            waiting: Vec::new(),
            users: 0,
            said: Vec::new(),
        }
    }

    /// Replaces one replica after the other, and uses them in between and afterwards.
    async fn roll_out(&mut self, variables: &[(&str, &str)]) {
        for number in 0..2 {
            let next = start(self.installation, variables).await;
            let (before, connection) = std::mem::replace(&mut self.replicas[number], next);
            drop(connection);
            self.said.push(before.terminate());
            self.said.last().unwrap().json_lines();
            self.use_both().await;
        }
    }

    async fn use_both(&mut self) {
        for (from, to) in [(0, 1), (1, 0)] {
            self.refresh_token = self.replicas[from].1.refresh(&self.refresh_token).await.unwrap();
            let answer = self.replicas[from].1.authenticate_password(EMAIL, PASSWORD).await.unwrap();
            self.access_tokens.push(answer.tokens.unwrap().access_token);
            for token in &self.access_tokens {
                assert!(self.replicas[to].1.token_is_good(token).await);
            }
            // A code of one, read and redeemed at the other.
            let (waiting, id) = self.begin(from).await;
            let code = self.replicas[to].1.code_on_its_way(&id).await;
            self.replicas[to].1.authenticate_email_verification(&waiting.token, &code).await.unwrap();
            // Another one waits for its mail.
            let (waiting, _) = self.begin(from).await;
            self.waiting.push(waiting);
        }
    }

    /// A new user signs in for the first time.
    async fn begin(&mut self, at: usize) -> (Waiting, String) {
        self.users += 1;
        let email = format!("user{}@example.com", self.users);
        let create = ["user", "create", "--project", self.installation.project_id(), "--email", &email, "--json"];
        let mut create = self.installation.command(&[&create[..], &["--password-stdin"]].concat());
        both(&mut create, OLD, NEW);
        run_with_input(create, PASSWORD).json();
        let status = self.replicas[at].1.authenticate_password(&email, PASSWORD).await.unwrap_err();
        let pending = pending_authentication(&status);
        (Waiting { email, token: pending.pending_authentication_token }, pending.email_verification_id)
    }
}

async fn start(installation: &Installation, variables: &[(&str, &str)]) -> (Replica, BackEnd) {
    // Or each would issue tokens in the name of its own port.
    let public_url = [("SIGNET_PUBLIC_URL", "https://auth.example")];
    let replica = installation.start_replica_with(&[&public_url[..], variables].concat());
    let connection = installation.connect(replica.address()).await;
    (replica, connection)
}

/// Gives a command both keys.
fn both(command: &mut Command, current: &str, previous: &str) {
    command.env("SIGNET_MASTER_KEY", current).env("SIGNET_PREVIOUS_MASTER_KEY", previous);
}

fn master_key(installation: &Installation, command: &str, current: &str, previous: Option<&str>) -> Command {
    let mut command = installation.command(&["master-key", command, "--json"]);
    command.env("SIGNET_MASTER_KEY", current);
    if let Some(previous) = previous {
        command.env("SIGNET_PREVIOUS_MASTER_KEY", previous);
    }
    command
}

/// The six digits in a mail.
fn code_in(text: &str) -> String {
    let is_code = |word: &&str| word.len() == 6 && word.bytes().all(|byte| byte.is_ascii_digit());
    text.split_whitespace().find(is_code).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn replicas_change_from_one_master_key_to_another_and_nobody_notices() {
    let Some(installation) = Installation::set_up(Engine::Postgres).await else { return };
    let Some(peer) = Peer::start(["--security", "none"]) else { return };
    let mut rollout = Rollout::start(&installation, &[("SIGNET_MASTER_KEY", OLD)]).await;
    rollout.use_both().await;
    let with_old = [("SIGNET_MASTER_KEY", OLD), ("SIGNET_PREVIOUS_MASTER_KEY", NEW)];
    let with_new = [("SIGNET_MASTER_KEY", NEW), ("SIGNET_PREVIOUS_MASTER_KEY", OLD)];
    rollout.roll_out(&with_old).await;
    rollout.roll_out(&with_new).await;

    let mut too_early = installation.command(&["serve"]);
    too_early.args(crate::FREE_PORTS).env("SIGNET_MASTER_KEY", NEW);
    let too_early = run(too_early);
    too_early.refused(64, &["SIGNET_MASTER_KEY", "SIGNET_PREVIOUS_MASTER_KEY"]);
    let status = run(master_key(&installation, "status", NEW, Some(OLD))).json();
    assert_eq!((&status["previous_key"], &status["signing_keys"]), (&json!("needed"), &json!({"left": 2})));
    let resealed = run(master_key(&installation, "reseal", NEW, Some(OLD)));
    let report = resealed.json();
    assert_eq!(report["signing_keys"], json!({"resealed": 2, "left": 0}));
    assert!(report["mails"]["resealed"].as_u64() > Some(0) && report["codes_and_links"]["resealed"].as_u64() > Some(0));
    assert_eq!(report["previous_key"], "not_needed", "{report}: nobody asked for a reset, or to keep an answer");
    rollout.use_both().await;

    // No mail has left so far: they were sealed under both keys.
    let smtp = format!("smtp://127.0.0.1:{}", peer.port);
    let mail = [("SIGNET_SMTP_URL", smtp.as_str()), ("SIGNET_MAIL_FROM", "no-reply@example.com")];
    rollout.roll_out(&[&[("SIGNET_MASTER_KEY", NEW)], &mail[..]].concat()).await;
    let mut waiting = std::mem::take(&mut rollout.waiting);
    assert!(waiting.len() > 10);
    while !waiting.is_empty() {
        let mail = peer.next("accepted");
        let found = waiting.iter().position(|waiting| mail["rcpt_to"] == json!([waiting.email]));
        // The others' codes were read, and redeemed.
        let Some(found) = found else { continue };
        let Waiting { token, .. } = waiting.swap_remove(found);
        let replica = &mut rollout.replicas[waiting.len() % 2].1;
        replica.authenticate_email_verification(&token, &code_in(mail["text"].as_str().unwrap())).await.unwrap();
    }
    let Rollout { replicas, mut said, .. } = rollout;
    said.extend(replicas.map(|(replica, _)| replica.terminate()));
    let in_log = |part: &str| said.iter().any(|said| said.stderr.contains(part));
    assert!(in_log("0 of 2 signing keys are encrypted under the one of SIGNET_PREVIOUS_MASTER_KEY"));
    assert!(in_log("2 of 2 signing keys are encrypted under the one of SIGNET_PREVIOUS_MASTER_KEY"));
    for said in said.iter().chain([&too_early, &resealed]) {
        let secrets = [OLD, NEW].into_iter().filter(|key| said.stderr.contains(key) || said.stdout.contains(key));
        assert_eq!(secrets.count(), 0, "a process has told a key");
    }
}

/// Adds signing keys under the old master key, so many that there are several pages.
async fn add_keys(installation: &Installation, count: u64) {
    let bytes: [u8; 32] = STANDARD.decode(OLD).unwrap().try_into().unwrap();
    let master_key = MasterKey::new(&SecretBox::new(Box::new(bytes)));
    let url = installation.database_url().into();
    let settings = DatabaseSettings { url, connections_max: 1, acquire_timeout: Duration::from_secs(20) };
    let store = Store::connect(&settings).await.unwrap();
    let now = store.view().signing_keys().newest_created_at().await.unwrap().unwrap();
    let project = ProjectId::parse(installation.project_id()).unwrap();
    let tx = store.begin().await.unwrap();
    for _ in 0..count {
        let later = now + chrono::Duration::days(400);
        let key = generate(project, KeyUse::RefreshTokenMac, later, now, &master_key, &Random::System).unwrap();
        tx.signing_keys().insert(&key).await.unwrap();
    }
    tx.commit().await.unwrap();
    store.close().await.unwrap();
}

async fn number(connection: &DatabaseConnection, query: &str) -> i64 {
    let query = Statement::from_string(connection.get_database_backend(), query);
    connection.query_one_raw(query).await.unwrap().unwrap().try_get_by_index(0).unwrap()
}

/// Stops the update of the key in the middle of the second page, until the test lets it go.
const STOP: &str = "
    CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF (SELECT count(*) FROM signing_keys WHERE id < NEW.id) = 150 THEN PERFORM pg_advisory_xact_lock(1); END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER stop BEFORE UPDATE ON signing_keys FOR EACH ROW EXECUTE FUNCTION stop();
    SELECT pg_advisory_lock(1)";

#[tokio::test]
async fn a_reseal_that_is_killed_is_taken_up_by_the_next() {
    let Some(installation) = Installation::set_up(Engine::Postgres).await else { return };
    add_keys(&installation, 3 * PAGE).await;
    let mut options = ConnectOptions::new(installation.database_url());
    let connection =
        sea_orm::Database::connect(options.min_connections(1).max_connections(1).to_owned()).await.unwrap();
    connection.execute_unprepared(STOP).await.unwrap();

    let killed = Running::start(master_key(&installation, "reseal", NEW, Some(OLD)));
    assert!(killed.log_line("signing keys").starts_with(&PAGE.to_string()));
    let waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
    for _ in 0..PATIENCE.as_millis() / 20 {
        if number(&connection, waits).await == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(number(&connection, waits).await, 1, "it has come to the middle of the second page");
    killed.kill();
    // Waits for the end of whatever the database still does for the dead process.
    connection.execute_unprepared("SELECT pg_advisory_unlock(1); DROP TRIGGER stop ON signing_keys").await.unwrap();

    let all = 3 * PAGE + 2;
    let status = |current, previous| run(master_key(&installation, "status", current, previous)).json();
    assert_eq!(status(NEW, Some(OLD))["signing_keys"]["left"], all - PAGE, "one page is done, the second is not");
    assert_eq!(status(OLD, Some(NEW))["signing_keys"]["left"], PAGE);
    run(installation.command(&["project", "list"])).refused(64, &["SIGNET_PREVIOUS_MASTER_KEY"]);

    let report = run(master_key(&installation, "reseal", NEW, Some(OLD))).json();
    assert_eq!(report["signing_keys"], json!({"resealed": all - PAGE, "left": 0}));
    assert_eq!(status(NEW, None)["previous_key"], "not_needed");
    connection.close().await.unwrap();
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn one_replica_is_stopped_and_started_with_the_new_key(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(installation) = Installation::set_up(engine).await else { return };
    let (replica, mut back_end) = start(&installation, &[]).await;
    let token = back_end.authenticate_password(EMAIL, PASSWORD).await.unwrap().tokens.unwrap().refresh_token;
    drop(back_end);
    assert_eq!(replica.terminate().code, 0);
    let (replica, mut back_end) =
        start(&installation, &[("SIGNET_MASTER_KEY", NEW), ("SIGNET_PREVIOUS_MASTER_KEY", OLD)]).await;
    let token = back_end.refresh(&token).await.unwrap();
    let mut people = installation.command(&["master-key", "reseal"]);
    both(&mut people, NEW, OLD);
    let people = run(people);
    assert_eq!(people.code, 0, "{people:?}");
    for part in ["signing keys          2 encrypted anew, 0 left", "No other master key is needed"] {
        assert!(people.stdout.contains(part), "{people:?}");
    }
    drop(back_end);
    assert_eq!(replica.terminate().code, 0);
    let (_replica, mut back_end) = start(&installation, &[("SIGNET_MASTER_KEY", NEW)]).await;
    back_end.refresh(&token).await.unwrap();
}

#[tokio::test]
async fn keys_that_do_not_go_together_are_refused_and_not_shown() {
    let Some(installation) = Installation::set_up(Engine::Sqlite).await else { return };
    let known = STANDARD.encode([0; 32]);
    let named = "--previous-master-key (SIGNET_PREVIOUS_MASTER_KEY)";
    let refused = |command: &[&str], (current, previous): (&str, Option<&str>), parts: &[&str]| {
        let mut command = installation.command(command);
        command.env("SIGNET_MASTER_KEY", current);
        if let Some(previous) = previous {
            command.env("SIGNET_PREVIOUS_MASTER_KEY", previous);
        }
        let refused = run(command);
        refused.refused(64, parts);
        for key in [OLD, NEW, &known, DEV_MASTER_KEY] {
            assert!(!refused.stderr.contains(key), "{refused:?}");
        }
    };
    let reseal = ["master-key", "reseal"];
    refused(&reseal, (OLD, None), &[named, "is needed"]);
    refused(&reseal, (DEV_MASTER_KEY, Some(OLD)), &["--master-key (SIGNET_MASTER_KEY)", "everybody knows"]);
    for command in [&reseal[..], &["serve"], &["project", "list"]] {
        refused(command, (OLD, Some(OLD)), &[named, "is the same key as"]);
        refused(command, (OLD, Some("c2hvcnQ=")), &[named, "32 bytes in base64"]);
    }
    for command in [&reseal[..], &["serve"]] {
        refused(command, (OLD, Some(DEV_MASTER_KEY)), &[named, "everybody knows"]);
        refused(command, (OLD, Some(&known)), &[named, "everybody knows"]);
    }
    // Neither opens the database.
    refused(&reseal, (NEW, Some("BgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgc=")), &[named, "set up"]);

    let mut help = installation.command(&["serve", "--help"]);
    both(&mut help, OLD, NEW);
    let help = run(help);
    let told: Value = json!(help.stdout);
    assert!(help.stdout.contains("SIGNET_PREVIOUS_MASTER_KEY") && !told.to_string().contains(NEW), "{help:?}");
}
