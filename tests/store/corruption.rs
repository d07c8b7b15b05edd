//! A row that makes no sense is an error that names its table: not a panic, and not a guess.

use rstest::rstest;
use sea_orm::ConnectionTrait as _;
use signet::{
    crypto::{
        argon2_kernel::{Argon2Cost, Argon2Kernel},
        password_hash::PasswordHash,
        secret_token::SecretHash,
    },
    domain::{
        challenge::{Challenge, EmailCode},
        id::{SessionId, SigningKeyId, UserId},
        password::Password,
        signing_key::{KeyUse, StoredKey},
    },
    random::Random,
    store::StoreError,
};

use super::support::{Engine, TestStore, now};

/// One row of each table that is read.
struct Rows {
    user: UserId,
    session: SessionId,
    code: Challenge<EmailCode>,
    token: SecretHash,
}

/// A table, and what makes its rows nonsense.
const NONSENSE: [(&str, &str); 17] = [
    ("challenges", "wishes = NULL"),
    ("challenges", "wishes = '3'"),
    ("challenges", "client_id = NULL"),
    ("challenges", "ip_address = 'here'"),
    ("challenges", "email = NULL"),
    ("clients", "client_type = 'secretive'"),
    ("credentials", "password_hash = 'hunter2'"),
    ("identifiers", "kind = 'nickname'"),
    ("projects", "settings = '{\"signing_algorithm\":\"none\"}'"),
    ("projects", "settings = '3'"),
    ("sessions", "custom_claims = '3'"),
    ("sessions", "ip_address = 'here'"),
    ("sessions", "methods = '[\"magic\"]'"),
    ("sessions", "refresh_generation = -1"),
    ("signing_keys", "key_use = 'none'"),
    ("users", "metadata = '[]'"),
    ("users", "status = 'asleep'"),
];

#[rstest]
#[tokio::test]
async fn a_corrupt_row_names_its_table(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(test) = TestStore::start(engine).await else { return };
    let (raw, mut test) = (test.raw().await, test);
    for (table, change) in NONSENSE {
        // Rows of the cases before stay corrupt, and are not read again.
        let rows = Rows::write(&mut test).await;
        rows.read(&test, table).await.expect("the row makes sense yet");
        raw.execute_unprepared(&format!("UPDATE {table} SET {change}")).await.unwrap();
        let error = rows.read(&test, table).await.unwrap_err();
        assert!(matches!(&error, StoreError::Corrupt { table: named, .. } if *named == table), "{change}: {error:?}");
        assert!(!error.to_string().contains("hunter2"), "the text quotes no secret: {error}");
    }
}

/// SQLite takes any value in any column.
#[tokio::test]
async fn a_value_of_another_type_is_an_error() {
    let Some(mut test) = TestStore::start(Engine::Sqlite).await else { return };
    let raw = test.raw().await;
    raw.execute_unprepared("PRAGMA foreign_keys = OFF").await.unwrap();
    for (table, change) in [
        ("identifiers", "verified_at = 'yesterday'"),
        ("projects", "created_at = 'yesterday'"),
        ("projects", "settings = 'no JSON'"),
        ("sessions", "user_id = 'ada'"),
        ("sessions", "refresh_generation = 'first'"),
        ("signing_keys", "activates_at = x'00'"),
    ] {
        let rows = Rows::write(&mut test).await;
        raw.execute_unprepared(&format!("UPDATE {table} SET {change}")).await.unwrap();
        rows.read(&test, table).await.expect_err(change);
    }
}

impl Rows {
    async fn write(test: &mut TestStore) -> Self {
        test.new_project().await;
        let user = test.user("ada").await;
        let (session, code) = (test.session(user), test.code(user));
        let (pending, token) = test.pending(&code);
        let cost = Argon2Cost { memory_kib: 64, iterations: 1, parallelism: 1 };
        let password = Password::parse("hunter2").unwrap();
        let hash = PasswordHash::compute(&mut Argon2Kernel::default(), cost, &password, &[7; 16]).unwrap();
        let key = StoredKey {
            id: SigningKeyId::generate(now(), &Random::System),
            project_id: test.project.id,
            key_use: KeyUse::RefreshTokenMac,
            sealed: vec![1],
            created_at: now(),
            activates_at: now(),
            replaced_at: None,
            retires_at: None,
        };
        let tx = test.store.begin().await.unwrap();
        tx.sessions().insert(&session).await.unwrap();
        tx.challenges().insert_code(&code).await.unwrap();
        tx.challenges().insert_pending(&pending, &token).await.unwrap();
        tx.credentials().set(test.project.id, user, &hash, false, now()).await.unwrap();
        tx.signing_keys().insert(&key).await.unwrap();
        tx.commit().await.unwrap();
        Self { user, session: session.id, code, token }
    }

    /// Reads everything that a table holds.
    async fn read(&self, test: &TestStore, table: &str) -> Result<(), StoreError> {
        let (view, project_id) = (test.store.view(), test.project.id);
        match table {
            "challenges" => {
                view.challenges().find_pending(project_id, &self.token).await?.unwrap();
                view.challenges().newest_code(self.code.user_id).await.map(drop)
            }
            "clients" => view.clients().find(project_id, test.client.id).await.map(drop),
            "credentials" => view.credentials().find(project_id, self.user).await.map(drop),
            "identifiers" | "users" => view.users().find(project_id, self.user).await.map(drop),
            "projects" => view.projects().find(project_id).await.map(drop),
            "sessions" => view.sessions().find(project_id, self.session).await.map(drop),
            "signing_keys" => view.signing_keys().all(project_id).await.map(drop),
            _ => unreachable!("no such table: {table}"),
        }
    }
}
