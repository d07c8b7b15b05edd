//! `signet master-key`.

use std::io::{self, Write as _};

use serde::Serialize;

use super::{
    database::DatabaseArgs,
    explain::explain,
    output::{Output, Record, time},
};
use crate::{
    store::{SealedOtherwise, SealedTable},
    usecase::reseal::{Counts, Left, Need, left, reseal},
};

const RESEAL_EXAMPLES: &str = "\
Examples:
  signet master-key reseal --master-key-file new --previous-master-key-file old
  SIGNET_MASTER_KEY_FILE=new SIGNET_PREVIOUS_MASTER_KEY_FILE=old signet master-key reseal --json

Run it once every replica has the new key as master key and the old one as previous one. It works beside them, a hundred rows at a \
time; it can be broken off and repeated, and ends with what is left and until when the old key is needed for it. Answers to repeated \
calls, and codes of password resets, are left to expire.";

const STATUS_EXAMPLES: &str = "\
Examples:
  signet master-key status
  signet master-key status --json | jq .previous_key";

/// The master key of the database
#[derive(clap::Subcommand, Debug)]
pub(super) enum MasterKeyCommand {
    Reseal(ResealArgs),
    Status(StatusArgs),
}

/// Encrypt anew, under the master key, what the previous one has encrypted
#[derive(clap::Args, Debug)]
#[command(after_help = RESEAL_EXAMPLES)]
pub(super) struct ResealArgs {
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Tell what is encrypted under another master key than this one, and until when that key is needed
#[derive(clap::Args, Debug)]
#[command(after_help = STATUS_EXAMPLES)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// What became of one kind of values.
#[derive(Serialize)]
struct Kind {
    #[serde(skip_serializing_if = "Option::is_none")]
    resealed: Option<u64>,
    left: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    left_until: Option<String>,
}

impl Kind {
    fn new(resealed: Option<u64>, left: SealedOtherwise) -> Self {
        Self { resealed, left: left.rows, left_until: left.until.map(time) }
    }

    fn cell(&self) -> String {
        let resealed = self.resealed.map(|count| format!("{count} encrypted anew, ")).unwrap_or_default();
        let until = self.left_until.as_ref().map(|until| format!(", good until {until} at most")).unwrap_or_default();
        format!("{resealed}{} left{until}", self.left)
    }
}

#[derive(Serialize)]
struct StandingRecord {
    signing_keys: Kind,
    codes_and_links: Kind,
    mails: Kind,
    answers: Kind,
    codes_kept_as_hash: Kind,
    /// `needed`, `needed_until` or `not_needed`.
    previous_key: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_key_needed_until: Option<String>,
}

impl StandingRecord {
    fn new(done: Option<Counts>, left: &Left) -> Self {
        let (previous_key, until) = match left.need() {
            Need::Over => ("not_needed", None),
            Need::Until(until) => ("needed_until", Some(time(until))),
            Need::WithoutEnd => ("needed", None),
        };
        Self {
            signing_keys: Kind::new(done.map(|done| done.signing_keys), left.signing_keys),
            codes_and_links: Kind::new(done.map(|done| done.challenges), left.challenges),
            mails: Kind::new(done.map(|done| done.mails), left.mails),
            answers: Kind::new(None, left.answers),
            codes_kept_as_hash: Kind::new(None, left.codes_as_hash),
            previous_key,
            previous_key_needed_until: until,
        }
    }

    fn print(&self, output: Output) -> io::Result<()> {
        let note = match (self.previous_key, &self.previous_key_needed_until) {
            (_, Some(until)) => format!(
                "The other master key is needed until {until}. Take it away after that, once no process has it as its master \
                 key. (Codes that are kept as a hash do not tell their key: those of today are counted, too.)"
            ),
            ("needed", None) => {
                "The other master key is needed: without it signing keys are lost. With both keys set, run \
                                 `signet master-key reseal`."
                    .to_owned()
            }
            (_, None) => "No other master key is needed, once no process has one as its master key.".to_owned(),
        };
        output.record(self, &note)
    }
}

impl Record for StandingRecord {
    const HEADINGS: &'static [&'static str] =
        &["signing keys", "codes and links", "mails", "kept answers", "codes kept as a hash"];

    fn cells(&self) -> Vec<String> {
        let kinds = [&self.signing_keys, &self.codes_and_links, &self.mails, &self.answers, &self.codes_kept_as_hash];
        kinds.into_iter().map(Kind::cell).collect()
    }
}

pub(super) async fn run(command: MasterKeyCommand) -> anyhow::Result<()> {
    match command {
        MasterKeyCommand::Reseal(args) => reseal_all(args).await,
        MasterKeyCommand::Status(args) => status(args).await,
    }
}

async fn reseal_all(args: ResealArgs) -> anyhow::Result<()> {
    let services = args.database.open_to_reseal().await?;
    let done = reseal(&services, show_progress).await.map_err(explain)?;
    let left = left(&services).await.map_err(explain)?;
    StandingRecord::new(Some(done), &left).print(args.output)?;
    anyhow::ensure!(
        left.signing_keys.rows == 0,
        "{} signing keys are left: another process holds them, or goes on making some under the other key; give every replica this \
         master key and repeat the command",
        left.signing_keys.rows
    );
    Ok(())
}

async fn status(args: StatusArgs) -> anyhow::Result<()> {
    let services = args.database.open().await?;
    let left = left(&services).await.map_err(explain)?;
    Ok(StandingRecord::new(None, &left).print(args.output)?)
}

/// For whoever waits for a large database. Standard output is for the result.
fn show_progress(table: SealedTable, done: u64) {
    let what = match table {
        SealedTable::Challenges => "codes and links",
        SealedTable::Outbox => "mails",
        SealedTable::SigningKeys => "signing keys",
    };
    // Nobody looks.
    let _ = writeln!(io::stderr(), "{done} {what} are encrypted anew, going on");
}
