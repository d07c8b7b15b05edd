//! Housekeeping. Nothing depends on it: what has expired is refused whether it was cleared away or not.

use chrono::Duration;

use super::{Error, Services, number_events::number_events};

/// How long the row of a mail that was sent or given up is kept, to find out what became of it.
pub const FINISHED_MAIL_KEPT: Duration = Duration::days(7);
/// How long a session is kept after its last possible end, to find out what a token once belonged to: since it was ended, or
/// since its absolute end if it idled away before that.
pub const ENDED_SESSION_KEPT: Duration = Duration::days(30);
/// Rows that are deleted in one unit of work, so that nobody waits long for the writer of SQLite or for locks.
const BATCH: u64 = 500;

/// Units of work that a round spends on each thing it clears away. What is left has its turn in the next round.
const BATCHES_MAX: usize = 20;

/// What a round has cleared away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Swept {
    /// Rows.
    pub rows: u64,
    /// Whether there may be more now.
    pub more: bool,
}

/// Clears away expired challenges and answers, forgotten failures, finished mails, ended sessions and old events: a bounded number of
/// each, in small units of work. If it is dropped half-way, what was committed has happened and the rest has not.
pub async fn sweep(services: &Services) -> Result<Swept, Error> {
    let now = services.clock.now();
    let tx = services.store.begin().await?;
    let mut rows = tx.challenges().delete_expired(now, now - services.limits.memory).await?;
    tx.commit().await?;
    let mut is_done = false;
    for _ in 0..BATCHES_MAX {
        let tx = services.store.begin().await?;
        let mails = tx.outbox().delete_finished(now - FINISHED_MAIL_KEPT, BATCH).await?;
        let throttles = tx.throttles().delete_forgotten(now - services.limits.counter_lifetime(), BATCH).await?;
        let sessions = tx.sessions().delete_ended(now - ENDED_SESSION_KEPT, BATCH).await?;
        let answers = tx.idempotent_calls().delete_expired(now, BATCH).await?;
        tx.commit().await?;
        rows += mails + throttles + sessions + answers;
        is_done = [mails, throttles, sessions, answers].into_iter().all(|deleted| deleted < BATCH);
        if is_done {
            break;
        }
    }
    let events = sweep_events(services).await?;
    Ok(Swept { rows: rows + events.rows, more: !is_done || events.more })
}

/// Clears away events that are older than they are to be kept. Only what has its place in the stream, so that no reader passes one by
/// unawares: events that nobody has read yet get theirs here.
async fn sweep_events(services: &Services) -> Result<Swept, Error> {
    let are_numbered = number_events(services, BATCHES_MAX).await?;
    let mut swept = Swept { rows: 0, more: !are_numbered };
    let Some(retention) = services.limits.event_retention else { return Ok(swept) };
    let before = services.clock.now() - retention;
    for _ in 0..BATCHES_MAX {
        let tx = services.store.begin().await?;
        let events = tx.event_stream().delete_oldest(before, BATCH).await?;
        tx.commit().await?;
        swept.rows += events;
        if events < BATCH {
            return Ok(swept);
        }
    }
    Ok(Swept { more: true, ..swept })
}
