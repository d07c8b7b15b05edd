//! All connections to the database are in use.

use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait as _, TransactionTrait as _};
use signet_test_support::Engine;
use tonic::Code;

use crate::{
    calls::{assert_try_again, get, get_as},
    service::{EMAIL, Service, eventually},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_free_connection_is_said_in_time_and_mends_itself() {
    let Some(service) = Service::on(Engine::Postgres).await else { return };
    let replica = service.replica(&[
        "--database-connections=1",
        "--database-acquire-timeout=1s",
        "--grpc-deadline=10s",
        "--rest-deadline=10s",
    ]);
    let back_end = service.back_end(&replica.grpc);
    let session = back_end.sign_in(EMAIL).await.unwrap();

    // Somebody else's transaction: a migration by hand, or a person with a shell.
    let database = service.database().await;
    let lock = database.begin().await.unwrap();
    lock.execute_unprepared("LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let client = back_end.clone();
    let holder = tokio::spawn(async move { client.sign_in(EMAIL).await });
    // It waits for the lock, in the only connection.
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    eventually("the sign-in holds the connection", async || service.count(waits).await == 1).await;

    for _ in 0..3 {
        let started = Instant::now();
        assert_try_again(&back_end.check(&session.access_token).await.unwrap_err());
        assert_try_again(&back_end.refresh(&session.refresh_token).await.unwrap_err());
        assert!(started.elapsed() < Duration::from_secs(9), "each within the time to wait for a connection");
    }
    let (status, refusal) = get_as(back_end.authorization(), &replica.rest, "/api/v1/users").await.unwrap();
    assert_eq!((status, &refusal["details"][0]["reason"]), (503, &"UNAVAILABLE".into()), "{refusal}");
    assert_eq!(get(&replica.ops, "/readyz").await.unwrap().0, 503);
    assert_eq!(get(&replica.ops, "/livez").await.unwrap().0, 200);
    back_end.health().await.unwrap();
    let cut_off = holder.await.unwrap().unwrap_err();
    assert!([Code::DeadlineExceeded, Code::Unavailable].contains(&cut_off.code()), "{cut_off:?}");

    lock.rollback().await.unwrap();
    eventually("ready again", async || get(&replica.ops, "/readyz").await.unwrap().0 == 200).await;
    back_end.check(&session.access_token).await.unwrap();
    back_end.refresh(&session.refresh_token).await.unwrap();
    back_end.sign_in(EMAIL).await.unwrap();
    drop(replica);
    database.close().await.unwrap();
}
