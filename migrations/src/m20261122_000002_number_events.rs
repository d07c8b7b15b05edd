//! What the event stream needs: a place for each event, given after its commit, and the place that was given last. The binary before
//! this one goes on writing events without a place; they get theirs later. The operator who did something has a column of their own.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, big_integer_null, small_integer, uuid, uuid_null},
    sea_orm::DbBackend,
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// As text, because the builder knows no partial index for both databases. That of positions leaves out the events without one, or
/// SQLite would take it to find them, and sort all of them by id.
const STATEMENTS: [&str; 5] = [
    // Whoever managed something over the network stood where the client stands.
    "UPDATE events SET operator_id = client_id, client_id = NULL WHERE client_id IN (SELECT id FROM operators)",
    "CREATE INDEX ix_events_unnumbered ON events (id) WHERE position IS NULL",
    "CREATE UNIQUE INDEX ix_events_position ON events (position) WHERE position IS NOT NULL",
    "CREATE INDEX ix_events_project_position ON events (project_id, position)",
    "CREATE INDEX ix_events_request_id ON events (request_id)",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for mut column in [uuid_null("operator_id"), big_integer_null("position")] {
            manager.alter_table(Table::alter().table("events").add_column(&mut column).take()).await?;
        }
        // One row, which whoever numbers events holds meanwhile.
        let mut stream = Table::create().table("event_stream").col(small_integer("id").primary_key()).take();
        // Cursors are made with a key of their own, which is restored with the events: they outlive a new master key.
        manager.create_table(stream.col(big_integer("last_position")).col(uuid("cursor_key")).take()).await?;
        let key = match manager.get_database_backend() {
            DbBackend::Sqlite => "randomblob(16)",
            _ => "gen_random_uuid()",
        };
        let row = format!("INSERT INTO event_stream (id, last_position, cursor_key) VALUES (1, 0, {key})");
        for statement in std::iter::once(row.as_str()).chain(STATEMENTS) {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
