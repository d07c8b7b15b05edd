//! The order of the event stream: given after the commit, the same for everybody, without gaps.

use std::collections::BTreeSet;

use chrono::Duration;
use rstest::rstest;
use sea_orm::ConnectionTrait as _;
use signet::{
    domain::{
        event::{Event, EventKind},
        id::EventId,
    },
    random::Random,
    store::{RecordedBy, Store, Tx},
};
use uuid::Uuid;

use super::support::{Engine, TestStore, at_once, now};

/// Writes an event with that id, and leaves it to the caller to commit.
async fn push(test: &TestStore, tx: &Tx, id: EventId) {
    let event = Event::new(EventKind::UserCreated, test.project.id);
    tx.events().push(&event, RecordedBy { id, request_id: Some("request"), now: now() }).await.unwrap();
}

async fn push_and_commit(test: &TestStore, id: EventId) {
    let tx = test.store.begin().await.unwrap();
    push(test, &tx, id).await;
    tx.commit().await.unwrap();
}

async fn number(store: &Store, limit: u64) -> u64 {
    let tx = store.begin().await.unwrap();
    let numbered = tx.event_stream().number(limit).await.unwrap();
    tx.commit().await.unwrap();
    numbered
}

/// Places and ids of everything behind a place.
async fn behind(store: &Store, position: i64) -> Vec<(i64, EventId)> {
    let events = store.view().event_stream().behind(None, position, 100_000).await.unwrap();
    events.into_iter().map(|event| (event.position.unwrap(), event.id)).collect()
}

fn id(number: u128) -> EventId {
    Uuid::from_u128(number).into()
}

#[rstest]
#[tokio::test]
async fn an_event_that_is_committed_late_comes_behind_what_was_read(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(test) = TestStore::start(engine).await else { return };
    // SQLite has one writer, so there nothing can be open meanwhile.
    let open = match engine {
        Engine::Postgres => {
            let tx = test.store.begin().await.unwrap();
            push(&test, &tx, id(1)).await;
            Some(tx)
        }
        Engine::Sqlite => None,
    };
    push_and_commit(&test, id(2)).await;
    assert_eq!(number(&test.store, 10).await, 1);
    assert_eq!(behind(&test.store, 0).await, [(1, id(2))], "what is not committed has no place, and keeps none free");
    match open {
        Some(tx) => tx.commit().await.unwrap(),
        None => push_and_commit(&test, id(1)).await,
    }
    assert!(test.store.view().event_stream().has_unnumbered().await.unwrap());
    assert_eq!(number(&test.store, 10).await, 1);
    assert_eq!(behind(&test.store, 1).await, [(2, id(1))]);
    assert!(!test.store.view().event_stream().has_unnumbered().await.unwrap());
    assert_eq!(number(&test.store, 10).await, 0);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_who_follows_misses_an_event_or_sees_one_twice(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    const WRITERS: usize = 5;
    const EACH: usize = 20;
    let Some(test) = TestStore::start(engine).await else { return };
    let test = std::sync::Arc::new(test);
    let followed = at_once(WRITERS + 2, |task| {
        let test = std::sync::Arc::clone(&test);
        async move {
            if task < WRITERS {
                for round in 0..EACH {
                    let tx = test.store.begin().await.unwrap();
                    // The id is older than the commit, by as much as others take in between.
                    push(&test, &tx, EventId::generate(now(), &Random::System)).await;
                    for _ in 0..(task + round) % 4 {
                        test.store.view().event_stream().newest().await.unwrap();
                    }
                    tx.commit().await.unwrap();
                }
                return Vec::new();
            }
            let mut seen: Vec<(i64, EventId)> = Vec::new();
            // Ends because the writers do: every event gets its place in the end.
            while seen.len() < WRITERS * EACH {
                number(&test.store, 7).await;
                let position = seen.last().map_or(0, |(position, _)| *position);
                seen.extend(behind(&test.store, position).await);
            }
            seen
        }
    });
    let followed =
        tokio::time::timeout(std::time::Duration::from_mins(1), followed).await.expect("all is told in time");
    let mut followers = followed.into_iter().filter(|seen| !seen.is_empty());
    let (one, other) = (followers.next().unwrap(), followers.next().unwrap());
    assert_eq!(one, other, "all see the same order");
    let count = i64::try_from(WRITERS * EACH).unwrap();
    assert_eq!(one.iter().map(|(position, _)| *position).collect::<Vec<_>>(), (1..=count).collect::<Vec<_>>());
    assert_eq!(one.iter().map(|(_, id)| *id).collect::<BTreeSet<_>>().len(), one.len());
}

#[rstest]
#[tokio::test]
async fn a_backlog_is_numbered_in_the_order_of_ids_batch_by_batch(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(test) = TestStore::start(engine).await else { return };
    let event = Event::new(EventKind::UserCreated, test.project.id);
    // As an earlier version left them: it knows no places.
    let rows: Vec<_> = (1..=10_000_u128)
        .rev()
        .map(|number| (event.clone(), RecordedBy { id: id(number), request_id: None, now: now() }))
        .collect();
    let tx = test.store.begin().await.unwrap();
    tx.events().push_all(&rows).await.unwrap();
    tx.commit().await.unwrap();
    for _ in 0..10 {
        assert_eq!(number(&test.store, 1000).await, 1000);
    }
    assert_eq!(number(&test.store, 1000).await, 0);
    let expected: Vec<_> = (1..=10_000_u32).map(|number| (i64::from(number), id(number.into()))).collect();
    assert_eq!(behind(&test.store, 0).await, expected);
}

#[rstest]
#[tokio::test]
async fn numbering_that_is_not_committed_has_not_happened(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(test) = TestStore::start(engine).await else { return };
    push_and_commit(&test, id(1)).await;
    let tx = test.store.begin().await.unwrap();
    assert_eq!(tx.event_stream().number(10).await.unwrap(), 1);
    drop(tx);
    push_and_commit(&test, id(2)).await;
    number(&test.store, 10).await;
    assert_eq!(behind(&test.store, 0).await, [(1, id(1)), (2, id(2))]);
}

#[rstest]
#[tokio::test]
async fn only_a_beginning_of_the_stream_is_cleared_away_and_never_its_last_event(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(test) = TestStore::start(engine).await else { return };
    for number in 1..=5 {
        push_and_commit(&test, id(number)).await;
    }
    number(&test.store, 10).await;
    push_and_commit(&test, id(6)).await;
    let raw = test.raw().await;
    // The second one is of a replica whose clock is ahead.
    let later = now() + Duration::days(1);
    let update =
        format!("UPDATE events SET created_at = '{}' WHERE position = 2", later.format("%Y-%m-%d %H:%M:%S+00:00"));
    raw.execute_unprepared(&update).await.unwrap();
    let delete = async |before, limit| {
        let tx = test.store.begin().await.unwrap();
        let deleted = tx.event_stream().delete_oldest(before, limit).await.unwrap();
        tx.commit().await.unwrap();
        deleted
    };
    assert_eq!(delete(now(), 10).await, 0, "that was not before");
    let soon = now() + Duration::seconds(1);
    assert_eq!(delete(soon, 10).await, 1, "what is younger holds back what stands behind it");
    assert_eq!(behind(&test.store, 0).await[0].0, 2);
    let much_later = now() + Duration::days(2);
    assert_eq!(delete(much_later, 2).await, 2, "so many at most");
    assert_eq!(delete(much_later, 10).await, 1);
    assert_eq!(behind(&test.store, 0).await, [(5, id(5))]);
    number(&test.store, 10).await;
    assert_eq!(delete(much_later, 10).await, 1, "until now it had no place");
    assert_eq!(behind(&test.store, 0).await, [(6, id(6))]);
    assert_eq!(test.store.view().event_stream().oldest_position().await.unwrap(), Some(6));
}
