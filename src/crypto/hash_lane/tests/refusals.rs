//! What the log is told of refusals.

use std::sync::{
    Mutex, Weak,
    atomic::{AtomicBool, Ordering},
};

use super::*;
use crate::crypto::hash_lane::refusals::Sum;

/// A lane that writes its lines to a channel, with that time from one to the next. Whoever takes a line asks the lane
/// for something, as foreign code may: it would never come back if it were called under the lock.
async fn telling(workers: usize, line_interval: Duration) -> (HashLane, Receiver<Sum>) {
    let settings = settings(NonZeroUsize::new(workers).unwrap(), 1, CHEAP);
    let mut shared = Shared::new(&settings, Metrics::new());
    let ((sender, sums), own) = (channel(), Arc::new(OnceLock::<Weak<Shared>>::new()));
    let (sender, asked) = (Mutex::new(sender), Arc::clone(&own));
    shared.tell = Box::new(move |sum| {
        if let Some(shared) = asked.get().and_then(Weak::upgrade) {
            drop(shared.lock());
        }
        // At the end of a test nobody may listen any more.
        let _ = sender.lock().unwrap().send(sum);
    });
    shared.lock().refusals.line_interval = line_interval;
    shared.arena_kept = Duration::from_millis(500);
    let lane = warmed_up(shared, &settings).await;
    own.set(Arc::downgrade(&lane.shared)).unwrap();
    (lane, sums)
}

fn next(sums: &Receiver<Sum>) -> Sum {
    sums.recv_timeout(Duration::from_mins(1)).expect("the log is told")
}

/// By a worker, in no request; also when nothing comes after them.
#[tokio::test]
async fn the_log_is_told_of_all_refusals() {
    let (lane, sums) = telling(1, Duration::from_millis(20)).await;
    let (gate, (notes, _notes)) = (Gate::close(&lane), channel());
    note(&lane, A, "waits", &notes);
    for _ in 0..3 {
        retry_after(&lane.peek(ticket(A)));
    }
    retry_after(&lane.run(ticket(A), WORK, |_| ()).await);
    assume(&lane, 10.0);
    retry_after(&line_up(&lane, within(B, Duration::from_secs(15))));
    retry_after(&lane.run(within(B, Duration::from_secs(15)), WORK, |_| ()).await);
    assume(&lane, 0.0);
    assert!(sums.try_recv().is_err(), "the worker is busy, and nobody else tells");
    gate.open();
    assert_eq!(next(&sums), Sum { queue_full: 4, deadline: 2, retry_after: Duration::from_secs(20) });
    idle(&lane).await;
    // Many more, of which none leaves the worker anything to do. All are told, in however many lines.
    let coming = [line_up(&lane, ticket(A)).unwrap(), line_up(&lane, ticket(A)).unwrap()];
    for _ in 0..50 {
        assert_eq!(retry_after(&line_up(&lane, ticket(A))), RETRY_AFTER_MIN);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut told = 0;
    while told < 50 {
        let sum = next(&sums);
        assert_eq!(sum, Sum { queue_full: sum.queue_full, deadline: 0, retry_after: RETRY_AFTER_MIN });
        told += sum.queue_full;
    }
    assert_eq!(told, 50);
    drop(coming);
    drop(lane);
    assert!(sums.try_recv().is_err(), "and none twice");
}

#[tokio::test]
async fn whose_time_runs_out_in_the_queue_is_told_of() {
    let (lane, sums) = telling(1, Duration::ZERO).await;
    let gate = Gate::close(&lane);
    retry_after::<()>(&lane.run(within(A, Duration::from_millis(5)), WORK, |_| panic!("it must not run")).await);
    let (notes, ran) = channel();
    note(&lane, A, "late", &notes);
    assume(&lane, 3600.0);
    gate.open();
    assert!(ran.recv().unwrap().1.is_some());
    // One before the job that became late, and one after it.
    let one = Sum { queue_full: 0, deadline: 1, retry_after: RETRY_AFTER_MIN };
    assert_eq!([next(&sums), next(&sums)], [one; 2]);
}

/// A deadline shorter than any hash: the numbers have it, the log does not.
#[tokio::test]
async fn who_left_no_time_for_any_hash_is_counted_and_not_told_of() {
    let (lane, sums) = telling(1, Duration::ZERO).await;
    let hopeless = || within(A, Duration::from_secs(30));
    let gate = Gate::close(&lane);
    assume(&lane, 3600.0);
    retry_after(&lane.peek(hopeless()));
    retry_after(&line_up(&lane, hopeless()));
    retry_after(&lane.run(hopeless(), WORK, |_| ()).await);
    assert_eq!(lane.shared.lock().refusals.due_in(Instant::now()), None);
    assert!(lane.shared.metrics.encode().contains("signet_lane_refused_total{cause=\"deadline\"} 3"));
    gate.open();
    idle(&lane).await;
    drop(lane);
    assert!(sums.try_recv().is_err());
}

#[tokio::test]
async fn a_lane_that_closes_tells_of_what_it_has_not_told_yet() {
    let (lane, sums) = telling(1, Duration::from_hours(1)).await;
    let coming = [line_up(&lane, ticket(A)).unwrap(), line_up(&lane, ticket(A)).unwrap()];
    retry_after(&line_up(&lane, ticket(A)));
    let sum = |queue_full| Sum { queue_full, deadline: 0, retry_after: RETRY_AFTER_MIN };
    assert_eq!(next(&sums), sum(1), "the first at once");
    retry_after(&line_up(&lane, ticket(A)));
    retry_after(&line_up(&lane, ticket(A)));
    drop(coming);
    drop(lane);
    assert_eq!(sums.try_recv(), Ok(sum(2)));
}

#[tokio::test]
async fn a_worker_survives_what_takes_its_lines() {
    let settings = settings(NonZeroUsize::MIN, 1, CHEAP);
    let mut shared = Shared::new(&settings, Metrics::new());
    let told = Arc::new(AtomicBool::new(false));
    let note = Arc::clone(&told);
    shared.tell = Box::new(move |_| {
        note.store(true, Ordering::Release);
        // Without the hook that prints.
        std::panic::resume_unwind(Box::new("a bug"))
    });
    let lane = warmed_up(shared, &settings).await;
    let coming = [line_up(&lane, ticket(A)).unwrap(), line_up(&lane, ticket(A)).unwrap()];
    retry_after(&line_up(&lane, ticket(A)));
    drop(coming);
    until(|| told.load(Ordering::Acquire)).await;
    // It would wait for ever for a worker that is gone.
    let run = lane.run(ticket(A), WORK, |_| ());
    tokio::time::timeout(Duration::from_mins(1), run).await.unwrap().unwrap();
}

/// Nobody is let in meanwhile, and that is told again and again.
#[tokio::test]
async fn a_trickle_of_refusals_does_not_make_a_worker_keep_its_arena() {
    let (lane, sums) = telling(1, Duration::from_millis(1)).await;
    lane.hash(ticket(A), Password::parse("a horse, a lamp").unwrap()).await.unwrap();
    idle(&lane).await;
    let coming = [line_up(&lane, ticket(A)).unwrap(), line_up(&lane, ticket(A)).unwrap()];
    let begun = Instant::now();
    while begun.elapsed() < 4 * lane.shared.arena_kept {
        retry_after(&line_up(&lane, ticket(A)));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(coming);
    assert!(lane.run(ticket(A), WORK, |kernel| kernel.is_released()).await.unwrap());
    assert!(sums.try_iter().count() > 1, "the worker was woken meanwhile");
}
