//! What the event stream needs: a place for each event, given after its commit, and the place that was given last. The binary before
//! this one goes on writing events without a place; they get theirs later, and with it the operator who did something comes into a column of
//! their own: until then they stand where the client stands. Short, however large the table is: no row is written.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, big_integer_null, small_integer, uuid, uuid_null},
    sea_orm::DbBackend,
};

use crate::{LOCK_ATTEMPTS, lock_table};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        lock_table(manager.get_connection(), "events", LOCK_ATTEMPTS).await?;
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
        manager.get_connection().execute_unprepared(&row).await?;
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
