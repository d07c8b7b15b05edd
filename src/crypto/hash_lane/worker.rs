//! The threads of the lane.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::Instant,
};

use super::{Job, LaneError, PasswordHash, Shared, Turn};
use crate::{
    crypto::argon2_kernel::{Argon2Cost, Argon2Kernel},
    domain::password::Password,
};

/// How much more readily everything else runs (`nice`). At 10 a cheap RPC beside a full lane is as fast as beside none.
const NICENESS: i32 = 10;
/// Weight of the newest job in the moving average.
const WEIGHT: f64 = 0.1;

pub(super) fn spawn(number: usize, shared: Arc<Shared>, cost: Argon2Cost) -> io::Result<()> {
    let builder = thread::Builder::new().name(format!("hash-lane-{number}"));
    builder.spawn(move || run(&shared, cost)).map(drop)
}

fn run(shared: &Shared, cost: Argon2Cost) {
    // On Linux this is the priority of the thread, not of the process.
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::warn!(%error, "the hash lane runs at normal priority");
    }
    let mut kernel = Argon2Kernel::default();
    warm_up(shared, &mut kernel, cost);
    while let Some(task) = next_task(shared) {
        match task {
            Task::Job(job) => work(shared, &mut kernel, job),
            Task::Measure => {
                warm_up(shared, &mut kernel, cost);
                shared.lock().running -= 1;
            }
        }
    }
}

fn work(shared: &Shared, kernel: &mut Argon2Kernel, job: Job) {
    let started = Instant::now();
    shared.metrics.lane_waited((started - job.queued_at).as_secs_f64());
    shared.metrics.lane_running_add(1);
    let outcome = catch_unwind(AssertUnwindSafe(|| (job.work)(Turn::Kernel(kernel))));
    shared.metrics.lane_running_add(-1);
    let seconds = started.elapsed().as_secs_f64();
    if outcome.is_err() {
        tracing::error!("a job of the hash lane panicked");
        *kernel = Argon2Kernel::default();
    }
    let mut state = shared.lock();
    state.running -= 1;
    state.seconds_a_job += (seconds - state.seconds_a_job) * WEIGHT;
}

/// Touches the arena's memory and learns what a hash costs: before the first caller, and again when that may have changed.
fn warm_up(shared: &Shared, kernel: &mut Argon2Kernel, cost: Argon2Cost) {
    let Ok(password) = Password::parse("warm-up") else { return };
    let started = Instant::now();
    if let Err(error) = PasswordHash::compute(kernel, cost, &password, &[0; super::SALT_BYTES]) {
        tracing::error!(%error, "the configured cost cannot be computed");
    }
    shared.lock().seconds_a_job = started.elapsed().as_secs_f64();
}

/// What a worker does next.
enum Task {
    Job(Job),
    /// Find out how long a hash takes.
    Measure,
}

/// The next job that can still finish in time, or the measurement that was asked for; none once the lane is closed.
fn next_task(shared: &Shared) -> Option<Task> {
    let mut state = shared.lock();
    loop {
        if state.closed {
            while let Some(job) = state.queue.pop() {
                (job.work)(Turn::Refused(LaneError::Stopped));
            }
            return None;
        }
        if let Some(job) = state.queue.pop() {
            shared.show_queue(&state);
            if Instant::now() + state.job_time() <= job.deadline {
                state.running += 1;
                return Some(Task::Job(job));
            }
            let retry_after = state.retry_after(state.expected_wait(state.queue.len(), shared.workers));
            shared.metrics.lane_refused("deadline");
            (job.work)(Turn::Refused(LaneError::Overloaded { retry_after }));
            continue;
        }
        if std::mem::take(&mut state.measure) {
            state.running += 1;
            return Some(Task::Measure);
        }
        state = shared.wake.wait(state).unwrap_or_else(std::sync::PoisonError::into_inner);
    }
}
