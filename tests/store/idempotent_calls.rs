//! Calls with a key: claimed once, settled by who claimed them, and taken over once they have expired.

use chrono::Duration;
use rstest::rstest;
use signet::{
    clock::Timestamp,
    domain::id::ClientId,
    random::Random,
    store::{CallKey, KnownCall, StoreError},
};

use super::support::{Engine, TestStore, now};

const REQUEST: [u8; 32] = [1; 32];
const OTHER: [u8; 32] = [2; 32];

async fn claim(test: &TestStore, key: &CallKey, request: &[u8; 32], at: Timestamp) -> bool {
    let tx = test.store.begin().await.unwrap();
    let claimed = tx.idempotent_calls().claim(key, request, at, at + Duration::seconds(60)).await.unwrap();
    tx.commit().await.unwrap();
    claimed
}

async fn keep(test: &TestStore, key: &CallKey, claimed_at: Timestamp, expires_at: Timestamp) -> bool {
    let tx = test.store.begin().await.unwrap();
    let kept = tx.idempotent_calls().keep(key, claimed_at, vec![7], expires_at).await.unwrap();
    tx.commit().await.unwrap();
    kept
}

async fn find(test: &TestStore, key: &CallKey) -> Option<KnownCall> {
    test.store.view().idempotent_calls().find(key).await.unwrap()
}

fn key_of(test: &TestStore) -> CallKey {
    CallKey { client_id: test.client.id, hash: [9; 32] }
}

#[rstest]
#[tokio::test]
async fn a_call_is_claimed_once_until_it_is_given_up_or_expires(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(test) = TestStore::start(engine).await else { return };
    let (key, at) = (key_of(&test), now());
    assert!(claim(&test, &key, &REQUEST, at).await);
    assert!(!claim(&test, &key, &OTHER, at).await);
    assert_eq!(find(&test, &key).await, Some(KnownCall { request_hash: REQUEST.to_vec(), sealed: None }));
    let tx = test.store.begin().await.unwrap();
    tx.idempotent_calls().release(&key, at - Duration::seconds(1)).await.unwrap();
    tx.commit().await.unwrap();
    assert!(find(&test, &key).await.is_some(), "somebody else's claim");
    let tx = test.store.begin().await.unwrap();
    tx.idempotent_calls().release(&key, at).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(find(&test, &key).await, None);

    assert!(claim(&test, &key, &REQUEST, at).await);
    assert!(!claim(&test, &key, &OTHER, at + Duration::seconds(59)).await);
    let later = at + Duration::seconds(60);
    assert!(claim(&test, &key, &OTHER, later).await);
    assert_eq!(find(&test, &key).await, Some(KnownCall { request_hash: OTHER.to_vec(), sealed: None }));
    assert!(!keep(&test, &key, at, later).await, "it came too late");
    assert!(keep(&test, &key, later, later + Duration::hours(24)).await);
    assert!(!keep(&test, &key, later, later + Duration::hours(24)).await, "an answer is kept once");
    let tx = test.store.begin().await.unwrap();
    tx.idempotent_calls().release(&key, later).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(find(&test, &key).await.unwrap().sealed, Some(vec![7]), "an answer is not given up");
}

#[rstest]
#[tokio::test]
async fn of_many_who_find_a_claim_expired_one_takes_it_over(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(test) = TestStore::start(engine).await else { return };
    let (key, at) = (key_of(&test), now());
    assert!(claim(&test, &key, &REQUEST, at).await);
    let later = at + Duration::seconds(60);
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let store = test.store.clone();
            tokio::spawn(async move {
                let tx = store.begin().await.unwrap();
                let claimed = tx.idempotent_calls().claim(&key, &REQUEST, later, later + Duration::seconds(60)).await;
                tx.commit().await.unwrap();
                claimed.unwrap()
            })
        })
        .collect();
    let mut claimed = 0;
    for task in tasks {
        claimed += usize::from(task.await.unwrap());
    }
    assert_eq!(claimed, 1);
}

#[rstest]
#[tokio::test]
async fn a_client_that_is_gone_claims_nothing(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(test) = TestStore::start(engine).await else { return };
    let key = CallKey { client_id: ClientId::generate(now(), &Random::System), hash: [9; 32] };
    let tx = test.store.begin().await.unwrap();
    let refused = tx.idempotent_calls().claim(&key, &REQUEST, now(), now()).await;
    assert!(matches!(refused, Err(StoreError::Orphan(_))), "{refused:?}");
}

#[rstest]
#[tokio::test]
async fn what_has_expired_is_cleared_away_in_batches(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(test) = TestStore::start(engine).await else { return };
    for number in 0..5 {
        let key = CallKey { client_id: test.client.id, hash: [number; 32] };
        assert!(claim(&test, &key, &REQUEST, now() + Duration::seconds(number.into())).await);
    }
    let delete = async |at: Timestamp, limit| {
        let tx = test.store.begin().await.unwrap();
        let deleted = tx.idempotent_calls().delete_expired(at, limit).await.unwrap();
        tx.commit().await.unwrap();
        deleted
    };
    let at = now() + Duration::seconds(62);
    assert_eq!((delete(at, 2).await, delete(at, 2).await, delete(at, 2).await), (2, 1, 0));
    assert_eq!(test.rows("idempotent_calls").await, 2);
}
