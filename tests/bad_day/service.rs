//! A service that has been set up by the command line, its replicas, and what the system knows of them.

use std::{
    env, fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use sea_orm::{ConnectionTrait as _, DatabaseConnection, Statement};
use serde_json::Value;
use signet_test_support::{
    Engine, TestDatabase,
    process::{PATIENCE, Running, run, run_with_input, signet},
};
use tempfile::TempDir;

use crate::calls::BackEnd;

/// A master key that no two projects share.
const MASTER_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
pub(crate) const EMAIL: &str = "ada@example.com";
pub(crate) const PASSWORD: &str = "analytical engine";

/// The binary of this package.
pub(crate) fn this_version() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_signet"))
}

/// A database with a project, a client and Ada.
pub(crate) struct Service {
    url: String,
    directory: TempDir,
    project_id: String,
    client_id: String,
    client_secret: String,
    #[expect(dead_code, reason = "deletes the database when dropped, where it is not the server's only one")]
    database: Option<TestDatabase>,
}

/// A replica of the service. It is killed when dropped.
pub(crate) struct Replica {
    pub(crate) running: Running,
    pub(crate) grpc: String,
    pub(crate) rest: String,
    pub(crate) ops: String,
}

impl Service {
    /// On a database of its own. `None` where the machine has no such engine.
    pub(crate) async fn on(engine: Engine) -> Option<Self> {
        let database = TestDatabase::from_template(engine, async |_| {}).await?;
        let url = database.url().to_owned();
        Some(Self { database: Some(database), ..Self::at(&url, this_version()) })
    }

    /// On the empty database at `url`, set up by that binary.
    pub(crate) fn at(url: &str, binary: &Path) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let command = |args: &[&str]| command(binary, directory.path(), url, args);
        let text = |value: &Value, name: &str| value[name].as_str().unwrap().to_owned();
        run(command(&["migrate", "--json"])).json();
        let project = run(command(&["project", "create", "--name", "Shop", "--json"])).json();
        let project_id = text(&project, "project_id");
        let client = ["client", "create", "--project", &project_id, "--name", "Back end", "--json"];
        let client = run(command(&client)).json();
        let (client_id, client_secret) = (text(&client, "client_id"), text(&client, "client_secret"));
        let service = Self { url: url.to_owned(), directory, project_id, client_id, client_secret, database: None };
        service.create_user(binary, EMAIL, true);
        service
    }

    /// Creates a user with the usual password.
    pub(crate) fn create_user(&self, binary: &Path, email: &str, is_verified: bool) {
        let mut args = vec!["user", "create", "--project", &self.project_id, "--email", email, "--password-stdin"];
        args.extend(is_verified.then_some("--email-verified"));
        let created = run_with_input(self.command(binary, &args), PASSWORD);
        assert_eq!(created.code, 0, "{created:?}");
    }

    /// A command on that database.
    pub(crate) fn command(&self, binary: &Path, args: &[&str]) -> Command {
        command(binary, self.directory.path(), &self.url, args)
    }

    /// Starts a replica with further settings, and waits until it is ready.
    pub(crate) fn replica(&self, settings: &[&str]) -> Replica {
        self.replica_of(this_version(), settings)
    }

    pub(crate) fn replica_of(&self, binary: &Path, settings: &[&str]) -> Replica {
        Replica::of(self.starting(binary, settings))
    }

    /// Starts a replica, and does not wait.
    pub(crate) fn starting(&self, binary: &Path, settings: &[&str]) -> Running {
        let free_ports = ["--grpc-addr=127.0.0.1:0", "--rest-addr=127.0.0.1:0", "--ops-addr=127.0.0.1:0"];
        let serve = [&["serve", "--log-format", "json"], &free_ports[..], settings].concat();
        Running::start(self.command(binary, &serve))
    }

    /// Where its database is.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Its client, that calls that address.
    pub(crate) fn back_end(&self, address: &str) -> BackEnd {
        BackEnd::new(address, &self.client_id, &self.client_secret)
    }

    /// A path for a file.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The database, past the service.
    pub(crate) async fn database(&self) -> DatabaseConnection {
        sea_orm::Database::connect(&self.url).await.unwrap()
    }

    /// The number that a statement finds.
    pub(crate) async fn count(&self, sql: &str) -> i64 {
        let connection = self.database().await;
        let statement = Statement::from_string(connection.get_database_backend(), sql);
        let row = connection.query_one_raw(statement).await.unwrap().unwrap();
        connection.close().await.unwrap();
        row.try_get_by_index(0).unwrap()
    }
}

impl Replica {
    /// Waits until it is ready.
    pub(crate) fn of(running: Running) -> Self {
        let ready: Value = serde_json::from_str(&running.log_line("\"message\":\"ready\"")).unwrap();
        let address = |name: &str| ready[name].as_str().unwrap().to_owned();
        Self { grpc: address("grpc"), rest: address("rest"), ops: address("ops"), running }
    }

    /// Memory that it has in use, in MiB.
    pub(crate) fn memory_mib(&self) -> u64 {
        let status = fs::read_to_string(self.proc("status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() / 1024
    }

    /// How many files, and so connections, it has open.
    pub(crate) fn open_files(&self) -> usize {
        fs::read_dir(self.proc("fd")).unwrap().count()
    }

    /// How many of them are sockets. The others are mostly those of SQLite's connections, which are kept: as many as there were
    /// calls at a time, and no more than `--database-connections`.
    pub(crate) fn open_sockets(&self) -> usize {
        let files = fs::read_dir(self.proc("fd")).unwrap();
        // One that was closed meanwhile leads nowhere.
        let open = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
        open.filter(|to| to.to_string_lossy().starts_with("socket:")).count()
    }

    /// Waits until it has at most that many open.
    pub(crate) async fn wait_for_open_sockets(&self, most: usize) {
        eventually("connections are closed", async || self.open_sockets() <= most).await;
    }

    fn proc(&self, name: &str) -> String {
        format!("/proc/{}/{name}", self.running.pid().as_raw_nonzero())
    }
}

fn command(binary: &Path, directory: &Path, url: &str, args: &[&str]) -> Command {
    let mut command = signet(binary, directory, args);
    command.env("SIGNET_DATABASE_URL", url).env("SIGNET_MASTER_KEY", MASTER_KEY);
    command
}

/// Says that something was not tested, past the capture of the test harness, which would hide it. In CI that is a failure.
#[track_caller]
pub(crate) fn skipped(what: &str, why: &str) {
    assert_ne!(env::var("CI").as_deref(), Ok("true"), "in CI everything has to be tested, but {what} was not: {why}");
    say_skipped(what, why);
}

/// The same where CI has said it by itself.
pub(crate) fn say_skipped(what: &str, why: &str) {
    drop(io::stderr().write_all(format!("\n*** SKIPPED: {what}: {why}\n\n").as_bytes()));
}

/// Waits until something is so.
pub(crate) async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !is_so().await {
        assert!(started.elapsed() < PATIENCE, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
