//! SQLite: the template is a file's content, kept in memory so that nothing stays behind when the tests are killed.

use std::{fs, path::Path};

use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use tempfile::TempDir;

#[derive(Debug)]
pub(crate) struct Database {
    url: String,
    /// Deletes the file, and what SQLite lays beside it, when dropped.
    _directory: TempDir,
}

pub(crate) struct Template {
    content: Vec<u8>,
}

const FILE_NAME: &str = "signet.db";

impl Database {
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Template {
    pub(crate) async fn prepare(prepare: impl AsyncFnOnce(String)) -> Self {
        let directory = temporary_directory();
        let file = directory.path().join(FILE_NAME);
        prepare(url(&file)).await;
        checkpoint(&url(&file)).await;
        Self { content: fs::read(&file).expect("the prepared database is a file") }
    }

    pub(crate) fn copy(&self) -> Database {
        let directory = temporary_directory();
        let file = directory.path().join(FILE_NAME);
        fs::write(&file, &self.content).expect("the temporary directory takes a copy of the template");
        Database { url: url(&file), _directory: directory }
    }
}

fn temporary_directory() -> TempDir {
    tempfile::Builder::new().prefix("signet-test-").tempdir().expect("the system has a writable temporary directory")
}

fn url(file: &Path) -> String {
    format!("sqlite://{}?mode=rwc", file.display())
}

/// Moves everything from the write-ahead log into the file, which alone is copied.
async fn checkpoint(url: &str) {
    let connection = sea_orm::Database::connect(url).await.expect("the prepared database opens");
    let row = connection
        .query_one_raw(Statement::from_string(DbBackend::Sqlite, "PRAGMA wal_checkpoint(TRUNCATE)"))
        .await
        .expect("the prepared database can be checkpointed")
        .expect("a checkpoint reports one row");
    let busy: i32 = row.try_get("", "busy").expect("the report of a checkpoint has a column `busy`");
    assert_eq!(busy, 0, "`prepare` has left a connection to the SQLite template open; close it");
    connection.close().await.expect("the prepared database closes");
}
