//! A migrated database for each test, and what tests put into it.

use std::{sync::Arc, time::Duration};

use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection, DbBackend, Statement};
use signet::{
    clock::Timestamp,
    crypto::secret_token::SecretHash,
    domain::{
        bucket::Guarded,
        challenge::{Challenge, CountedAs, EmailCode, PasswordReset, PendingAuthentication, SignInWishes},
        claims::CustomClaims,
        client::{Client, ClientType, RefreshTokenFormat, TokenDelivery, TokenProfile},
        client_context::ClientContext,
        id::{ChallengeId, ClientId, MailId, ProjectId, SessionId, UserId},
        identifier::{Identifier, IdentifierKind},
        limits::Limits,
        project::{Project, ProjectSettings},
        refresh::RefreshState,
        session::{AuthenticationMethod, Session},
        user::{Profile, UserIdentifier},
    },
    random::Random,
    store::{DatabaseSettings, NewMail, NewUser, Store, StoreError, Tx},
};
use signet_test_support::TestDatabase;
use tokio::{sync::Barrier, task::JoinSet};

pub(crate) use signet_test_support::Engine;

/// A store with a project and a client of it.
pub(crate) struct TestStore {
    pub(crate) store: Store,
    pub(crate) project: Project,
    pub(crate) client: Client,
    /// Deleted with this value.
    database: TestDatabase,
}

impl TestStore {
    /// A fresh one; none where PostgreSQL cannot be had, which has been said loudly.
    pub(crate) async fn start(engine: Engine) -> Option<Self> {
        let database = TestDatabase::from_template(engine, async |url| {
            Store::migrate(&settings(&url)).await.unwrap();
        })
        .await?;
        let store = Store::connect(&settings(database.url())).await.unwrap();
        let project = project();
        let client = client(project.id);
        let mut test = Self { store, project, client, database };
        test.new_project().await;
        Some(test)
    }

    /// Goes on with another project and client.
    pub(crate) async fn new_project(&mut self) {
        self.project = project();
        self.client = client(self.project.id);
        let tx = self.store.begin().await.unwrap();
        tx.projects().insert(&self.project).await.unwrap();
        tx.clients().insert(&self.client).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// How this database is reached.
    pub(crate) fn settings(&self) -> DatabaseSettings {
        settings(self.database.url())
    }

    /// A connection past the store, to break things and to look behind them.
    pub(crate) async fn raw(&self) -> DatabaseConnection {
        Database::connect(self.database.url()).await.unwrap()
    }

    /// How many rows a table has.
    pub(crate) async fn rows(&self, table: &str) -> i64 {
        let raw = self.raw().await;
        let count = Statement::from_string(raw.get_database_backend(), format!("SELECT count(*) FROM {table}"));
        let count = raw.query_one_raw(count).await.unwrap().unwrap().try_get_by_index(0).unwrap();
        raw.close().await.unwrap();
        count
    }

    /// How many connections to this PostgreSQL database wait for somebody else's lock.
    pub(crate) async fn waiting_for_locks(&self) -> i64 {
        let raw = self.raw().await;
        let count = "SELECT count(*) FROM pg_stat_activity
                     WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let row = raw.query_one_raw(Statement::from_string(DbBackend::Postgres, count)).await.unwrap().unwrap();
        raw.close().await.unwrap();
        row.try_get_by_index(0).unwrap()
    }

    /// Adds a user with that username.
    pub(crate) async fn user(&self, username: &str) -> UserId {
        let tx = self.store.begin().await.unwrap();
        let id = insert_user(&tx, self.project.id, username).await.unwrap();
        tx.commit().await.unwrap();
        id
    }

    /// A session of a user, not yet stored.
    pub(crate) fn session(&self, user_id: UserId) -> Session {
        Session {
            id: SessionId::generate(now(), &Random::System),
            project_id: self.project.id,
            user_id,
            client_id: self.client.id,
            methods: vec![AuthenticationMethod::Password],
            authenticated_at: now(),
            client_context: ClientContext::default(),
            custom_claims: CustomClaims::default(),
            resource: None,
            refresh: RefreshState::FIRST,
            refresh_token_format: RefreshTokenFormat::Opaque,
            token_profile: TokenProfile::Standard,
            last_used_at: now(),
            created_at: now(),
            state: Session::opened(now(), &self.project.settings),
        }
    }

    /// A pending authentication that waits for a code, not yet stored, and the hash of its token.
    pub(crate) fn pending(&self, code: &Challenge<EmailCode>) -> (Challenge<PendingAuthentication>, SecretHash) {
        let detail = PendingAuthentication {
            client_id: self.client.id,
            code_id: code.id,
            wishes: SignInWishes::default(),
            client_context: ClientContext::default(),
            counted: CountedAs { guarded: Guarded::SignIn, device: None },
        };
        (self.challenge(code.user_id, detail), SecretHash(Random::System.bytes()))
    }

    /// A code of a user, not yet stored.
    pub(crate) fn code(&self, user_id: UserId) -> Challenge<EmailCode> {
        let code_hash = Random::System.bytes();
        self.challenge(user_id, EmailCode { email: "ada@example.com".into(), code_hash, sealed: None })
    }

    /// A password reset of a user with a code, not yet stored, and the hash of its token.
    pub(crate) fn reset(&self, user_id: UserId) -> (Challenge<PasswordReset>, SecretHash) {
        let detail = PasswordReset {
            email: Some("ada@example.com".into()),
            code_hash: Some(Random::System.bytes()),
            sealed: None,
        };
        (self.challenge(user_id, detail), SecretHash(Random::System.bytes()))
    }

    fn challenge<T>(&self, user_id: UserId, detail: T) -> Challenge<T> {
        Challenge {
            id: ChallengeId::generate(now(), &Random::System),
            project_id: self.project.id,
            user_id,
            credential_version: 0,
            attempts_left: Limits::default().code_attempts,
            issued_at: now(),
            expires_at: now() + Limits::default().code_lifetime,
            detail,
        }
    }

    /// A mail that is due, not yet stored.
    pub(crate) fn mail(&self) -> NewMail {
        NewMail {
            id: MailId::generate(now(), &Random::System),
            project_id: self.project.id,
            user_id: None,
            recipient: "ada@example.com".into(),
            sealed: b"sealed".to_vec(),
            expires_at: now() + chrono::Duration::minutes(10),
            now: now(),
            traceparent: None,
        }
    }
}

/// When tests begin: with microseconds, so that one that is lost shows.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_timestamp_micros(1_800_000_000_123_457).unwrap()
}

pub(crate) fn settings(url: &str) -> DatabaseSettings {
    DatabaseSettings { url: url.into(), connections_max: 8, acquire_timeout: Duration::from_secs(20) }
}

/// A project, not yet stored.
pub(crate) fn project() -> Project {
    Project {
        id: ProjectId::generate(now(), &Random::System),
        name: "Example".into(),
        settings: ProjectSettings::default(),
        created_at: now(),
        updated_at: now(),
    }
}

/// A client, not yet stored.
pub(crate) fn client(project_id: ProjectId) -> Client {
    Client {
        id: ClientId::generate(now(), &Random::System),
        project_id,
        name: "Back end".into(),
        client_type: ClientType::Confidential,
        refresh_token_format: RefreshTokenFormat::Opaque,
        token_profile: TokenProfile::Standard,
        token_delivery: TokenDelivery::Body,
        created_at: now(),
    }
}

/// An identifier, not verified.
pub(crate) fn identifier(kind: IdentifierKind, text: &str) -> UserIdentifier {
    UserIdentifier { identifier: Identifier::parse(kind, text).unwrap(), verified_at: None }
}

/// Adds a user with that username.
pub(crate) async fn insert_user(tx: &Tx, project_id: ProjectId, username: &str) -> Result<UserId, StoreError> {
    let id = UserId::generate(now(), &Random::System);
    let identifiers = [identifier(IdentifierKind::Username, username)];
    let profile = Profile::default();
    let new = NewUser { id, project_id, identifiers: &identifiers, external_id: None, profile: &profile, now: now() };
    tx.users().insert(&new).await.map(|()| id)
}

/// Starts so many of them at the same moment; gives what each came to, in no particular order.
pub(crate) async fn at_once<T, F>(count: usize, each: impl Fn(usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let start = Arc::new(Barrier::new(count));
    let mut tasks = JoinSet::new();
    for number in 0..count {
        let (start, task) = (Arc::clone(&start), each(number));
        tasks.spawn(async move {
            start.wait().await;
            task.await
        });
    }
    tasks.join_all().await
}
