//! What a unit of work writes is there as a whole, or not at all.

use rstest::rstest;
use signet::{
    crypto::secret_token::SecretHash,
    domain::{
        event::{Event, EventKind},
        id::{ClientSecretId, EventId, UserId},
        identifier::IdentifierKind,
    },
    random::Random,
    store::{RecordedBy, StoreError, Tx},
};

use super::support::{Engine, TestStore, client, identifier, insert_user, now, project};

#[rstest]
#[tokio::test]
async fn what_is_dropped_was_never_there(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(test) = TestStore::start(engine).await else { return };
    let ada = test.user("ada").await;
    let tx = test.store.begin().await.unwrap();
    write_all(&test, &tx, ada).await;
    drop(tx);
    for table in ["sessions", "events", "outbox"] {
        assert_eq!(test.rows(table).await, 0, "{table}");
    }
}

#[rstest]
#[tokio::test]
async fn a_commit_shows_everything_and_nothing_is_seen_before(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(test) = TestStore::start(engine).await else { return };
    let ada = test.user("ada").await;
    let tx = test.store.begin().await.unwrap();
    write_all(&test, &tx, ada).await;
    for table in ["sessions", "events", "outbox"] {
        assert_eq!(test.rows(table).await, 0, "{table} before the commit");
    }
    assert_eq!(test.store.view().outbox().waiting().await.unwrap(), 0);
    tx.commit().await.unwrap();
    for table in ["sessions", "events", "outbox"] {
        assert_eq!(test.rows(table).await, 1, "{table} after the commit");
    }
    assert_eq!(test.store.view().outbox().waiting().await.unwrap(), 1);
}

#[rstest]
#[tokio::test]
async fn an_identifier_is_taken_once_in_a_project_and_once_a_kind_by_a_user(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(test) = TestStore::start(engine).await else { return };
    let ada = test.user("ada").await;

    let tx = test.store.begin().await.unwrap();
    assert_conflict(&insert_user(&tx, test.project.id, "ADA").await);
    drop(tx);

    let tx = test.store.begin().await.unwrap();
    let second = identifier(IdentifierKind::Username, "countess");
    assert_conflict(&tx.users().insert_identifier(test.project.id, ada, &second).await);
    drop(tx);

    // Another project is another pool of users.
    let tx = test.store.begin().await.unwrap();
    let other = project();
    tx.projects().insert(&other).await.unwrap();
    insert_user(&tx, other.id, "ada").await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(test.rows("users").await, 2);
}

#[rstest]
#[tokio::test]
async fn a_secret_that_is_there_already_is_a_conflict(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(test) = TestStore::start(engine).await else { return };
    let ada = test.user("ada").await;
    let (pending, token) = test.pending(ada);
    let tx = test.store.begin().await.unwrap();
    tx.challenges().insert_pending(&pending, &token).await.unwrap();
    let (another, _) = test.pending(ada);
    assert_conflict(&tx.challenges().insert_pending(&another, &token).await);
    drop(tx);

    let secret = |client_id| signet::domain::client::ClientSecret {
        id: ClientSecretId::generate(now(), &Random::System),
        client_id,
        created_at: now(),
    };
    let (second, hash) = (client(test.project.id), SecretHash([7; 32]));
    let tx = test.store.begin().await.unwrap();
    tx.clients().insert(&second).await.unwrap();
    tx.clients().insert_secret(test.project.id, &secret(test.client.id), &hash).await.unwrap();
    assert_conflict(&tx.clients().insert_secret(test.project.id, &secret(second.id), &hash).await);
}

/// SQLite goes on after a failed statement, PostgreSQL does not: use cases have to drop the unit of work and begin anew.
#[tokio::test]
async fn on_postgres_a_failed_insert_is_the_end_of_the_unit_of_work() {
    let Some(test) = TestStore::start(Engine::Postgres).await else { return };
    test.user("ada").await;
    let tx = test.store.begin().await.unwrap();
    let grace = insert_user(&tx, test.project.id, "grace").await.unwrap();
    assert_conflict(&insert_user(&tx, test.project.id, "ada").await);
    assert!(matches!(tx.users().find(test.project.id, grace).await, Err(StoreError::Query(_))));
    // PostgreSQL answers this with a roll-back and without an error.
    tx.commit().await.unwrap();
    assert!(test.store.view().users().find(test.project.id, grace).await.unwrap().is_none());

    // The connection is as good as new.
    test.user("grace").await;
}

fn assert_conflict<T: std::fmt::Debug>(result: &Result<T, StoreError>) {
    assert!(matches!(result, Err(StoreError::Conflict(_))), "{result:?}");
}

/// A session, its event, and a mail about it.
async fn write_all(test: &TestStore, tx: &Tx, user_id: UserId) {
    let session = test.session(user_id);
    tx.sessions().insert(&session).await.unwrap();
    let event = Event::new(EventKind::SignedIn, test.project.id).user(user_id).session(session.id);
    let by = RecordedBy { id: EventId::generate(now(), &Random::System), request_id: None, now: now() };
    tx.events().push(&event, by).await.unwrap();
    tx.outbox().push(test.mail()).await.unwrap();
}
