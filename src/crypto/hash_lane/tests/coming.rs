//! Jobs on their way.

use super::*;

#[tokio::test]
async fn no_more_jobs_come_than_there_is_room_for() {
    let lane = lane(1, 3).await;
    let (gate, (notes, _notes)) = (Gate::close(&lane), channel());
    note(&lane, A, "waits", &notes);
    let first = lane.expect(ticket(A)).unwrap();
    let mut second = lane.expect(ticket(A)).unwrap();
    assume(&lane, 2.0);
    // The one that runs, the one that waits, the two that come.
    assert_eq!(retry_after(&lane.expect(ticket(A))), Duration::from_secs(8));
    drop(first);
    drop(lane.expect(ticket(A)).unwrap());
    second.pause();
    let others = [lane.expect(ticket(A)).unwrap(), lane.expect(ticket(A)).unwrap()];
    retry_after(&second.resume());
    drop(others);
    second.resume().unwrap();
    second.resume().unwrap();
    assert_eq!(lane.shared.lock().queue.all().items, 2, "it counts once");
    drop(second);
    assert_eq!(lane.shared.lock().queue.all().items, 1, "nothing is left of those that came no more");
    gate.open();
}

#[tokio::test]
async fn a_short_queue_keeps_no_worker_idle() {
    let lane = lane(2, 1).await;
    let coming: Vec<_> = (0..3).map(|_| lane.expect(ticket(A)).unwrap()).collect();
    retry_after(&lane.expect(ticket(A)));
    drop(coming);
}

#[tokio::test]
async fn a_job_that_arrives_counts_no_more_as_coming() {
    let lane = lane(1, 1).await;
    let gate = Gate::close(&lane);
    let coming = lane.expect(ticket(A)).unwrap();
    let waiting = Box::pin(lane.run(coming.arrive(), WORK, |_| ()));
    let waiting = tokio::time::timeout(Duration::ZERO, waiting);
    assert!(waiting.await.is_err());
    // And it went away: there is room again.
    drop(lane.expect(ticket(A)).unwrap());
    gate.open();
    assert_eq!(lane.shared.lock().queue.all().items, 0);
}

#[tokio::test]
async fn a_client_that_floods_does_not_keep_another_from_coming() {
    let lane = lane(1, 3).await;
    let gate = Gate::close(&lane);
    let mut coming: Vec<_> = (0..3).map(|_| lane.expect(ticket(A)).unwrap()).collect();
    coming.push(lane.expect(ticket(B)).unwrap());
    coming.push(lane.expect(ticket(B)).unwrap());
    // Now nobody has two more than anybody else.
    retry_after(&lane.expect(ticket(B)));
    retry_after(&lane.expect(ticket(A)));
    gate.open();
}

#[tokio::test]
async fn what_is_coming_counts_as_if_it_waited() {
    let lane = lane(1, 8).await;
    assume(&lane, 10.0);
    let (gate, soon) = (Gate::close(&lane), Duration::from_secs(29));
    let _coming: Vec<_> = (0..3).map(|_| lane.expect(ticket(A)).unwrap()).collect();
    // After the one that runs, and those of its own client.
    assert_eq!(retry_after(&lane.expect(within(A, soon))), Duration::from_secs(40));
    // After the one that runs, and one of the client whose turn it is.
    assert_eq!(retry_after(&lane.expect(within(B, soon))), Duration::from_secs(20));
    drop(lane.expect(within(B, Duration::from_secs(31))).unwrap());
    // Who is there already is before all of them.
    lane.shared.admit(within(A, Duration::from_secs(21)), WORK, Box::new(|_| ())).unwrap();
    gate.open();
}

/// As `one_bad_moment_does_not_close_the_lane_for_ever`: nobody gets further than to here meanwhile.
#[tokio::test]
async fn a_lane_that_lets_nobody_come_finds_out_whether_it_may() {
    let lane = lane(1, 8).await;
    assume(&lane, 3600.0);
    retry_after(&lane.expect(within(A, Duration::from_secs(30))));
    until(|| lane.expect(within(A, Duration::from_secs(30))).is_ok()).await;
}

#[tokio::test]
async fn a_peek_refuses_whom_the_lane_would_not_let_come_and_tells_nothing_of_the_client() {
    let lane = lane(1, 5).await;
    assume(&lane, 10.0);
    let gate = Gate::close(&lane);
    let (mut coming, mut refused, mut hidden, mut asked) = (Vec::new(), 0, 0, 0);
    for comes in [A, A, A, B, A, B, B] {
        for (client, seconds) in [A, B].into_iter().flat_map(|client| [5, 15, 25, 35, 600].map(|time| (client, time))) {
            let ticket = within(client, Duration::from_secs(seconds));
            let before = lane.shared.lock().queue.all();
            let peeked = lane.peek(ticket);
            assert_eq!(lane.shared.lock().queue.all(), before, "it counts nobody");
            let expected = lane.expect(ticket).map(drop);
            assert_eq!(peeked.is_err(), expected.is_err());
            asked += 1;
            if peeked.is_err() {
                refused += 1;
                assert_eq!(retry_after(&peeked), lane.shared.lock().retry_after(1), "of all, whoever is named");
                hidden += usize::from(peeked != expected);
            }
        }
        coming.extend(lane.expect(ticket(comes)));
    }
    assert!((1..asked).contains(&refused), "{refused} of {asked} were refused");
    assert!(hidden > 0, "whoever is known is told the wait of its client");
    gate.open();
}

/// Who is not known yet shall not make the lane compute anything.
#[tokio::test]
async fn a_lane_without_work_turns_nobody_away_at_a_peek() {
    let lane = lane(1, 8).await;
    assume(&lane, 3600.0);
    let hopeless = || within(A, Duration::from_secs(30));
    lane.peek(hopeless()).unwrap();
    assert!(!lane.shared.lock().measure);
    // Whoever comes makes it measure. Until that is done it is known that there is no chance.
    lane.shared.lock().measure = true;
    retry_after(&lane.peek(hopeless()));
    lane.shared.wake.notify_one();
    until(|| lane.peek(hopeless()).is_ok() && lane.expect(hopeless()).is_ok()).await;
}
