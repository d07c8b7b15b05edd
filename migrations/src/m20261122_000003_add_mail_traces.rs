//! The trace of the request that a mail comes from, so that whoever sends it, after a restart or on another replica, goes on with that
//! trace. May be null, so that the binary before this one goes on writing rows.

use sea_orm_migration::{prelude::*, schema::string_null};

use crate::{LOCK_ATTEMPTS, lock_table};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        lock_table(manager.get_connection(), "outbox", LOCK_ATTEMPTS).await?;
        // A `traceparent` (W3C Trace Context): 55 characters.
        let mut traceparent = string_null("traceparent");
        manager.alter_table(Table::alter().table("outbox").add_column(&mut traceparent).take()).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
