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
    test: TestStore,
    user: UserId,
    session: SessionId,
    code: Challenge<EmailCode>,
    token: SecretHash,
}

#[rstest]
#[case("challenges", "wishes = NULL")]
#[case("challenges", "wishes = '3'")]
#[case("challenges", "client_id = NULL")]
#[case("challenges", "ip_address = 'here'")]
#[case("challenges", "email = NULL")]
#[case("clients", "client_type = 'secretive'")]
#[case("credentials", "password_hash = 'hunter2'")]
#[case("identifiers", "kind = 'nickname'")]
#[case("projects", "settings = '{\"signing_algorithm\":\"none\"}'")]
#[case("projects", "settings = '3'")]
#[case("sessions", "custom_claims = '3'")]
#[case("sessions", "ip_address = 'here'")]
#[case("sessions", "methods = '[\"magic\"]'")]
#[case("sessions", "refresh_generation = -1")]
#[case("signing_keys", "key_use = 'none'")]
#[case("users", "metadata = '[]'")]
#[case("users", "status = 'asleep'")]
#[tokio::test]
async fn a_corrupt_row_names_its_table(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
    #[case] table: &'static str,
    #[case] change: &str,
) {
    let Some(rows) = Rows::write(engine).await else { return };
    rows.read(table).await.expect("the row makes sense yet");
    rows.test.raw().await.execute_unprepared(&format!("UPDATE {table} SET {change}")).await.unwrap();
    let error = rows.read(table).await.unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt { table: named, .. } if *named == table), "{error:?}");
    assert!(!error.to_string().contains("hunter2"), "the text quotes no secret: {error}");
}

/// SQLite takes any value in any column.
#[rstest]
#[case("projects", "created_at = 'yesterday'")]
#[case("projects", "settings = 'no JSON'")]
#[case("sessions", "user_id = 'ada'")]
#[case("sessions", "refresh_generation = 'first'")]
#[case("signing_keys", "activates_at = x'00'")]
#[case("users", "created_at = NULL")]
#[tokio::test]
async fn a_value_of_another_type_is_an_error(#[case] table: &'static str, #[case] change: &str) {
    let Some(rows) = Rows::write(Engine::Sqlite).await else { return };
    let update = format!("PRAGMA foreign_keys = OFF; UPDATE {table} SET {change}");
    // A column that must not be null is the one thing that SQLite does insist on.
    if rows.test.raw().await.execute_unprepared(&update).await.is_ok() {
        rows.read(table).await.unwrap_err();
    } else {
        assert!(change.ends_with("NULL"));
    }
}

impl Rows {
    async fn write(engine: Engine) -> Option<Self> {
        let test = TestStore::start(engine).await?;
        let user = test.user("ada").await;
        let (session, (pending, token)) = (test.session(user), test.pending(user));
        let code = test.code(user, Some(pending.id));
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
        tx.challenges().insert_pending(&pending, &token).await.unwrap();
        tx.challenges().insert_code(&code).await.unwrap();
        tx.credentials().set(test.project.id, user, &hash, now()).await.unwrap();
        tx.signing_keys().insert(&key).await.unwrap();
        tx.commit().await.unwrap();
        Some(Self { test, user, session: session.id, code, token })
    }

    /// Reads everything that a table holds.
    async fn read(&self, table: &str) -> Result<(), StoreError> {
        let (view, project_id) = (self.test.store.view(), self.test.project.id);
        match table {
            "challenges" => {
                view.challenges().find_pending(project_id, &self.token).await?.unwrap();
                view.challenges().newest_code(self.code.user_id).await.map(drop)
            }
            "clients" => view.clients().find(project_id, self.test.client.id).await.map(drop),
            "credentials" => view.credentials().find(project_id, self.user).await.map(drop),
            "identifiers" | "users" => view.users().find(project_id, self.user).await.map(drop),
            "projects" => view.projects().find(project_id).await.map(drop),
            "sessions" => view.sessions().find(project_id, self.session).await.map(drop),
            "signing_keys" => view.signing_keys().all(project_id).await.map(drop),
            _ => unreachable!("no such table: {table}"),
        }
    }
}
