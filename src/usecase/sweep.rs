//! Housekeeping. Nothing depends on it: what has expired is refused whether it was cleared away or not.

use super::{Error, Services};

/// Clears away expired challenges and forgotten failures; says how many rows.
pub async fn sweep(services: &Services) -> Result<u64, Error> {
    let now = services.clock.now();
    let tx = services.store.begin().await?;
    let rows = tx.challenges().delete_expired(now).await? + tx.throttles().delete_forgotten(now).await?;
    tx.commit().await?;
    Ok(rows)
}
