//! Giving events their places in the stream, after their commit.

use super::{Error, Services};

/// Events that get their places in one unit of work, so that nobody waits long for the writer of SQLite.
pub const BATCH: u64 = 1000;

/// Gives places to the events that have none, in so many units of work at most; true if none is left without. Asks first, which
/// costs little, so that readers can do this whenever they read.
pub async fn number_events(services: &Services, batches_max: usize) -> Result<bool, Error> {
    for _ in 0..batches_max {
        if !services.store.view().event_stream().has_unnumbered().await? {
            return Ok(true);
        }
        let tx = services.store.begin().await?;
        let numbered = tx.event_stream().number(BATCH).await?;
        tx.commit().await?;
        if numbered < BATCH {
            return Ok(true);
        }
    }
    Ok(false)
}
