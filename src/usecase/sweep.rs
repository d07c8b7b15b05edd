//! Housekeeping. Nothing depends on it: what has expired is refused whether it was cleared away or not.

use chrono::Duration;

use super::{Error, Services};

/// How long the outbox tells which mails were sent, and to whom.
const KEEP_MAILS: Duration = Duration::days(7);

/// Clears away expired challenges, forgotten failures and mails of long ago; says how many rows.
pub async fn sweep(services: &Services) -> Result<u64, Error> {
    let now = services.clock.now();
    let tx = services.store.begin().await?;
    let rows = tx.challenges().delete_expired(now).await?
        + tx.throttles().delete_forgotten(now).await?
        + tx.outbox().delete_finished(now - KEEP_MAILS).await?;
    tx.commit().await?;
    Ok(rows)
}
