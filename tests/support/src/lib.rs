//! What the integration tests share: foreign programs to talk to, and throw-away databases, one per test, copied from a
//! template that is prepared once.
//!
//! ```no_run
//! use signet_test_support::{Engine, TestDatabase};
//!
//! # async fn a_test() {
//! let Some(database) = TestDatabase::from_template(Engine::Postgres, async |url| { /* migrate, then close */ }).await
//! else {
//!     return; // no PostgreSQL on this machine; this was said on standard error
//! };
//! # }
//! ```

use std::{
    any::TypeId,
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use tokio::sync::OnceCell;

pub use self::postgres::own_server::{OwnServer, StopKind};

mod environment;
pub mod generated;
pub mod go;
#[expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
pub mod mail_peer;
pub mod node;
mod postgres;
#[expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
pub mod process;
pub mod programs;
pub mod python;
pub mod rust;
mod sqlite;

/// The database engines that Signet runs on. Use with rstest: `#[values(Engine::Sqlite, Engine::Postgres)]`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Engine {
    /// PostgreSQL: the server at `TEST_DATABASE_URL`, else a private cluster that dies with the test process.
    Postgres,
    /// SQLite, in a temporary file.
    Sqlite,
}

/// A database of one test. Dropping it deletes it, even if there are still connections to it.
#[derive(Debug)]
pub struct TestDatabase(Database);

#[derive(Debug)]
enum Database {
    Postgres(postgres::Database),
    Sqlite(sqlite::Database),
}

enum Template {
    Postgres(postgres::Template),
    Sqlite(sqlite::Template),
}

/// One cell for each engine and `prepare` function, filled by the first test that asks.
type Templates = HashMap<(Engine, TypeId), Arc<OnceCell<Template>>>;

static TEMPLATES: LazyLock<Mutex<Templates>> = LazyLock::new(Mutex::default);

impl TestDatabase {
    /// A fresh copy of the database that `prepare` fills, given the URL of an empty one. `prepare` runs once for the
    /// engine, however many tests pass it, and has to close its connections.
    ///
    /// `None` if the engine is PostgreSQL and the machine has none, which is said on standard error.
    /// With `CI=true` that is a failure instead.
    ///
    /// # Panics
    /// If a database cannot be prepared or copied: a test has no use for the error.
    pub async fn from_template<F>(engine: Engine, prepare: F) -> Option<Self>
    where
        F: AsyncFnOnce(String) + 'static,
    {
        if engine == Engine::Postgres {
            postgres::Server::running()?;
        }
        let cell = Arc::clone(
            TEMPLATES.lock().unwrap_or_else(PoisonError::into_inner).entry((engine, TypeId::of::<F>())).or_default(),
        );
        let template = cell.get_or_init(|| Template::prepare(engine, prepare)).await;
        Some(Self(match template {
            Template::Postgres(template) => Database::Postgres(template.copy()),
            Template::Sqlite(template) => Database::Sqlite(template.copy()),
        }))
    }

    /// The URL to connect to.
    pub fn url(&self) -> &str {
        match &self.0 {
            Database::Postgres(database) => database.url(),
            Database::Sqlite(database) => database.url(),
        }
    }
}

/// The directory of PostgreSQL's programs, `pg_dump` and `pg_restore` among them. `None`, after saying so, where they are
/// missing; with `CI=true` that is a failure instead.
///
/// # Panics
/// If they are missing and `CI=true`.
pub fn postgres_programs() -> Option<PathBuf> {
    environment::once("pg_dump and pg_restore", || {
        postgres::client_programs().ok_or_else(|| "neither PATH nor /usr/lib/postgresql/*/bin has them".to_owned())
    })
}

impl Template {
    async fn prepare(engine: Engine, prepare: impl AsyncFnOnce(String)) -> Self {
        match engine {
            Engine::Postgres => Self::Postgres(postgres::Template::prepare(prepare).await),
            Engine::Sqlite => Self::Sqlite(sqlite::Template::prepare(prepare).await),
        }
    }
}
