//! The hash lane: every password hash of the process goes through it, so that a flood of sign-ins can neither take all
//! memory nor slow down what is not a sign-in.
//!
//! A few threads of lowered priority own one arena each. The queue before them is bounded, fair between clients, and
//! knows each caller's deadline: what cannot finish in time is refused at once, also when that shows only while it
//! waits. A caller that goes away frees its place. Whoever has to prepare a hash waits for its turn first, unless
//! it has no chance ([`HashLane::expect`]).
//!
//! **What hashes leave behind.** Between two hashes of a full queue an arena is not wiped: the next hash writes over
//! it. A worker that finds the queue empty wipes its arena before it does anything else, so the arenas of a lane that
//! is idle hold nothing of any password; after [`ARENA_KEPT`] without work it gives the arena back to the system. No
//! answer waits for either. This is about the arenas, whichever engine hashes. The password itself is wiped when its
//! job is dropped (`domain::password`). Registers and stacks of the workers are not wiped: the next hash writes over
//! them.

mod admission;
mod coming;
mod fair_queue;
mod lane_trace;
mod refusals;
mod worker;

use std::{
    io,
    num::NonZeroUsize,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use tokio::sync::oneshot;
use uuid::Uuid;

use self::{
    admission::{Place, Shared},
    lane_trace::LaneTrace,
};
pub use self::{
    coming::{Arrival, Coming},
    worker::lower_priority,
};
use super::{
    argon2_kernel::{Argon2Cost, Argon2Kernel, CostError, HashError},
    password_hash::{PasswordHash, SALT_BYTES},
};
use crate::{domain::password::Password, metrics::Metrics, random::Random};

/// How long a worker without work keeps its arena. Short, so that memory is small when nobody signs in; long enough
/// that only a hash that comes alone pays for the pages of a new one.
pub const ARENA_KEPT: Duration = Duration::from_secs(10);

/// How the lane is laid out.
#[derive(Clone, Copy, Debug)]
pub struct LaneSettings {
    /// Threads, each with an arena.
    pub workers: NonZeroUsize,
    /// How much more readily everything else runs than they (`nice`), 0 to 19.
    pub niceness: u8,
    /// Callers that may wait, or prepare.
    pub queue_length_max: usize,
    /// Cost of new hashes, and of the work done for unknown users.
    pub cost: Argon2Cost,
}

/// Who wants a hash, and until when it is of use.
#[derive(Clone, Copy, Debug)]
pub struct Ticket {
    /// Clients take turns.
    pub client: Uuid,
    /// The answer is worthless from then on.
    pub deadline: Instant,
}

/// The lane did not do the work.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LaneError {
    /// The cost of a stored hash is out of bounds.
    #[error(transparent)]
    Cost(CostError),
    /// It would not have been done in time.
    #[error("too many passwords are waiting to be checked; room is expected in {retry_after:?}")]
    Overloaded {
        /// When to come back.
        retry_after: Duration,
    },
    /// The lane is shutting down, or a worker failed.
    #[error("the hash lane has stopped")]
    Stopped,
}

/// What a look at a password found.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// True if the password is right.
    pub matches: bool,
    /// The hash to store instead: the password is right, but its hash is below today's cost.
    pub upgraded: Option<PasswordHash>,
}

/// The turn of a job: the kernel, or the news that there will be none.
enum Turn<'a> {
    Kernel(&'a mut Argon2Kernel),
    Refused(LaneError),
}

/// The lane. Dropping it refuses what waits, ends its threads, and tells the log of the last refusals.
pub struct HashLane {
    shared: Arc<Shared>,
    cost: Argon2Cost,
    random: Random,
    /// Of hashes that are thrown away. Made when it is first needed: the start does not wait for randomness.
    dummy_salt: OnceLock<[u8; SALT_BYTES]>,
}

impl HashLane {
    /// Starts the threads. One of them first computes a small hash, so that the lane knows how fast hashes are here;
    /// until then it goes by a guess. Fails if there can be no threads, or no hash of that cost.
    pub fn start(settings: &LaneSettings, random: Random, metrics: Metrics) -> io::Result<Self> {
        Self::start_shared(Shared::new(settings, metrics), settings, random)
    }

    fn start_shared(shared: Shared, settings: &LaneSettings, random: Random) -> io::Result<Self> {
        settings.cost.check().map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let shared = Arc::new(shared);
        for number in 0..settings.workers.get() {
            worker::spawn(number, Arc::clone(&shared), settings)?;
        }
        Ok(Self { shared, cost: settings.cost, random, dummy_salt: OnceLock::new() })
    }

    /// Hashes a new password.
    pub async fn hash(&self, arrival: impl Into<Arrival<'_>>, password: Password) -> Result<PasswordHash, LaneError> {
        let (cost, salt) = (self.cost, self.random.bytes());
        let work = cost.work_kib();
        let hash = self.run(arrival, work, move |kernel| PasswordHash::compute(kernel, cost, &password, &salt)).await?;
        hash.map_err(|error| self.shared.failed(error))
    }

    /// Compares a password with a stored hash. Without one (unknown user, user without password) it does the same work
    /// and finds no match.
    ///
    /// `may_upgrade`: whether a right password whose hash is below today's cost is hashed anew. That takes longer, so
    /// it must not be allowed where the caller is not to learn that the password is right.
    pub async fn verify(
        &self,
        arrival: impl Into<Arrival<'_>>,
        password: Password,
        stored: Option<PasswordHash>,
        may_upgrade: bool,
    ) -> Result<Verdict, LaneError> {
        self.verify_noting(arrival, password, stored, may_upgrade, || ()).await
    }

    /// The same, and calls `looked_at` just before the password is looked at: whoever goes away, or finds no memory for
    /// its hash, cannot tell otherwise whether it was.
    pub async fn verify_noting(
        &self,
        arrival: impl Into<Arrival<'_>>,
        password: Password,
        stored: Option<PasswordHash>,
        may_upgrade: bool,
        looked_at: impl FnOnce() + Send + 'static,
    ) -> Result<Verdict, LaneError> {
        let dummy = *self.dummy_salt.get_or_init(|| self.random.bytes());
        let salts = Salts { dummy, upgrade: may_upgrade.then(|| self.random.bytes()) };
        let cost = self.cost;
        let dearest = [stored.as_ref().and_then(PasswordHash::cost), Some(cost)].into_iter().flatten();
        let memory_kib = dearest.clone().map(|cost| cost.memory_kib).max().unwrap_or_default();
        // Without what an upgrade takes, which happens once a user.
        let work_kib = dearest.map(|cost| cost.work_kib()).max().unwrap_or_default();
        let work = move |kernel: &mut Argon2Kernel| {
            kernel.prepare(memory_kib)?;
            looked_at();
            compare(kernel, cost, &password, stored.as_ref(), &salts)
        };
        self.run(arrival, work_kib, work).await?.map_err(|error| self.shared.failed(error))
    }

    /// Does `work`, which is that of hashes of `work_kib` in all (see [`Argon2Cost::work_kib`]) and costs its client as
    /// much. Whether it can be done in time is judged as if it were one hash of today's cost: who is refused learns
    /// nothing of a stored hash.
    async fn run<T: Send + 'static>(
        &self,
        arrival: impl Into<Arrival<'_>>,
        work_kib: u64,
        work: impl FnOnce(&mut Argon2Kernel) -> T + Send + 'static,
    ) -> Result<T, LaneError> {
        let (sender, receiver) = oneshot::channel();
        let metrics = self.shared.metrics.clone();
        let trace = LaneTrace::begin();
        let arrival = arrival.into();
        let client = arrival.ticket.client;
        let id = self.shared.admit(
            arrival,
            work_kib,
            Box::new(move |turn| {
                let result = match turn {
                    Turn::Kernel(kernel) => {
                        let (_working, started, before) = (trace.work(), Instant::now(), kernel.computed_kib());
                        let result = work(kernel);
                        if kernel.computed_kib() > before {
                            // Before the caller has its answer, so that nobody sees an answer without its hash.
                            metrics.hash_finished("argon2id", started.elapsed().as_secs_f64());
                        }
                        Ok(result)
                    }
                    Turn::Refused(error) => {
                        trace.refused();
                        Err(error)
                    }
                };
                // The caller may have gone away meanwhile; nobody is left to tell.
                drop(sender.send(result));
            }),
        )?;
        let place = Place { shared: &self.shared, client, id };
        tokio::pin!(receiver);
        while let Some(latest_start) = place.latest_start() {
            match tokio::time::timeout_at(latest_start.into(), &mut receiver).await {
                Ok(answer) => return answer.map_err(|_| LaneError::Stopped)?,
                Err(_) => place.refuse_if_late(),
            }
        }
        receiver.await.map_err(|_| LaneError::Stopped)?
    }
}

/// Compares a password with a stored hash, if there is one. Whatever comes of it takes as long as a hash of today's
/// cost: what a stored hash falls short of it is made up for, by the hash to store instead or by one that is thrown
/// away. Should that one fail, the verdict stands: the password was looked at.
fn compare(
    kernel: &mut Argon2Kernel,
    cost: Argon2Cost,
    password: &Password,
    stored: Option<&PasswordHash>,
    salts: &Salts,
) -> Result<Verdict, HashError> {
    let Some(stored) = stored else {
        PasswordHash::compute(kernel, cost, password, &salts.dummy)?;
        return Ok(Verdict { matches: false, upgraded: None });
    };
    let matches = stored.verify(kernel, password)?;
    let complain = |error: &HashError| tracing::warn!(%error, "a hash after that of a checked password failed");
    let mut compute = |cost, salt| PasswordHash::compute(kernel, cost, password, salt).inspect_err(complain).ok();
    let upgraded = if let Some(salt) = salts.upgrade.filter(|_| matches && stored.is_outdated(&cost)) {
        compute(cost, &salt)
    } else {
        if let Some(rest) = stored.cost().and_then(|done| cost.rest_after(&done)) {
            compute(rest, &salts.dummy);
        }
        None
    };
    Ok(Verdict { matches, upgraded })
}

/// Salts of hashes that may have to be made beside a stored one.
struct Salts {
    /// Of a hash that is thrown away.
    dummy: [u8; SALT_BYTES],
    /// Of the hash to store instead, if there may be one.
    upgrade: Option<[u8; SALT_BYTES]>,
}

impl Drop for HashLane {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.closed = true;
        let untold = state.refusals.take();
        drop(state);
        self.shared.wake.notify_all();
        if let Some(sum) = untold {
            worker::survives(|| (self.shared.tell)(sum));
        }
    }
}

#[cfg(test)]
mod tests;
