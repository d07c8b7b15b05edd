//! Who is let into the queue, and who leaves it before its turn.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use uuid::Uuid;

use super::{
    ARENA_KEPT, LaneError, LaneSettings, Ticket, Turn,
    coming::{Arrival, Waiter},
    fair_queue::{FairQueue, Load},
    refusals::{Cause, Refusal, Refusals, Sum},
};
use crate::{crypto::argon2_kernel::HashError, metrics::Metrics};

/// Least time after which a caller is asked to come back: also where a hash takes none.
pub(super) const RETRY_AFTER_MIN: Duration = Duration::from_millis(100);
/// The same where there was no memory for a hash: there is some when others are done, here or elsewhere on the machine.
const RETRY_AFTER_NO_MEMORY: Duration = Duration::from_secs(1);
/// How long a KiB of a pass takes, until it was measured: twice what it takes a middling machine.
const SECONDS_A_KIB: f64 = 1e-6;
/// Weight of the newest job in the moving average.
const WEIGHT: f64 = 0.1;

pub(super) type Work = Box<dyn FnOnce(Turn<'_>) + Send>;
/// Tells the log of refusals.
pub(super) type Tell = Box<dyn Fn(Sum) + Send + Sync>;

pub(super) struct Job {
    pub(super) id: u64,
    pub(super) deadline: Instant,
    /// When it came, less the time in which it was being prepared.
    pub(super) waits_since: Instant,
    /// How much is to be computed: memory times passes.
    pub(super) work_kib: u64,
    pub(super) work: Work,
}

pub(super) struct State {
    pub(super) queue: FairQueue<Job, Waiter>,
    /// How many a worker may have to take before a job that is only now being prepared.
    pub(super) preparing_max: usize,
    /// Not before then they become more again.
    pub(super) more_turns_at: Instant,
    next_id: u64,
    /// Jobs that workers are at, and their work.
    pub(super) running: Load,
    /// The work of a hash of today's cost. Every job is taken to last as long when it is judged whether it will be
    /// late: by the cost of a stored hash, a refusal would tell that there is such a user.
    pub(super) today_kib: u64,
    /// Moving average of the time that a KiB of a pass takes. Hashes of any cost go by it.
    pub(super) seconds_a_kib: f64,
    /// A worker shall find out anew how fast hashes are.
    pub(super) measure: bool,
    pub(super) closed: bool,
    pub(super) refusals: Refusals,
}

pub(super) struct Shared {
    state: Mutex<State>,
    pub(super) wake: Condvar,
    pub(super) workers: usize,
    pub(super) queue_length_max: usize,
    pub(super) metrics: Metrics,
    /// How long a worker without work keeps its arena.
    pub(super) arena_kept: Duration,
    pub(super) tell: Tell,
}

impl Shared {
    pub(super) fn new(settings: &LaneSettings, metrics: Metrics) -> Self {
        let state = State {
            queue: FairQueue::new(),
            preparing_max: State::preparing_min(settings.workers.get()),
            more_turns_at: Instant::now(),
            next_id: 0,
            running: Load::default(),
            today_kib: settings.cost.work_kib(),
            seconds_a_kib: SECONDS_A_KIB,
            measure: false,
            closed: false,
            refusals: Refusals::default(),
        };
        let (workers, queue_length_max) = (settings.workers.get(), settings.queue_length_max);
        metrics.lane_started(workers, queue_length_max);
        Self {
            state: Mutex::new(state),
            wake: Condvar::new(),
            workers,
            queue_length_max,
            metrics,
            arena_kept: ARENA_KEPT,
            tell: Box::new(Sum::tell),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic in a job is caught outside of the lock, so the state is whole even then.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nobody holds the lock.
    #[cfg(test)]
    pub(super) fn try_lock(&self) -> bool {
        self.state.try_lock().is_ok()
    }

    /// Puts a job into the queue, or says at once that it has no chance.
    pub(super) fn admit<'a>(
        &self,
        arrival: impl Into<Arrival<'a>>,
        work_kib: u64,
        work: Work,
    ) -> Result<u64, LaneError> {
        let mut arrival = arrival.into();
        let ticket = arrival.ticket;
        let mut state = self.lock();
        state.check_open()?;
        arrival.is_here(&mut state);
        let let_in = self.let_in(&mut state, ticket);
        if let_in.is_err() {
            self.give_turns(&mut state);
        }
        // A refused job is dropped after the lock, as what it captured is not ours.
        let (now, evicted) = let_in?;
        let id = state.next_id;
        state.next_id += 1;
        let waits_since = now.checked_sub(arrival.waited()).unwrap_or(now);
        let job = Job { id, deadline: ticket.deadline, waits_since, work_kib, work };
        state.queue.push(ticket.client, work_kib, job);
        self.give_fewer_turns(&mut state);
        self.give_turns(&mut state);
        drop(state);
        if let Some((job, refused)) = evicted {
            (job.work)(Turn::Refused(refused));
        }
        self.wake.notify_one();
        Ok(id)
    }

    /// Makes room for a job that has a chance; gives the time, and the job that has to go for it.
    fn let_in(&self, state: &mut State, ticket: Ticket) -> Result<(Instant, Option<(Job, LaneError)>), LaneError> {
        let now = state.check_time(state.queue.ahead_of(ticket.client), ticket, Duration::ZERO, self.workers);
        let now = now.map_err(|refusal| self.turn_away(state, ticket, refusal))?;
        if state.queue.len() < self.queue_length_max {
            return Ok((now, None));
        }
        let retry_after = state.retry_after(self.workers);
        let refused = self.refused(state, Refusal { cause: Cause::QueueFull, retry_after });
        let Some(job) = state.queue.make_room_for(ticket.client) else { return Err(refused) };
        Ok((now, Some((job, refused))))
    }

    /// Refuses a job that comes; gives what its caller is told.
    pub(super) fn turn_away(&self, state: &mut State, ticket: Ticket, refusal: Refusal) -> LaneError {
        let is_late = refusal.cause != Cause::QueueFull;
        if is_late && state.is_idle() && Instant::now() < ticket.deadline {
            // The average moves only with jobs. One bad moment of the machine could make it longer than any deadline,
            // and with everybody refused it would stay so.
            state.measure = true;
            self.wake.notify_one();
        }
        self.refused(state, refusal)
    }

    /// Counts a refusal; gives what whoever is refused is told.
    pub(super) fn refused(&self, state: &mut State, refusal: Refusal) -> LaneError {
        self.metrics.lane_refused(refusal.cause.name());
        if state.refusals.add(refusal) {
            // A worker that sleeps as if for ever shall tell of it when that is due.
            self.wake.notify_one();
        }
        LaneError::Overloaded { retry_after: refusal.retry_after }
    }

    /// What a caller is told whose hash was not computed.
    pub(super) fn failed(&self, error: HashError) -> LaneError {
        match error {
            HashError::Cost(error) => LaneError::Cost(error),
            HashError::OutOfMemory(_) => {
                tracing::warn!(%error, "a password was turned away");
                // Told by the line above: what helps is another thing.
                self.metrics.lane_refused("memory");
                let retry_after = self.lock().retry_after(self.workers).max(RETRY_AFTER_NO_MEMORY);
                LaneError::Overloaded { retry_after }
            }
        }
    }

    pub(super) fn show_queue(&self, state: &State) {
        self.metrics.lane_queued(state.queue.all().items);
    }
}

impl State {
    /// How long so much work takes.
    pub(super) fn time_of(&self, work_kib: u64) -> Duration {
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let seconds = self.seconds_a_kib * work_kib as f64;
        Duration::from_secs_f64(seconds)
    }

    /// How long a job is taken to last.
    pub(super) fn own_time(&self) -> Duration {
        self.time_of(self.today_kib)
    }

    /// What was done took so long.
    pub(super) fn learn(&mut self, work_kib: u64, taken: Duration) {
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let seconds_a_kib = taken.as_secs_f64() / work_kib as f64;
        self.seconds_a_kib += (seconds_a_kib - self.seconds_a_kib) * WEIGHT;
    }

    pub(super) const fn check_open(&self) -> Result<(), LaneError> {
        if self.closed { Err(LaneError::Stopped) } else { Ok(()) }
    }

    /// Finds a job that would not be done in time behind so many others, with that time to spare; gives the time if it
    /// would.
    pub(super) fn check_time(
        &self,
        ahead: Load,
        ticket: Ticket,
        spare: Duration,
        workers: usize,
    ) -> Result<Instant, Refusal> {
        let now = Instant::now();
        let (wait, own) = (self.expected_wait(ahead, workers), self.own_time());
        if now + wait + spare + own <= ticket.deadline {
            return Ok(now);
        }
        let cause = if now + own > ticket.deadline { Cause::Hopeless } else { Cause::Deadline };
        Err(Refusal { cause, retry_after: wait.max(own).max(RETRY_AFTER_MIN) })
    }

    /// True if the job would be done too late if it began now.
    pub(super) fn is_late(&self, job: &Job) -> bool {
        Instant::now() + self.own_time() > job.deadline
    }

    /// True if there is no work, and none on its way.
    pub(super) fn is_idle(&self) -> bool {
        self.queue.all().items == 0 && self.running.items == 0
    }

    /// When there is room for another one behind all that wait or are coming.
    pub(super) fn retry_after(&self, workers: usize) -> Duration {
        self.expected_wait(self.queue.all(), workers).max(RETRY_AFTER_MIN)
    }

    /// How long until a worker is free for a job with so many others before it.
    fn expected_wait(&self, ahead: Load, workers: usize) -> Duration {
        let busy = ahead.items + self.running.items;
        if busy < workers {
            return Duration::ZERO;
        }
        // The last ones of those before it need not end.
        #[expect(clippy::cast_precision_loss, reason = "queues are short")]
        let share = (busy - workers + 1) as f64 / busy as f64 / workers as f64;
        self.time_of(ahead.work + self.running.work).mul_f64(share)
    }
}

/// A caller's place in the queue; dropping it frees the place.
pub(super) struct Place<'a> {
    pub(super) shared: &'a Shared,
    pub(super) client: Uuid,
    pub(super) id: u64,
}

impl Place<'_> {
    /// When the job has to begin to be done in time; none if it is in the queue no more.
    pub(super) fn latest_start(&self) -> Option<Instant> {
        let state = self.shared.lock();
        let job = state.queue.find(self.client, |job| job.id == self.id)?;
        Some(job.deadline.checked_sub(state.own_time()).unwrap_or_else(Instant::now))
    }

    /// Refuses the job if it can no longer be done in time: whoever waits knows at once, and somebody else has the
    /// place.
    pub(super) fn refuse_if_late(&self) {
        let mut state = self.shared.lock();
        let late = state.queue.find(self.client, |job| job.id == self.id).is_some_and(|job| state.is_late(job));
        let Some(job) = late.then(|| self.take(&mut state)).flatten() else { return };
        let retry_after = state.retry_after(self.shared.workers);
        let refused = self.shared.refused(&mut state, Refusal { cause: Cause::Deadline, retry_after });
        drop(state);
        (job.work)(Turn::Refused(refused));
    }

    fn take(&self, state: &mut State) -> Option<Job> {
        let job = state.queue.remove(self.client, |job| job.id == self.id);
        self.shared.give_turns(state);
        job
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        // Bound outside of the lock: dropping the job drops what it captured.
        let job = self.take(&mut state);
        drop(state);
        drop(job);
    }
}
