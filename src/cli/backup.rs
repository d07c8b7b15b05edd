//! `signet backup`.

use std::{
    fs::File,
    io::{self, IsTerminal as _, Write as _},
    os::fd::AsFd as _,
    path::PathBuf,
    thread,
};

use anyhow::{Context as _, bail};
use serde::Serialize;
use tokio::{
    signal::{
        ctrl_c,
        unix::{SignalKind, signal},
    },
    sync::oneshot,
};

use super::{
    Usage,
    output::{Output, Record},
};
use crate::{
    app,
    config::database::{DatabaseConfig, Engine},
    store::{DatabaseSettings, Store},
};

const NOTE: &str = "The copy is worth nothing without the master key: keep that, too, in another place.";

const EXAMPLES: &str = "\
Examples:
  signet backup /var/backups/signet.db
  signet backup --database-url sqlite:///var/lib/signet/signet.db /var/backups/signet.db --json
  signet backup - | ssh backups 'cat > signet.db'

With `-` the copy goes to standard output, as from a container: docker exec signet /usr/local/bin/signet backup - > signet.db. \
On its way it is a file beside the database, which nobody else may read and which is gone before the first byte is written. \
Whoever keeps what comes has to look at the exit code: if it is not 0, what came is nothing, or half a copy.

To restore: stop the service, put the file where the database was, remove the files of the old one that end in -wal and \
-shm, start the service. PostgreSQL has pg_dump and pg_restore. docs/operations.md has all steps for both.";

/// Copy a SQLite database to a new file; the service may go on meanwhile
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct BackupArgs {
    /// File to make, which must not be there yet; `-` for standard output
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
    let settings = app::database_settings(&args.database)?;
    if args.file.as_os_str() == "-" {
        refuse_a_terminal(args.output)?;
        return unless_told_to_stop(to_standard_output(&settings)).await;
    }
    let bytes = unless_told_to_stop(async { Ok(Store::back_up(&settings, &args.file).await?) }).await?;
    Ok(args.output.record(&Copied { file: args.file, bytes }, NOTE)?)
}

fn refuse_a_terminal(output: Output) -> Result<(), Usage> {
    let problem = if io::stdout().is_terminal() {
        "standard output is a terminal; send the copy to a file or a program: `signet backup - > FILE`"
    } else if output.is_json() {
        "--json has no place where the copy goes to standard output; leave it out"
    } else {
        return Ok(());
    };
    Err(Usage(problem.to_owned()))
}

/// Until a signal ends it, which must not leave what has been made so far.
async fn unless_told_to_stop<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let (mut terminate, mut hangup) = (signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
    tokio::select! {
        done = work => done,
        _ = ctrl_c() => bail!("told to stop; there is no copy"),
        _ = terminate.recv() => bail!("told to stop; there is no copy"),
        _ = hangup.recv() => bail!("told to stop; there is no copy"),
    }
}

async fn to_standard_output(settings: &DatabaseSettings) -> anyhow::Result<()> {
    let copy = Store::back_up_unnamed(settings).await?;
    // A thread, which a reader that does not read keeps for as long as the process lives, and no longer.
    let (done, written) = oneshot::channel();
    thread::Builder::new().name("backup".to_owned()).spawn(move || drop(done.send(write_out(copy))))?;
    written.await?.context("cannot write the copy to standard output; what is there is half a copy")?;
    // Nowhere to say it if standard error is closed.
    let _ = writeln!(io::stderr(), "{NOTE}");
    Ok(())
}

fn write_out(mut copy: File) -> io::Result<()> {
    let mut out = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    io::copy(&mut copy, &mut out)?;
    // There is more that cannot be synced than pipes.
    if out.metadata()?.is_file() { out.sync_all() } else { Ok(()) }
}
