//! In what order those who write wait for SQLite's one writing connection, whose own queue goes by who comes first.
//!
//! A sign-in writes twice, and a flood of sign-ins would fill that queue. So units of work wait here, and one of them at
//! a time is in it: a single statement, as of a refresh, has no more than that one before it. Lest statements keep units
//! of work out instead, only a few of them at a time go ahead; more wait with the units, in order.

use std::{sync::Arc, time::Duration};

use sea_orm::{ConnAcquireErr, DbErr};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// Statements that go ahead of units of work at a time.
const AHEAD_MAX: usize = 4;

#[derive(Clone, Debug)]
pub(super) struct WriteOrder {
    one_by_one: Arc<Semaphore>,
    ahead: Arc<Semaphore>,
    wait_max: Duration,
}

impl WriteOrder {
    /// `wait_max`: how long anybody waits here; the connection is waited for after that.
    pub(super) fn new(wait_max: Duration) -> Self {
        let of = |permits| Arc::new(Semaphore::new(permits));
        Self { one_by_one: of(1), ahead: of(AHEAD_MAX), wait_max }
    }

    /// Waits behind all who came before. The permit is to be kept for as long as the connection is.
    pub(super) async fn wait(&self) -> Result<OwnedSemaphorePermit, DbErr> {
        let permit = timeout(self.wait_max, Arc::clone(&self.one_by_one).acquire_owned()).await;
        // It is never closed, so what is left is the time.
        permit.ok().and_then(Result::ok).ok_or(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout))
    }

    /// Goes ahead of units of work, if not too many do.
    pub(super) async fn go_ahead(&self) -> Result<OwnedSemaphorePermit, DbErr> {
        match Arc::clone(&self.ahead).try_acquire_owned() {
            Ok(permit) => Ok(permit),
            Err(_) => self.wait().await,
        }
    }
}
