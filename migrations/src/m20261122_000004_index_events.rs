//! What the event stream is read by. On PostgreSQL made beside the running service, which takes long for a large table and keeps
//! nobody from writing, but cannot be part of a transaction: what is there already is left alone, and half an index made anew.

use sea_orm_migration::{
    prelude::*,
    sea_orm::{DbBackend, Statement},
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Name of each index, whether it is unique, and of what. As text, because the builder knows no partial index for both databases. That
/// of positions leaves out the events without one, or SQLite would take it to find them, and sort all of them by id.
const INDEXES: [(&str, bool, &str); 4] = [
    ("ix_events_unnumbered", false, "(id) WHERE position IS NULL"),
    ("ix_events_position", true, "(position) WHERE position IS NOT NULL"),
    ("ix_events_project_position", false, "(project_id, position)"),
    ("ix_events_request_id", false, "(request_id)"),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connection = manager.get_connection();
        let is_postgres = manager.get_database_backend() == DbBackend::Postgres;
        let concurrently = if is_postgres { "CONCURRENTLY" } else { "" };
        for (name, is_unique, columns) in INDEXES {
            if is_postgres && is_broken(connection, name).await? {
                connection.execute_unprepared(&format!("DROP INDEX CONCURRENTLY IF EXISTS {name}")).await?;
            }
            let unique = if is_unique { "UNIQUE" } else { "" };
            let create = format!("CREATE {unique} INDEX {concurrently} IF NOT EXISTS {name} ON events {columns}");
            connection.execute_unprepared(&create).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(false)
    }
}

/// True for what a run that was cut off has left behind: PostgreSQL keeps it up to date, but does not use it.
async fn is_broken(connection: &SchemaManagerConnection<'_>, name: &str) -> Result<bool, DbErr> {
    let query = format!("SELECT 1 FROM pg_index WHERE indexrelid = to_regclass('{name}') AND NOT indisvalid");
    Ok(connection.query_one_raw(Statement::from_string(DbBackend::Postgres, query)).await?.is_some())
}
