//! What the vendors' dialects of the REST API need: profiles of tokens, more about users, passwords that have to be changed, codes that
//! can be read again, answers that are kept for repetitions. Every new column has a default or may be null, so that the binary
//! before this one goes on writing rows.

use sea_orm_migration::{
    prelude::*,
    schema::{
        binary, binary_null, boolean, json_binary_null, string, string_null, timestamp_with_time_zone as time,
        timestamp_with_time_zone_null as time_null, uuid,
    },
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = [
            ("clients", string("token_profile").default("standard").take()),
            ("clients", string("token_delivery").default("body").take()),
            // Of the client that opened the session, then.
            ("sessions", string("token_profile").default("standard").take()),
            ("sessions", time_null("last_used_at")),
            ("users", string_null("external_id")),
            ("users", string_null("display_name")),
            ("users", string_null("middle_name")),
            ("users", string_null("picture_url")),
            ("users", json_binary_null("untrusted_metadata")),
            ("credentials", boolean("must_change").default(false).take()),
            // The code or the token itself, encrypted, for back ends that mail it themselves.
            ("challenges", binary_null("sealed")),
        ];
        for (table, mut column) in columns {
            manager.alter_table(Table::alter().table(table).add_column(&mut column).take()).await?;
        }
        let mut external_id = Index::create().name("ix_users_external_id").table("users").unique().take();
        manager.create_index(external_id.col("project_id").col("external_id").take()).await?;
        // Codes are found by the address they were sent to. That comes first, or other look-ups within a project might take it.
        let mut email = Index::create().name("ix_challenges_email").table("challenges").take();
        manager.create_index(email.col("email").col("project_id").take()).await?;
        manager.create_table(idempotent_calls()).await?;
        let mut expires_at = Index::create().name("ix_idempotent_calls_expires_at").table("idempotent_calls").take();
        manager.create_index(expires_at.col("expires_at").take()).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// Calls that were made with an `idempotency-key`, and their answers.
fn idempotent_calls() -> TableCreateStatement {
    let mut table = Table::create().table("idempotent_calls").take();
    let columns = [
        uuid("client_id"),
        // SHA-256 of the key.
        binary("key_hash"),
        // SHA-256 of RPC and request.
        binary("request_hash"),
        // The answer, encrypted; none while the call runs.
        binary_null("sealed"),
        time("created_at"),
        time("expires_at"),
    ];
    for column in columns {
        table.col(column);
    }
    table.primary_key(Index::create().col("client_id").col("key_hash"));
    let mut client = ForeignKey::create();
    client.from_col("client_id").to("clients", "id").on_delete(ForeignKeyAction::Cascade);
    table.foreign_key(&mut client).take()
}
