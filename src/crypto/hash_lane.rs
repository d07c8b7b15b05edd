//! The hash lane: every password hash of the process goes through it, so that a flood of sign-ins can neither take all
//! memory nor slow down what is not a sign-in.
//!
//! A few threads of lowered priority own one arena each. The queue before them is bounded, fair between clients, and knows
//! each caller's deadline: what cannot finish in time is refused at once. A caller that goes away frees its place.

mod fair_queue;
mod lane_trace;
mod worker;

use std::{
    io,
    num::NonZeroUsize,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::oneshot;
use uuid::Uuid;

use self::{fair_queue::FairQueue, lane_trace::LaneTrace};
use super::{
    argon2_kernel::{Argon2Cost, Argon2Kernel, CostError},
    password_hash::{PasswordHash, SALT_BYTES},
};
use crate::{domain::password::Password, metrics::Metrics, random::Random};

/// Least time after which a caller is asked to come back: also before the lane knows what a hash costs.
const RETRY_AFTER_MIN: Duration = Duration::from_millis(100);

/// How the lane is laid out.
#[derive(Clone, Copy, Debug)]
pub struct LaneSettings {
    /// Threads, each with an arena.
    pub workers: NonZeroUsize,
    /// Callers that may wait.
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
    Cost(#[from] CostError),
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

struct Job {
    id: u64,
    deadline: Instant,
    queued_at: Instant,
    work: Box<dyn FnOnce(Turn<'_>) + Send>,
}

struct State {
    queue: FairQueue<Job>,
    next_id: u64,
    running: usize,
    /// Moving average of the time a job takes.
    seconds_a_job: f64,
    /// A worker shall find out anew how long a hash takes.
    measure: bool,
    closed: bool,
}

struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    workers: usize,
    queue_length_max: usize,
    metrics: Metrics,
}

/// The lane. Dropping it refuses what waits and ends its threads.
pub struct HashLane {
    shared: Arc<Shared>,
    cost: Argon2Cost,
    random: Random,
    dummy_salt: [u8; SALT_BYTES],
}

impl HashLane {
    /// Starts the threads; each computes one hash first, so that the lane knows what a hash costs here. Fails if there can be
    /// no threads, or no hash of that cost.
    pub fn start(settings: &LaneSettings, random: Random, metrics: Metrics) -> io::Result<Self> {
        settings.cost.check().map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                queue: FairQueue::new(),
                next_id: 0,
                running: 0,
                seconds_a_job: 0.0,
                measure: false,
                closed: false,
            }),
            wake: Condvar::new(),
            workers: settings.workers.get(),
            queue_length_max: settings.queue_length_max,
            metrics,
        });
        shared.metrics.lane_started(shared.workers, shared.queue_length_max);
        for number in 0..settings.workers.get() {
            worker::spawn(number, Arc::clone(&shared), settings.cost)?;
        }
        let dummy_salt = random.bytes();
        Ok(Self { shared, cost: settings.cost, random, dummy_salt })
    }

    /// Hashes a new password.
    pub async fn hash(&self, ticket: Ticket, password: Password) -> Result<PasswordHash, LaneError> {
        let (cost, salt) = (self.cost, self.random.bytes());
        let hash = self.run(ticket, move |kernel| PasswordHash::compute(kernel, cost, &password, &salt)).await?;
        Ok(hash?)
    }

    /// Compares a password with a stored hash. Without one (unknown user, user without password) it does the same work and
    /// finds no match.
    ///
    /// `may_upgrade`: whether a right password whose hash is below today's cost is hashed anew. That takes longer, so it must
    /// not be allowed where the caller is not to learn that the password is right.
    pub async fn verify(
        &self,
        ticket: Ticket,
        password: Password,
        stored: Option<PasswordHash>,
        may_upgrade: bool,
    ) -> Result<Verdict, LaneError> {
        self.verify_noting(ticket, password, stored, may_upgrade, || ()).await
    }

    /// The same, and calls `looked_at` just before the password is looked at: whoever goes away cannot tell otherwise whether it
    /// was.
    pub async fn verify_noting(
        &self,
        ticket: Ticket,
        password: Password,
        stored: Option<PasswordHash>,
        may_upgrade: bool,
        looked_at: impl FnOnce() + Send + 'static,
    ) -> Result<Verdict, LaneError> {
        let salts = Salts { dummy: self.dummy_salt, upgrade: may_upgrade.then(|| self.random.bytes()) };
        let cost = self.cost;
        let work = move |kernel: &mut Argon2Kernel| {
            looked_at();
            compare(kernel, cost, &password, stored.as_ref(), &salts)
        };
        Ok(self.run(ticket, work).await??)
    }

    async fn run<T: Send + 'static>(
        &self,
        ticket: Ticket,
        work: impl FnOnce(&mut Argon2Kernel) -> T + Send + 'static,
    ) -> Result<T, LaneError> {
        let (sender, receiver) = oneshot::channel();
        let metrics = self.shared.metrics.clone();
        let trace = LaneTrace::begin();
        let id = self.shared.admit(
            ticket,
            Box::new(move |turn| {
                let result = match turn {
                    Turn::Kernel(kernel) => {
                        let (_working, started) = (trace.work(), Instant::now());
                        let result = work(kernel);
                        // Before the caller has its answer, so that nobody sees an answer without its hash.
                        metrics.hash_finished("argon2id", started.elapsed().as_secs_f64());
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
        let _place = Place { shared: &self.shared, client: ticket.client, id };
        receiver.await.map_err(|_| LaneError::Stopped)?
    }
}

/// Compares a password with a stored hash, if there is one. Whatever comes of it takes as long as a hash of today's cost: what a
/// stored hash falls short of it is made up for, by the hash to store instead or by one that is thrown away.
fn compare(
    kernel: &mut Argon2Kernel,
    cost: Argon2Cost,
    password: &Password,
    stored: Option<&PasswordHash>,
    salts: &Salts,
) -> Result<Verdict, CostError> {
    let Some(stored) = stored else {
        PasswordHash::compute(kernel, cost, password, &salts.dummy)?;
        return Ok(Verdict { matches: false, upgraded: None });
    };
    let matches = stored.verify(kernel, password)?;
    if let Some(salt) = salts.upgrade.filter(|_| matches && stored.is_outdated(&cost)) {
        return Ok(Verdict { matches, upgraded: Some(PasswordHash::compute(kernel, cost, password, &salt)?) });
    }
    if let Some(rest) = stored.cost().and_then(|done| cost.rest_after(&done)) {
        PasswordHash::compute(kernel, rest, password, &salts.dummy)?;
    }
    Ok(Verdict { matches, upgraded: None })
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
        self.shared.lock().closed = true;
        self.shared.wake.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic in a job is caught outside of the lock, so the state is whole even then.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a job into the queue, or says at once that it has no chance.
    fn admit(&self, ticket: Ticket, work: Box<dyn FnOnce(Turn<'_>) + Send>) -> Result<u64, LaneError> {
        let mut state = self.lock();
        if state.closed {
            return Err(LaneError::Stopped);
        }
        let now = Instant::now();
        let wait = state.expected_wait(state.queue.ahead_of(ticket.client), self.workers);
        let needed = wait + state.job_time();
        if now + needed > ticket.deadline {
            self.metrics.lane_refused("deadline");
            if state.is_idle() && now < ticket.deadline {
                // The average moves only with jobs. One bad moment of the machine could make it longer than any deadline,
                // and with everybody refused it would stay so.
                state.measure = true;
                self.wake.notify_one();
            }
            return Err(LaneError::Overloaded { retry_after: state.retry_after(wait) });
        }
        let mut evicted = None;
        if state.queue.len() >= self.queue_length_max {
            let retry_after = state.retry_after(state.expected_wait(state.queue.len(), self.workers));
            evicted = state.queue.make_room_for(ticket.client).map(|job| (job, retry_after));
            self.metrics.lane_refused("queue_full");
            if evicted.is_none() {
                return Err(LaneError::Overloaded { retry_after });
            }
        }
        let id = state.next_id;
        state.next_id += 1;
        state.queue.push(ticket.client, Job { id, deadline: ticket.deadline, queued_at: now, work });
        self.show_queue(&state);
        drop(state);
        if let Some((job, retry_after)) = evicted {
            (job.work)(Turn::Refused(LaneError::Overloaded { retry_after }));
        }
        self.wake.notify_one();
        Ok(id)
    }

    fn show_queue(&self, state: &State) {
        self.metrics.lane_queued(state.queue.len());
    }
}

impl State {
    fn job_time(&self) -> Duration {
        Duration::from_secs_f64(self.seconds_a_job)
    }

    fn is_idle(&self) -> bool {
        self.queue.len() == 0 && self.running == 0
    }

    /// When to come back, if there is room after `wait`.
    fn retry_after(&self, wait: Duration) -> Duration {
        wait.max(self.job_time()).max(RETRY_AFTER_MIN)
    }

    /// How long until a worker is free for a job with `ahead` others before it.
    fn expected_wait(&self, ahead: usize, workers: usize) -> Duration {
        let busy = ahead + self.running;
        if busy < workers {
            return Duration::ZERO;
        }
        #[expect(clippy::cast_precision_loss, reason = "queues are short")]
        let rounds = (busy - workers + 1) as f64 / workers as f64;
        Duration::from_secs_f64(self.seconds_a_job * rounds)
    }
}

/// A caller's place in the queue; dropping it frees the place.
struct Place<'a> {
    shared: &'a Shared,
    client: Uuid,
    id: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        // Bound outside of the lock: dropping the job drops what it captured.
        let job = state.queue.remove(self.client, |job| job.id == self.id);
        self.shared.show_queue(&state);
        drop(state);
        drop(job);
    }
}

#[cfg(test)]
mod tests;
