//! The audit trail as a stream.

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use rstest::rstest;
use sea_orm::ConnectionTrait as _;
use signet::{
    domain::limits::Limits,
    grpc::{Api, ApiSettings},
    metrics::Metrics,
    proto::{DeleteClientRequest, ListClientsRequest, WatchEventsRequest, WatchEventsResponse},
    usecase::{sweep::sweep, watch_events::Pace},
};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tonic::{Code, Status, Streaming};
use tonic_types::pb::RetryInfo;

use crate::{
    events::{all, happen, words},
    support::{Caller, Engine, TestApp, detail, field_violations, reason},
};

/// No wait for a message takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

async fn watch(caller: &Caller, cursor: &str) -> Result<Streaming<WatchEventsResponse>, Status> {
    let request = WatchEventsRequest { cursor: cursor.into(), ..Default::default() };
    caller.events.clone().watch_events(request).await.map(tonic::Response::into_inner)
}

async fn watch_new(caller: &Caller) -> Streaming<WatchEventsResponse> {
    let request = WatchEventsRequest { only_new: true, ..Default::default() };
    caller.events.clone().watch_events(request).await.unwrap().into_inner()
}

/// The next message, or how the stream ended.
async fn next(stream: &mut Streaming<WatchEventsResponse>) -> Result<WatchEventsResponse, Status> {
    let message = timeout(PATIENCE, stream.message()).await.expect("a message in time")?;
    Ok(message.expect("a stream does not end without an error"))
}

/// The next so many messages with events.
async fn events(stream: &mut Streaming<WatchEventsResponse>, count: usize) -> Vec<WatchEventsResponse> {
    let mut found = Vec::new();
    while found.len() < count {
        let message = next(stream).await.unwrap();
        if message.event.is_some() {
            found.push(message);
        }
    }
    found
}

/// How the stream ends, whatever is told before.
async fn end(stream: &mut Streaming<WatchEventsResponse>) -> Status {
    timeout(PATIENCE, async {
        loop {
            if let Err(status) = next(stream).await {
                return status;
            }
        }
    })
    .await
    .expect("the stream ends")
}

#[rstest]
#[tokio::test]
async fn a_watcher_is_told_what_happens_and_goes_on_with_its_cursor(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (before, cursor) = all(&app.back_end(), "").await;
    let mut from_the_oldest = watch(&app.back_end(), "").await.unwrap();
    let told: Vec<_> = events(&mut from_the_oldest, before.len()).await;
    assert_eq!(told.iter().map(|message| message.event.clone().unwrap()).collect::<Vec<_>>(), before);

    let mut stream = watch(&app.back_end(), &cursor).await.unwrap();
    let nothing = next(&mut stream).await.unwrap();
    assert_eq!(nothing.event, None, "nothing is new, and the first message comes at once");
    happen(&app).await;
    let told = events(&mut stream, 1).await.remove(0);
    assert_eq!(words(&[told.event.clone().unwrap()]), ["password.failed (wrong_password)"]);
    let idle = next(&mut stream).await.unwrap();
    assert_eq!((idle.event.clone(), idle.cursor.is_empty()), (None, false), "it beats while nothing happens");

    // Elsewhere, later: from each of the cursors on what followed.
    let elsewhere = Caller::new(app.replica().await, Some(&app.fixture.confidential));
    drop(stream);
    happen(&app).await;
    for (cursor, missing) in [(&cursor, 2), (&nothing.cursor, 2), (&told.cursor, 1), (&idle.cursor, 1)] {
        let mut stream = watch(&elsewhere, cursor).await.unwrap();
        let told = events(&mut stream, missing).await;
        assert_eq!(next(&mut stream).await.unwrap().event, None);
        assert!(told.iter().all(|message| message.event.as_ref().unwrap().kind == "password.failed"));
    }
    // And the list takes the same cursors.
    assert_eq!(all(&elsewhere, &told.cursor).await.0.len(), 1);
}

#[rstest]
#[tokio::test]
async fn who_wants_only_what_is_new_gets_that(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    happen(&app).await;
    let mut stream = watch_new(&app.back_end()).await;
    assert_eq!(next(&mut stream).await.unwrap().event, None);
    happen(&app).await;
    let told = events(&mut stream, 1).await;
    assert_eq!(all(&app.back_end(), "").await.0.last(), told[0].event.as_ref());
    let both = WatchEventsRequest { only_new: true, cursor: told[0].cursor.clone(), ..Default::default() };
    let refused = app.back_end().events.watch_events(both).await.unwrap_err();
    assert_eq!(field_violations(&refused), ["only_new"]);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn all_watchers_are_told_everything_in_one_order_while_many_write(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    const CALLS: usize = 24;
    let Some(app) = TestApp::start(engine).await else { return };
    let (_, cursor) = all(&app.back_end(), "").await;
    let replica = Caller::new(app.replica().await, Some(&app.fixture.confidential));
    let mut one = watch(&app.back_end(), &cursor).await.unwrap();
    let mut other = watch(&replica, &cursor).await.unwrap();
    let mut calls = JoinSet::new();
    for number in 0..CALLS {
        let caller = if number % 2 == 0 { app.back_end() } else { replica.clone() };
        calls.spawn(async move {
            let nobody = crate::sign_in::email(&format!("nobody-{number}@example.com"));
            crate::sign_in::try_password(&caller, nobody, "wrong password").await.unwrap_err();
        });
    }
    let (one, other) = tokio::join!(events(&mut one, CALLS), events(&mut other, CALLS));
    calls.join_all().await;
    let ids = |told: &[WatchEventsResponse]| {
        told.iter().map(|message| message.event.clone().unwrap().event_id).collect::<Vec<_>>()
    };
    assert_eq!(ids(&one), ids(&other));
    let (listed, _) = all(&app.back_end(), &cursor).await;
    assert_eq!(ids(&one), listed.iter().map(|event| event.event_id.clone()).collect::<Vec<_>>());
}

#[rstest]
#[tokio::test]
async fn a_stream_ends_at_once_when_the_server_stops(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let mut stream = watch_new(&app.back_end()).await;
    next(&mut stream).await.unwrap();
    app.api.stop_serving().await;
    let ended = end(&mut stream).await;
    assert_eq!((ended.code(), reason(&ended).as_str()), (Code::Unavailable, "UNAVAILABLE"));
    assert!(detail::<RetryInfo>(&ended, "google.rpc.RetryInfo").is_some());
    assert!(timeout(PATIENCE, stream.message()).await.unwrap().unwrap().is_none());
}

#[rstest]
#[tokio::test]
async fn a_stream_ends_with_the_client_that_opened_it(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let mut stream = watch_new(&app.back_end()).await;
    next(&mut stream).await.unwrap();
    let project_id = app.fixture.project_id.to_string();
    let request = ListClientsRequest { project_id: project_id.clone(), ..Default::default() };
    let clients = app.operator().projects.list_clients(request).await.unwrap().into_inner().clients;
    for client in clients {
        let request = DeleteClientRequest { project_id: project_id.clone(), client_id: client.client_id };
        app.operator().projects.delete_client(request).await.unwrap();
    }
    let ended = end(&mut stream).await;
    assert_eq!((ended.code(), reason(&ended).as_str()), (Code::Unauthenticated, "CALLER_UNAUTHENTICATED"));
}

#[rstest]
#[tokio::test]
async fn a_stream_ends_when_events_behind_it_are_gone_or_the_database_is(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let mut stream = watch_new(&app.back_end()).await;
    next(&mut stream).await.unwrap();
    // As if somebody had set the database back: another event stands where the last one stood.
    let database = app.database().await;
    database
        .execute_unprepared("DELETE FROM events WHERE position = (SELECT last_position FROM event_stream)")
        .await
        .unwrap();
    database.execute_unprepared("UPDATE event_stream SET last_position = last_position - 1").await.unwrap();
    happen(&app).await;
    let ended = end(&mut stream).await;
    assert_eq!((ended.code(), reason(&ended).as_str()), (Code::OutOfRange, "EVENT_CURSOR_EXPIRED"));

    let mut stream = watch_new(&app.back_end()).await;
    next(&mut stream).await.unwrap();
    app.services.store.clone().close().await.unwrap();
    let ended = end(&mut stream).await;
    assert_eq!((ended.code(), reason(&ended).as_str()), (Code::Unavailable, "UNAVAILABLE"));
}

#[tokio::test]
async fn a_watcher_who_asks_for_no_more_keeps_no_connection() {
    let Some(app) = TestApp::start(Engine::Sqlite).await else { return };
    let mut stream = watch_new(&app.back_end()).await;
    next(&mut stream).await.unwrap();
    // Until it is due to look again, which it then begins to.
    sleep(Pace::default().poll).await;
    let _ = stream.message().now_or_never();
    let close = app.services.store.clone().close();
    timeout(PATIENCE, close).await.expect("all connections come back").unwrap();
}

/// A quiet project in a busy installation: its watcher's place stays young.
#[rstest]
#[tokio::test]
async fn a_watcher_of_a_quiet_project_outlives_the_retention(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let mut stream = watch_new(&app.stranger()).await;
    next(&mut stream).await.unwrap();
    app.clock.advance(app.services.limits.event_retention.unwrap() + chrono::Duration::days(1));
    happen(&app).await;
    // Of two beats the second one has begun after that.
    next(&mut stream).await.unwrap();
    let last = next(&mut stream).await.unwrap();
    sweep(&app.services).await.unwrap();
    assert_eq!(all(&app.operator(), "").await.0.len(), 1, "all others are gone");
    drop(stream);
    let mut stream = watch(&app.stranger(), &last.cursor).await.unwrap();
    assert_eq!(next(&mut stream).await.unwrap().event, None);
}

#[rstest]
#[tokio::test]
async fn no_more_watch_than_may(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let limits = Limits { event_watches: 3, event_watches_per_client: 2, ..Limits::default() };
    let Some(app) = TestApp::start_limited(engine, limits).await else { return };
    let open = async |caller: &Caller| watch(caller, "").await;
    let refused = async |caller: &Caller| {
        let refused = open(caller).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::ResourceExhausted, "OVERLOADED"));
        assert!(detail::<RetryInfo>(&refused, "google.rpc.RetryInfo").is_some());
    };
    let (first, _second) = (open(&app.back_end()).await.unwrap(), open(&app.back_end()).await.unwrap());
    refused(&app.back_end()).await;
    let _third = open(&app.operator()).await.unwrap();
    refused(&app.stranger()).await;
    assert_eq!(app.services.watches.open(), 3);
    drop(first);
    let fourth = open(&app.stranger()).await.unwrap();
    refused(&app.back_end()).await;
    // What is refused for its cursor takes no place.
    drop(fourth);
    assert_eq!(reason(&watch(&app.stranger(), &"A".repeat(32)).await.unwrap_err()), "EVENT_CURSOR_EXPIRED");
    assert_eq!(app.services.watches.open(), 2);
}

/// The deadline is for what a call takes to be answered: a stream is answered with its first message.
#[tokio::test]
async fn a_stream_outlives_the_deadline_of_calls() {
    let Some(app) = TestApp::start(Engine::Sqlite).await else { return };
    let settings =
        ApiSettings { deadline_max: Duration::from_millis(500), message_bytes_max: 65536, reflection: false };
    let api = Api::new(Arc::clone(&app.services), Metrics::new(), &settings).await;
    let caller = Caller::new(api.routes.clone(), Some(&app.fixture.confidential));
    let mut stream = watch_new(&caller).await;
    // Beats come every 200 ms.
    for _ in 0..5 {
        next(&mut stream).await.unwrap();
    }
    happen(&app).await;
    events(&mut stream, 1).await;
}
