//! Opening the database, and bringing its schema up to date.

use std::time::Duration;

use sea_orm::{
    ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection,
    sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous},
};
use secrecy::{ExposeSecret as _, SecretString};
use signet_migrations::{Migrator, MigratorTrait as _};

use super::{Store, StoreError};

/// How long SQLite waits for another process's write lock.
const SQLITE_BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Key of the advisory lock under which PostgreSQL migrates: `signet` in ASCII.
const MIGRATION_LOCK: i64 = 0x7369_676e_6574;

/// Where the database is, and how to use it.
#[derive(Clone, Debug)]
pub struct DatabaseSettings {
    /// `sqlite://PATH` or `postgres://USER:PASSWORD@HOST/NAME`.
    pub url: SecretString,
    /// Connections at most.
    pub connections_max: u32,
    /// How long a request waits for a connection.
    pub acquire_timeout: Duration,
}

impl DatabaseSettings {
    fn is_sqlite(&self) -> bool {
        self.url.expose_secret().starts_with("sqlite:")
    }

    /// `create`: whether a SQLite file that is not there is made. Only migrating does: a misspelt path must not look like an
    /// empty database.
    fn options(&self, connections_max: u32, create: bool) -> ConnectOptions {
        let mut options = ConnectOptions::new(self.url.expose_secret());
        options
            .max_connections(connections_max)
            .acquire_timeout(self.acquire_timeout)
            .connect_timeout(self.acquire_timeout)
            .test_before_acquire(false)
            .sqlx_logging(false)
            .set_application_name("signet")
            .map_sqlx_sqlite_opts(move |options| {
                options
                    .create_if_missing(create)
                    .foreign_keys(true)
                    .journal_mode(SqliteJournalMode::Wal)
                    // A commit that was answered survives a power cut.
                    .synchronous(SqliteSynchronous::Full)
                    .busy_timeout(SQLITE_BUSY_TIMEOUT)
            });
        options
    }
}

impl Store {
    /// Connects.
    pub async fn connect(settings: &DatabaseSettings) -> Result<Self, StoreError> {
        let reader = Database::connect(settings.options(settings.connections_max, false)).await?;
        let writer =
            if settings.is_sqlite() { Database::connect(settings.options(1, false)).await? } else { reader.clone() };
        Ok(Self { writer, reader })
    }

    /// Names of the migrations that have not been applied.
    pub async fn pending_migrations(&self) -> Result<Vec<String>, StoreError> {
        Ok(Migrator::pending(&self.reader).await?)
    }

    /// Applies the pending migrations under a lock that dies with its connection; gives their names.
    pub async fn migrate(settings: &DatabaseSettings) -> Result<Vec<String>, StoreError> {
        // One connection, because the lock belongs to it.
        let connection = Database::connect(settings.options(1, true)).await?;
        let applied = migrate_on(&connection, settings.is_sqlite()).await;
        connection.close().await?;
        applied
    }
}

async fn migrate_on(connection: &DatabaseConnection, is_sqlite: bool) -> Result<Vec<String>, StoreError> {
    if is_sqlite {
        // The first write takes the lock; it is held until the connection is closed.
        connection.execute_unprepared("PRAGMA locking_mode = EXCLUSIVE").await?;
        connection.execute_unprepared("BEGIN IMMEDIATE; COMMIT").await?;
    } else {
        connection.execute_unprepared(&format!("SELECT pg_advisory_lock({MIGRATION_LOCK})")).await?;
    }
    let pending = Migrator::pending(connection).await?;
    if !pending.is_empty() {
        Migrator::up(connection, None).await?;
    }
    Ok(pending)
}
