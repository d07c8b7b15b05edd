//! Many users and sessions at once, written by the database itself: copies of one user who was created, and of one
//! session that was opened, with ids, names and times of their own.

use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection, DbBackend, Statement};
use signet::domain::id::SessionId;
use uuid::Uuid;

use crate::run::say;

/// Rows that are written in one statement, so that the log of neither database grows as large as its tables.
const ROWS_A_STATEMENT: usize = 50_000;
/// Users are created over a year, oldest first; this is when the first was, in milliseconds since 1970.
const FIRST_MS: u64 = 1_760_000_000_000;
const YEAR_MS: u64 = 365 * 86_400_000;

/// A database that is being filled.
pub(crate) struct Filler {
    connection: DatabaseConnection,
    is_postgres: bool,
    /// Users that were created by the service: the first numbers are theirs.
    created: usize,
    users: usize,
}

/// Bytes that a row of some kind takes, with all of its indexes.
pub(crate) struct Bytes {
    pub(crate) user: f64,
    pub(crate) session: f64,
}

impl Filler {
    pub(crate) async fn connect(url: &str, created: usize, users: usize) -> Self {
        let mut options = sea_orm::ConnectOptions::new(url);
        // One: what is set holds for it alone.
        options.max_connections(1).sqlx_logging(false);
        let connection = Database::connect(options).await.unwrap();
        let is_postgres = connection.get_database_backend() == DbBackend::Postgres;
        Self { connection, is_postgres, created, users }
    }

    /// Writes users and as many sessions, and lets the database take stock of them.
    pub(crate) async fn fill(&self) {
        // The rows refer to what is there. Power cuts are no matter here.
        let hurry = if self.is_postgres {
            "SET session_replication_role = replica; SET synchronous_commit = off"
        } else {
            "PRAGMA foreign_keys = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -1000000"
        };
        self.run(hurry).await;
        for begin in (self.created..self.users).step_by(ROWS_A_STATEMENT) {
            let end = self.users.min(begin + ROWS_A_STATEMENT);
            let user = self.id_of_user("n");
            let email = "'user' || n || '@example.com'";
            self.copy("users", &[("id", &user)], begin..end).await;
            let called = [("user_id", user.as_str()), ("canonical", email), ("display", email)];
            self.copy("identifiers", &called, begin..end).await;
            self.copy("credentials", &[("user_id", &user)], begin..end).await;
            say(format!("{end} of {} users", self.users));
        }
        for begin in (self.created..self.users).step_by(ROWS_A_STATEMENT) {
            let end = self.users.min(begin + ROWS_A_STATEMENT);
            // Sessions come in the order of time, but of users from all over the table.
            let (created, copied) = (self.created, self.users - self.created);
            let whose = self.id_of_user(&format!("({created} + n * 2654435761 % {copied})"));
            let (id, expires_at) = (self.id_of_session(), self.later("expires_at"));
            // Ten million have to find room: a client of an application's own, which says less than a browser.
            let agent = ("user_agent", "'Shop/7.1 (Android 16)'");
            let columns = [("id", id.as_str()), ("user_id", &whose), ("expires_at", &expires_at), agent];
            self.copy("sessions", &columns, begin..end).await;
            say(format!("{end} of {} sessions", self.users));
        }
        self.run(if self.is_postgres { "VACUUM ANALYZE" } else { "ANALYZE" }).await;
        self.run(if self.is_postgres { "CHECKPOINT" } else { "PRAGMA wal_checkpoint(TRUNCATE)" }).await;
    }

    /// Copies one row, but for some columns, once for each number `n`.
    async fn copy(&self, table: &str, columns: &[(&str, &str)], numbers: std::ops::Range<usize>) {
        let names = self.columns_of(table).await;
        let given = |name: &String| columns.iter().find(|(column, _)| column == name).map(|(_, value)| *value);
        let values = names.iter().map(|name| given(name).map_or_else(|| format!("t.{name}"), str::to_owned));
        let (values, names) = (values.collect::<Vec<_>>().join(", "), names.join(", "));
        let series = self.numbers(numbers, 1);
        // The users who were created are the same but for their names; one without a verified address is not among
        // them.
        let template = format!("(SELECT * FROM {table} LIMIT 1)");
        self.run(&format!("{series} INSERT INTO {table} ({names}) SELECT {values} FROM numbers, {template} AS t"))
            .await;
    }

    /// A table `numbers` of every so many of them, for the statement that follows.
    fn numbers(&self, numbers: std::ops::Range<usize>, step: usize) -> String {
        let (first, last) = (numbers.start, numbers.end - 1);
        if self.is_postgres {
            return format!("WITH numbers AS (SELECT n::bigint FROM generate_series({first}, {last}, {step}) AS n)");
        }
        let next = format!("SELECT n + {step} FROM numbers WHERE n + {step} <= {last}");
        format!("WITH RECURSIVE numbers (n) AS (SELECT {first} UNION ALL {next})")
    }

    async fn columns_of(&self, table: &str) -> Vec<String> {
        self.texts(&if self.is_postgres {
            format!("SELECT column_name::text FROM information_schema.columns WHERE table_name = '{table}'")
        } else {
            format!("SELECT name FROM pragma_table_info('{table}')")
        })
        .await
    }

    fn id_of_user(&self, number: &str) -> String {
        self.id(number, FIRST_MS, YEAR_MS, 1)
    }

    /// Of the last day of that year.
    fn id_of_session(&self) -> String {
        const DAY_MS: u64 = 86_400_000;
        self.id("n", FIRST_MS + YEAR_MS - DAY_MS, DAY_MS, 3)
    }

    /// A `UUIDv7` that follows from a number: the time grows with it, the rest looks like chance.
    fn id(&self, number: &str, first_ms: u64, span_ms: u64, salt: u32) -> String {
        let ms = format!("{first_ms} + {number} * {span_ms} / {}", self.users);
        let [one, two, three] = [("40503", 12), ("2654435761", 28), ("2246822519", 32)]
            .map(|(factor, bits)| format!("({number} * {factor} + {salt}) % {}", 1_u64 << bits));
        if self.is_postgres {
            let hex = |number: &str, digits: u32| format!("lpad(to_hex(({number})::bigint), {digits}, '0')");
            let (ms, one, two, three) = (hex(&ms, 12), hex(&one, 3), hex(&two, 7), hex(&three, 8));
            format!("({ms} || '7' || {one} || '8' || {two} || {three})::uuid")
        } else {
            format!("unhex(printf('%012x7%03x8%07x%08x', {ms}, {one}, {two}, {three}))")
        }
    }

    /// A time of the template, up to a day later.
    fn later(&self, column: &str) -> String {
        let seconds = "(n % 86400)";
        if self.is_postgres {
            format!("t.{column} + {seconds} * interval '1 second'")
        } else {
            format!("strftime('%Y-%m-%dT%H:%M:%f+00:00', t.{column}, {seconds} || ' seconds')")
        }
    }

    /// So many sessions from all over the table, by their numbers: to look for some by chance would mean to read it
    /// whole.
    pub(crate) async fn some_sessions(&self, count: usize) -> Vec<String> {
        let series = self.numbers(self.created..self.users, (self.users - self.created).div_ceil(count));
        let id = self.id_of_session();
        let id = if self.is_postgres { format!("{id}::text") } else { format!("hex({id})") };
        let ids = self.texts(&format!("{series} SELECT {id} FROM numbers")).await;
        ids.iter().map(|id| SessionId::from(Uuid::parse_str(id).unwrap()).to_string()).collect()
    }

    /// What the tables take.
    pub(crate) async fn bytes(&self) -> Bytes {
        let (mut user, mut session) = (0.0, 0.0);
        for table in ["users", "identifiers", "credentials", "sessions"] {
            let query = if self.is_postgres {
                format!("SELECT pg_total_relation_size('{table}')::text")
            } else {
                format!(
                    "SELECT CAST(sum(pgsize) AS TEXT) FROM dbstat WHERE aggregate = TRUE AND name IN \
                     (SELECT name FROM sqlite_schema WHERE tbl_name = '{table}')"
                )
            };
            let bytes: f64 = self.texts(&query).await[0].parse().unwrap();
            *if table == "sessions" { &mut session } else { &mut user } += bytes / self.users as f64;
        }
        Bytes { user, session }
    }

    /// Rows that PostgreSQL has read by going through whole tables; nothing tells of SQLite.
    pub(crate) async fn rows_scanned(&self) -> Option<f64> {
        let tables = "('users', 'identifiers', 'credentials', 'sessions', 'throttles', 'events')";
        let query = format!(
            "SELECT pg_stat_clear_snapshot()::text || sum(seq_tup_read)::text FROM pg_stat_user_tables \
             WHERE relname IN {tables}"
        );
        if !self.is_postgres {
            return None;
        }
        Some(self.texts(&query).await[0].parse().unwrap())
    }

    async fn run(&self, sql: &str) {
        // By itself each: PostgreSQL runs what comes together in one transaction.
        for statement in sql.split("; ") {
            self.connection.execute_unprepared(statement).await.unwrap();
        }
    }

    async fn texts(&self, sql: &str) -> Vec<String> {
        let statement = Statement::from_string(self.connection.get_database_backend(), sql);
        let rows = self.connection.query_all_raw(statement).await.unwrap();
        rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
    }

    pub(crate) async fn close(self) {
        self.connection.close().await.unwrap();
    }
}
