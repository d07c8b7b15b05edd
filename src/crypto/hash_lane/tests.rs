//! The lane with real threads and real Argon2. What has to wait waits for a channel or for a state, not for a while.

mod passwords;

use std::{
    fs,
    path::Path,
    sync::mpsc::{Receiver, Sender, channel},
};

use rstest::rstest;

use super::*;
use crate::crypto::argon2_kernel::{ITERATIONS_MAX, MEMORY_KIB_MAX, PARALLELISM_MAX};

const CHEAP: Argon2Cost = Argon2Cost { memory_kib: 64, iterations: 1, parallelism: 1 };
const A: Uuid = Uuid::from_u128(1);
const B: Uuid = Uuid::from_u128(2);

/// A lane whose workers have warmed up, and that takes a job to last no time.
async fn lane(workers: usize, queue_length_max: usize) -> HashLane {
    let settings = LaneSettings { workers: NonZeroUsize::new(workers).unwrap(), queue_length_max, cost: CHEAP };
    let lane = HashLane::start(&settings, Random::seeded(1), Metrics::new()).unwrap();
    let gates: Vec<_> = (0..workers).map(|_| Gate::close(&lane)).collect();
    for gate in gates {
        gate.open();
    }
    idle(&lane).await;
    assume(&lane, 0.0);
    lane
}

/// Makes the lane believe that a job takes so many seconds.
fn assume(lane: &HashLane, seconds: f64) {
    lane.shared.lock().seconds_a_job = seconds;
}

async fn idle(lane: &HashLane) {
    until(|| lane.shared.lock().is_idle()).await;
}

async fn until(condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < Duration::from_mins(1), "it never comes");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn ticket(client: Uuid) -> Ticket {
    within(client, Duration::from_mins(10))
}

fn within(client: Uuid, time: Duration) -> Ticket {
    Ticket { client, deadline: Instant::now() + time }
}

/// A job that keeps a worker busy until it is told to end.
struct Gate(Sender<()>);

impl Gate {
    fn close(lane: &HashLane) -> Self {
        let ((release, released), (started, has_started)) = (channel::<()>(), channel());
        let work = move |_: Turn<'_>| {
            started.send(()).unwrap();
            let _ = released.recv();
        };
        lane.shared.admit(ticket(Uuid::nil()), Box::new(work)).unwrap();
        has_started.recv().unwrap();
        Self(release)
    }

    fn open(self) {
        drop(self.0);
    }
}

/// Puts a job into the queue that notes its name when it runs, or how it was refused.
fn note(lane: &HashLane, client: Uuid, name: &'static str, notes: &Sender<(&'static str, Option<LaneError>)>) {
    let notes = notes.clone();
    let work = move |turn: Turn<'_>| {
        let refused = match turn {
            Turn::Kernel(_) => None,
            Turn::Refused(error) => Some(error),
        };
        notes.send((name, refused)).unwrap();
    };
    lane.shared.admit(ticket(client), Box::new(work)).unwrap();
}

/// The names of the next jobs, in the order in which they ran.
fn names(notes: &Receiver<(&'static str, Option<LaneError>)>, count: usize) -> Vec<&'static str> {
    let ran = |(name, refused): (_, Option<LaneError>)| {
        assert_eq!(refused, None);
        name
    };
    (0..count).map(|_| ran(notes.recv().unwrap())).collect()
}

fn retry_after<T>(result: &Result<T, LaneError>) -> Duration {
    match result {
        Err(LaneError::Overloaded { retry_after }) => *retry_after,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it was not refused"),
    }
}

#[tokio::test]
async fn a_full_queue_refuses_and_says_when_there_is_room() {
    let lane = lane(1, 2).await;
    let (gate, (notes, _notes)) = (Gate::close(&lane), channel());
    note(&lane, A, "first", &notes);
    note(&lane, A, "second", &notes);
    assert_eq!(retry_after(&lane.run(ticket(A), |_| ()).await), RETRY_AFTER_MIN, "before it knows any better");
    assume(&lane, 2.0);
    // The one that runs and the two that wait.
    assert_eq!(retry_after(&lane.run(ticket(A), |_| ()).await), Duration::from_secs(6));
    assert_eq!(lane.shared.lock().queue.len(), 2);
    gate.open();
}

#[tokio::test]
async fn who_cannot_be_served_in_time_is_refused_at_once() {
    let lane = lane(1, 8).await;
    assume(&lane, 10.0);
    // Nobody is before it: its own ten seconds are too much.
    let (gate, (notes, _notes)) = (Gate::close(&lane), channel());
    let ran = |_: &mut Argon2Kernel| panic!("it must not run");
    assert_eq!(retry_after(&lane.run(within(A, Duration::from_secs(19)), ran).await), Duration::from_secs(10));
    // It would run after the one that runs and the one that waits, for ten seconds each.
    note(&lane, A, "waits", &notes);
    assert_eq!(retry_after(&lane.run(within(A, Duration::from_secs(29)), ran).await), Duration::from_secs(20));
    assert_eq!(retry_after(&lane.run(within(A, Duration::ZERO), ran).await), Duration::from_secs(20));
    lane.shared.admit(within(A, Duration::from_secs(31)), Box::new(|_| ())).unwrap();
    gate.open();
}

#[tokio::test]
async fn whose_time_ran_out_in_the_queue_is_refused_when_its_turn_comes() {
    let lane = lane(1, 8).await;
    let gate = Gate::close(&lane);
    let due = within(A, Duration::from_millis(5));
    let (waiting, ()) = tokio::join!(lane.run(due, |_| panic!("it must not run")), async {
        until(|| Instant::now() > due.deadline).await;
        gate.open();
    });
    assert!(retry_after::<()>(&waiting) >= RETRY_AFTER_MIN);
    lane.run(ticket(A), |_| ()).await.unwrap();
}

#[tokio::test]
async fn a_deadline_in_the_far_future_is_no_trouble() {
    let lane = lane(1, 8).await;
    assume(&lane, 1e6);
    let far = Ticket { client: A, deadline: Instant::now() + Duration::from_hours(24 * 365 * 200) };
    lane.run(far, |_| ()).await.unwrap();
}

/// The machine was paused, or too busy for its niced threads, while the last job ran. Then it is fine again.
#[tokio::test]
async fn one_bad_moment_does_not_close_the_lane_for_ever() {
    let lane = lane(1, 8).await;
    assume(&lane, 3600.0);
    let mut attempts = 0;
    while let Err(error) = lane.run(within(A, Duration::from_secs(30)), |_| ()).await {
        assert_eq!(error, LaneError::Overloaded { retry_after: Duration::from_hours(1) });
        attempts += 1;
        assert!(attempts < 30_000, "it never heals");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(attempts > 0);
}

#[tokio::test]
async fn a_caller_that_goes_away_frees_its_place_and_its_job_never_runs() {
    let lane = lane(1, 1).await;
    let (gate, (notes, ran)) = (Gate::close(&lane), channel());
    let gone = Box::pin(lane.run(ticket(A), |_| panic!("nobody waits for it")));
    assert!(tokio::time::timeout(Duration::ZERO, gone).await.is_err());
    assert_eq!(lane.shared.lock().queue.len(), 0);
    note(&lane, A, "next", &notes);
    gate.open();
    assert_eq!(names(&ran, 1), ["next"]);
}

#[tokio::test]
async fn a_client_that_floods_does_not_keep_another_from_its_turn() {
    let lane = lane(1, 64).await;
    let (gate, (notes, ran)) = (Gate::close(&lane), channel());
    for _ in 0..40 {
        note(&lane, A, "flood", &notes);
    }
    note(&lane, B, "one", &notes);
    gate.open();
    assert_eq!(names(&ran, 41)[..3], ["flood", "one", "flood"]);
}

#[tokio::test]
async fn room_in_a_full_queue_is_made_at_the_cost_of_whoever_has_most() {
    let lane = lane(1, 3).await;
    let (gate, (notes, ran)) = (Gate::close(&lane), channel());
    note(&lane, A, "first", &notes);
    note(&lane, A, "second", &notes);
    note(&lane, A, "third", &notes);
    assume(&lane, 1.0);
    note(&lane, B, "other", &notes);
    let refused = LaneError::Overloaded { retry_after: Duration::from_secs(4) };
    assert_eq!(ran.recv().unwrap(), ("third", Some(refused)), "the newest of the longest");
    // Now nobody has two more than anybody else.
    retry_after(&lane.run(ticket(B), |_| ()).await);
    retry_after(&lane.run(ticket(A), |_| ()).await);
    gate.open();
    assert_eq!(names(&ran, 3), ["first", "other", "second"]);
}

#[tokio::test]
async fn a_worker_survives_a_job_that_panics() {
    let lane = lane(1, 8).await;
    for _ in 0..3 {
        // Without the hook that prints.
        let outcome = lane.run(ticket(A), |_| std::panic::resume_unwind(Box::new("a bug"))).await;
        assert_eq!(outcome, Err::<(), _>(LaneError::Stopped));
    }
    let hash = lane.hash(ticket(A), Password::parse("a horse, a lamp").unwrap()).await.unwrap();
    assert!(!hash.is_outdated(&CHEAP));
    idle(&lane).await;
}

#[tokio::test]
async fn a_dropped_lane_refuses_what_waits_and_ends_its_threads() {
    let lane = lane(2, 8).await;
    let (gates, (notes, ran)) = ([Gate::close(&lane), Gate::close(&lane)], channel());
    note(&lane, A, "waits", &notes);
    let shared = Arc::clone(&lane.shared);
    drop(lane);
    assert_eq!(shared.admit(ticket(A), Box::new(|_| ())), Err(LaneError::Stopped));
    gates.into_iter().for_each(Gate::open);
    assert_eq!(ran.recv().unwrap(), ("waits", Some(LaneError::Stopped)));
    until(|| Arc::strong_count(&shared) == 1).await;
}

#[rstest]
#[case(Argon2Cost { memory_kib: MEMORY_KIB_MAX + 1, ..CHEAP })]
#[case(Argon2Cost { iterations: 0, ..CHEAP })]
#[tokio::test]
async fn a_cost_that_cannot_be_computed_starts_no_lane(#[case] cost: Argon2Cost) {
    let settings = LaneSettings { workers: NonZeroUsize::MIN, queue_length_max: 1, cost };
    assert!(HashLane::start(&settings, Random::seeded(1), Metrics::new()).is_err());
}

/// What the kernel says of a thread: its name and its niceness (proc(5), field 19 of `stat`). None once it has ended.
fn name_and_niceness(task: &Path) -> Option<(String, i32)> {
    let stat = fs::read_to_string(task.join("stat")).ok()?;
    let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
    Some((name.to_owned(), rest.split_whitespace().nth(16)?.parse().ok()?))
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn only_the_workers_have_a_lowered_priority() {
    let lane = lane(2, 8).await;
    let this_thread = Path::new("/proc/thread-self");
    let (_, own) = name_and_niceness(this_thread).unwrap();
    for _ in 0..4 {
        let (name, niceness) = lane.run(ticket(A), |_| name_and_niceness(this_thread)).await.unwrap().unwrap();
        assert!(name.starts_with("hash-lane-"), "{name}");
        assert_eq!(niceness, 10.max(own));
    }
    for task in fs::read_dir("/proc/self/task").unwrap() {
        // Threads of other tests come and go.
        let Some((name, niceness)) = name_and_niceness(&task.unwrap().path()) else { continue };
        assert!(name.starts_with("hash-lane-") || niceness == own, "{name} has {niceness}");
    }
}
