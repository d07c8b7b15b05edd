//! The service under test: the binary of this package, set up as the manual says, on a database that keeps what it was
//! told.

use std::{
    env, fmt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::ValueEnum;
use serde_json::Value;
use signet_test_support::{
    OwnServer,
    process::{run, signet},
};
use tempfile::TempDir;

use crate::{
    orders::{Order, Target},
    proc,
    replica::Replica,
    run::say,
};

const MASTER_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/// Clients of the project, of which the first is everybody's but a flood's.
pub(crate) const CLIENTS: usize = 5;

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum DatabaseKind {
    Sqlite,
    #[value(alias = "postgresql")]
    Postgres,
}

impl DatabaseKind {
    pub(crate) const ALL: [Self; 2] = [Self::Sqlite, Self::Postgres];

    /// Where its files are, in a directory of their own.
    pub(crate) fn parent_directory(self) -> PathBuf {
        match self {
            Self::Sqlite => env::temp_dir(),
            Self::Postgres => OwnServer::PARENT_DIRECTORY.into(),
        }
    }
}

impl fmt::Display for DatabaseKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        })
    }
}

/// A database with a project, its clients and its users.
pub(crate) struct Service {
    pub(crate) kind: DatabaseKind,
    binary: PathBuf,
    directory: TempDir,
    server: Option<OwnServer>,
    clients: Vec<String>,
    users: usize,
}

impl Service {
    /// `None` where the machine has no such database, which is said.
    pub(crate) fn set_up(binary: &Path, kind: DatabaseKind, users: usize) -> Option<Self> {
        let server = match kind {
            DatabaseKind::Sqlite => None,
            DatabaseKind::Postgres => Some(OwnServer::start_durable()?),
        };
        say(format!("setting up {users} users on {kind}"));
        let (binary, directory) = (binary.to_owned(), tempfile::tempdir().unwrap());
        let mut service = Self { kind, binary, directory, server, clients: Vec::new(), users };
        service.run(&["migrate", "--json"]);
        let project = service.run(&["project", "create", "--name", "Shop", "--json"]);
        let project = project["project_id"].as_str().unwrap();
        for number in 0..CLIENTS {
            let name = format!("Back end {number}");
            let client = service.run(&["client", "create", "--project", project, "--name", &name, "--json"]);
            let text = |name: &str| client[name].as_str().unwrap().to_owned();
            let credentials = STANDARD.encode([text("client_id"), text("client_secret")].join(":"));
            service.clients.push(format!("Basic {credentials}"));
        }
        service.replica().caller(1).prepare(&Order::CreateUsers);
        Some(service)
    }

    /// URL of its database.
    pub(crate) fn url(&self) -> String {
        let file = || format!("sqlite://{}?mode=rwc", self.directory.path().join("signet.db").display());
        self.server.as_ref().map_or_else(file, OwnServer::url)
    }

    /// Tells it of users that are there besides those it made: all of them, from then on.
    pub(crate) const fn has_users(&mut self, users: usize) {
        self.users = users;
    }

    fn run(&self, args: &[&str]) -> Value {
        run(self.command(args)).json()
    }

    /// CPU time that the database has used, where it is a process of its own.
    pub(crate) fn database_cpu(&self) -> Duration {
        self.server.as_ref().map_or(Duration::ZERO, |server| proc::cpu_with_children(server.process_id()))
    }

    /// Starts a replica with its default settings, and waits until it is ready.
    pub(crate) fn replica(&self) -> Replica<'_> {
        Replica::start(self)
    }

    /// Runs it with these arguments.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = signet(&self.binary, self.directory.path(), args);
        command.env("SIGNET_DATABASE_URL", self.url()).env("SIGNET_MASTER_KEY", MASTER_KEY);
        command
    }

    /// Whom a client process calls that calls a replica of it, at that address.
    pub(crate) fn target(&self, address: &str, connections: usize) -> Target {
        let Self { clients, users, .. } = self;
        Target { address: address.to_owned(), clients: clients.clone(), connections, users: *users, echo: None }
    }
}
