//! The schema of Signet, one file per migration, run by `signet migrate`.
//!
//! A migration must leave a schema on which the binary before it still works: expand first, contract in a later release.

use std::collections::HashSet;

use sea_orm::{DbErr, EntityTrait as _};
use sea_orm_migration::{IntoSchemaManagerConnection, SchemaManager, seaql_migrations};
pub use sea_orm_migration::{MigratorTrait, sea_orm};

mod m20261121_000001_create_schema;
mod m20261121_000002_add_refresh_and_reservations;
mod m20261122_000001_add_profiles_and_idempotency;
mod m20261122_000002_number_events;
mod m20261122_000003_add_mail_traces;

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
        ]
    }
}
