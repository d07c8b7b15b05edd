//! What `docs/operations.md` says is to be done when keys have leaked or are lost, done.

use rstest::rstest;
use sea_orm::ConnectionTrait as _;
use signet_test_support::Engine;

use crate::{
    MASTER_KEY, OTHER_MASTER_KEY as NEW,
    calls::BackEnd,
    installation::{EMAIL, Installation, PASSWORD, Replica},
    process::run,
};

/// The SQL of a section of the manual.
fn sql_of(section: &str) -> String {
    let manual = include_str!("../../docs/operations.md");
    let section = manual.split_once(&format!("\n### {section}\n")).unwrap().1;
    let sql = section.split_once("```sql\n").unwrap().1;
    sql.split_once("```").unwrap().0.to_owned()
}

async fn execute(installation: &Installation, sql: &str) {
    let connection = sea_orm::Database::connect(installation.database_url()).await.unwrap();
    connection.execute_unprepared(sql).await.unwrap();
    connection.close().await.unwrap();
}

/// New keys of both uses.
fn rotate(installation: &Installation, master_key: &str, more: &[&str]) {
    let rotate = ["key", "rotate", "--project", installation.project_id(), "--json"];
    for key_use in [&[][..], &["--use", "refresh-tokens"]] {
        let mut command = installation.command(&[&rotate[..], key_use, more].concat());
        command.env("SIGNET_MASTER_KEY", master_key);
        assert_eq!(run(command).json()["state"], "active");
    }
}

async fn start(installation: &Installation, master_key: &str) -> (Replica, BackEnd) {
    // Without it each would issue tokens in the name of its own port.
    let public_url = ("SIGNET_PUBLIC_URL", "https://auth.example");
    let replica = installation.start_replica_with(&[public_url, ("SIGNET_MASTER_KEY", master_key)]);
    let back_end = installation.connect(replica.address()).await;
    (replica, back_end)
}

/// Signs in; gives access and refresh token.
async fn sign_in(back_end: &mut BackEnd) -> (String, String) {
    let tokens = back_end.authenticate_password(EMAIL, PASSWORD).await.unwrap().tokens.unwrap();
    (tokens.access_token, tokens.refresh_token)
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn after_a_leak_nothing_of_the_old_signing_keys_is_taken(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(installation) = Installation::set_up(engine).await else { return };
    let (replica, mut back_end) = start(&installation, MASTER_KEY).await;
    let (access, refresh) = sign_in(&mut back_end).await;
    rotate(&installation, MASTER_KEY, &["--now"]);
    replica.kill();
    let (replica, mut back_end) = start(&installation, MASTER_KEY).await;
    assert!(back_end.token_is_good(&access).await, "a rotation alone ends nothing");
    let successor = back_end.refresh(&refresh).await.unwrap();

    // A replica that has not read the keys some moments ago.
    replica.kill();
    execute(&installation, &sql_of("Signing keys")).await;
    let (_replica, mut back_end) = start(&installation, MASTER_KEY).await;
    assert!(!back_end.token_is_good(&access).await);
    // The successor was made with the new key.
    for token in [&refresh, &successor] {
        back_end.refresh(token).await.unwrap_err();
    }
    let (access, refresh) = sign_in(&mut back_end).await;
    assert!(back_end.token_is_good(&access).await);
    back_end.refresh(&refresh).await.unwrap();
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn without_the_master_key_users_and_clients_are_there_and_sign_in_again(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(installation) = Installation::set_up(engine).await else { return };
    let (replica, mut back_end) = start(&installation, MASTER_KEY).await;
    let (access, refresh) = sign_in(&mut back_end).await;
    replica.kill();
    let mut list = installation.command(&["project", "list"]);
    list.env("SIGNET_MASTER_KEY", NEW);
    run(list).refused(64, &["SIGNET_MASTER_KEY"]);

    execute(&installation, &sql_of("The master key")).await;
    rotate(&installation, NEW, &[]);
    let (_replica, mut back_end) = start(&installation, NEW).await;
    assert!(!back_end.token_is_good(&access).await);
    back_end.refresh(&refresh).await.unwrap_err();
    let (_, refresh) = sign_in(&mut back_end).await;
    back_end.refresh(&refresh).await.unwrap();
}
