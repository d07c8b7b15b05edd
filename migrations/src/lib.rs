//! The schema of Signet, one file per migration, run by `signet migrate`.
//!
//! A migration must leave a schema on which the binary before it still works: expand first, contract in a later release.

use std::{collections::HashSet, time::Duration};

use sea_orm::{ConnectionTrait, DbBackend, DbErr, EntityTrait as _, RuntimeErr};
use sea_orm_migration::{IntoSchemaManagerConnection, SchemaManager, seaql_migrations};
pub use sea_orm_migration::{MigratorTrait, sea_orm};

mod m20261121_000001_create_schema;
mod m20261121_000002_add_refresh_and_reservations;
mod m20261122_000001_add_profiles_and_idempotency;
mod m20261122_000002_number_events;
mod m20261122_000003_add_mail_traces;
mod m20261122_000004_index_events;

/// How long PostgreSQL lets a migration wait for a table in one go, and everybody who comes after it wait for that: a sign-in has to
/// last it out. As an interval of PostgreSQL.
pub const LOCK_TIMEOUT: &str = "2s";
/// Time between two goes, in which those who queued behind the last one have their turn.
const LOCK_PAUSE: Duration = Duration::from_secs(3);
/// How often a migration tries before it gives up: for a minute, all in all.
pub(crate) const LOCK_ATTEMPTS: u32 = 12;

/// Applies the migrations.
#[derive(Debug)]
pub struct Migrator;

impl Migrator {
    /// Names of the migrations that have not been applied. Writes nothing, so that a database user without the right to
    /// change the schema can ask. A schema that a newer version has taken further is no error: see above.
    pub async fn pending<'c>(connection: impl IntoSchemaManagerConnection<'c>) -> Result<Vec<String>, DbErr> {
        let (mut applied, manager) = (HashSet::new(), SchemaManager::new(connection));
        if manager.has_table("seaql_migrations").await? {
            let rows = seaql_migrations::Entity::find().all(manager.get_connection()).await?;
            applied.extend(rows.into_iter().map(|row| row.version));
        }
        let known = Self::migrations().into_iter().map(|migration| migration.name().to_owned());
        Ok(known.filter(|name| !applied.contains(name)).collect())
    }
}

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn sea_orm_migration::MigrationTrait>> {
        vec![
            Box::new(m20261121_000001_create_schema::Migration),
            Box::new(m20261121_000002_add_refresh_and_reservations::Migration),
            Box::new(m20261122_000001_add_profiles_and_idempotency::Migration),
            Box::new(m20261122_000002_number_events::Migration),
            Box::new(m20261122_000003_add_mail_traces::Migration),
            Box::new(m20261122_000004_index_events::Migration),
        ]
    }
}

/// Takes a table for the rest of the transaction, to change it. Whoever reads it for long, such as `pg_dump`, keeps this waiting, and
/// all who want the table afterwards queue behind: so it waits for a short time only, lets them pass, and tries again, so many
/// times at most. Nothing to do for SQLite, which has been taken whole.
pub async fn lock_table<C: ConnectionTrait>(connection: &C, table: &str, attempts: u32) -> Result<(), DbErr> {
    if connection.get_database_backend() != DbBackend::Postgres {
        return Ok(());
    }
    // Also for what follows: no statement of a migration waits for longer.
    connection.execute_unprepared(&format!("SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")).await?;
    for attempt in 1..=attempts {
        if attempt > 1 {
            tokio::time::sleep(LOCK_PAUSE).await;
        }
        // What fails takes its transaction with it, but for a savepoint.
        connection.execute_unprepared("SAVEPOINT before_lock").await?;
        match connection.execute_unprepared(&format!("LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")).await {
            Ok(_) => return Ok(()),
            Err(error) if is_lock_timeout(&error) => {
                connection.execute_unprepared("ROLLBACK TO SAVEPOINT before_lock").await?;
            }
            Err(error) => return Err(error),
        }
    }
    Err(DbErr::Migration(format!(
        "the table `{table}` is in use for long, perhaps by a backup (pg_dump) or a report: find who holds it in pg_stat_activity, \
         let them finish, and migrate again; nothing was changed"
    )))
}

fn is_lock_timeout(error: &DbErr) -> bool {
    let (DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause))) = error else {
        return false;
    };
    cause.as_database_error().is_some_and(|error| error.code().as_deref() == Some("55P03"))
}
