//! The command line: what a person or a script types, and what they read back. Commands work on the database itself; over
//! the network only a client can do such things.

mod backup;
mod bench;
mod client;
mod database;
mod dev;
mod explain;
mod explain_request;
mod gateway;
mod healthcheck;
mod key;
mod master_key;
mod migrate;
mod output;
mod project;
mod serve;
mod session;
mod user;
mod vendor;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::{Parser, Subcommand, error::ErrorKind};

use crate::{
    app::BuildError,
    config::{ConfigError, ConfigErrors, Refusal},
};

/// Exit code for settings or arguments that are not usable (`EX_USAGE` of sysexits.h).
const EXIT_USAGE: u8 = 64;

const OVERVIEW: &str = "\
Try it out:
  signet dev                     a demo on this machine, with example calls to paste

Run it:
  export SIGNET_DATABASE_URL=postgres://signet@db/signet
  export SIGNET_MASTER_KEY=\"$(openssl rand -base64 32)\"      # keep it: it opens the signing keys
  signet migrate
  signet serve

Set it up, with the same two variables:
  signet project create --name Shop
  signet client create --project PROJECT --name 'Shop back end'

Every setting is a flag and a variable of the environment. Exit codes: 0 for success, 1 for a failure, 64 for settings or \
arguments that are not usable.";

/// Signet, a self-hosted gRPC authentication service: passwords, email verification, sessions and tokens
#[derive(Debug, Parser)]
#[command(name = "signet", version, arg_required_else_help = true, after_help = OVERVIEW, max_term_width = 120)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Dev(Box<dev::DevArgs>),
    Serve(Box<serve::ServeArgs>),
    Gateway(Box<gateway::GatewayArgs>),
    Migrate(migrate::MigrateArgs),
    Backup(backup::BackupArgs),
    #[command(subcommand)]
    Project(project::ProjectCommand),
    #[command(subcommand)]
    Client(client::ClientCommand),
    #[command(subcommand)]
    User(user::UserCommand),
    #[command(subcommand)]
    Session(session::SessionCommand),
    #[command(subcommand)]
    Key(key::KeyCommand),
    #[command(subcommand)]
    MasterKey(master_key::MasterKeyCommand),
    Explain(explain_request::ExplainArgs),
    Bench(Box<bench::BenchArgs>),
    Healthcheck(healthcheck::HealthcheckArgs),
}

/// The arguments do not go together: exit code 64.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

/// Runs the command; gives its exit code.
pub async fn run(cli: Cli) -> ExitCode {
    let done = match cli.command {
        Command::Dev(args) => dev::run(*args).await,
        Command::Serve(args) => serve::run(*args).await,
        Command::Gateway(args) => gateway::run(*args).await,
        Command::Migrate(args) => migrate::run(args).await.map(|()| 0),
        Command::Backup(args) => backup::run(args).await.map(|()| 0),
        Command::Project(command) => project::run(command).await.map(|()| 0),
        Command::Client(command) => client::run(command).await.map(|()| 0),
        Command::User(command) => user::run(command).await.map(|()| 0),
        Command::Session(command) => session::run(command).await.map(|()| 0),
        Command::Key(command) => key::run(command).await.map(|()| 0),
        Command::MasterKey(command) => master_key::run(command).await.map(|()| 0),
        Command::Explain(args) => explain_request::run(args).await.map(|()| 0),
        Command::Bench(args) => bench::run(&args).map(|()| 0),
        Command::Healthcheck(args) => healthcheck::run(args).await.map(|()| 0),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => fail(&error),
    }
}

/// Says why the command failed, with all that caused it; gives the exit code.
pub fn fail(error: &anyhow::Error) -> ExitCode {
    let mut told = String::new();
    for cause in error.chain().map(ToString::to_string) {
        // Some errors quote their cause.
        if !told.contains(&cause) {
            told = if told.is_empty() { cause } else { format!("{told}: {cause}") };
        }
    }
    // Nowhere to complain to if standard error is closed.
    let _ = writeln!(io::stderr(), "error: {told}");
    ExitCode::from(if is_usage(error) { EXIT_USAGE } else { 1 })
}

/// Says why the command line was not taken, or what it asked to be told; gives the exit code.
pub fn refuse(refusal: &Refusal) -> ExitCode {
    let (said, code) = match refusal {
        Refusal::Usage(asked) if matches!(asked.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            (asked.print(), 0)
        }
        Refusal::Usage(error) => (error.print(), EXIT_USAGE),
        Refusal::Settings(errors) => (writeln!(io::stderr(), "error: {errors}"), EXIT_USAGE),
    };
    // Nobody reads what could not be written.
    drop(said);
    ExitCode::from(code)
}

fn is_usage(error: &anyhow::Error) -> bool {
    error.is::<Usage>()
        || error.is::<ConfigError>()
        || error.is::<ConfigErrors>()
        || error.downcast_ref().is_some_and(BuildError::is_configuration)
}
