//! The threads of the lane.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use super::{
    LaneError, LaneSettings, PasswordHash, Shared, Turn,
    admission::{Job, State},
    refusals::{Cause, Refusal, Sum},
};
use crate::{
    crypto::argon2_kernel::{Argon2Cost, Argon2Kernel},
    domain::password::Password,
};

/// Most memory of the hash by which the lane learns at the start how fast hashes are. It is done in a few milliseconds.
const FIRST_MEMORY_KIB: u32 = 4096;

pub(super) fn spawn(number: usize, shared: Arc<Shared>, settings: &LaneSettings) -> io::Result<()> {
    let builder = thread::Builder::new().name(format!("hash-lane-{number}"));
    let (cost, niceness) = (settings.cost, settings.niceness);
    let run = move || {
        lower_priority(niceness);
        let mut kernel = Argon2Kernel::keeping(&cost);
        if number == 0 {
            let engine = kernel.engine();
            tracing::info!(workers = shared.workers, niceness, kernel = engine, "the hash lane has started");
            shared.metrics.lane_kernel(engine);
            let memory_kib = cost.memory_kib.min(FIRST_MEMORY_KIB);
            measure(&shared, &mut kernel, Argon2Cost { memory_kib, iterations: 1, ..cost });
            // It is smaller than what the next hash needs.
            kernel.release();
        }
        run(&shared, &mut kernel, cost);
    };
    builder.spawn(run).map(drop)
}

/// Lowers the priority of this thread, as that of a worker: on Linux niceness is a thread's, not the process's.
pub fn lower_priority(niceness: u8) {
    // Never a higher one than the process was started with.
    let own = rustix::process::getpriority_process(None).unwrap_or_default();
    if let Err(error) = rustix::process::setpriority_process(None, own.max(niceness.into())) {
        tracing::warn!(%error, "the hash lane runs at normal priority");
    }
}

fn run(shared: &Shared, kernel: &mut Argon2Kernel, cost: Argon2Cost) {
    // Since it last computed. Who is only refused, or told of, does not make a worker keep its arena.
    let mut idle_since = Instant::now();
    while let Some(task) = next_task(shared, kernel, idle_since) {
        match task {
            Task::Job(job) => {
                work(shared, kernel, job);
                idle_since = Instant::now();
            }
            Task::Refuse(job, error) => {
                survives(|| (job.work)(Turn::Refused(error)));
            }
            Task::Tell(sum) => {
                survives(|| (shared.tell)(sum));
            }
            Task::Measure => {
                measure(shared, kernel, cost);
                shared.lock().running.items -= 1;
                idle_since = Instant::now();
            }
        }
    }
}

/// Runs what is not the lane's: what callers handed over, and what takes lines of the log. False if it panicked, which
/// ends no worker.
pub(super) fn survives(job: impl FnOnce()) -> bool {
    let outcome = catch_unwind(AssertUnwindSafe(job));
    outcome.inspect_err(|_| tracing::error!("a job of the hash lane panicked")).is_ok()
}

fn work(shared: &Shared, kernel: &mut Argon2Kernel, job: Job) {
    let (started, work_kib, before_kib) = (Instant::now(), job.work_kib, kernel.computed_kib());
    shared.metrics.lane_waited((started - job.waits_since).as_secs_f64());
    shared.metrics.lane_running_add(1);
    let is_whole = survives(|| (job.work)(Turn::Kernel(kernel)));
    shared.metrics.lane_running_add(-1);
    if !is_whole {
        kernel.release();
    }
    let computed_kib = kernel.computed_kib() - before_kib;
    let mut state = shared.lock();
    state.running.items -= 1;
    state.running.work -= work_kib;
    // A job that failed says nothing of how long hashes take.
    if computed_kib > 0 {
        state.learn(computed_kib, started.elapsed());
    }
}

/// Learns how fast hashes are: before the first caller, and again when that may have changed.
fn measure(shared: &Shared, kernel: &mut Argon2Kernel, cost: Argon2Cost) {
    let Ok(password) = Password::parse("warm-up") else { return };
    let started = Instant::now();
    if let Err(error) = PasswordHash::compute(kernel, cost, &password, &[0; super::SALT_BYTES]) {
        tracing::error!(%error, "the configured cost cannot be computed");
        return;
    }
    let taken = started.elapsed();
    let mut state = shared.lock();
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let work_kib = cost.work_kib() as f64;
    state.seconds_a_kib = taken.as_secs_f64() / work_kib;
}

/// Waits until there is something to do, or for so long.
fn wait<'a>(shared: &Shared, state: MutexGuard<'a, State>, length_max: Option<Duration>) -> MutexGuard<'a, State> {
    match length_max {
        None => shared.wake.wait(state).unwrap_or_else(PoisonError::into_inner),
        Some(length) => shared.wake.wait_timeout(state, length).unwrap_or_else(PoisonError::into_inner).0,
    }
}

/// What a worker does next.
enum Task {
    Job(Job),
    /// Tell whoever waits. Not under the lock.
    Refuse(Job, LaneError),
    /// Tell the log. Not under the lock.
    Tell(Sum),
    /// Find out how fast hashes are.
    Measure,
}

/// The next job, to be done or, if it cannot finish in time, refused, or the measurement that was asked for, or what
/// the log is to be told; none once the lane is closed and everybody knows. While there is no job, the arena is wiped,
/// and after a while released.
fn next_task(shared: &Shared, kernel: &mut Argon2Kernel, idle_since: Instant) -> Option<Task> {
    let mut state = shared.lock();
    loop {
        if state.closed {
            return state.queue.pop(|_| false).map(|job| Task::Refuse(job, LaneError::Stopped));
        }
        if state.queue.len() == 0 && !kernel.is_wiped() {
            // Before anything else. Whoever comes meanwhile is taken by another worker, or by this one a moment later.
            drop(state);
            kernel.wipe();
            state = shared.lock();
            continue;
        }
        if let Some(sum) = state.refusals.take_due(Instant::now()) {
            return Some(Task::Tell(sum));
        }
        let earliest_end = Instant::now() + state.own_time();
        if let Some(job) = state.queue.pop(|job| earliest_end <= job.deadline) {
            shared.give_turns(&mut state);
            if earliest_end > job.deadline {
                let retry_after = state.retry_after(shared.workers);
                let refused = shared.refused(&mut state, Refusal { cause: Cause::Deadline, retry_after });
                return Some(Task::Refuse(job, refused));
            }
            state.running.items += 1;
            state.running.work += job.work_kib;
            return Some(Task::Job(job));
        }
        if std::mem::take(&mut state.measure) {
            state.running.items += 1;
            return Some(Task::Measure);
        }
        let kept_for = shared.arena_kept.saturating_sub(idle_since.elapsed());
        if kept_for.is_zero() && !kernel.is_released() {
            drop(state);
            kernel.release();
            state = shared.lock();
            continue;
        }
        let released_in = (!kernel.is_released()).then_some(kept_for);
        let told_in = state.refusals.due_in(Instant::now());
        let starves_in = shared.give_more_turns(&mut state);
        state = wait(shared, state, [released_in, told_in, starves_in].into_iter().flatten().min());
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use uuid::Uuid;

    use super::*;
    use crate::{crypto::hash_lane::Ticket, metrics::Metrics};

    const COST: Argon2Cost = Argon2Cost { memory_kib: 64, iterations: 1, parallelism: 1 };

    /// A lane without threads that has refused somebody, and the kernel of a worker that has just computed a hash.
    fn busy_before() -> (Shared, Argon2Kernel) {
        let settings = LaneSettings { workers: NonZeroUsize::MIN, niceness: 0, queue_length_max: 8, cost: COST };
        let (shared, mut kernel) = (Shared::new(&settings, Metrics::new()), Argon2Kernel::keeping(&COST));
        measure(&shared, &mut kernel, COST);
        assert!(!kernel.is_wiped());
        shared.refused(&mut shared.lock(), Refusal { cause: Cause::QueueFull, retry_after: Duration::ZERO });
        (shared, kernel)
    }

    #[test]
    fn a_worker_that_finds_the_queue_empty_wipes_its_arena_before_it_does_anything_else() {
        let (shared, mut kernel) = busy_before();
        assert!(matches!(next_task(&shared, &mut kernel, Instant::now()), Some(Task::Tell(_))));
        assert!(kernel.is_wiped());
        measure(&shared, &mut kernel, COST);
        shared.lock().measure = true;
        assert!(matches!(next_task(&shared, &mut kernel, Instant::now()), Some(Task::Measure)));
        assert!(kernel.is_wiped());
    }

    #[test]
    fn between_two_jobs_the_log_is_told_and_nothing_is_wiped() {
        let (shared, mut kernel) = busy_before();
        let ticket = Ticket { client: Uuid::nil(), deadline: Instant::now() + Duration::from_mins(10) };
        shared.admit(ticket, COST.work_kib(), Box::new(|_| ())).unwrap();
        assert!(matches!(next_task(&shared, &mut kernel, Instant::now()), Some(Task::Tell(_))));
        assert!(matches!(next_task(&shared, &mut kernel, Instant::now()), Some(Task::Job(_))));
        assert!(!kernel.is_wiped());
    }
}
