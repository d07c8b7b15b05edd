//! Opening the database, and bringing its schema up to date.

use std::{
    fs::OpenOptions,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use sea_orm::{
    ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, DbBackend,
    IntoDatabaseExecutor as IntoSchemaManagerConnection, SqliteTransactionMode, Statement, TransactionOptions,
    TransactionTrait as _,
    sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use secrecy::{ExposeSecret as _, SecretString};
use signet_migrations::{Migrator, MigratorTrait as _};

use super::{
    Store, StoreError,
    trouble::{RELEASE_TIMEOUT, Trouble},
    watched::Watch,
    write_order::WriteOrder,
};
use crate::metrics::Metrics;

/// How long SQLite waits for another process's write lock.
const SQLITE_BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Time between two tries to open a file that somebody else is changing to a write-ahead log.
const OPEN_PAUSE: Duration = Duration::from_millis(10);
/// Key of the advisory lock under which PostgreSQL migrates: `signet` in ASCII.
const MIGRATION_LOCK: i64 = 0x7369_676e_6574;
/// Time between two looks whether somebody else still migrates.
const MIGRATION_PAUSE: Duration = Duration::from_millis(250);

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

    /// Where the file of SQLite is.
    pub(super) fn sqlite_file(&self) -> Option<PathBuf> {
        let options: SqliteConnectOptions = self.url.expose_secret().parse().ok()?;
        Some(options.get_filename().to_owned())
    }

    /// `create`: whether a SQLite file that is not there is made. Only migrating does: a misspelt path must not look like an
    /// empty database.
    pub(super) fn options(&self, connections_max: u32, create: bool, trouble: &Trouble) -> ConnectOptions {
        let trouble = trouble.clone();
        let mut options = ConnectOptions::new(self.url.expose_secret());
        options
            .max_connections(connections_max)
            .acquire_timeout(self.acquire_timeout)
            .connect_timeout(self.acquire_timeout)
            .test_before_acquire(false)
            .sqlx_logging(false)
            .set_application_name("signet")
            .map_sqlx_postgres_pool_opts(move |pool| {
                let trouble = trouble.clone();
                pool.after_release(move |connection, _| {
                    let trouble = trouble.clone();
                    Box::pin(async move { trouble.check(connection).await.map(|()| true) })
                })
            })
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
        let trouble = Trouble::default();
        let options = |connections_max| settings.options(connections_max, false, &trouble);
        let reader = open(options(settings.connections_max)).await?;
        let writer = if settings.is_sqlite() { open(options(1)).await? } else { reader.clone() };
        let connections_max = settings.connections_max + u32::from(settings.is_sqlite());
        let begin_timeout = settings.acquire_timeout + RELEASE_TIMEOUT;
        let watch = Watch::new(reader.get_database_backend(), Metrics::new(), trouble);
        let write_order = settings.is_sqlite().then(|| WriteOrder::new(settings.acquire_timeout));
        Ok(Self { writer, reader, write_order, connections_max, begin_timeout, watch })
    }

    /// Names of the migrations that have not been applied.
    pub async fn pending_migrations(&self) -> Result<Vec<String>, StoreError> {
        Ok(Migrator::pending(&self.reader).await?)
    }

    /// Applies the pending migrations under a lock that dies with its connection; gives their names.
    pub async fn migrate(settings: &DatabaseSettings) -> Result<Vec<String>, StoreError> {
        if settings.is_sqlite() {
            settings.sqlite_file().into_iter().for_each(|file| create_for_owner(&file));
        }
        // One connection, because the lock belongs to it.
        let mut options = settings.options(1, true, &Trouble::default());
        // However long it takes: the pool would replace a connection of some age.
        options.max_lifetime(None).idle_timeout(None);
        let connection = open(options).await?;
        let applied = migrate_on(&connection, settings.is_sqlite()).await;
        connection.close().await?;
        applied
    }
}

/// Connects. The change of a new file to a write-ahead log is the one lock of this for which SQLite does not wait: of
/// several who open such a file at a time all but one may be told that it is locked. So the others ask again, for as
/// long as they would wait for any other lock.
async fn open(options: ConnectOptions) -> Result<DatabaseConnection, StoreError> {
    let began = Instant::now();
    loop {
        match Database::connect(options.clone()).await.map_err(StoreError::from) {
            Err(error) if error.is_locked_file() && began.elapsed() < SQLITE_BUSY_TIMEOUT => {
                tokio::time::sleep(OPEN_PAUSE).await;
            }
            opened => return opened,
        }
    }
}

/// Only its owner may read a database: SQLite would make it for everybody, but takes over an empty file, whose mode its own files
/// beside it then have, too. What cannot be made here SQLite cannot make either, and says so.
fn create_for_owner(file: &Path) {
    drop(OpenOptions::new().write(true).create_new(true).mode(0o600).open(file));
}

async fn migrate_on(connection: &DatabaseConnection, is_sqlite: bool) -> Result<Vec<String>, StoreError> {
    if !is_sqlite {
        wait_for_turn(connection).await?;
        return apply_pending(connection).await;
    }
    // The write lock is the only one that SQLite has for this, and a transaction the only way to hold it beside a running
    // service: an exclusive lock could not be had as long as anybody else has the file open.
    let tx = connection.begin_with_options(write_at_once()).await?;
    let applied = apply_pending(&tx).await?;
    tx.commit().await?;
    Ok(applied)
}

/// Waits until nobody else migrates, for as long as they do. Not within a statement: that would hold a snapshot, and who makes an
/// index beside the running service waits for those who hold one.
async fn wait_for_turn(connection: &DatabaseConnection) -> Result<(), StoreError> {
    let lock = format!("SELECT pg_try_advisory_lock({MIGRATION_LOCK})");
    loop {
        let row = connection.query_one_raw(Statement::from_string(DbBackend::Postgres, lock.as_str())).await?;
        if row.map(|row| row.try_get_by_index(0)).transpose()? == Some(true) {
            return Ok(());
        }
        tokio::time::sleep(MIGRATION_PAUSE).await;
    }
}

async fn apply_pending<'c>(connection: impl IntoSchemaManagerConnection<'c> + Copy) -> Result<Vec<String>, StoreError> {
    let pending = Migrator::pending(connection).await?;
    if !pending.is_empty() {
        Migrator::up(connection, None).await?;
    }
    Ok(pending)
}

/// Taking the write lock at once is what keeps SQLite from failing half-way with `SQLITE_BUSY`.
pub(super) fn write_at_once() -> TransactionOptions {
    TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn pragma(connection: &DatabaseConnection, name: &str) -> String {
        let statement = Statement::from_string(DbBackend::Sqlite, format!("PRAGMA {name}"));
        let row = connection.query_one_raw(statement).await.unwrap().unwrap();
        row.try_get_by_index(0).or_else(|_| row.try_get_by_index::<i64>(0).map(|number| number.to_string())).unwrap()
    }

    #[tokio::test]
    async fn both_pools_of_sqlite_are_set_up_for_safety() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}?mode=rwc", directory.path().join("signet.db").display());
        let settings =
            DatabaseSettings { url: url.into(), connections_max: 2, acquire_timeout: Duration::from_secs(5) };
        Store::migrate(&settings).await.unwrap();
        let store = Store::connect(&settings).await.unwrap();
        for connection in [&store.reader, &store.writer] {
            assert_eq!(pragma(connection, "foreign_keys").await, "1");
            assert_eq!(pragma(connection, "journal_mode").await, "wal");
            assert_eq!(pragma(connection, "synchronous").await, "2", "FULL");
            assert_eq!(pragma(connection, "busy_timeout").await, SQLITE_BUSY_TIMEOUT.as_millis().to_string());
        }
    }

    #[tokio::test]
    async fn a_misspelt_path_makes_no_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("singet.db");
        let url = format!("sqlite://{}", file.display());
        let settings =
            DatabaseSettings { url: url.into(), connections_max: 2, acquire_timeout: Duration::from_secs(5) };
        let refused = Store::connect(&settings).await.unwrap_err();
        assert!(matches!(refused, StoreError::Unavailable(_)), "{refused:?}");
        assert!(!refused.may_pass(), "no time makes the path right");
        assert!(!file.exists());
    }
}
