//! `signet explain`, and the stream of events of a server that stops or dies.

use std::collections::BTreeSet;

use rstest::rstest;
use signet::proto::WatchEventsResponse;
use tokio::time::timeout;
use tonic::{Code, Status, Streaming};

use crate::{
    installation::{EMAIL, Installation, PASSWORD},
    process::PATIENCE,
};
use signet_test_support::Engine;

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn an_operator_learns_what_the_caller_was_not_told(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(installation) = Installation::set_up(engine).await else { return };
    let replica = installation.start_replica();
    let mut back_end = installation.connect(replica.address()).await;
    back_end.authenticate_as("wrong", EMAIL, "wrong password").await.unwrap_err();
    back_end.authenticate_as("nobody", "nobody@example.com", PASSWORD).await.unwrap_err();
    for _ in 0..10 {
        back_end.authenticate_as("guess", EMAIL, "wrong password").await.unwrap_err();
    }
    back_end.authenticate_as("slow", EMAIL, PASSWORD).await.unwrap_err();

    let wrong = installation.run(&["explain", "wrong", "--json"]).json();
    assert_eq!((&wrong["kind"], &wrong["cause"]), (&"password.failed".into(), &"wrong_password".into()), "{wrong}");
    assert_eq!((&wrong["user"]["email"], &wrong["why"]), (&EMAIL.into(), &"The password was wrong.".into()), "{wrong}");
    let nobody = installation.run(&["explain", "nobody", "--json"]).json();
    assert_eq!(nobody["cause"], "unknown_user", "{nobody}");
    assert!(nobody["user_id"].is_null() && nobody["next"].as_str().unwrap().contains("signet user list"), "{nobody}");
    let slow = installation.run(&["explain", "slow", "--json"]).json();
    assert_eq!((&slow["cause"], &slow["delays"][0]["counter"]), (&"throttled".into(), &"authenticate_password".into()));
    assert!(slow["delays"][0]["until"].as_str().unwrap().starts_with("20"), "{slow}");

    // Several requests under one id, in words.
    let guesses = installation.run(&["explain", "guess"]);
    assert_eq!((guesses.code, guesses.stdout.matches("password.failed").count()), (0, 10), "{guesses:?}");
    for told in ["throttle.tripped", "The password was wrong.", EMAIL, "authenticate_password until 20"] {
        assert!(guesses.stdout.contains(told), "{told}: {}", guesses.stdout);
    }
    for json in [&["--json"][..], &[]] {
        let nothing = installation.run(&[&["explain", "another-id"], json].concat());
        nothing.refused(1, &["nothing is recorded", "another-id", "call finished", "request_id=another-id"]);
    }
}

async fn next(stream: &mut Streaming<WatchEventsResponse>) -> Result<WatchEventsResponse, Status> {
    Ok(timeout(PATIENCE, stream.message()).await.unwrap()?.expect("an error ends the stream"))
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_does_not_wait_for_its_watchers(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(installation) = Installation::set_up(engine).await else { return };
    let replica = installation.start_replica();
    let mut stream = installation.connect(replica.address()).await.watch_events("").await;
    let first = next(&mut stream).await.unwrap();
    assert!(first.event.is_some(), "{first:?}");
    let stopped = tokio::task::spawn_blocking(|| replica.terminate());
    let ended = loop {
        if let Err(ended) = next(&mut stream).await {
            break ended;
        }
    };
    assert_eq!((ended.code(), ended.details().is_empty()), (Code::Unavailable, false), "told, not cut: {ended:?}");
    let stopped = stopped.await.unwrap();
    assert_eq!(stopped.code, 0, "{stopped:?}");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_of_a_server_that_dies_goes_on_at_another(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    const BEFORE: usize = 6;
    let Some(installation) = Installation::set_up(engine).await else { return };
    let (dying, surviving) = (installation.start_replica(), installation.start_replica());
    let mut stream = installation.connect(dying.address()).await.watch_events("").await;
    let (mut ids, mut cursor, mut failed) = (Vec::new(), String::new(), 0);
    let mut back_end = installation.connect(surviving.address()).await;
    for _ in 0..BEFORE {
        back_end.authenticate_password(EMAIL, "wrong password").await.unwrap_err();
    }
    // In the middle of what it is numbering and telling.
    while failed < 2 {
        let message = next(&mut stream).await.unwrap();
        cursor = message.cursor;
        failed += message.event.iter().filter(|event| event.kind == "password.failed").count();
        ids.extend(message.event.map(|event| event.event_id));
    }
    dying.kill();
    back_end.authenticate_password(EMAIL, "wrong password").await.unwrap_err();
    let mut stream = back_end.watch_events(&cursor).await;
    while failed < BEFORE + 1 {
        let message = next(&mut stream).await.unwrap();
        failed += message.event.iter().filter(|event| event.kind == "password.failed").count();
        ids.extend(message.event.map(|event| event.event_id));
    }
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "none twice");
    assert_eq!(installation.events("password.failed").await, i64::try_from(BEFORE + 1).unwrap(), "and none missing");
}
