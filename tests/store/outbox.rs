//! A mail is in the hands of one worker at a time, and says nothing any more once it is finished.

use std::collections::HashSet;

use chrono::Duration;
use rstest::rstest;
use sea_orm::{ConnectionTrait as _, Statement};
use signet::domain::{id::MailId, message::DueMail};

use super::support::{Engine, TestStore, at_once, now};

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_workers_at_once_never_get_the_same_mail(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(test) = TestStore::start(engine).await else { return };
    let mut waiting = push(&test, 30).await;
    // Whoever loses a race gets less than asked for: a few rounds empty the outbox.
    for _ in 0..30 {
        let claims = at_once(8, |_| {
            let store = test.store.clone();
            async move {
                let tx = store.begin().await.unwrap();
                let claimed = tx.outbox().claim_due(now(), now() + Duration::minutes(1), 4).await.unwrap();
                tx.commit().await.unwrap();
                claimed
            }
        })
        .await;
        for mail in claims.into_iter().flatten() {
            assert!(waiting.remove(&mail.id), "{} was claimed twice", mail.id);
            assert_eq!(mail.attempts, 1);
        }
        if waiting.is_empty() {
            return;
        }
    }
    panic!("{} mails were never claimed", waiting.len());
}

#[rstest]
#[tokio::test]
async fn a_lease_holds_until_its_end(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(test) = TestStore::start(engine).await else { return };
    push(&test, 1).await;
    let lease_until = now() + Duration::minutes(1);
    let first = claim(&test, now()).await.unwrap();
    assert!(claim(&test, lease_until - Duration::microseconds(1)).await.is_none());
    let second = claim(&test, lease_until).await.unwrap();
    assert_eq!((first.id, first.attempts, second.attempts), (second.id, 1, 2));
}

#[rstest]
#[tokio::test]
async fn what_is_not_due_is_left_alone_and_the_oldest_comes_first(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(test) = TestStore::start(engine).await else { return };
    let due_after = [Duration::seconds(2), Duration::microseconds(1), Duration::zero(), Duration::milliseconds(500)];
    let tx = test.store.begin().await.unwrap();
    let mut ids = Vec::new();
    for after in due_after {
        let mail = test.mail();
        ids.push(mail.id);
        tx.outbox().push(mail).await.unwrap();
        tx.outbox().retry_at(ids[ids.len() - 1], now() + after, "busy").await.unwrap();
    }
    tx.commit().await.unwrap();
    let tx = test.store.begin().await.unwrap();
    let due = tx.outbox().claim_due(now() + Duration::seconds(1), now() + Duration::hours(1), 10).await.unwrap();
    assert_eq!(due.iter().map(|mail| mail.id).collect::<Vec<_>>(), [ids[2], ids[1], ids[3]]);
}

/// How a mail can end.
#[derive(Clone, Copy, Debug)]
enum End {
    GivenUp,
    Sent,
}

#[rstest]
#[tokio::test]
async fn a_finished_mail_is_erased_and_a_lost_lease_cannot_revive_it(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
    #[values(End::GivenUp, End::Sent)] end: End,
) {
    let Some(test) = TestStore::start(engine).await else { return };
    push(&test, 1).await;
    let mail = claim(&test, now()).await.unwrap();
    assert_eq!((mail.recipient.as_str(), mail.sealed.as_slice()), ("ada@example.com", &b"sealed"[..]));
    let later = now() + Duration::minutes(2);
    let again = claim(&test, later).await.unwrap();

    let tx = test.store.begin().await.unwrap();
    match end {
        End::GivenUp => tx.outbox().give_up(again.id, later, "refused").await.unwrap(),
        End::Sent => tx.outbox().mark_sent(again.id, later).await.unwrap(),
    }
    tx.commit().await.unwrap();
    let finished = row(&test).await;
    assert_eq!(finished.0, None, "nothing is left to read");

    // The first worker comes back, with news of a mail that is not its own any more.
    let tx = test.store.begin().await.unwrap();
    tx.outbox().retry_at(mail.id, later, "too late").await.unwrap();
    tx.outbox().mark_sent(mail.id, later + Duration::minutes(1)).await.unwrap();
    tx.outbox().give_up(mail.id, later + Duration::minutes(1), "too late").await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(row(&test).await, finished);
    assert_eq!(test.store.view().outbox().waiting().await.unwrap(), 0);
    assert!(claim(&test, later + Duration::days(1)).await.is_none());
}

#[rstest]
#[tokio::test]
async fn finished_mails_of_long_ago_are_cleared_away_and_no_others(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(test) = TestStore::start(engine).await else { return };
    let ids: Vec<_> = push(&test, 3).await.into_iter().collect();
    let tx = test.store.begin().await.unwrap();
    tx.outbox().mark_sent(ids[0], now()).await.unwrap();
    tx.outbox().give_up(ids[1], now(), "refused").await.unwrap();
    assert_eq!(tx.outbox().delete_finished(now() - Duration::milliseconds(1), 9).await.unwrap(), 0, "not yet");
    assert_eq!(tx.outbox().delete_finished(now(), 1).await.unwrap(), 1, "so many at most");
    assert_eq!(tx.outbox().delete_finished(now(), 9).await.unwrap(), 1);
    tx.commit().await.unwrap();
    assert_eq!(claim(&test, now()).await.unwrap().id, ids[2], "one that waits stays, however old");
}

async fn push(test: &TestStore, count: usize) -> HashSet<MailId> {
    let tx = test.store.begin().await.unwrap();
    let mut ids = HashSet::new();
    for _ in 0..count {
        let mail = test.mail();
        ids.insert(mail.id);
        tx.outbox().push(mail).await.unwrap();
    }
    tx.commit().await.unwrap();
    ids
}

async fn claim(test: &TestStore, at: signet::clock::Timestamp) -> Option<DueMail> {
    let tx = test.store.begin().await.unwrap();
    let mut claimed = tx.outbox().claim_due(at, at + Duration::minutes(1), 1).await.unwrap();
    tx.commit().await.unwrap();
    claimed.pop()
}

/// What the only mail says, whether it was sent or given up, and its last error.
async fn row(test: &TestStore) -> (Option<Vec<u8>>, bool, bool, Option<String>) {
    let raw = test.raw().await;
    let select = "SELECT sealed, sent_at IS NOT NULL, given_up_at IS NOT NULL, last_error FROM outbox";
    let select = Statement::from_string(raw.get_database_backend(), select);
    let row = raw.query_one_raw(select).await.unwrap().unwrap();
    let flag = |index| row.try_get_by_index::<bool>(index).unwrap();
    (row.try_get_by_index(0).unwrap(), flag(1), flag(2), row.try_get_by_index(3).unwrap())
}
