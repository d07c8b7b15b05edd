//! The threads of the lane.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use super::{
    ARENA_KEPT, LaneError, LaneSettings, PasswordHash, Shared, Turn,
    admission::{Job, State},
    refusals::Sum,
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
    while let Some(task) = next_task(shared, kernel) {
        match task {
            Task::Job(job) => work(shared, kernel, job),
            Task::Refuse(job, error) => {
                survives(|| (job.work)(Turn::Refused(error)));
            }
            Task::Tell(refused) => refused.tell(),
            Task::Measure => {
                measure(shared, kernel, cost);
                shared.lock().running.items -= 1;
            }
        }
    }
}

/// Runs what callers handed over. False if it panicked, which ends no worker.
fn survives(job: impl FnOnce()) -> bool {
    let outcome = catch_unwind(AssertUnwindSafe(job));
    outcome.inspect_err(|_| tracing::error!("a job of the hash lane panicked")).is_ok()
}

fn work(shared: &Shared, kernel: &mut Argon2Kernel, job: Job) {
    let (started, work_kib, before_kib) = (Instant::now(), job.work_kib, kernel.computed_kib());
    shared.metrics.lane_waited((started - job.queued_at).as_secs_f64());
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

/// The next job, to be done or, if it cannot finish in time, refused, or the measurement that was asked for; none once
/// the lane is closed and everybody knows. While there is none, the arena is wiped, and after a while released.
fn next_task(shared: &Shared, kernel: &mut Argon2Kernel) -> Option<Task> {
    let idle_since = Instant::now();
    let mut state = shared.lock();
    loop {
        if state.closed {
            let refuse = state.queue.pop(|_| false).map(|job| Task::Refuse(job, LaneError::Stopped));
            return refuse.or_else(|| state.refusals.take().map(Task::Tell));
        }
        if let Some(refused) = state.refusals.take_due(Instant::now()) {
            return Some(Task::Tell(refused));
        }
        let earliest_end = Instant::now() + state.own_time();
        if let Some(job) = state.queue.pop(|job| earliest_end <= job.deadline) {
            shared.show_queue(&state);
            if earliest_end > job.deadline {
                let retry_after = state.retry_after(shared.workers);
                let refused = shared.refused(&mut state, "deadline", retry_after);
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
        let kept_for = ARENA_KEPT.saturating_sub(idle_since.elapsed());
        if !kernel.is_wiped() || (kept_for.is_zero() && !kernel.is_released()) {
            // Whoever comes meanwhile is taken by another worker, or by this one a moment later.
            drop(state);
            if kernel.is_wiped() {
                kernel.release();
            } else {
                kernel.wipe();
            }
            state = shared.lock();
        } else {
            let released_in = (!kernel.is_released()).then_some(kept_for);
            let told_in = state.refusals.due_in(Instant::now());
            state = wait(shared, state, [released_in, told_in].into_iter().flatten().min());
        }
    }
}
