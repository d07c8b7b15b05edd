//! `signet key`.

use serde::Serialize;

use super::{
    database::{DatabaseArgs, operator_call},
    explain::explain,
    output::{Output, Record, time},
};
use crate::{
    clock::Timestamp,
    domain::{
        id::ProjectId,
        signing_key::{KeyPurpose, StoredKey},
    },
    usecase::signing_keys::{Activation, list_signing_keys, rotate_signing_key},
};

const ROTATE_EXAMPLES: &str = "\
Examples:
  signet key rotate --project PROJECT
  signet key rotate --project PROJECT --now      # when verifiers need not be waited for
  signet key rotate --project PROJECT --use refresh-tokens

A new key is published ten minutes before it signs, so that verifiers have fetched it by then. With --now it signs at once: \
verifiers that cache the key set refuse new tokens until they fetch it again. Either way tokens of the older keys stay valid \
until they expire. A key of refresh tokens also makes device tokens. It is never published, yet it too waits ten minutes, so that every replica knows it by \
then. Where no key of that use can sign, the new one does at once.";

const LIST_EXAMPLES: &str = "\
Examples:
  signet key list --project PROJECT
  signet key list --project PROJECT --json | jq 'select(.state == \"active\")'";

/// Signing keys of a project
#[derive(clap::Subcommand, Debug)]
pub(super) enum KeyCommand {
    Rotate(RotateArgs),
    List(ListArgs),
}

/// Make a new key; the older ones of the same use retire once their last tokens have expired
#[derive(clap::Args, Debug)]
#[command(after_help = ROTATE_EXAMPLES)]
pub(super) struct RotateArgs {
    /// The project
    #[arg(long, value_parser = ProjectId::parse)]
    project: ProjectId,
    /// What the key is for
    #[arg(long = "use", value_enum, default_value_t, value_name = "USE")]
    key_use: PurposeArg,
    /// Sign with the new key at once instead of in ten minutes
    #[arg(long)]
    now: bool,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// List the keys of a project with their state at this moment, retired ones too
#[derive(clap::Args, Debug)]
#[command(after_help = LIST_EXAMPLES)]
pub(super) struct ListArgs {
    /// The project
    #[arg(long, value_parser = ProjectId::parse)]
    project: ProjectId,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// What a key is for, as it is typed.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum PurposeArg {
    /// Signatures of access, ID, session and client tokens, and of refresh tokens that are JWTs
    #[default]
    Tokens,
    /// Opaque refresh tokens, and device tokens
    RefreshTokens,
}

impl From<PurposeArg> for KeyPurpose {
    fn from(purpose: PurposeArg) -> Self {
        match purpose {
            PurposeArg::RefreshTokens => Self::RefreshTokens,
            PurposeArg::Tokens => Self::Tokens,
        }
    }
}

#[derive(Serialize)]
struct KeyRecord {
    key_id: String,
    #[serde(rename = "use")]
    key_use: &'static str,
    algorithm: &'static str,
    state: &'static str,
    created_at: String,
    activates_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    replaced_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retires_at: Option<String>,
}

impl KeyRecord {
    fn at(now: Timestamp, key: &StoredKey) -> Self {
        Self {
            key_id: key.id.to_string(),
            key_use: key.key_use.purpose().as_str(),
            algorithm: key.key_use.as_str(),
            state: key.state_at(now).as_str(),
            created_at: time(key.created_at),
            activates_at: time(key.activates_at),
            replaced_at: key.replaced_at.map(time),
            retires_at: key.retires_at.map(time),
        }
    }
}

impl Record for KeyRecord {
    const HEADINGS: &'static [&'static str] =
        &["key", "state", "algorithm", "use", "signs from", "signs until", "published until"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.key_id.clone(),
            self.state.to_owned(),
            self.algorithm.to_owned(),
            self.key_use.to_owned(),
            self.activates_at.clone(),
            self.replaced_at.clone().unwrap_or_default(),
            self.retires_at.clone().unwrap_or_default(),
        ]
    }
}

pub(super) async fn run(command: KeyCommand) -> anyhow::Result<()> {
    match command {
        KeyCommand::Rotate(args) => rotate(args).await,
        KeyCommand::List(args) => list(args).await,
    }
}

async fn rotate(args: RotateArgs) -> anyhow::Result<()> {
    let services = args.database.open().await?;
    let activation = if args.now { Activation::Now } else { Activation::AfterPublication };
    let (call, purpose) = (operator_call(&services), args.key_use.into());
    let rotated = rotate_signing_key(&services, &call, args.project, purpose, activation).await;
    let note =
        "Running processes take the key up within seconds. `signet key list` shows what becomes of the older ones.";
    Ok(args.output.record(&KeyRecord::at(services.clock.now(), &rotated.map_err(explain)?), note)?)
}

async fn list(args: ListArgs) -> anyhow::Result<()> {
    let services = args.database.open().await?;
    let keys = list_signing_keys(&services, &operator_call(&services), args.project).await.map_err(explain)?;
    let now = services.clock.now();
    let records: Vec<_> = keys.iter().map(|key| KeyRecord::at(now, key)).collect();
    Ok(args.output.table().page(&records)?)
}
