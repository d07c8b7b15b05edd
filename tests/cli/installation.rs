//! A service that has been set up by the command line, and its replicas.

use std::{path::Path, process::Command};

use sea_orm::{ConnectionTrait as _, QueryResult, Statement};
use serde_json::Value;
use signet_test_support::{Engine, TestDatabase};
use tempfile::TempDir;

use crate::{
    FREE_PORTS, MASTER_KEY,
    calls::BackEnd,
    process::{Finished, Running, run, run_with_input, signet},
};

/// How its user signs in.
pub(crate) const EMAIL: &str = "ada@example.com";
pub(crate) const PASSWORD: &str = "analytical engine";

/// A database with a project, a client and a user.
pub(crate) struct Installation {
    database: TestDatabase,
    directory: TempDir,
    project_id: String,
    user_id: String,
    client_id: String,
    client_secret: String,
}

/// A replica of the service. It is killed when dropped.
pub(crate) struct Replica {
    running: Running,
    address: String,
}

/// The one session of the database.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct SessionRow {
    pub(crate) generation: i32,
    pub(crate) is_revoked: bool,
}

impl Installation {
    /// `None` where the machine has no such engine.
    pub(crate) async fn set_up(engine: Engine) -> Option<Self> {
        let database = TestDatabase::from_template(engine, async |_| {}).await?;
        let directory = tempfile::tempdir().unwrap();
        let command = |args: &[&str]| command(directory.path(), database.url(), args);
        let text = |value: &Value, name: &str| value[name].as_str().unwrap().to_owned();

        run(command(&["migrate", "--json"])).json();
        let project = text(&run(command(&["project", "create", "--name", "Shop", "--json"])).json(), "project_id");
        let client = ["client", "create", "--project", &project, "--name", "Back end", "--json"];
        let client = run(command(&client)).json();
        let user = ["user", "create", "--project", &project, "--email", EMAIL, "--email-verified", "--password-stdin"];
        let user = run_with_input(command(&[&user[..], &["--json"]].concat()), PASSWORD).json();
        let (client_id, client_secret) = (text(&client, "client_id"), text(&client, "client_secret"));
        let user_id = text(&user, "user_id");
        Some(Self { database, directory, project_id: project, user_id, client_id, client_secret })
    }

    /// The same project, client and user in another database.
    pub(crate) fn moved_to(self, database: TestDatabase) -> Self {
        Self { database, ..self }
    }

    /// URL of its database.
    pub(crate) fn database_url(&self) -> &str {
        self.database.url()
    }

    /// A directory for whatever the test needs.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A command on its database.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        command(self.directory.path(), self.database.url(), args)
    }

    /// Its project.
    pub(crate) fn project_id(&self) -> &str {
        &self.project_id
    }

    /// Ends all sessions of its user.
    pub(crate) fn revoke_sessions(&self) {
        let revoke = ["session", "revoke", "--project", &self.project_id, "--user", &self.user_id, "--json"];
        run(self.command(&revoke)).json_lines();
    }

    /// Starts a replica, and waits until it is ready.
    pub(crate) fn start_replica(&self) -> Replica {
        self.start(self.database_url(), &[])
    }

    /// The same with some variables set.
    pub(crate) fn start_replica_with(&self, variables: &[(&str, &str)]) -> Replica {
        self.start(self.database_url(), variables)
    }

    /// The same on another database.
    pub(crate) fn start_replica_on(&self, url: &str) -> Replica {
        self.start(url, &[])
    }

    fn start(&self, url: &str, variables: &[(&str, &str)]) -> Replica {
        let mut serve = command(self.directory.path(), url, &["serve", "--log-format", "json"]);
        serve.args(FREE_PORTS).envs(variables.iter().copied());
        let running = Running::start(serve);
        let ready: Value = serde_json::from_str(&running.log_line("\"message\":\"ready\"")).unwrap();
        Replica { running, address: ready["grpc"].as_str().unwrap().to_owned() }
    }

    /// Runs a command on its database.
    pub(crate) fn run(&self, args: &[&str]) -> Finished {
        run(command(self.directory.path(), self.database.url(), args))
    }

    /// Its client, connected to that address.
    pub(crate) async fn connect(&self, address: &str) -> BackEnd {
        BackEnd::connect(address, &self.client_id, &self.client_secret).await
    }

    /// The session, as the database has it.
    pub(crate) async fn session_row(&self) -> SessionRow {
        let row = self.query("SELECT refresh_generation, revoked_at IS NOT NULL AS is_revoked FROM sessions").await;
        SessionRow {
            generation: row.try_get("", "refresh_generation").unwrap(),
            is_revoked: row.try_get("", "is_revoked").unwrap(),
        }
    }

    /// How many events of a kind the database has.
    pub(crate) async fn events(&self, kind: &str) -> i64 {
        let row = self.query(&format!("SELECT count(*) AS count FROM events WHERE kind = '{kind}'")).await;
        row.try_get("", "count").unwrap()
    }

    async fn query(&self, sql: &str) -> QueryResult {
        query(self.database.url(), sql).await
    }
}

impl Replica {
    /// Where it answers.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Ends it in the middle of whatever it does.
    pub(crate) fn kill(self) {
        self.running.kill();
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) fn terminate(self) -> Finished {
        self.running.terminate()
    }

    /// Ends it in good order.
    pub(crate) fn stop(self) {
        let ended = self.terminate();
        assert_eq!(ended.code, 0, "{ended:?}");
    }
}

/// A command on that database.
pub(crate) fn command(directory: &Path, url: &str, args: &[&str]) -> Command {
    let mut command = signet(directory, args);
    command.env("SIGNET_DATABASE_URL", url).env("SIGNET_MASTER_KEY", MASTER_KEY);
    command
}

/// The only row that a statement finds, past the service.
pub(crate) async fn query(url: &str, sql: &str) -> QueryResult {
    let connection = sea_orm::Database::connect(url).await.unwrap();
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    let mut rows = connection.query_all_raw(statement).await.unwrap();
    connection.close().await.unwrap();
    assert_eq!(rows.len(), 1, "rows of {sql}");
    rows.remove(0)
}
