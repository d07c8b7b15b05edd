//! PostgreSQL: one server for the test process, one database for each test.
//!
//! All `CREATE` and `DROP DATABASE` go through one connection on a thread of its own: every test has its own runtime, and
//! a pool must not be shared between runtimes.

use std::{
    env,
    io::{self, Write as _},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use anyhow::Context as _;
use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use url::Url;

use self::cluster::Cluster;
pub(crate) use self::cluster::client_programs;

mod cluster;
pub(crate) mod own_server;

/// Names the server to use instead of a private cluster. Its role must be allowed to create databases.
const SERVER_URL_VARIABLE: &str = "TEST_DATABASE_URL";
/// What the names of our databases start with. After it come the process id of the connection that made them, so that
/// the next run can tell which ones a killed run has left behind, and a number.
const NAME_PREFIX: &str = "signet_test_";

/// Or why it could not be started, so that the other tests need not wait for the same failure.
static SERVER: OnceLock<Result<Option<Server>, String>> = OnceLock::new();

/// The server, and the connection that creates and drops databases on it.
#[derive(Debug)]
pub(crate) struct Server {
    url: Url,
    commands: mpsc::Sender<Command>,
    session: Session,
    databases: AtomicU32,
    /// Held open: the cluster stops when this process no longer holds it.
    _cluster: Option<Cluster>,
}

/// What the server says of the connection.
#[derive(Clone, Copy, Debug)]
struct Session {
    process_id: i32,
    /// Such as 150014 for version 15.14.
    server_version: i32,
}

#[derive(Debug)]
struct Command {
    sql: String,
    done: mpsc::Sender<anyhow::Result<()>>,
}

/// A database, dropped with this value.
#[derive(Debug)]
pub(crate) struct Database {
    server: &'static Server,
    name: String,
    url: String,
}

#[derive(Debug)]
pub(crate) struct Template {
    server: &'static Server,
    name: String,
}

impl Server {
    /// The server, started when first asked for; `None` if the machine has no PostgreSQL and that is tolerable.
    pub(crate) fn running() -> Option<&'static Self> {
        match SERVER.get_or_init(|| Self::start().map_err(|error| format!("{error:#}"))) {
            Ok(server) => server.as_ref(),
            Err(error) => panic!("PostgreSQL for the tests: {error}"),
        }
    }

    fn start() -> anyhow::Result<Option<Self>> {
        if let Ok(url) = env::var(SERVER_URL_VARIABLE) {
            let url = url.parse().with_context(|| format!("{SERVER_URL_VARIABLE} is not a URL"))?;
            return Self::connect(url, None).context(SERVER_URL_VARIABLE).map(Some);
        }
        if let Some(cluster) = Cluster::start(&[])? {
            return Self::connect(cluster.url(), Some(cluster)).map(Some);
        }
        let missing = format!(
            "no PostgreSQL: install it so that `initdb` is in PATH or in /usr/lib/postgresql/*/bin, or set \
             {SERVER_URL_VARIABLE} to a server whose role may create databases"
        );
        anyhow::ensure!(env::var("CI").as_deref() != Ok("true"), "{missing}");
        // Written past the capture of the test harness, which would hide it: a passing test shows no output.
        let _ = writeln!(io::stderr(), "\n*** SKIPPED: every test on PostgreSQL. {missing}. ***\n");
        Ok(None)
    }

    fn connect(url: Url, cluster: Option<Cluster>) -> anyhow::Result<Self> {
        let (commands, inbox) = mpsc::channel();
        let (ready, is_ready) = mpsc::channel();
        let server_url = url.clone();
        thread::Builder::new()
            .name("postgres-admin".to_owned())
            .spawn(move || administrate(&server_url, &ready, &inbox))
            .context("starting a thread")?;
        let session = is_ready.recv().context("the connection for creating databases broke down")??;
        Ok(Self { url, commands, session, databases: AtomicU32::new(0), _cluster: cluster })
    }

    /// Runs one statement on the connection of the server and waits for it, without needing a runtime.
    fn run(&self, sql: String) -> anyhow::Result<()> {
        let (done, is_done) = mpsc::channel();
        self.commands.send(Command { sql, done }).context("the connection for creating databases is gone")?;
        is_done.recv().context("the connection for creating databases is gone")?
    }

    /// A name that no other database of the server has.
    fn next_name(&self) -> String {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        format!("{NAME_PREFIX}{}_{number}", self.session.process_id)
    }

    fn url_of(&self, name: &str) -> String {
        let mut url = self.url.clone();
        url.set_path(name);
        url.into()
    }
}

impl Database {
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Err(error) = self.server.run(format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name)) {
            // Not worth failing a test for: the next run drops what this one leaves behind.
            let _ = writeln!(io::stderr(), "could not drop the test database {}: {error:#}", self.name);
        }
    }
}

impl Template {
    pub(crate) async fn prepare(prepare: impl AsyncFnOnce(String)) -> Self {
        let server = Server::running().expect("the caller has seen the server running");
        let name = server.next_name();
        server.run(format!("CREATE DATABASE {name}")).expect("an empty database can be created");
        prepare(server.url_of(&name)).await;
        // A database is copied only while nobody is connected to it: close it for good, and end what `prepare` forgot.
        server
            .run(format!("ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false"))
            .expect("the owner can close the template");
        server
            .run(format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"))
            .expect("the owner can end the connections to the template");
        Self { server, name }
    }

    pub(crate) fn copy(&self) -> Database {
        let name = self.server.next_name();
        // Copying files takes a tenth of the time of the way through the log, the default since version 15.
        let strategy = if self.server.session.server_version >= 150_000 { "STRATEGY file_copy" } else { "" };
        self.server
            .run(format!("CREATE DATABASE {name} TEMPLATE {} {strategy}", self.name))
            .expect("the prepared database can be copied");
        Database { server: self.server, url: self.server.url_of(&name), name }
    }
}

/// Body of the thread that creates and drops databases, until the process ends.
fn administrate(url: &Url, ready: &mpsc::Sender<anyhow::Result<Session>>, inbox: &mpsc::Receiver<Command>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("the system gives a runtime its file descriptors");
    runtime.block_on(async {
        let connection = match connect(url).await {
            Ok((connection, session)) => {
                let _ = ready.send(Ok(session));
                connection
            }
            Err(error) => {
                let _ = ready.send(Err(error));
                return;
            }
        };
        // Nothing else runs on this runtime, so it may block here.
        while let Ok(Command { sql, done }) = inbox.recv() {
            let result = connection.execute_unprepared(&sql).await;
            let _ = done.send(result.map(drop).with_context(|| sql));
        }
    });
}

/// Connects for the whole life of the process and drops what dead processes have left behind.
async fn connect(url: &Url) -> anyhow::Result<(DatabaseConnection, Session)> {
    let mut options = ConnectOptions::new(url.as_str());
    // The connection's process id marks our databases as in use: it must be one connection, and stay.
    options
        .min_connections(1)
        .max_connections(1)
        .idle_timeout(None::<Duration>)
        .max_lifetime(None::<Duration>)
        .connect_timeout(Duration::from_secs(10))
        .sqlx_logging(false);
    let connection = sea_orm::Database::connect(options).await.context("connecting")?;
    let session = Session {
        process_id: one(&connection, "SELECT pg_backend_pid()").await?,
        server_version: one(&connection, "SELECT current_setting('server_version_num')::int").await?,
    };
    let in_use: Vec<i32> = column(&connection, "SELECT pid FROM pg_stat_activity").await?;
    let names: Vec<String> =
        column(&connection, &format!("SELECT datname::text FROM pg_database WHERE datname LIKE '{NAME_PREFIX}%'"))
            .await?;
    for name in names
        .iter()
        .filter(|name| owner(name).is_some_and(|owner| owner == session.process_id || !in_use.contains(&owner)))
    {
        // Another test process may be quicker, or it may be another role's: neither is our concern.
        let _ = connection.execute_unprepared(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
    }
    Ok((connection, session))
}

/// Process id of the connection that created the database of this name.
fn owner(name: &str) -> Option<i32> {
    name.strip_prefix(NAME_PREFIX)?.split_once('_')?.0.parse().ok()
}

/// The only column of the rows that a query finds.
async fn column<T: sea_orm::TryGetable>(connection: &DatabaseConnection, sql: &str) -> anyhow::Result<Vec<T>> {
    let rows = connection.query_all_raw(Statement::from_string(DbBackend::Postgres, sql)).await?;
    rows.iter().map(|row| Ok(row.try_get_by_index(0)?)).collect()
}

async fn one<T: sea_orm::TryGetable>(connection: &DatabaseConnection, sql: &str) -> anyhow::Result<T> {
    column(connection, sql).await?.pop().with_context(|| format!("no row for {sql}"))
}
