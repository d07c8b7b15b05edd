//! Several writes in one round trip.

use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbBackend, DbErr, Statement, Values};

use super::{RecordedBy, Scope, StoreError, events, sessions, users};
use crate::{
    clock::Timestamp,
    domain::{event::Event, id::UserId, session::Session},
};

impl Scope<DatabaseTransaction> {
    /// Notes a completed sign-in of a user who is held: the session, if there is one, the event, and the time.
    /// [`StoreError::Orphan`] if the client of the session is gone, [`StoreError::Query`] if the user is.
    pub async fn signed_in(
        &self,
        session: Option<&Session>,
        (event, by): (&Event, RecordedBy<'_>),
        user: UserId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let connection = &self.connection;
        let session = session.map(|session| sessions::inserting(connection, session)).transpose()?;
        let others = [events::inserting(connection, event, by), users::signing_in(connection, user, now)];
        let writes: Vec<_> = session.into_iter().chain(others).collect();
        let db_backend = connection.get_database_backend();
        // Each writes one row. PostgreSQL counts those of the last one, the time; sqlx counts all on SQLite.
        let rows = if db_backend == DbBackend::Postgres { 1 } else { writes.len() as u64 };
        let written = connection.execute_raw(together(db_backend, writes)).await?;
        if written.rows_affected() != rows {
            return Err(DbErr::RecordNotUpdated.into());
        }
        self.recorded.note(event);
        Ok(())
    }
}

/// One statement, or one text, that does what all of these do, within a unit of work: where one fails, what the others
/// have written on SQLite is there until that is rolled back. On PostgreSQL none sees what the others write: each has to
/// be about rows of its own.
///
/// That one text may hold several statements with values is a promise of sqlx's driver for SQLite alone, and one that
/// sqlx does not recommend; the tests of every sign-in hold it to that.
fn together(db_backend: DbBackend, writes: Vec<Statement>) -> Statement {
    let (mut texts, mut values) = (Vec::with_capacity(writes.len()), Vec::new());
    for write in writes {
        // SQLite counts the places by itself.
        let is_numbered = db_backend == DbBackend::Postgres;
        texts.push(if is_numbered { renumbered(&write.sql, values.len()) } else { write.sql });
        values.extend(write.values.into_iter().flat_map(|values| values.0));
    }
    let sql = match (db_backend, texts.pop()) {
        (DbBackend::Postgres, Some(last)) => {
            let first = texts.iter().enumerate().map(|(number, text)| format!(r#""w{number}" AS ({text})"#));
            format!("WITH {} {last}", first.collect::<Vec<_>>().join(", "))
        }
        (_, last) => texts.into_iter().chain(last).collect::<Vec<_>>().join("; "),
    };
    Statement { sql, values: Some(Values(values)), db_backend }
}

/// The text with the places of its values, `$1` and so on, so many further back.
fn renumbered(sql: &str, by: usize) -> String {
    let mut parts = sql.split('$');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.len() - part.trim_start_matches(|digit: char| digit.is_ascii_digit()).len();
        let (number, rest) = part.split_at(digits);
        let number: usize = number.parse().unwrap_or_default();
        text.extend(["$", &(number + by).to_string(), rest]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(db_backend: DbBackend, sql: &str, values: &[i32]) -> Statement {
        Statement::from_sql_and_values(db_backend, sql, values.iter().map(|value| (*value).into()))
    }

    #[test]
    fn places_are_counted_on_where_they_have_numbers() {
        let on = |db_backend, sqls: [&str; 3]| {
            let [first, second, third] = sqls;
            let writes = [(first, vec![1, 2]), (second, vec![]), (third, vec![3, 4])];
            let writes = writes.iter().map(|(sql, values)| write(db_backend, sql, values)).collect();
            together(db_backend, writes)
        };
        let numbered = ["INSERT INTO a VALUES ($1, $2)", "DELETE FROM b", "UPDATE c SET d = $1 WHERE e = $2"];
        let postgres = on(DbBackend::Postgres, numbered);
        let wanted =
            r#"WITH "w0" AS (INSERT INTO a VALUES ($1, $2)), "w1" AS (DELETE FROM b) UPDATE c SET d = $3 WHERE e = $4"#;
        assert_eq!(postgres, write(DbBackend::Postgres, wanted, &[1, 2, 3, 4]));
        let sqlite =
            on(DbBackend::Sqlite, ["INSERT INTO a VALUES (?, ?)", "DELETE FROM b", "UPDATE c SET d = ? WHERE e = ?"]);
        let wanted = "INSERT INTO a VALUES (?, ?); DELETE FROM b; UPDATE c SET d = ? WHERE e = ?";
        assert_eq!(sqlite, write(DbBackend::Sqlite, wanted, &[1, 2, 3, 4]));
    }
}
