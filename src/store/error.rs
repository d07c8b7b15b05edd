//! What can go wrong with a database.

use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr, SqlErr, sqlx};

use crate::metrics::DatabaseFailure;

/// A query failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another row has that unique value already.
    #[error("a unique value is taken")]
    Conflict(#[source] DbErr),
    /// The row that a new one would hang on is not there, or no longer.
    #[error("the row it belongs to is gone")]
    Orphan(#[source] DbErr),
    /// A row holds something this version cannot read.
    #[error("the table `{table}` holds a row this version cannot read: {cause}")]
    Corrupt {
        /// Table.
        table: &'static str,
        /// What is wrong with it.
        cause: String,
    },
    /// The database does not answer, or not now. It heals by itself; try again.
    #[error("the database does not answer")]
    Unavailable(#[source] DbErr),
    /// Anything else.
    #[error("a query failed")]
    Query(#[source] DbErr),
}

impl StoreError {
    /// A row that cannot be read.
    pub(super) fn corrupt(table: &'static str, cause: impl std::fmt::Display) -> Self {
        Self::Corrupt { table, cause: cause.to_string() }
    }

    /// True if the database may answer when it is asked again, as while it is being started. A connection that it refuses, for the
    /// password or because there is no such database, is not, nor is a file of SQLite that does not open.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Unavailable(DbErr::ConnectionAcquire(_)) => true,
            Self::Unavailable(error) => sqlx_error(error).is_some_and(|cause| is_passing(cause) && !cannot_open(cause)),
            _ => false,
        }
    }

    /// True if somebody else has a lock on the file of SQLite (`SQLITE_BUSY`).
    pub(super) fn is_locked_file(&self) -> bool {
        let Self::Unavailable(error) = self else { return false };
        sqlx_error(error).is_some_and(|cause| cause_in_sqlite(cause) == Some(5))
    }
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        match error.sql_err() {
            Some(SqlErr::ForeignKeyConstraintViolation(_)) => return Self::Orphan(error),
            Some(SqlErr::UniqueConstraintViolation(_)) => return Self::Conflict(error),
            _ => {}
        }
        let unavailable = match &error {
            DbErr::Conn(_) | DbErr::ConnectionAcquire(_) => true,
            DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause)) => is_passing(cause),
            _ => false,
        };
        if unavailable { Self::Unavailable(error) } else { Self::Query(error) }
    }
}

/// What kind of failure an error is; none for one that says something about the rows, which the caller has asked for.
pub(super) fn failure_of(error: &DbErr) -> Option<DatabaseFailure> {
    match (error, sqlx_error(error)) {
        (DbErr::ConnectionAcquire(ConnAcquireErr::Timeout), _) | (_, Some(sqlx::Error::PoolTimedOut)) => {
            Some(DatabaseFailure::NoConnection)
        }
        (DbErr::Conn(_) | DbErr::ConnectionAcquire(_), _) => Some(DatabaseFailure::Unavailable),
        (_, Some(cause)) if is_passing(cause) => Some(DatabaseFailure::Unavailable),
        _ => error.sql_err().is_none().then_some(DatabaseFailure::Query),
    }
}

fn sqlx_error(error: &DbErr) -> Option<&sqlx::Error> {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(cause))
        | DbErr::Exec(RuntimeErr::SqlxError(cause))
        | DbErr::Query(RuntimeErr::SqlxError(cause)) => Some(cause.as_ref()),
        _ => None,
    }
}

/// SQLite opens no file: it is not there, or no file descriptors are left (`SQLITE_CANTOPEN`).
fn cannot_open(error: &sqlx::Error) -> bool {
    cause_in_sqlite(error) == Some(14)
}

fn cause_in_sqlite(error: &sqlx::Error) -> Option<u32> {
    sqlite_code(&error.as_database_error()?.code()?)
}

/// The code of SQLite without what extends it; those of PostgreSQL are longer.
fn sqlite_code(code: &str) -> Option<u32> {
    let number: u32 = (code.len() < 5).then(|| code.parse().ok())??;
    Some(number & 0xFF)
}

/// True for faults that go away by themselves.
fn is_passing(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::PoolClosed
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::Protocol(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            // PostgreSQL: connection (08), resources (53), operator (57), serialisation and deadlock (40), lock (55P03).
            // SQLite: busy, locked, no file to be opened (nobody opens one that is not there here), with their extended codes.
            ["08", "53", "57", "40"].iter().any(|class| code.len() == 5 && code.starts_with(class))
                || code == "55P03"
                || matches!(sqlite_code(&code), Some(5 | 6 | 14))
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::{ConnectionTrait as _, Database};

    use super::*;

    #[tokio::test]
    async fn a_file_that_sqlite_cannot_open_is_unavailability() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}?mode=rwc", directory.path().join("signet.db").display());
        let connection = Database::connect(url).await.unwrap();
        let attach = "ATTACH '/nowhere/signet.db' AS other";
        let error = StoreError::from(connection.execute_unprepared(attach).await.unwrap_err());
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        assert!(!error.may_pass(), "at the start it is more likely the path");
    }
}
