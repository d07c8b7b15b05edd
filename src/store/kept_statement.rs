//! Statements of daily load, whose text is built once instead of for each call.

use std::sync::OnceLock;

use sea_orm::{
    ActiveModelTrait, ConnectionTrait, DbBackend, EntityTrait, Insert, Iterable as _, QueryTrait as _, Statement,
    StatementBuilder, sea_query::Value,
};

/// The text of a statement for each database, kept from the first call on. For one statement alone, whose text must not
/// depend on its values.
#[derive(Debug)]
pub(super) struct KeptStatement {
    postgres: OnceLock<String>,
    sqlite: OnceLock<String>,
}

impl KeptStatement {
    /// Nothing is kept yet.
    pub(super) const fn new() -> Self {
        Self { postgres: OnceLock::new(), sqlite: OnceLock::new() }
    }

    /// The statement with these values, in the order in which the text has their places. With debug assertions, so in
    /// every test, it is also built anew each time, and a difference is a panic.
    pub(super) fn with<S: StatementBuilder>(
        &self,
        connection: &impl ConnectionTrait,
        values: impl IntoIterator<Item = Value>,
        build: impl Fn() -> S,
    ) -> Statement {
        let db_backend = connection.get_database_backend();
        let text = if db_backend == DbBackend::Postgres { &self.postgres } else { &self.sqlite };
        let sql = text.get_or_init(|| db_backend.build(&build()).sql).clone();
        let statement = Statement::from_sql_and_values(db_backend, sql, values);
        debug_assert!(
            statement == db_backend.build(&build()),
            "a kept statement has other values than it is built with: {}",
            statement.sql
        );
        statement
    }

    /// The statement that inserts a row. Every row sets the same columns.
    pub(super) fn inserting<A: ActiveModelTrait>(&self, connection: &impl ConnectionTrait, row: &A) -> Statement {
        self.with(connection, values_of(row), || Insert::one(row.clone()).into_query())
    }
}

/// A statement over some rows: its text depends on their number, and is kept for each up to `MAX`.
#[derive(Debug)]
pub(super) struct KeptByCount<const MAX: usize>([KeptStatement; MAX]);

impl<const MAX: usize> KeptByCount<MAX> {
    /// Nothing is kept yet.
    pub(super) const fn new() -> Self {
        Self([const { KeptStatement::new() }; MAX])
    }

    /// The statement over so many rows, like [`KeptStatement::with`].
    pub(super) fn with<S: StatementBuilder>(
        &self,
        connection: &impl ConnectionTrait,
        count: usize,
        values: impl IntoIterator<Item = Value>,
        build: impl Fn() -> S,
    ) -> Statement {
        match count.checked_sub(1).and_then(|at| self.0.get(at)) {
            Some(kept) => kept.with(connection, values, build),
            None => connection.get_database_backend().build(&build()),
        }
    }
}

/// The values that a row sets, in the order in which an insert has them.
pub(super) fn values_of<A: ActiveModelTrait>(row: &A) -> impl Iterator<Item = Value> {
    <A::Entity as EntityTrait>::Column::iter().filter_map(|column| row.get(column).into_value())
}

#[cfg(test)]
mod tests {
    use sea_orm::{
        ActiveValue::Set, ColumnTrait as _, Database, DatabaseConnection, QueryFilter as _, QuerySelect as _,
        sea_query::SelectStatement,
    };
    use uuid::Uuid;

    use super::*;
    use crate::{clock::Timestamp, store::entity::client_secret};

    async fn connection() -> DatabaseConnection {
        Database::connect("sqlite::memory:").await.unwrap()
    }

    fn secret_of(client: Uuid, project: Uuid) -> SelectStatement {
        client_secret::Entity::find()
            .select_only()
            .column(client_secret::Column::Id)
            .filter(client_secret::Column::ClientId.eq(client))
            .filter(client_secret::Column::ProjectId.eq(project))
            .into_query()
    }

    fn secrets_of(clients: &[Uuid]) -> SelectStatement {
        let which = client_secret::Column::ClientId.is_in(clients.iter().copied());
        client_secret::Entity::find().filter(which).into_query()
    }

    #[tokio::test]
    async fn a_text_is_kept_and_gets_the_values_of_each_call() {
        static QUERY: KeptStatement = KeptStatement::new();
        let connection = connection().await;
        for number in 0..2 {
            let (client, project) = (Uuid::from_u128(number), Uuid::from_u128(number + 7));
            let values = [client.into(), project.into()];
            let statement = QUERY.with(&connection, values, || secret_of(client, project));
            assert_eq!(statement, DbBackend::Sqlite.build(&secret_of(client, project)));
        }
        assert!(QUERY.sqlite.get().is_some() && QUERY.postgres.get().is_none(), "a database has a text of its own");
    }

    #[tokio::test]
    #[cfg_attr(debug_assertions, should_panic = "has other values")]
    async fn values_in_another_order_are_found_by_whatever_test_makes_the_call() {
        static QUERY: KeptStatement = KeptStatement::new();
        let (client, project) = (Uuid::from_u128(1), Uuid::from_u128(2));
        QUERY.with(&connection().await, [project.into(), client.into()], || secret_of(client, project));
    }

    #[tokio::test]
    async fn each_number_of_rows_has_a_text_of_its_own() {
        static QUERY: KeptByCount<2> = KeptByCount::new();
        let connection = connection().await;
        let clients: Vec<_> = (0..3).map(Uuid::from_u128).collect();
        for count in [1, 2, 3, 0, 1] {
            let clients = &clients[..count];
            let values = clients.iter().map(|client| Value::from(*client));
            let statement = QUERY.with(&connection, count, values, || secrets_of(clients));
            assert_eq!(statement, DbBackend::Sqlite.build(&secrets_of(clients)));
        }
    }

    #[tokio::test]
    async fn a_row_is_inserted_with_the_values_of_its_columns() {
        static INSERT: KeptStatement = KeptStatement::new();
        let row = client_secret::ActiveModel {
            id: Set(Uuid::from_u128(1)),
            project_id: Set(Uuid::from_u128(2)),
            client_id: Set(Uuid::from_u128(3)),
            secret_hash: Set(vec![4]),
            created_at: Set(Timestamp::UNIX_EPOCH),
        };
        let statement = INSERT.inserting(&connection().await, &row);
        assert_eq!(statement, DbBackend::Sqlite.build(&Insert::one(row).into_query()));
    }
}
