//! What refreshing sessions, resetting passwords and counting attempts before they are checked need. Every new column has a
//! default, so that the binary before this one goes on writing rows.

use sea_orm_migration::{
    prelude::*,
    schema::{binary_null, integer, string, string_null, timestamp_with_time_zone_null as time_null},
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = [
            ("clients", string("refresh_token_format").default("opaque").take()),
            ("sessions", string("refresh_token_format").default("opaque").take()),
            // When the current generation of the refresh token replaced the one before.
            ("sessions", time_null("rotated_at")),
            // Attempts that are being checked.
            ("throttles", integer("in_flight").default(0).take()),
            ("throttles", time_null("reserved_at")),
            // Of a password reset by code, beside the token that the code belongs to.
            ("challenges", binary_null("code_hash")),
            ("events", string_null("ip_address")),
        ];
        for (table, mut column) in columns {
            manager.alter_table(Table::alter().table(table).add_column(&mut column).take()).await?;
        }
        // In the order in which pages of a user's sessions are read.
        let mut by_user = Index::drop();
        manager.drop_index(by_user.name("ix_sessions_user_id").table("sessions").to_owned()).await?;
        for (name, columns) in [("user_id", &["user_id", "id"][..]), ("expires_at", &["expires_at"])] {
            let mut index = Index::create().name(format!("ix_sessions_{name}")).table("sessions").take();
            for column in columns {
                index.col(*column);
            }
            manager.create_index(index).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
