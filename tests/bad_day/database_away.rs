//! PostgreSQL is stopped under load, and started again.

use rstest::rstest;
use serde_json::json;
use signet_test_support::{OwnServer, StopKind, process::run};
use tonic_health::pb::health_check_response::ServingStatus;

use crate::{
    calls::{assert_try_again, get},
    load::{Done, Load},
    service::{EMAIL, Replica, Service, eventually, this_version},
};

/// What no stop may leave behind, and the statement that counts it.
const HALF_WRITTEN: [(&str, &str); 6] = [
    (
        "a session without its event",
        "SELECT count(*) FROM sessions s WHERE (SELECT count(*) FROM events e WHERE e.session_id = s.id AND e.kind = \
         'user.signed_in') <> 1",
    ),
    (
        "a sign-in without its session",
        "SELECT count(*) FROM events e WHERE e.kind = 'user.signed_in' AND NOT EXISTS (SELECT 1 FROM sessions s WHERE \
         s.id = e.session_id)",
    ),
    (
        "a user without a name",
        "SELECT count(*) FROM users u WHERE NOT EXISTS (SELECT 1 FROM identifiers i WHERE i.user_id = u.id)",
    ),
    (
        "a user without its event",
        "SELECT count(*) FROM users u WHERE (SELECT count(*) FROM events e WHERE e.user_id = u.id AND e.kind = \
         'user.created') <> 1",
    ),
    (
        "a user who was created and is not there",
        "SELECT count(*) FROM events e WHERE e.kind = 'user.created' AND NOT EXISTS (SELECT 1 FROM users u WHERE u.id = \
         e.user_id)",
    ),
    ("a session that was taken for stolen", "SELECT count(*) FROM events WHERE kind = 'refresh.reused'"),
];

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_goes_away_is_said_to_be_and_taken_up_again(
    #[values(StopKind::Fast, StopKind::Immediate, StopKind::Killed)] kind: StopKind,
) {
    let Some(mut server) = OwnServer::start() else { return };
    let service = Service::at(&server.url(), this_version());
    let replica = service.replica(&[]);
    let back_end = service.back_end(&replica.grpc);
    let load = Load::start(&back_end, assert_try_again).await;
    load.successes(3).await;

    let server = tokio::task::spawn_blocking(move || {
        server.stop(kind);
        server
    });
    let mut server = server.await.unwrap();
    load.failures(3).await;
    let (status, report) = get(&replica.ops, "/readyz").await.unwrap();
    assert_eq!((status, &report["checks"]["serving"]), (503, &json!("ok")), "{report}");
    assert_eq!(get(&replica.ops, "/livez").await.unwrap().0, 200, "a restart would not help");
    // Whoever is sent away by a health check is not told when to come back.
    assert_eq!(back_end.health().await.unwrap(), i32::from(ServingStatus::Serving));

    let server = tokio::task::spawn_blocking(move || {
        server.start_again();
        server
    });
    let _server = server.await.unwrap();
    load.successes(3).await;
    eventually("ready again", async || get(&replica.ops, "/readyz").await.unwrap().0 == 200).await;

    let Done { refreshed, sessions, users } = load.finish().await;
    for session in &sessions {
        back_end.check_session(session).await.expect("what was answered was written");
    }
    back_end.check(&refreshed.access_token).await.expect("the chain of refreshes is whole");
    for (name, created) in &users {
        let again = back_end.create_user(name).await;
        assert!(again.is_err() || !created, "{name} was answered and is not there");
    }
    for (what, sql) in HALF_WRITTEN {
        assert_eq!(service.count(sql).await, 0, "{what}");
    }
    assert_eq!(replica.running.terminate().code, 0);
}

const WAITS: &str = "the database does not answer; waiting for it";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_is_started_before_its_database_waits_for_it() {
    let Some(mut server) = OwnServer::start() else { return };
    let service = Service::at(&server.url(), this_version());
    server.stop(StopKind::Fast);
    let told_to_stop = service.starting(this_version(), &[]);
    told_to_stop.log_line(WAITS);
    let ended = told_to_stop.terminate();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    for impatient in
        [&["serve", "--database-start-timeout=0s"][..], &["serve", "--database-start-timeout=1s"], &["project", "list"]]
    {
        let refused = run(service.command(this_version(), impatient));
        refused.refused(1, &["SIGNET_DATABASE_URL"]);
        assert_eq!(
            refused.stderr.contains(WAITS),
            impatient.last().is_some_and(|last| last.ends_with("=1s")),
            "{refused:?}"
        );
    }

    let waiting = service.starting(this_version(), &[]);
    waiting.log_line(WAITS);
    server.start_again();
    let replica = Replica::of(waiting);
    service.back_end(&replica.grpc).sign_in(EMAIL).await.unwrap();
    let elsewhere = service.url().replace("/postgres?", "/nothing?");
    assert_ne!(elsewhere, service.url());
    let refused = run(service.command(this_version(), &["serve", "--database-url", &elsewhere]));
    refused.refused(1, &["does not exist"]);
    assert!(!refused.stderr.contains(WAITS), "what is refused is not waited for: {}", refused.stderr);
    let ended = replica.running.terminate();
    assert_eq!((ended.code, ended.stderr.matches(WAITS).count()), (0, 1), "{}", ended.stderr);
    assert_eq!(ended.stderr.matches("the database answers").count(), 1, "{}", ended.stderr);
}
