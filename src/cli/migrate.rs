//! `signet migrate`.

use serde::Serialize;

use super::output::{Output, Record};
use crate::{app, config::database::DatabaseConfig, store::Store};

const EXAMPLES: &str = "\
Examples:
  signet migrate
  signet migrate --database-url postgres://signet@db/signet --json

Several at a time wait for each other. The version before keeps working on the new schema, so migrate first and replace the \
running processes then.";

/// Bring the schema of the database up to date; a SQLite file that is not there is made
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct MigrateArgs {
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    database: DatabaseConfig,
}

#[derive(Serialize)]
struct Applied {
    applied: Vec<String>,
}

impl Record for Applied {
    const HEADINGS: &'static [&'static str] = &["applied"];

    fn cells(&self) -> Vec<String> {
        vec![self.applied.join(", ")]
    }
}

pub(super) async fn run(args: MigrateArgs) -> anyhow::Result<()> {
    let applied = Store::migrate(&app::database_settings(&args.database)?).await.map_err(app::BuildError::Connect)?;
    let note = if applied.is_empty() {
        "The database is up to date: there was nothing to do."
    } else {
        "The database is up to date."
    };
    Ok(args.output.record(&Applied { applied }, note)?)
}
