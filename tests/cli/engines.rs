//! From an empty database to a sign-in, on both engines.

use rstest::rstest;
use serde_json::Value;
use signet_test_support::{Engine, TestDatabase};

use crate::{
    FREE_PORTS,
    calls::BackEnd,
    installation::command,
    process::{Running, run, run_with_input},
};

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_new_service_is_set_up_and_signs_a_user_in(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(database) = TestDatabase::from_template(engine, async |_| {}).await else { return };
    let directory = tempfile::tempdir().unwrap();
    let command = |args: &[&str]| command(directory.path(), database.url(), args);
    let text = |value: &Value, name: &str| value[name].as_str().unwrap().to_owned();

    run(command(&["project", "list"])).refused(1, &["signet migrate"]);
    // Two replicas that are rolled out together: one migrates, the other waits and finds nothing to do.
    let together = [command(&["migrate", "--json"]), command(&["migrate", "--json"])]
        .map(|command| std::thread::spawn(|| run(command)));
    let mut applied = together.map(|run| run.join().unwrap().json()["applied"].as_array().unwrap().len());
    applied.sort_unstable();
    assert_eq!((applied[0], applied[1] > 0), (0, true), "{applied:?}");

    let project = text(&run(command(&["project", "create", "--name", "Shop", "--json"])).json(), "project_id");
    let create = ["client", "create", "--project", &project, "--name", "Back end", "--json"];
    let client = run(command(&create)).json();
    let create = ["user", "create", "--project", &project, "--email", "ada@example.com", "--email-verified"];
    let user = run_with_input(command(&[&create[..], &["--password-stdin", "--json"]].concat()), "analytical engine");
    assert_eq!(user.json()["email_verified"], true);

    let mut serve = command(&["serve", "--log-format", "json"]);
    serve.args(FREE_PORTS);
    let running = Running::start(serve);
    let ready: Value = serde_json::from_str(&running.log_line("\"message\":\"ready\"")).unwrap();
    let (id, secret) = (text(&client, "client_id"), text(&client, "client_secret"));
    let mut back_end = BackEnd::connect(&text(&ready, "grpc"), &id, &secret).await;
    let answer = back_end.authenticate_password("ADA@example.com", "analytical engine").await.unwrap();
    assert!(answer.first_seen && answer.tokens.is_some());
    drop(back_end);
    let ended = running.terminate();
    assert_eq!(ended.code, 0, "{ended:?}");
}
