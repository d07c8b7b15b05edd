//! The first schema. Every row belongs to a project; operators, who stand outside of projects, have a table of their own.

use sea_orm_migration::{
    prelude::*,
    schema::{
        binary, binary_null, integer, json_binary, json_binary_null, string, string_null,
        timestamp_with_time_zone as time, timestamp_with_time_zone_null as time_null, uuid, uuid_null,
    },
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [projects(), people(), sessions(), background()].into_iter().flatten() {
            manager.create_table(table).await?;
        }
        for index in indexes() {
            manager.create_index(index).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

fn table(name: &'static str, columns: impl IntoIterator<Item = ColumnDef>) -> TableCreateStatement {
    let mut table = Table::create().table(name).take();
    for column in columns {
        table.col(column);
    }
    table
}

fn id() -> ColumnDef {
    uuid("id").primary_key().take()
}

/// Adds a reference; the row goes with the one it points to.
fn owned_by(mut table: TableCreateStatement, column: &'static str, owner: &'static str) -> TableCreateStatement {
    let mut key = ForeignKey::create();
    key.from_col(column).to(owner, "id").on_delete(ForeignKeyAction::Cascade);
    table.foreign_key(&mut key).take()
}

fn projects() -> Vec<TableCreateStatement> {
    vec![
        table("projects", [id(), string("name"), json_binary("settings"), time("created_at"), time("updated_at")]),
        table("operators", [id(), string("name"), binary("secret_hash"), time("created_at")]),
        owned_by(
            table("clients", [id(), uuid("project_id"), string("name"), string("client_type"), time("created_at")]),
            "project_id",
            "projects",
        ),
        owned_by(
            table(
                "client_secrets",
                [id(), uuid("project_id"), uuid("client_id"), binary("secret_hash"), time("created_at")],
            ),
            "client_id",
            "clients",
        ),
        owned_by(
            table(
                "signing_keys",
                [
                    id(),
                    uuid("project_id"),
                    string("key_use"),
                    binary("sealed"),
                    time("created_at"),
                    time("activates_at"),
                    time_null("replaced_at"),
                    time_null("retires_at"),
                ],
            ),
            "project_id",
            "projects",
        ),
    ]
}

fn people() -> Vec<TableCreateStatement> {
    let mut identifiers = table(
        "identifiers",
        [
            uuid("project_id"),
            string("kind"),
            string("canonical"),
            string("display"),
            uuid("user_id"),
            time_null("verified_at"),
        ],
    );
    identifiers.primary_key(Index::create().col("project_id").col("kind").col("canonical"));
    vec![
        owned_by(
            table(
                "users",
                [
                    id(),
                    uuid("project_id"),
                    string("status"),
                    string_null("given_name"),
                    string_null("family_name"),
                    string_null("locale"),
                    json_binary("metadata"),
                    time("created_at"),
                    time("updated_at"),
                    time_null("last_signed_in_at"),
                ],
            ),
            "project_id",
            "projects",
        ),
        owned_by(identifiers, "user_id", "users"),
        owned_by(
            table(
                "credentials",
                [
                    uuid("user_id").primary_key().take(),
                    uuid("project_id"),
                    string("password_hash"),
                    integer("version"),
                    time("updated_at"),
                ],
            ),
            "user_id",
            "users",
        ),
    ]
}

fn sessions() -> Vec<TableCreateStatement> {
    let session = table(
        "sessions",
        [
            id(),
            uuid("project_id"),
            uuid("user_id"),
            uuid("client_id"),
            json_binary("methods"),
            time("authenticated_at"),
            string_null("ip_address"),
            string_null("user_agent"),
            json_binary("custom_claims"),
            string_null("resource"),
            integer("refresh_generation"),
            time("created_at"),
            time("idle_expires_at"),
            time("expires_at"),
            time_null("revoked_at"),
        ],
    );
    let challenge = table(
        "challenges",
        [
            id(),
            uuid("project_id"),
            uuid("user_id"),
            string("kind"),
            binary("secret_hash"),
            integer("credential_version"),
            integer("attempts_left"),
            time("issued_at"),
            time("expires_at"),
            // Of a pending authentication.
            uuid_null("client_id"),
            uuid_null("code_id"),
            json_binary_null("wishes"),
            string_null("ip_address"),
            string_null("user_agent"),
            // Of a code.
            string_null("email"),
        ],
    );
    vec![
        owned_by(owned_by(session, "user_id", "users"), "client_id", "clients"),
        owned_by(owned_by(owned_by(challenge, "user_id", "users"), "client_id", "clients"), "code_id", "challenges"),
    ]
}

fn background() -> Vec<TableCreateStatement> {
    let mut throttles = table(
        "throttles",
        [uuid("project_id"), string("kind"), binary("subject"), integer("failures"), time("last_failure_at")],
    );
    throttles.primary_key(Index::create().col("project_id").col("kind").col("subject"));
    let outbox = table(
        "outbox",
        [
            id(),
            uuid("project_id"),
            // Whose address it holds; a mail that tells about nobody has none.
            uuid_null("user_id"),
            string("recipient"),
            // Erased once the mail is sent or given up.
            binary_null("sealed"),
            integer("attempts"),
            // Null once there is nothing left to do.
            time_null("next_attempt_at"),
            time("expires_at"),
            time("created_at"),
            time_null("sent_at"),
            time_null("given_up_at"),
            string_null("last_error"),
        ],
    );
    vec![
        owned_by(throttles, "project_id", "projects"),
        owned_by(owned_by(outbox, "project_id", "projects"), "user_id", "users"),
        // Without references: an event outlives what it tells about.
        table(
            "events",
            [
                id(),
                uuid("project_id"),
                string("kind"),
                uuid_null("user_id"),
                uuid_null("client_id"),
                uuid_null("session_id"),
                string_null("request_id"),
                string_null("cause"),
                time("created_at"),
            ],
        ),
    ]
}

fn index(table: &'static str, name: &str, columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = Index::create().name(format!("ix_{table}_{name}")).table(table).take();
    for column in columns {
        index.col(*column);
    }
    index
}

fn unique(table: &'static str, name: &str, columns: &[&'static str]) -> IndexCreateStatement {
    index(table, name, columns).unique().take()
}

fn indexes() -> Vec<IndexCreateStatement> {
    vec![
        unique("operators", "secret_hash", &["secret_hash"]),
        index("clients", "project_id", &["project_id", "id"]),
        unique("client_secrets", "secret_hash", &["secret_hash"]),
        index("client_secrets", "client_id", &["client_id"]),
        index("signing_keys", "project_id", &["project_id"]),
        index("users", "project_id", &["project_id", "id"]),
        unique("identifiers", "user_id", &["user_id", "kind"]),
        index("sessions", "user_id", &["user_id"]),
        index("sessions", "client_id", &["client_id"]),
        unique("challenges", "secret_hash", &["secret_hash"]),
        index("challenges", "user_id", &["user_id", "kind"]),
        index("challenges", "client_id", &["client_id"]),
        index("challenges", "code_id", &["code_id"]),
        index("outbox", "next_attempt_at", &["next_attempt_at"]),
        index("outbox", "project_id", &["project_id"]),
        index("outbox", "user_id", &["user_id"]),
        index("events", "project_id", &["project_id", "id"]),
    ]
}
