//! No failure is lost, however many come at once, and none is remembered for ever.

use chrono::Duration;
use rstest::rstest;
use signet::{
    clock::Timestamp,
    domain::{
        id::{ProjectId, UserId},
        throttle::{Failures, MEMORY, ThrottleKind},
    },
    random::Random,
    store::{Store, Subject},
};

use super::support::{Engine, TestStore, at_once, now, project};

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_failures_at_once_count_to_a_hundred(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(test) = TestStore::start(engine).await else { return };
    let (project_id, subject) = (test.project.id, a_user());
    let counts = at_once(100, |_| {
        let store = test.store.clone();
        async move { count(&store, project_id, ThrottleKind::Password, subject, now()).await.count }
    })
    .await;
    let mut counts = counts;
    counts.sort_unstable();
    assert_eq!(counts, (1..=100).collect::<Vec<_>>(), "each saw a count of its own");
    assert_eq!(find(&test, ThrottleKind::Password, subject, now()).await.unwrap().count, 100);
}

#[rstest]
#[tokio::test]
async fn the_count_starts_anew_after_the_memory_is_over(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(test) = TestStore::start(engine).await else { return };
    let (kind, subject) = (ThrottleKind::Password, a_user());
    let count_at = async |at| count(&test.store, test.project.id, kind, subject, at).await;
    assert_eq!(count_at(now()).await.count, 1);
    let just_before = now() + MEMORY - Duration::microseconds(1);
    assert!(find(&test, kind, subject, just_before).await.is_some());
    assert_eq!(count_at(just_before).await, Failures { count: 2, last_at: just_before });

    let over = just_before + MEMORY;
    assert_eq!(find(&test, kind, subject, over).await, None);
    assert_eq!(count_at(over).await, Failures { count: 1, last_at: over });
}

#[rstest]
#[tokio::test]
async fn each_kind_subject_and_project_has_its_own_count(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(test) = TestStore::start(engine).await else { return };
    let other = project();
    let tx = test.store.begin().await.unwrap();
    tx.projects().insert(&other).await.unwrap();
    tx.commit().await.unwrap();
    let subject = a_user();
    count(&test.store, test.project.id, ThrottleKind::Password, subject, now()).await;

    assert_eq!(find(&test, ThrottleKind::EmailCode, subject, now()).await, None);
    assert_eq!(find(&test, ThrottleKind::Password, a_user(), now()).await, None);
    let view = test.store.view();
    assert_eq!(view.throttles().find(other.id, ThrottleKind::Password, subject, now()).await.unwrap(), None);

    let tx = test.store.begin().await.unwrap();
    tx.throttles().forget(test.project.id, ThrottleKind::EmailCode, subject).await.unwrap();
    tx.throttles().forget(other.id, ThrottleKind::Password, subject).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(find(&test, ThrottleKind::Password, subject, now()).await.unwrap().count, 1);

    let tx = test.store.begin().await.unwrap();
    tx.throttles().forget(test.project.id, ThrottleKind::Password, subject).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(find(&test, ThrottleKind::Password, subject, now()).await, None);
}

#[rstest]
#[tokio::test]
async fn only_what_is_forgotten_is_cleared_away(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(test) = TestStore::start(engine).await else { return };
    let (old, young) = (a_user(), a_user());
    count(&test.store, test.project.id, ThrottleKind::Password, old, now()).await;
    count(&test.store, test.project.id, ThrottleKind::Password, young, now() + Duration::microseconds(1)).await;
    let tx = test.store.begin().await.unwrap();
    assert_eq!(tx.throttles().delete_forgotten(now() + MEMORY).await.unwrap(), 1);
    tx.commit().await.unwrap();
    assert_eq!(test.rows("throttles").await, 1);
    assert!(find(&test, ThrottleKind::Password, young, now() + MEMORY).await.is_some());
}

fn a_user() -> Subject {
    Subject::user(UserId::generate(now(), &Random::System))
}

async fn count(store: &Store, project: ProjectId, kind: ThrottleKind, subject: Subject, at: Timestamp) -> Failures {
    let tx = store.begin().await.unwrap();
    let failures = tx.throttles().count_failure(project, kind, subject, at).await.unwrap();
    tx.commit().await.unwrap();
    failures
}

async fn find(test: &TestStore, kind: ThrottleKind, subject: Subject, at: Timestamp) -> Option<Failures> {
    test.store.view().throttles().find(test.project.id, kind, subject, at).await.unwrap()
}
