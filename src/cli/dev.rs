//! `signet dev`.

mod demo;
mod welcome;

use std::{io, net::SocketAddr};

use anyhow::Context as _;

use self::welcome::Welcome;
use super::{Usage, output};
use crate::{
    app::{App, MailRoute, Surroundings, database_settings},
    config::{
        self, ServeConfig,
        database::{DatabaseConfig, Engine},
        keys::KeyConfig,
        listen::ListenConfig,
        passwords::PasswordConfig,
        telemetry::TelemetryConfig,
    },
    lifecycle::Shutdown,
    mail::{mailbox::Mailbox, transport::TerminalTransport},
    store::Store,
    telemetry,
};

const EXAMPLES: &str = "\
Examples:
  signet dev
  signet dev --grpc-addr 127.0.0.1:0 --rest-addr 127.0.0.1:0 --ops-addr 127.0.0.1:0 --json
  signet dev --database-url sqlite:///tmp/try.db

It makes a SQLite file, a demo project with clients and users, and prints calls to paste. Mails are printed to the terminal; \
the last ones are also at /dev/mails on the operations listener. It listens on this machine only.";

/// Run a demo on this machine, with everything set up
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct DevArgs {
    /// Print one line of JSON when ready, for scripts; logs and mails go to standard error
    #[arg(long)]
    json: bool,
    /// SQLite file; made if it is not there
    #[arg(
        id = "database-url",
        long = "database-url",
        env = "SIGNET_DATABASE_URL",
        value_name = "URL",
        hide_env_values = true,
        default_value = "sqlite://signet-dev.db"
    )]
    database_url: String,
    #[command(flatten)]
    keys: KeyConfig,
    #[command(flatten)]
    listen: ListenConfig,
    #[command(flatten)]
    passwords: PasswordConfig,
    #[command(flatten)]
    telemetry: TelemetryConfig,
}

pub(super) async fn run(args: DevArgs) -> anyhow::Result<u8> {
    let json = args.json;
    let config = args.into_config()?;
    let telemetry = telemetry::init(&config.telemetry)?;
    Store::migrate(&database_settings(&config.database)?).await.context("cannot set up the database")?;

    let mailbox = Mailbox::default();
    let terminal = TerminalTransport::new(mailbox.clone());
    let surroundings = Surroundings { mail: MailRoute::Shown { terminal, mailbox }, ..Surroundings::default() };
    let app = App::build(&config, surroundings).await?;
    let demo = demo::prepare(app.services()).await.context("cannot set up the demo project")?;
    let shutdown = Shutdown::new();
    shutdown.listen_to_signals(config.listen.edge.stop_delay)?;

    // The ports are bound: calls that come before the first line of `run` wait in the system's queue.
    let welcome = Welcome::new(app.addresses(), demo, &config.listen.public_url(app.addresses().rest));
    if json {
        output::line(&mut io::stdout().lock(), &welcome)?;
    } else {
        welcome.write(&mut io::stdout().lock(), &config)?;
    }
    let ended = app.run(shutdown).await;
    telemetry.shutdown().await;
    Ok(ended.exit_code())
}

impl DevArgs {
    /// The settings of the service. Refuses what is not for development.
    fn into_config(self) -> anyhow::Result<ServeConfig> {
        let database = DatabaseConfig::at(&self.database_url);
        if database.url()?.engine() != Engine::Sqlite {
            let problem = "--database-url (SIGNET_DATABASE_URL): `signet dev` works on SQLite only, because it makes demo \
                           users with passwords that everybody knows; use `signet serve` for PostgreSQL, or leave it out";
            return Err(Usage(problem.to_owned()).into());
        }
        let addresses = [
            ("--grpc-addr (SIGNET_GRPC_ADDR)", self.listen.grpc_addr),
            ("--rest-addr (SIGNET_REST_ADDR)", self.listen.edge.rest_addr),
            ("--ops-addr (SIGNET_OPS_ADDR)", self.listen.edge.ops_addr),
        ];
        for (setting, address) in addresses {
            refuse_to_leave_the_machine(setting, address)?;
        }
        Ok(ServeConfig {
            database,
            database_start: config::defaults(),
            keys: if self.keys.is_given() { self.keys } else { KeyConfig::development() },
            listen: self.listen,
            grpc: config::defaults(),
            rest: config::defaults(),
            passwords: self.passwords,
            limits: config::defaults(),
            events: config::defaults(),
            mail: config::defaults(),
            telemetry: self.telemetry,
        })
    }
}

fn refuse_to_leave_the_machine(setting: &str, address: SocketAddr) -> Result<(), Usage> {
    if address.ip().is_loopback() {
        return Ok(());
    }
    let problem = format!(
        "{setting}: {address} can be reached from other machines, and everybody knows the passwords of the demo; \
         use 127.0.0.1, or `signet serve`"
    );
    Err(Usage(problem))
}
