//! A connection that is watched: how long each statement takes, what fails, and a span for it in the trace of the request.
//!
//! The spans are made for a collector alone (level `debug`) and within a request alone: the service's own rounds make none. They hold
//! the kind of statement and its table, and neither its text nor its values.

use std::{
    fmt,
    time::{Duration, Instant},
};

use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement, prelude::async_trait};
use tracing::{Instrument as _, Span, field::Empty};

use super::{
    error::failure_of,
    events::Recorded,
    trouble::{Asked, Trouble},
};
use crate::{
    metrics::{DatabaseFailure, DatabaseOperation, Metrics},
    trace_context::wants_details,
};

/// What watches: clones count into the same numbers.
#[derive(Clone)]
pub(super) struct Watch {
    metrics: Metrics,
    system: &'static str,
    trouble: Trouble,
}

/// A connection, and what watches it.
pub struct Watched<C> {
    pub(super) connection: C,
    watch: Watch,
}

impl Watch {
    pub(super) fn new(backend: DbBackend, metrics: Metrics, trouble: Trouble) -> Self {
        let system = if backend == DbBackend::Postgres { "postgresql" } else { "sqlite" };
        Self { metrics, system, trouble }
    }

    /// The same, counting into these numbers.
    pub(super) fn counting_into(&self, metrics: &Metrics) -> Self {
        Self { metrics: metrics.clone(), ..self.clone() }
    }

    pub(super) fn over<C>(&self, connection: C) -> Watched<C> {
        Watched { connection, watch: self.clone() }
    }

    /// Watches the beginning of a unit of work, which waits for a connection.
    pub(super) async fn beginning<T>(&self, beginning: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        let started = Instant::now();
        let begun = self.within(Asked::Begin, &self.span("BEGIN", ""), beginning).await;
        self.metrics.database_waited(started.elapsed().as_secs_f64());
        begun
    }

    /// Counts a wait before a single statement that is in vain. Nothing is asked of the database meanwhile.
    pub(super) async fn waiting<T>(&self, waiting: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        let waited = waiting.await;
        waited.as_ref().err().and_then(failure_of).inspect(|failure| self.metrics.database_failed(*failure));
        waited
    }

    /// Notes that one was given up, with its connection.
    pub(super) fn began_in_vain(&self, waited: Duration) {
        self.metrics.database_waited(waited.as_secs_f64());
        self.metrics.database_failed(DatabaseFailure::Unavailable);
    }

    /// Watches what is asked without a request, which is not counted.
    pub(super) async fn asking<T>(&self, asking: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        self.trouble.noting(Asked::Statement, asking).await
    }

    /// Watches its end.
    pub(super) async fn ending(&self, ending: impl Future<Output = Result<(), DbErr>>) -> Result<(), DbErr> {
        let started = Instant::now();
        let ended = self.within(Asked::Statement, &self.span("COMMIT", ""), ending).await;
        self.metrics.database_finished(DatabaseOperation::Commit, started.elapsed().as_secs_f64());
        ended
    }

    /// Counts events that have become part of the audit trail.
    pub(super) fn count(&self, recorded: Recorded) {
        for (kind, cause) in recorded.into_words() {
            self.metrics.event_recorded(kind, cause);
        }
    }

    fn statement_span(&self, sql: &str) -> Span {
        if wants_details() { self.span(verb(sql), table(sql)) } else { Span::none() }
    }

    async fn statement<T>(&self, span: Span, running: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        let started = Instant::now();
        let done = self.within(Asked::Statement, &span, running).await;
        self.metrics.database_finished(DatabaseOperation::Statement, started.elapsed().as_secs_f64());
        done
    }

    async fn within<T>(
        &self,
        asked: Asked,
        span: &Span,
        work: impl Future<Output = Result<T, DbErr>>,
    ) -> Result<T, DbErr> {
        let done = self.trouble.noting(asked, work.instrument(span.clone())).await;
        if let Some(failure) = done.as_ref().err().and_then(failure_of) {
            self.metrics.database_failed(failure);
            span.record("otel.status_code", "ERROR");
            span.record("error.type", failure.as_str());
        }
        done
    }

    /// The span of an operation, named after <https://opentelemetry.io/docs/specs/semconv/database/database-spans/>.
    fn span(&self, operation: &str, table: &str) -> Span {
        if !wants_details() || Span::current().is_none() {
            return Span::none();
        }
        tracing::debug_span!(
            "database",
            otel.name = format_args!("{operation} {table}").to_string().trim_end(),
            otel.kind = "client",
            db.system.name = self.system,
            db.operation.name = operation,
            db.collection.name = (!table.is_empty()).then_some(table),
            otel.status_code = Empty,
            error.r#type = Empty,
        )
    }
}

impl<C> Watched<C> {
    /// The connection without its watch.
    pub(super) fn into_parts(self) -> (C, Watch) {
        (self.connection, self.watch)
    }
}

impl<C: fmt::Debug> fmt::Debug for Watched<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.connection.fmt(f)
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

#[async_trait::async_trait]
impl<C: ConnectionTrait> ConnectionTrait for Watched<C> {
    fn get_database_backend(&self) -> DbBackend {
        self.connection.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let span = self.watch.statement_span(&statement.sql);
        self.watch.statement(span, self.connection.execute_raw(statement)).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.watch.statement(self.watch.statement_span(sql), self.connection.execute_unprepared(sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let span = self.watch.statement_span(&statement.sql);
        self.watch.statement(span, self.connection.query_one_raw(statement)).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let span = self.watch.statement_span(&statement.sql);
        self.watch.statement(span, self.connection.query_all_raw(statement)).await
    }

    fn support_returning(&self) -> bool {
        self.connection.support_returning()
    }
}

/// The first word of a statement. Several that are sent together are named after the first one.
fn verb(sql: &str) -> &str {
    let first = sql.strip_prefix("WITH ").and_then(|rest| rest.split_once('('));
    first.map_or(sql, |(_, first)| first).split_ascii_whitespace().next().unwrap_or_default()
}

/// The table that a statement is about, as the query builder writes it: the first quoted name after these words.
fn table(sql: &str) -> &str {
    let named = |word: &str| sql.split_once(word)?.1.split_once('"').map(|(name, _)| name);
    ["INSERT INTO \"", "DELETE FROM \"", "UPDATE \"", " FROM \""].into_iter().find_map(named).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(r#"SELECT "users"."id" FROM "users" INNER JOIN "x" ON 1 = 1 FOR UPDATE"#, "SELECT", "users")]
    #[case(r#"INSERT INTO "outbox" ("id") VALUES ($1)"#, "INSERT", "outbox")]
    #[case(r#"UPDATE "sessions" SET "a" = $1 WHERE "b" IN (SELECT "c" FROM "d")"#, "UPDATE", "sessions")]
    #[case(r#"DELETE FROM "events" WHERE "id" = $1"#, "DELETE", "events")]
    #[case(
        r#"WITH "w0" AS (INSERT INTO "sessions" ("id") VALUES ($1)) UPDATE "users" SET "a" = $2"#,
        "INSERT",
        "sessions"
    )]
    #[case("SELECT clock_timestamp()", "SELECT", "")]
    #[case("", "", "")]
    fn a_statement_is_named_by_its_verb_and_table(#[case] sql: &str, #[case] wanted: &str, #[case] about: &str) {
        assert_eq!((verb(sql), table(sql)), (wanted, about));
    }
}
