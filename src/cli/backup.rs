//! `signet backup`.

use std::path::PathBuf;

use serde::Serialize;

use super::{
    Usage,
    output::{Output, Record},
};
use crate::{
    app,
    config::database::{DatabaseConfig, Engine},
    store::Store,
};

const EXAMPLES: &str = "\
Examples:
  signet backup /var/backups/signet.db
  signet backup --database-url sqlite:///var/lib/signet/signet.db /var/backups/signet.db --json

To restore: stop the service, put the file where the database was, remove the files of the old one that end in -wal and \
-shm, start the service. PostgreSQL has pg_dump and pg_restore. docs/operations.md has all steps for both.";

/// Copy a SQLite database to a new file; the service may go on meanwhile
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct BackupArgs {
    /// File to make, which must not be there yet
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    database: DatabaseConfig,
}

#[derive(Serialize)]
struct Copied {
    file: PathBuf,
    bytes: u64,
}

impl Record for Copied {
    const HEADINGS: &'static [&'static str] = &["file", "bytes"];

    fn cells(&self) -> Vec<String> {
        vec![self.file.display().to_string(), self.bytes.to_string()]
    }
}

pub(super) async fn run(args: BackupArgs) -> anyhow::Result<()> {
    if args.database.url()?.engine() != Engine::Sqlite {
        let how = "pg_dump --format=custom --file=FILE --dbname=URL";
        return Err(Usage(format!("signet backup copies SQLite only; for PostgreSQL run `{how}`")).into());
    }
    let bytes = Store::back_up(&app::database_settings(&args.database)?, &args.file).await?;
    let note = "The copy is worth nothing without the master key: keep that, too, in another place.";
    Ok(args.output.record(&Copied { file: args.file, bytes }, note)?)
}
