//! All that a database holds, as text: to show that nothing was written.

use sea_orm::{ConnectionTrait as _, DatabaseConnection, DbBackend, Statement};

/// Every row of every table, in an order that does not depend on when it was written.
pub(super) async fn of(database: &DatabaseConnection) -> Vec<String> {
    let mut contents = Vec::new();
    for table in texts(database, tables(database.get_database_backend())).await {
        let row = match database.get_database_backend() {
            DbBackend::Sqlite => {
                let columns = format!("SELECT quote(name) FROM pragma_table_info('{table}')");
                let columns = texts(database, &columns).await.join("), quote(").replace('\'', "\"");
                format!("concat_ws(', ', quote({columns}))")
            }
            _ => format!("CAST(\"{table}\" AS text)"),
        };
        let rows = texts(database, &format!("SELECT {row} AS text FROM \"{table}\" ORDER BY 1")).await;
        contents.extend(rows.into_iter().map(|row| format!("{table}: {row}")));
    }
    contents
}

fn tables(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::Sqlite => "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY 1",
        _ => "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema() ORDER BY 1",
    }
}

async fn texts(database: &DatabaseConnection, query: &str) -> Vec<String> {
    let query = Statement::from_string(database.get_database_backend(), query);
    let rows = database.query_all_raw(query).await.unwrap();
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}
