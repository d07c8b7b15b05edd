//! The lane with real threads and real Argon2. What has to wait waits for a channel or for a state, not for a while.

mod coming;
mod passwords;
mod refusals;

use std::{
    fs,
    path::Path,
    sync::mpsc::{Receiver, Sender, channel},
};

use rstest::rstest;

use super::{admission::RETRY_AFTER_MIN, *};
use crate::crypto::argon2_kernel::{ITERATIONS_MAX, MEMORY_KIB_MAX, PARALLELISM_MAX};

const CHEAP: Argon2Cost = Argon2Cost { memory_kib: 64, iterations: 1, parallelism: 1 };
const A: Uuid = Uuid::from_u128(1);
const B: Uuid = Uuid::from_u128(2);

/// The work of a job, where it is not told.
const WORK: u64 = CHEAP.work_kib();

const fn settings(workers: NonZeroUsize, queue_length_max: usize, cost: Argon2Cost) -> LaneSettings {
    LaneSettings { workers, niceness: 10, queue_length_max, cost }
}

/// A lane whose workers have warmed up, and that takes a job to last no time.
async fn lane(workers: usize, queue_length_max: usize) -> HashLane {
    let settings = settings(NonZeroUsize::new(workers).unwrap(), queue_length_max, CHEAP);
    warmed_up(Shared::new(&settings, Metrics::new()), &settings).await
}

/// The same, of something made before.
async fn warmed_up(shared: Shared, settings: &LaneSettings) -> HashLane {
    let lane = HashLane::start_shared(shared, settings, Random::seeded(1)).unwrap();
    let gates: Vec<_> = (0..lane.shared.workers).map(|_| Gate::close(&lane)).collect();
    for gate in gates {
        gate.open();
    }
    idle(&lane).await;
    assume(&lane, 0.0);
    lane
}

/// Makes the lane believe that a job of [`WORK`] takes so many seconds.
fn assume(lane: &HashLane, seconds: f64) {
    #[expect(clippy::cast_precision_loss, reason = "it is small")]
    let work = WORK as f64;
    lane.shared.lock().seconds_a_kib = seconds / work;
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

/// A job on its way, whether or not it is its turn.
fn line_up(lane: &HashLane, ticket: Ticket) -> Result<Coming<'_>, LaneError> {
    lane.line_up(ticket).map(|(coming, _)| coming)
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
        lane.shared.admit(ticket(Uuid::nil()), WORK, Box::new(work)).unwrap();
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
    lane.shared.admit(ticket(client), WORK, Box::new(work)).unwrap();
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
    assert_eq!(retry_after(&lane.run(ticket(A), WORK, |_| ()).await), RETRY_AFTER_MIN, "before it knows any better");
    assume(&lane, 2.0);
    // The one that runs and the two that wait.
    assert_eq!(retry_after(&lane.run(ticket(A), WORK, |_| ()).await), Duration::from_secs(6));
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
    assert_eq!(retry_after(&lane.run(within(A, Duration::from_secs(19)), WORK, ran).await), Duration::from_secs(10));
    // It would run after the one that runs and the one that waits, for ten seconds each.
    note(&lane, A, "waits", &notes);
    assert_eq!(retry_after(&lane.run(within(A, Duration::from_secs(29)), WORK, ran).await), Duration::from_secs(20));
    assert_eq!(retry_after(&lane.run(within(A, Duration::ZERO), WORK, ran).await), Duration::from_secs(20));
    lane.shared.admit(within(A, Duration::from_secs(31)), WORK, Box::new(|_| ())).unwrap();
    gate.open();
}

#[tokio::test]
async fn whose_time_runs_out_in_the_queue_is_refused_before_its_turn() {
    let lane = lane(1, 1).await;
    let gate = Gate::close(&lane);
    let (due, begun) = (within(A, Duration::from_millis(5)), Instant::now());
    let refused = lane.run(due, WORK, |_| panic!("it must not run")).await;
    assert!(retry_after::<()>(&refused) >= RETRY_AFTER_MIN);
    assert!(begun.elapsed() >= Duration::from_millis(5));
    // The worker is as busy as before, and there is one place in all.
    let (notes, ran) = channel();
    note(&lane, B, "has the place", &notes);
    gate.open();
    assert_eq!(names(&ran, 1), ["has the place"]);
}

/// The machine became slower than it was when the job was let in.
#[tokio::test]
async fn who_will_be_late_is_refused_before_it_is() {
    let lane = lane(1, 8).await;
    let gate = Gate::close(&lane);
    let waiting = lane.run(within(A, Duration::from_mins(1)), WORK, |_| panic!("it must not run"));
    tokio::pin!(waiting);
    assert!(tokio::time::timeout(Duration::ZERO, &mut waiting).await.is_err());
    assume(&lane, 100.0);
    // Its timer stands for the last moment as it was known; its turn comes first.
    gate.open();
    assert_eq!(retry_after::<()>(&waiting.await), RETRY_AFTER_MIN);
}

#[tokio::test]
async fn many_callers_with_little_time_cost_their_client_no_turns() {
    let lane = lane(1, 64).await;
    let (gate, (notes, ran)) = (Gate::close(&lane), channel());
    let hasty = (0..20).map(|_| lane.run(within(A, Duration::from_millis(5)), WORK, |_| panic!("it must not run")));
    let refused = futures_util::future::join_all(hasty).await;
    assert!(refused.iter().all(|answer: &Result<(), _>| matches!(answer, Err(LaneError::Overloaded { .. }))));
    for _ in 0..3 {
        note(&lane, B, "other", &notes);
    }
    note(&lane, A, "patient", &notes);
    gate.open();
    assert_eq!(names(&ran, 4), ["other", "patient", "other", "other"]);
}

#[tokio::test]
async fn a_dear_hash_is_expected_to_take_longer() {
    let lane = lane(1, 8).await;
    assume(&lane, 1.0);
    let ran = |_: &mut Argon2Kernel| panic!("it must not run");
    let gate = Gate::close(&lane);
    lane.shared.admit(ticket(A), 20 * WORK, Box::new(|_| ())).unwrap();
    // Before it: a second that runs, and the twenty of whoever is as far as it is.
    assert_eq!(
        retry_after::<()>(&lane.run(within(B, Duration::from_secs(21)), WORK, ran).await),
        Duration::from_secs(21)
    );
    lane.shared.admit(within(B, Duration::from_secs(23)), WORK, Box::new(|_| ())).unwrap();
    gate.open();
}

#[tokio::test]
async fn a_client_with_dear_hashes_has_no_more_of_the_workers_than_others() {
    let lane = lane(1, 8).await;
    let (gate, (notes, ran)) = (Gate::close(&lane), channel());
    let dear = |notes: &Sender<_>| {
        let notes = notes.clone();
        let work = move |_: Turn<'_>| notes.send(("dear", None)).unwrap();
        lane.shared.admit(ticket(A), 3 * WORK, Box::new(work)).unwrap();
    };
    dear(&notes);
    dear(&notes);
    for _ in 0..4 {
        note(&lane, B, "cheap", &notes);
    }
    gate.open();
    assert_eq!(names(&ran, 6), ["dear", "cheap", "cheap", "cheap", "dear", "cheap"]);
}

/// What the lane says before it looks at a password does not depend on whether there is such a user, and how dear their
/// hash is.
#[tokio::test]
async fn whoever_is_not_let_in_learns_nothing_of_the_stored_hash() {
    let lane = lane(1, 8).await;
    let gate = Gate::close(&lane);
    let dear = Argon2Cost { memory_kib: 32 * CHEAP.memory_kib, ..CHEAP };
    let password = || Password::parse("a horse, a lamp").unwrap();
    let hash = PasswordHash::compute(&mut Argon2Kernel::default(), dear, &password(), &[7; SALT_BYTES]).unwrap();
    for (seconds, time, is_let_in) in [(10.0, 19, false), (1.0, 3, true)] {
        assume(&lane, seconds);
        for stored in [None, Some(hash.clone())] {
            let verdict = lane.verify(within(A, Duration::from_secs(time)), password(), stored, true);
            match tokio::time::timeout(Duration::from_millis(1), verdict).await {
                Ok(refused) => assert_eq!(retry_after(&refused), Duration::from_secs(10)),
                Err(_waits) => assert!(is_let_in),
            }
        }
    }
    gate.open();
}

/// A job that was let in and then became late, refused by the worker while it takes the next one.
#[tokio::test]
async fn a_late_job_is_refused_outside_of_the_lock_and_costs_its_client_no_turn() {
    let lane = lane(1, 8).await;
    let (gate, (notes, ran)) = (Gate::close(&lane), channel());
    let shared = Arc::clone(&lane.shared);
    let refused = move |_: Turn<'_>| {
        assert!(shared.try_lock(), "whoever is told may ask the lane");
        std::panic::resume_unwind(Box::new("a bug"))
    };
    lane.shared.admit(within(A, Duration::from_mins(1)), WORK, Box::new(refused)).unwrap();
    note(&lane, A, "patient", &notes);
    note(&lane, B, "other", &notes);
    assume(&lane, 100.0);
    gate.open();
    assert_eq!(ran.recv_timeout(Duration::from_secs(30)), Ok(("patient", None)), "the late one had no turn");
    assert_eq!(ran.recv_timeout(Duration::from_secs(30)), Ok(("other", None)));
}

#[tokio::test]
async fn a_deadline_in_the_far_future_is_no_trouble() {
    let lane = lane(1, 8).await;
    assume(&lane, 1e6);
    let far = Ticket { client: A, deadline: Instant::now() + Duration::from_hours(24 * 365 * 200) };
    lane.run(far, WORK, |_| ()).await.unwrap();
}

/// The machine was paused, or too busy for its niced threads, while the last job ran. Then it is fine again.
#[tokio::test]
async fn one_bad_moment_does_not_close_the_lane_for_ever() {
    let lane = lane(1, 8).await;
    assume(&lane, 3600.0);
    let mut attempts = 0;
    while let Err(error) = lane.run(within(A, Duration::from_secs(30)), WORK, |_| ()).await {
        assert_eq!(error, LaneError::Overloaded { retry_after: Duration::from_hours(1) });
        attempts += 1;
        assert!(attempts < 30_000, "it never heals");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(attempts > 0);
}

#[tokio::test]
async fn before_anything_was_measured_a_hash_is_taken_to_last_some_time() {
    let shared = Shared::new(&settings(NonZeroUsize::MIN, 8, Argon2Cost::OWASP), Metrics::new());
    let admit = |time| shared.admit(within(A, time), Argon2Cost::OWASP.work_kib(), Box::new(|_| ()));
    assert!(admit(Duration::from_millis(1)).is_err());
    admit(Duration::from_secs(1)).unwrap();
}

#[tokio::test]
async fn the_start_takes_a_small_hash_and_a_sound_estimate() {
    let metrics = Metrics::new();
    let lane = HashLane::start(&settings(NonZeroUsize::MIN, 8, Argon2Cost::OWASP), Random::seeded(1), metrics).unwrap();
    let (computed, engine) =
        lane.run(ticket(A), WORK, |kernel| (kernel.computed.clone(), kernel.engine())).await.unwrap();
    let page = lane.shared.metrics.encode();
    assert!(page.contains(&format!("signet_lane_info{{kernel=\"{engine}\"}} 1")), "{page}");
    assert_eq!(computed, [Argon2Cost { memory_kib: 4096, iterations: 1, parallelism: 1 }]);
    idle(&lane).await;
    let estimate = lane.shared.lock().time_of(Argon2Cost::OWASP.work_kib());
    assert!((Duration::from_millis(1)..Duration::from_mins(1)).contains(&estimate), "{estimate:?}");
}

#[tokio::test]
async fn a_lane_without_work_holds_nothing_of_any_password() {
    let lane = lane(1, 64).await;
    let stored = lane.hash(ticket(A), Password::parse("a horse, a lamp").unwrap()).await.unwrap();
    // Dearer and cheaper ones, in a queue.
    let gate = Gate::close(&lane);
    let dear = Argon2Cost { memory_kib: 1024, ..CHEAP };
    for cost in [CHEAP, dear, Argon2Cost { memory_kib: 8, ..CHEAP }] {
        let work = move |turn: Turn<'_>| {
            let Turn::Kernel(kernel) = turn else { panic!("it must run") };
            PasswordHash::compute(kernel, cost, &Password::parse("another").unwrap(), &[7; SALT_BYTES]).unwrap();
        };
        lane.shared.admit(ticket(A), WORK, Box::new(work)).unwrap();
    }
    // In the queue before the worker can find it empty.
    let looks = lane.run(ticket(A), WORK, |kernel| kernel.is_wiped());
    tokio::pin!(looks);
    assert!(tokio::time::timeout(Duration::ZERO, &mut looks).await.is_err());
    gate.open();
    assert!(!looks.await.unwrap(), "between two hashes of a full queue nothing is wiped");
    assert!(
        lane.verify(ticket(A), Password::parse("a horse, a lamp").unwrap(), Some(stored), true).await.unwrap().matches
    );
    // Whoever looks sees the arena as the worker left it when it had nothing to do.
    let started = Instant::now();
    while !lane.run(ticket(A), WORK, |kernel| kernel.is_wiped() && kernel.holds_nothing()).await.unwrap() {
        assert!(started.elapsed() < Duration::from_mins(1), "it is never wiped");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_worker_without_work_gives_its_arena_back_after_a_while() {
    let lane = lane(1, 8).await;
    lane.hash(ticket(A), Password::parse("a horse, a lamp").unwrap()).await.unwrap();
    tokio::time::sleep(ARENA_KEPT / 2).await;
    assert!(!lane.run(ticket(A), WORK, |kernel| kernel.is_released()).await.unwrap(), "too early");
    tokio::time::sleep(ARENA_KEPT + Duration::from_secs(1)).await;
    assert!(lane.run(ticket(A), WORK, |kernel| kernel.is_released()).await.unwrap());
}

#[tokio::test]
async fn a_caller_that_goes_away_frees_its_place_and_its_job_never_runs() {
    let lane = lane(1, 1).await;
    let (gate, (notes, ran)) = (Gate::close(&lane), channel());
    let gone = Box::pin(lane.run(ticket(A), WORK, |_| panic!("nobody waits for it")));
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
    retry_after(&lane.run(ticket(B), WORK, |_| ()).await);
    retry_after(&lane.run(ticket(A), WORK, |_| ()).await);
    gate.open();
    assert_eq!(names(&ran, 3), ["first", "other", "second"]);
}

#[tokio::test]
async fn a_worker_survives_a_job_that_panics() {
    let lane = lane(1, 8).await;
    for _ in 0..3 {
        // Without the hook that prints.
        let outcome = lane.run(ticket(A), WORK, |_| std::panic::resume_unwind(Box::new("a bug"))).await;
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
    assert_eq!(shared.admit(ticket(A), WORK, Box::new(|_| ())), Err(LaneError::Stopped));
    gates.into_iter().for_each(Gate::open);
    assert_eq!(ran.recv().unwrap(), ("waits", Some(LaneError::Stopped)));
    until(|| Arc::strong_count(&shared) == 1).await;
}

#[rstest]
#[case(Argon2Cost { memory_kib: MEMORY_KIB_MAX + 1, ..CHEAP })]
#[case(Argon2Cost { iterations: 0, ..CHEAP })]
#[tokio::test]
async fn a_cost_that_cannot_be_computed_starts_no_lane(#[case] cost: Argon2Cost) {
    let settings = settings(NonZeroUsize::MIN, 1, cost);
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
async fn only_the_workers_have_the_lowered_priority_of_the_setting() {
    let settings = LaneSettings { niceness: 15, ..settings(NonZeroUsize::new(2).unwrap(), 8, CHEAP) };
    let lane = HashLane::start(&settings, Random::seeded(1), Metrics::new()).unwrap();
    let this_thread = Path::new("/proc/thread-self");
    let (_, own) = name_and_niceness(this_thread).unwrap();
    for _ in 0..4 {
        let (name, niceness) = lane.run(ticket(A), WORK, |_| name_and_niceness(this_thread)).await.unwrap().unwrap();
        assert!(name.starts_with("hash-lane-"), "{name}");
        assert_eq!(niceness, 15.max(own));
    }
    for task in fs::read_dir("/proc/self/task").unwrap() {
        // Threads of other tests come and go.
        let Some((name, niceness)) = name_and_niceness(&task.unwrap().path()) else { continue };
        assert!(name.starts_with("hash-lane-") || niceness == own, "{name} has {niceness}");
    }
}
