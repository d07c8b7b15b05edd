//! At the start the database may be on its way, too: machines and clusters come up in any order.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::BuildError;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Connects, again and again for so long while the database is not there; a database that is there and refuses ends it. The last
/// attempt may end later than that, by as long as one takes.
pub(super) async fn within<T>(
    timeout: Duration,
    mut connect: impl AsyncFnMut() -> Result<T, BuildError>,
) -> Result<T, BuildError> {
    let started = Instant::now();
    let mut pause = FIRST_PAUSE;
    let mut is_told = false;
    loop {
        let error = match connect().await {
            Ok(connected) => {
                if is_told {
                    tracing::info!(waited_seconds = started.elapsed().as_secs_f64(), "the database answers");
                }
                return Ok(connected);
            }
            Err(error) => error,
        };
        let left = timeout.saturating_sub(started.elapsed());
        if left.is_zero() || !matches!(&error, BuildError::Connect(cause) if cause.may_pass()) {
            return Err(error);
        }
        if !is_told {
            is_told = true;
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                timeout_seconds = timeout.as_secs_f64(),
                "the database does not answer; waiting for it (--database-start-timeout)"
            );
        }
        sleep(pause.min(left)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
