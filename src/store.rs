//! The database: one unit of work per request, the same queries on SQLite and PostgreSQL.
//!
//! Every query is scoped by project. "Not there" is `Option`, not an error. Dropping a [`Tx`] without `commit` rolls
//! back.

mod backup;
mod challenges;
mod clients;
mod connect;
mod credentials;
#[expect(unreachable_pub, reason = "sea-orm derives public items")]
mod entity;
mod error;
mod event_stream;
mod events;
mod idempotent_calls;
mod joined;
mod kept_statement;
mod operators;
mod outbox;
mod pages;
mod plans;
mod projects;
mod sealed_values;
mod sessions;
mod signing_keys;
mod throttles;
mod together;
mod trouble;
mod users;
mod watched;
mod write_order;

use std::time::Duration;

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, RuntimeErr, Statement,
    TransactionTrait as _,
};
use tokio::{sync::OwnedSemaphorePermit, time::timeout};
use tracing::Instrument as _;

pub use self::{
    backup::BackupError,
    challenges::Challenges,
    clients::Clients,
    connect::DatabaseSettings,
    credentials::{Account, Credential, Credentials},
    error::StoreError,
    event_stream::EventStream,
    events::{Events, RecordedBy},
    idempotent_calls::{CallKey, IdempotentCalls, KnownCall},
    operators::Operators,
    outbox::{Backlog, NewMail, Outbox},
    projects::Projects,
    sealed_values::{Resealed, SealedOtherwise, SealedTable, SealedValue, SealedValues},
    sessions::Sessions,
    signing_keys::SigningKeys,
    throttles::Throttles,
    users::{NewUser, Users},
};

use self::{
    events::Recorded,
    watched::{Watch, Watched},
    write_order::WriteOrder,
};
use crate::{clock::Timestamp, metrics::Metrics};

/// How long the connections to PostgreSQL have to be given back and closed.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// The database. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Store {
    /// SQLite has one writer at a time: it gets a connection of its own.
    writer: DatabaseConnection,
    reader: DatabaseConnection,
    /// Who is next to wait for SQLite's writer.
    write_order: Option<WriteOrder>,
    /// Connections at most, of both.
    connections_max: u32,
    /// How long a `BEGIN` may take, with the wait for a connection.
    begin_timeout: Duration,
    watch: Watch,
}

/// Repositories over a connection.
#[derive(Debug)]
pub struct Scope<C> {
    connection: Watched<C>,
    recorded: Recorded,
    /// Given up after the connection.
    _permit: Option<OwnedSemaphorePermit>,
}

/// A unit of work: what it writes becomes visible as a whole, at [`Tx::commit`], or not at all.
pub type Tx = Scope<DatabaseTransaction>;
/// Outside of a unit of work: each statement is one by itself.
pub type View = Scope<DatabaseConnection>;

impl Store {
    /// Counts what this store does, also in its clones made from now on, into `metrics`.
    #[must_use]
    pub fn counting_into(self, metrics: &Metrics) -> Self {
        metrics.pool_started(self.connections_max);
        metrics.events_started(events::watched_for_bursts());
        let watch = self.watch.counting_into(metrics);
        Self { watch, ..self }
    }

    /// Opens a unit of work.
    pub async fn begin(&self) -> Result<Tx, StoreError> {
        let options = connect::write_at_once();
        if let Some(order) = &self.write_order {
            let beginning = async {
                let permit = order.wait().await?;
                Ok((self.writer.begin_with_options(options).await?, permit))
            };
            let (begun, permit) = self.watch.beginning(beginning).await?;
            return Ok(Scope { _permit: Some(permit), ..self.scope(begun) });
        }
        // A `BEGIN` that is cut off half-way stays open on its PostgreSQL connection, which goes back to the pool like
        // that (sqlx 0.9 counts a transaction only once its `BEGIN` was answered). So it is brought to its end even if
        // the caller goes away, and rolled back then. One that is not answered at all is left: `Trouble` sees to that.
        let writer = self.writer.clone();
        let watch = self.watch.clone();
        let begun = async move { watch.beginning(writer.begin_with_options(options)).await };
        match tokio::spawn(timeout(self.begin_timeout, begun).in_current_span()).await {
            Ok(Ok(connection)) => Ok(self.scope(connection?)),
            Ok(Err(_)) => {
                self.watch.began_in_vain(self.begin_timeout);
                Err(StoreError::Unavailable(DbErr::Conn(RuntimeErr::Internal("BEGIN was not answered".to_owned()))))
            }
            Err(stopped) => Err(StoreError::Unavailable(DbErr::Custom(stopped.to_string()))),
        }
    }

    fn scope<C>(&self, connection: C) -> Scope<C> {
        Scope { connection: self.watch.over(connection), recorded: Recorded::default(), _permit: None }
    }

    /// Reads without a unit of work, each query for itself.
    pub fn view(&self) -> View {
        self.scope(self.reader.clone())
    }

    /// A single statement that writes, and is a unit of work by itself. On SQLite it goes ahead of units of work that
    /// wait. To be dropped after it, as others wait.
    pub async fn alone(&self) -> Result<View, StoreError> {
        let Some(order) = &self.write_order else { return Ok(self.scope(self.writer.clone())) };
        let permit = self.watch.waiting(order.go_ahead()).await?;
        Ok(Scope { _permit: Some(permit), ..self.scope(self.writer.clone()) })
    }

    /// The same for a statement that a unit of work follows, as in a sign-in: it waits as they do.
    pub async fn alone_in_order(&self) -> Result<View, StoreError> {
        let Some(order) = &self.write_order else { return self.alone().await };
        let permit = self.watch.waiting(order.wait()).await?;
        Ok(Scope { _permit: Some(permit), ..self.scope(self.writer.clone()) })
    }

    /// Connections that are open, and how many of them are idle, for the metrics.
    pub fn pool(&self) -> (u32, usize) {
        let is_postgres = self.reader.get_database_backend() == DbBackend::Postgres;
        let of = |connection: &DatabaseConnection| {
            if is_postgres {
                let pool = connection.get_postgres_connection_pool();
                (pool.size(), pool.num_idle())
            } else {
                let pool = connection.get_sqlite_connection_pool();
                (pool.size(), pool.num_idle())
            }
        };
        let (size, idle) = of(&self.reader);
        if is_postgres {
            return (size, idle);
        }
        let writer = of(&self.writer);
        (size + writer.0, idle + writer.1)
    }

    /// Asks the database for a sign of life.
    pub async fn ping(&self) -> Result<(), StoreError> {
        Ok(self.watch.asking(self.reader.ping()).await?)
    }

    /// The time of day of the database's machine; none for SQLite, whose machine is ours.
    pub async fn time(&self) -> Result<Option<Timestamp>, StoreError> {
        if self.reader.get_database_backend() == DbBackend::Sqlite {
            return Ok(None);
        }
        let query = Statement::from_string(DbBackend::Postgres, "SELECT clock_timestamp()");
        let row = self.watch.asking(self.reader.query_one_raw(query)).await?;
        Ok(row.map(|row| row.try_get_by_index(0)).transpose()?)
    }

    /// Closes the connections. Those that a database which has fallen silent keeps are left to the system: the pool
    /// would wait for them for as long as it does.
    pub async fn close(self) -> Result<(), StoreError> {
        let all = async {
            self.reader.clone().close().await?;
            self.writer.clone().close().await
        };
        match self.reader.get_database_backend() {
            DbBackend::Postgres => Ok(timeout(CLOSE_TIMEOUT, all).await.unwrap_or(Ok(()))?),
            _ => Ok(all.await?),
        }
    }
}

impl Tx {
    /// Makes everything that was written visible and durable.
    pub async fn commit(self) -> Result<(), StoreError> {
        let (transaction, watch) = self.connection.into_parts();
        watch.ending(transaction.commit()).await?;
        watch.count(self.recorded);
        Ok(())
    }
}

impl<C: ConnectionTrait> Scope<C> {
    /// Pending authentications, codes and password resets.
    pub const fn challenges(&self) -> Challenges<'_, Watched<C>> {
        Challenges(&self.connection)
    }

    /// Clients and their secrets.
    pub const fn clients(&self) -> Clients<'_, Watched<C>> {
        Clients(&self.connection)
    }

    /// Passwords.
    pub const fn credentials(&self) -> Credentials<'_, Watched<C>> {
        Credentials(&self.connection)
    }

    /// The audit trail.
    pub const fn events(&self) -> Events<'_, Watched<C>> {
        Events(&self.connection, &self.recorded)
    }

    /// The audit trail as a stream.
    pub const fn event_stream(&self) -> EventStream<'_, Watched<C>> {
        EventStream(&self.connection)
    }

    /// Calls with a key, and their answers.
    pub const fn idempotent_calls(&self) -> IdempotentCalls<'_, Watched<C>> {
        IdempotentCalls(&self.connection)
    }

    /// Operators.
    pub const fn operators(&self) -> Operators<'_, Watched<C>> {
        Operators(&self.connection)
    }

    /// Mails to send.
    pub const fn outbox(&self) -> Outbox<'_, Watched<C>> {
        Outbox(&self.connection)
    }

    /// Projects.
    pub const fn projects(&self) -> Projects<'_, Watched<C>> {
        Projects(&self.connection)
    }

    /// What is encrypted under a master key, in whatever table.
    pub const fn sealed_values(&self) -> SealedValues<'_, Watched<C>> {
        SealedValues(&self.connection)
    }

    /// Sessions.
    pub const fn sessions(&self) -> Sessions<'_, Watched<C>> {
        Sessions(&self.connection)
    }

    /// Signing keys.
    pub const fn signing_keys(&self) -> SigningKeys<'_, Watched<C>> {
        SigningKeys(&self.connection)
    }

    /// Counted attempts.
    pub const fn throttles(&self) -> Throttles<'_, Watched<C>> {
        Throttles(&self.connection)
    }

    /// Users and their identifiers.
    pub const fn users(&self) -> Users<'_, Watched<C>> {
        Users(&self.connection)
    }
}
