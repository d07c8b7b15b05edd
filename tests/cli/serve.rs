//! `signet serve` and `signet healthcheck`.

use std::path::Path;

use sea_orm::{ConnectionTrait as _, TransactionTrait as _};
use serde_json::Value;
use signet_test_support::Engine;

use crate::{
    FREE_PORTS, MASTER_KEY, OTHER_MASTER_KEY,
    calls::get,
    installation::{Installation, query},
    process::{PATIENCE, Running, run, signet},
};

/// A migrated database with a project; gives the project's id.
fn prepare(directory: &Path) -> String {
    run(signet(directory, &["migrate", "--json"])).json();
    let mut command = signet(directory, &["project", "create", "--name", "Shop", "--json"]);
    command.env("SIGNET_MASTER_KEY", MASTER_KEY);
    run(command).json()["project_id"].as_str().unwrap().to_owned()
}

fn serve(directory: &Path, master_key: &str) -> std::process::Command {
    let mut command = signet(directory, &["serve", "--log-format", "json"]);
    command.args(FREE_PORTS).env("SIGNET_MASTER_KEY", master_key);
    command
}

#[test]
fn serve_says_when_it_is_ready_and_ends_with_0_when_told_to_stop() {
    let directory = tempfile::tempdir().unwrap();
    let project = prepare(directory.path());
    let running = Running::start(serve(directory.path(), MASTER_KEY));
    let ready: Value = serde_json::from_str(&running.log_line("\"message\":\"ready\"")).unwrap();
    let address = |name: &str| ready[name].as_str().unwrap();

    assert_eq!(get(address("ops"), "/readyz").0, 200);
    assert_eq!(get(address("ops"), "/dev/mails").0, 404, "only `dev` shows mails");
    let (status, key_set) = get(address("rest"), &format!("/projects/{project}/.well-known/jwks.json"));
    assert_eq!((status, &key_set["keys"][0]["kty"]), (200, &Value::from("RSA")));
    let healthcheck = ["healthcheck", "--grpc-addr", address("grpc")];
    let healthy = run(signet(directory.path(), &healthcheck));
    assert_eq!((healthy.code, healthy.stdout.as_str(), healthy.stderr.as_str()), (0, "", ""));
    let mut by_variable = signet(directory.path(), &["healthcheck"]);
    by_variable.env("SIGNET_GRPC_ADDR", address("grpc"));
    assert_eq!(run(by_variable).code, 0);

    let ended = running.terminate();
    assert_eq!((ended.code, ended.stdout.as_str()), (0, ""), "{ended:?}");
    run(signet(directory.path(), &healthcheck)).refused(1, &["no service answers at", address("grpc")]);
    assert_eq!(ended.stderr.matches("NO MAIL IS SENT").count(), 1, "warned once: {}", ended.stderr);
}

#[test]
fn serve_warns_of_hash_workers_that_the_memory_cannot_hold() {
    // 64 GiB.
    const MOST: [&str; 2] = ["--hash-workers=256", "--argon2-memory-kib=262144"];
    const SAID: &str = "lower --hash-workers or --argon2-memory-kib";
    let directory = tempfile::tempdir().unwrap();
    prepare(directory.path());
    let mut command = serve(directory.path(), MASTER_KEY);
    command.args(MOST);
    let running = Running::start(command);
    running.log_line("\"message\":\"ready\"");
    let said = running.terminate().stderr;
    let warnings: Vec<Value> =
        said.lines().filter(|line| line.contains(SAID)).map(|line| serde_json::from_str(line).unwrap()).collect();
    let warning = match &warnings[..] {
        [] if memory_mib() >= 65_536 => return,
        [warning] => warning,
        _ => panic!("warned once: {said}"),
    };
    let told = |name: &str| warning[name].as_u64().unwrap();
    assert_eq!((warning["level"].as_str(), told("workers"), told("needed_mib")), (Some("WARN"), 256, 65_536));
    assert!(told("left_mib") < 65_536, "{warning}");
}

/// What the machine has.
fn memory_mib() -> u64 {
    let told = std::fs::read_to_string("/proc/meminfo").unwrap();
    let line = told.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

#[test]
fn serve_refuses_the_master_key_of_another_database() {
    let directory = tempfile::tempdir().unwrap();
    let project = prepare(directory.path());
    let refused = run(serve(directory.path(), OTHER_MASTER_KEY));
    refused.refused(64, &["SIGNET_MASTER_KEY", &project, "with which this database was set up"]);
    let mut command = signet(directory.path(), &["key", "rotate", "--project", &project]);
    command.env("SIGNET_MASTER_KEY", OTHER_MASTER_KEY);
    run(command).refused(64, &["SIGNET_MASTER_KEY"]);
}

#[test]
fn serve_names_the_flag_of_a_port_that_is_taken() {
    let directory = tempfile::tempdir().unwrap();
    prepare(directory.path());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = signet(directory.path(), &["serve", "--grpc-addr", "127.0.0.1:0", "--rest-addr", &address]);
    command.env("SIGNET_MASTER_KEY", MASTER_KEY);
    run(command).refused(1, &["--rest-addr (SIGNET_REST_ADDR)", &address, "--rest-addr 127.0.0.1:0"]);
}

#[test]
fn a_healthcheck_of_nothing_or_of_nonsense_fails() {
    let directory = tempfile::tempdir().unwrap();
    run(signet(directory.path(), &["healthcheck", "--addr", "127.0.0.1:1"])).refused(1, &["127.0.0.1:1"]);
    for address in ["127.0.0.1:0", "nonsense", "a b:1", ""] {
        run(signet(directory.path(), &["healthcheck", "--addr", address])).refused(64, &["SIGNET_GRPC_ADDR"]);
    }
}

/// Housekeeping is nothing to wait for: here it waits itself, for another replica that gives events their places.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_stops_in_the_middle_of_its_housekeeping() {
    let Some(installation) = Installation::set_up(Engine::Postgres).await else { return };
    let other = sea_orm::Database::connect(installation.database_url()).await.unwrap();
    other.execute_unprepared("UPDATE events SET position = NULL").await.unwrap();
    let tx = other.begin().await.unwrap();
    tx.execute_unprepared("SELECT 1 FROM event_stream FOR UPDATE").await.unwrap();

    let replica = installation.start_replica();
    let waiting = "SELECT count(*) AS count FROM pg_stat_activity
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
    for _ in 0..PATIENCE.as_millis() / 20 {
        if query(installation.database_url(), waiting).await.try_get::<i64>("", "count").unwrap() > 0 {
            // Bounded, and with 0.
            replica.stop();
            tx.rollback().await.unwrap();
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("nobody gives events their places");
}
