//! Whether the connections to PostgreSQL have been in trouble of late.
//!
//! One whose other end is gone without a word would keep its place in the pool until the system gives it up, a quarter
//! of an hour later. So whoever waits for it in vain notes that, and from then on each connection has to answer in time
//! when it is given back. In quiet times that would be a round trip for each statement.
//!
//! What is left is a connection that falls silent between its last answer and the question of the pool itself, which
//! comes within a fraction of a millisecond and has no limit: it keeps its place for as long as the system waits.

use std::{
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use sea_orm::{
    DbErr,
    sqlx::{self, Connection as _, Executor as _, PgConnection},
};
use tokio::time::timeout;

use super::error::failure_of;
use crate::metrics::DatabaseFailure;

/// How long connections are asked after the last trouble.
const WARY_FOR: Duration = Duration::from_mins(1);
/// How long transactions are ended after a `BEGIN` without an answer, whose connection is given back at once. No
/// longer: PostgreSQL writes a warning to its log for each connection that has none.
const ROLL_BACK_FOR: Duration = Duration::from_secs(5);
/// How long a connection has to answer when it is given back.
pub(super) const RELEASE_TIMEOUT: Duration = Duration::from_secs(5);

/// The last trouble of a pool. Clones tell of the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Trouble(Arc<Mutex<Last>>);

/// What a connection is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Asked {
    /// To begin a transaction.
    Begin,
    /// Anything else.
    Statement,
}

/// Notes trouble when it is dropped.
struct Note<'t> {
    trouble: &'t Trouble,
    asked: Asked,
    end: End,
}

/// How it ended that a connection was asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    /// Nobody waits for the answer any more.
    Left,
    /// There is none, nor will be.
    Failed,
    /// There is one.
    Answered,
}

/// What went wrong, and when it last did.
#[derive(Debug, Default)]
struct Last {
    anything: Option<Instant>,
    /// A `BEGIN` whose answer nobody waits for.
    beginning: Option<Instant>,
}

impl Trouble {
    /// Does what a connection has to answer. It is trouble if nobody waits for the answer any more, or if the database
    /// does not do its work now.
    pub(super) async fn noting<T>(
        &self,
        asked: Asked,
        work: impl Future<Output = Result<T, DbErr>>,
    ) -> Result<T, DbErr> {
        // In its place before the note, so that it is dropped after that: whoever gets the connection back has to find
        // the note.
        let work = pin!(work);
        let mut note = Note { trouble: self, asked, end: End::Left };
        let done = work.await;
        let is_failed = done.as_ref().err().and_then(failure_of) == Some(DatabaseFailure::Unavailable);
        note.end = if is_failed { End::Failed } else { End::Answered };
        done
    }

    /// What happens to a connection that is given back. An error closes it. The pool itself asks it after that, and
    /// waits for as long as it takes.
    pub(super) async fn check(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let (is_recent, is_beginning) = {
            let last = self.last();
            (is_within(WARY_FOR, last.anything), is_within(ROLL_BACK_FOR, last.beginning))
        };
        if !is_recent {
            return Ok(());
        }
        let answer = async {
            // sqlx 0.9 counts a transaction only once its BEGIN was answered: nobody else would end this one.
            if is_beginning { connection.execute("ROLLBACK").await.map(drop) } else { connection.ping().await }
        };
        let silent = || sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
        timeout(RELEASE_TIMEOUT, answer).await.unwrap_or_else(|_| Err(silent()))
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_within(time: Duration, trouble: Option<Instant>) -> bool {
    trouble.is_some_and(|last| last.elapsed() < time)
}

impl Drop for Note<'_> {
    fn drop(&mut self) {
        if self.end == End::Answered {
            return;
        }
        let (now, mut last) = (Some(Instant::now()), self.trouble.last());
        last.anything = now;
        if (self.asked, self.end) == (Asked::Begin, End::Left) {
            last.beginning = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::RuntimeErr;

    use super::*;

    /// Asks, when it is dropped, whether there is trouble.
    struct Connection<'t>(&'t Trouble, &'t Mutex<Option<bool>>);

    impl Drop for Connection<'_> {
        fn drop(&mut self) {
            *self.1.lock().unwrap() = Some(is_within(WARY_FOR, self.0.last().anything));
        }
    }

    async fn silence(_connection: Connection<'_>) -> Result<(), DbErr> {
        std::future::pending().await
    }

    #[tokio::test]
    async fn an_answer_that_nobody_waits_for_is_known_before_the_connection_is_back() {
        let (trouble, known) = (Trouble::default(), Mutex::default());
        let asked = trouble.noting(Asked::Statement, silence(Connection(&trouble, &known)));
        timeout(Duration::from_millis(1), asked).await.unwrap_err();
        assert_eq!(*known.lock().unwrap(), Some(true));
        assert!(!is_within(ROLL_BACK_FOR, trouble.last().beginning), "no transaction was begun");
        timeout(Duration::ZERO, trouble.noting(Asked::Begin, silence(Connection(&trouble, &known)))).await.unwrap_err();
        assert!(is_within(ROLL_BACK_FOR, trouble.last().beginning));
    }

    #[tokio::test]
    async fn an_answer_is_no_trouble_and_a_broken_connection_is() {
        let trouble = Trouble::default();
        trouble.noting(Asked::Statement, async { Ok(()) }).await.unwrap();
        let refused = async { Err::<(), _>(DbErr::RecordNotInserted) };
        trouble.noting(Asked::Statement, refused).await.unwrap_err();
        assert!(!is_within(WARY_FOR, trouble.last().anything));
        let broken = async { Err::<(), _>(DbErr::Conn(RuntimeErr::Internal("reset".into()))) };
        trouble.noting(Asked::Statement, broken).await.unwrap_err();
        assert!(is_within(WARY_FOR, trouble.last().anything));
    }

    #[test]
    fn trouble_is_over_after_some_time() {
        let before = |time| Instant::now().checked_sub(time);
        let is_recent = |trouble| is_within(WARY_FOR, trouble);
        assert!(is_recent(before(WARY_FOR / 2)) && !is_recent(before(WARY_FOR)) && !is_recent(None));
    }
}
