//! The schema of Signet, one file per migration, run by `signet migrate`.
//!
//! A migration must leave a schema on which the binary before it still works: expand first, contract in a later release.

pub use sea_orm_migration::{MigratorTrait, sea_orm};

mod m20261121_000001_create_schema;

/// Applies the migrations.
#[derive(Debug)]
pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn sea_orm_migration::MigrationTrait>> {
        vec![Box::new(m20261121_000001_create_schema::Migration)]
    }
}
