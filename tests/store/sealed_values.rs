//! What is sealed under another master key is found and replaced, and never what somebody else has just written.

use chrono::Duration;
use rstest::rstest;
use secrecy::SecretBox;
use signet::{
    clock::Timestamp,
    crypto::{
        master_key::{Fingerprint, MasterKey, Purpose},
        project_keys::generate,
    },
    domain::{
        id::SigningKeyId,
        signing_key::{KeyUse, StoredKey},
    },
    random::Random,
    store::{NewMail, Resealed, SealedOtherwise, SealedTable, Tx},
};
use uuid::Uuid;

use super::support::{Engine, TestStore, now};

fn key(byte: u8) -> MasterKey {
    MasterKey::new(&SecretBox::new(Box::new([byte; 32])))
}

/// A signing key under that master key.
async fn add_key(test: &TestStore, master_key: &MasterKey) -> StoredKey {
    let key = generate(test.project.id, KeyUse::RefreshTokenMac, now(), now(), master_key, &Random::System).unwrap();
    let tx = test.store.begin().await.unwrap();
    tx.signing_keys().insert(&key).await.unwrap();
    tx.commit().await.unwrap();
    key
}

async fn page(tx: &Tx, key: Fingerprint, after: Option<Uuid>, limit: u64) -> Vec<Uuid> {
    let found = tx.sealed_values().page(SealedTable::SigningKeys, key, after, limit).await.unwrap();
    found.iter().map(|value| value.id).collect()
}

fn sealed_anew(byte: u8) -> Resealed {
    Resealed { sealed: vec![byte; 64], code_hash: None }
}

#[rstest]
#[tokio::test]
async fn what_another_key_sealed_is_found_page_by_page(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(test) = TestStore::start(engine).await else { return };
    let (mut old, mut new): (Vec<Uuid>, Vec<Uuid>) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        old.push(add_key(&test, &key(1)).await.id.into());
        new.push(add_key(&test, &key(2)).await.id.into());
    }
    old.sort_unstable();
    new.sort_unstable();
    let tx = test.store.begin().await.unwrap();
    assert_eq!(page(&tx, key(2).fingerprint(), None, 100).await, old);
    assert_eq!(page(&tx, key(1).fingerprint(), None, 100).await, new);
    assert_eq!(page(&tx, key(2).fingerprint(), None, 3).await, old[..3]);
    assert_eq!(page(&tx, key(2).fingerprint(), Some(old[2]), 3).await, old[3..]);
    drop(tx);
    let count = async |key: u8| {
        let view = test.store.view();
        view.sealed_values().signing_keys_not_under(self::key(key).fingerprint()).await.unwrap().rows
    };
    assert_eq!((count(1).await, count(2).await, count(3).await), (5, 5, 10));
}

#[rstest]
#[tokio::test]
async fn what_has_changed_meanwhile_is_not_overwritten(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(test) = TestStore::start(engine).await else { return };
    let stored = add_key(&test, &key(1)).await;
    let tx = test.store.begin().await.unwrap();
    let table = SealedTable::SigningKeys;
    let read = tx.sealed_values().page(table, key(2).fingerprint(), None, 1).await.unwrap().remove(0);
    assert_eq!((read.id, read.purpose, &read.sealed), (stored.id.into(), Purpose::SigningKey, &stored.sealed));
    assert!(tx.sealed_values().replace(table, &read, &sealed_anew(1)).await.unwrap());
    assert!(!tx.sealed_values().replace(table, &read, &sealed_anew(2)).await.unwrap(), "no longer what was read");
    tx.commit().await.unwrap();
    let kept = test.store.view().signing_keys().all(test.project.id).await.unwrap().remove(0);
    assert_eq!(kept.sealed, [1; 64]);
    assert_eq!((kept.id, kept.key_use, kept.activates_at), (stored.id, stored.key_use, stored.activates_at));

    let mail = test.mail();
    let tx = test.store.begin().await.unwrap();
    let id = mail.id;
    tx.outbox().push(mail).await.unwrap();
    let read = tx.sealed_values().page(SealedTable::Outbox, key(2).fingerprint(), None, 1).await.unwrap().remove(0);
    tx.outbox().mark_sent(id, now()).await.unwrap();
    let replaced = tx.sealed_values().replace(SealedTable::Outbox, &read, &sealed_anew(1)).await.unwrap();
    assert!(!replaced, "a mail that was sent stays erased");
    assert!(tx.sealed_values().page(SealedTable::Outbox, key(2).fingerprint(), None, 1).await.unwrap().is_empty());
}

#[rstest]
#[tokio::test]
async fn a_code_is_replaced_with_its_hash(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(test) = TestStore::start(engine).await else { return };
    let mut code = test.code(test.user("ada").await);
    code.detail.sealed = Some(vec![7; 40]);
    let tx = test.store.begin().await.unwrap();
    tx.challenges().insert_code(&code).await.unwrap();
    let table = SealedTable::Challenges;
    let read = tx.sealed_values().page(table, key(2).fingerprint(), None, 9).await.unwrap().remove(0);
    assert_eq!(read.purpose, Purpose::EmailCode);
    let new = Resealed { code_hash: Some([9; 32]), ..sealed_anew(8) };
    assert!(tx.sealed_values().replace(table, &read, &new).await.unwrap());
    let replaced = tx.challenges().code(code.id).await.unwrap().unwrap();
    assert_eq!((replaced.detail.code_hash, replaced.detail.sealed), ([9; 32], Some(vec![8; 64])));
    assert_eq!(replaced.expires_at, code.expires_at);
}

/// On SQLite nobody holds a row: there is one writer.
#[tokio::test]
async fn rows_that_somebody_holds_are_passed_by() {
    let Some(test) = TestStore::start(Engine::Postgres).await else { return };
    let (one, two) = (add_key(&test, &key(1)).await, add_key(&test, &key(1)).await);
    let holder = test.store.begin().await.unwrap();
    holder.signing_keys().set_end(&one).await.unwrap();
    let tx = test.store.begin().await.unwrap();
    assert_eq!(page(&tx, key(2).fingerprint(), None, 9).await, [Uuid::from(two.id)]);
    holder.commit().await.unwrap();
    let mut both: Vec<Uuid> = [one.id, two.id].map(|id: SigningKeyId| id.into()).to_vec();
    both.sort_unstable();
    assert_eq!(page(&tx, key(2).fingerprint(), None, 9).await, both);
}

#[rstest]
#[tokio::test]
async fn what_is_left_counts_only_as_long_as_it_can_be_used(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(test) = TestStore::start(engine).await else { return };
    let at = |minutes: i64| -> Timestamp { now() + Duration::minutes(minutes) };
    let tx = test.store.begin().await.unwrap();
    for minutes in [5, 20] {
        tx.outbox().push(NewMail { expires_at: at(minutes), ..test.mail() }).await.unwrap();
    }
    tx.commit().await.unwrap();
    let user = test.user("ada").await;
    let tx = test.store.begin().await.unwrap();
    let (reset, secret) = test.reset(user);
    tx.challenges().insert_reset(&reset, &secret).await.unwrap();
    tx.challenges().insert_code(&test.code(user)).await.unwrap();
    tx.commit().await.unwrap();

    let view = test.store.view();
    let (values, key) = (view.sealed_values(), key(2).fingerprint());
    let left = |rows, until| SealedOtherwise { rows, until };
    assert_eq!(values.mails_not_under(key, now()).await.unwrap(), left(2, Some(at(20))));
    assert_eq!(values.mails_not_under(key, at(5)).await.unwrap(), left(1, Some(at(20))));
    assert_eq!(values.mails_not_under(key, at(20)).await.unwrap(), left(0, None));
    assert_eq!(values.challenges_not_under(key, now()).await.unwrap(), left(0, None), "nothing of them is sealed");
    assert_eq!(values.codes_as_hash(now()).await.unwrap(), left(2, Some(reset.expires_at)));
    assert_eq!(values.codes_as_hash(reset.expires_at).await.unwrap(), left(0, None));
    assert_eq!(values.answers_not_under(key, now()).await.unwrap(), left(0, None));
}
