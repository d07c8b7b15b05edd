//! Jobs on their way.

use std::pin::Pin;

use super::*;

#[tokio::test]
async fn no_more_jobs_come_than_there_is_room_for() {
    let lane = lane(1, 3).await;
    let (gate, (notes, _notes)) = (Gate::close(&lane), channel());
    note(&lane, A, "waits", &notes);
    let first = line_up(&lane, ticket(A)).unwrap();
    let mut second = line_up(&lane, ticket(A)).unwrap();
    assume(&lane, 2.0);
    // The one that runs, the one that waits, the two that come.
    assert_eq!(retry_after(&line_up(&lane, ticket(A))), Duration::from_secs(8));
    drop(first);
    drop(line_up(&lane, ticket(A)).unwrap());
    second.pause();
    let others = [line_up(&lane, ticket(A)).unwrap(), line_up(&lane, ticket(A)).unwrap()];
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
    let coming: Vec<_> = (0..3).map(|_| line_up(&lane, ticket(A)).unwrap()).collect();
    retry_after(&line_up(&lane, ticket(A)));
    drop(coming);
}

#[tokio::test]
async fn a_job_that_arrives_counts_no_more_as_coming() {
    let lane = lane(1, 1).await;
    let gate = Gate::close(&lane);
    let coming = line_up(&lane, ticket(A)).unwrap();
    let waiting = Box::pin(lane.run(coming, WORK, |_| ()));
    let waiting = tokio::time::timeout(Duration::ZERO, waiting);
    assert!(waiting.await.is_err());
    // And it went away: there is room again.
    drop(line_up(&lane, ticket(A)).unwrap());
    gate.open();
    assert_eq!(lane.shared.lock().queue.all().items, 0);
}

#[tokio::test]
async fn a_client_that_floods_does_not_keep_another_from_coming() {
    let lane = lane(1, 3).await;
    let gate = Gate::close(&lane);
    let mut coming: Vec<_> = (0..3).map(|_| line_up(&lane, ticket(A)).unwrap()).collect();
    coming.push(line_up(&lane, ticket(B)).unwrap());
    // Now nobody has two more than anybody else.
    retry_after(&line_up(&lane, ticket(B)));
    retry_after(&line_up(&lane, ticket(A)));
    gate.open();
}

#[tokio::test]
async fn what_is_coming_counts_as_if_it_waited() {
    let lane = lane(1, 8).await;
    assume(&lane, 10.0);
    let (gate, soon) = (Gate::close(&lane), Duration::from_secs(29));
    let _coming: Vec<_> = (0..3).map(|_| line_up(&lane, ticket(A)).unwrap()).collect();
    // After the one that runs, and those of its own client.
    assert_eq!(retry_after(&line_up(&lane, within(A, soon))), Duration::from_secs(40));
    // After the one that runs, and one of the client whose turn it is.
    assert_eq!(retry_after(&line_up(&lane, within(B, soon))), Duration::from_secs(20));
    drop(line_up(&lane, within(B, Duration::from_secs(31))).unwrap());
    // Who is there already is before all of them.
    lane.shared.admit(within(A, Duration::from_secs(21)), WORK, Box::new(|_| ())).unwrap();
    gate.open();
}

/// As `one_bad_moment_does_not_close_the_lane_for_ever`: nobody gets further than to here meanwhile.
#[tokio::test]
async fn a_lane_that_lets_nobody_come_finds_out_whether_it_may() {
    let lane = lane(1, 8).await;
    assume(&lane, 3600.0);
    retry_after(&line_up(&lane, within(A, Duration::from_secs(30))));
    until(|| line_up(&lane, within(A, Duration::from_secs(30))).is_ok()).await;
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
            let expected = line_up(&lane, ticket).map(drop);
            assert_eq!(peeked.is_err(), expected.is_err());
            asked += 1;
            if peeked.is_err() {
                refused += 1;
                assert_eq!(retry_after(&peeked), lane.shared.lock().retry_after(1), "of all, whoever is named");
                hidden += usize::from(peeked != expected);
            }
        }
        coming.extend(line_up(&lane, ticket(comes)));
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
    until(|| lane.peek(hopeless()).is_ok() && line_up(&lane, hopeless()).is_ok()).await;
}

/// Whether it is told nothing yet.
async fn waits<T>(turn: &mut Pin<Box<impl Future<Output = T>>>) -> bool {
    tokio::time::timeout(Duration::ZERO, turn).await.is_err()
}

#[tokio::test]
async fn a_few_prepare_at_a_time_and_clients_take_turns() {
    let lane = lane(1, 64).await;
    let gate = Gate::close(&lane);
    let first = lane.expect(ticket(A)).await.unwrap();
    let second = lane.expect(ticket(A)).await.unwrap();
    let [mut third, mut fourth] = [(); 2].map(|()| Box::pin(lane.expect(ticket(A))));
    assert!(waits(&mut third).await && waits(&mut fourth).await);
    // Before another one's there is one of that client at most.
    let other = lane.expect(ticket(B)).await.unwrap();
    drop(first);
    // What is ready and waits for the worker counts as what is being prepared.
    lane.shared.admit(second, WORK, Box::new(|_| ())).unwrap();
    assert!(waits(&mut third).await, "one of its own and one of the other are before it");
    drop(other);
    // Whoever goes away with its turn leaves it to the next.
    assert_eq!(lane.shared.lock().queue.comers(), 1);
    drop(third);
    drop(fourth.await.unwrap());
    assert_eq!(lane.shared.lock().queue.all().items, 1);
    gate.open();
}

#[tokio::test]
async fn whoever_needs_no_turn_takes_none_from_another_client() {
    let lane = lane(1, 64).await;
    let gate = Gate::close(&lane);
    for _ in 0..10 {
        lane.shared.admit(ticket(A), WORK, Box::new(|_| ())).unwrap();
    }
    let mut resumed: Vec<_> = (0..10).map(|_| line_up(&lane, ticket(A)).unwrap()).collect();
    resumed.iter_mut().for_each(Coming::pause);
    for coming in &mut resumed {
        coming.resume().unwrap();
    }
    let mut own = Box::pin(lane.expect(ticket(A)));
    assert!(waits(&mut own).await);
    drop(lane.expect(ticket(B)).await.unwrap());
    gate.open();
}

#[tokio::test]
async fn whoever_waits_for_a_turn_is_refused_once_it_would_be_too_late() {
    let lane = lane(1, 64).await;
    let gate = Gate::close(&lane);
    let mut paused = line_up(&lane, ticket(A)).unwrap();
    paused.pause();
    let coming = [line_up(&lane, ticket(A)).unwrap(), line_up(&lane, ticket(A)).unwrap()];
    // It could not prepare anything after that.
    let mut no_time = Box::pin(lane.expect(within(A, Duration::from_millis(99))));
    let refused = tokio::time::timeout(Duration::ZERO, &mut no_time).await.expect("at once");
    retry_after(&refused);
    let started = Instant::now();
    retry_after(&lane.expect(within(A, Duration::from_millis(300))).await);
    assert!(started.elapsed() >= Duration::from_millis(200));
    let told = lane.shared.lock().refusals.take().unwrap();
    assert_eq!(told.deadline, 2, "for want of a turn, not of time for a hash");
    // It has its turn already.
    paused.resume().unwrap();
    drop((coming, paused));
    assert_eq!(lane.shared.lock().queue.all().items, 0);
    gate.open();
}

#[tokio::test]
async fn whoever_comes_again_needs_no_time_for_another_turn() {
    let lane = lane(1, 64).await;
    // Less time than whoever waits for a turn has to have, and enough for the hash.
    let short = || within(A, Duration::from_millis(90));
    until(|| {
        let Ok(mut paused) = line_up(&lane, short()) else { return false };
        paused.pause();
        // From now on everybody would have to wait.
        lane.shared.lock().preparing_max = 0;
        retry_after(&line_up(&lane, short()));
        let resumed = paused.resume();
        lane.shared.lock().preparing_max = 2;
        // On a machine that stood still meanwhile its time is over.
        resumed.is_ok()
    })
    .await;
}

#[tokio::test]
async fn of_a_client_that_floods_the_last_one_makes_room() {
    let lane = lane(1, 4).await;
    let gate = Gate::close(&lane);
    let mut flood: Vec<_> = (0..4).map(|_| lane.line_up(ticket(A)).unwrap()).collect();
    let other = line_up(&lane, ticket(B)).unwrap();
    let (evicted, turn) = flood.pop().unwrap();
    retry_after(&turn.await.unwrap());
    let (last, mut turn) = flood.pop().unwrap();
    assert!(turn.try_recv().is_err(), "it waits on");
    assert_eq!(lane.shared.lock().queue.all().items, 4);
    drop((evicted, other, last, flood));
    assert_eq!(lane.shared.lock().queue.all().items, 0);
    gate.open();
}

#[tokio::test]
async fn whose_turn_would_come_too_late_is_refused_instead() {
    let lane = lane(1, 64).await;
    assume(&lane, 1.0);
    let gate = Gate::close(&lane);
    let [first, _second] = [line_up(&lane, ticket(A)).unwrap(), line_up(&lane, ticket(A)).unwrap()];
    // After the one that runs and the two that come.
    let (_third, mut told) = lane.line_up(within(A, Duration::from_millis(4500))).unwrap();
    let (notes, _notes) = channel();
    note(&lane, B, "another", &notes);
    note(&lane, B, "another", &notes);
    assert!(told.try_recv().is_err());
    lane.shared.lock().preparing_max = 4;
    drop(first);
    retry_after(&told.await.unwrap());
    gate.open();
}

#[tokio::test]
async fn more_prepare_if_a_worker_has_nothing_to_do() {
    let lane = lane(1, 64).await;
    let _hang = [lane.expect(ticket(A)).await.unwrap(), lane.expect(ticket(A)).await.unwrap()];
    let [third, fourth] = [(); 2].map(|()| lane.expect(ticket(A)));
    let _also = [third.await.unwrap(), fourth.await.unwrap()];
    assert_eq!(lane.shared.lock().preparing_max, 4);
}

#[tokio::test]
async fn no_more_prepare_than_may_wait() {
    let lane = lane(1, 3).await;
    let mut coming = Vec::new();
    for _ in 0..3 {
        coming.push(lane.expect(ticket(A)).await.unwrap());
    }
    let mut fourth = Box::pin(lane.expect(ticket(A)));
    let in_vain = tokio::time::timeout(Duration::from_millis(100), &mut fourth).await;
    assert!(in_vain.is_err(), "however long the worker starves");
    assert_eq!(lane.shared.lock().preparing_max, 3);
    drop(coming);
    drop(fourth.await.unwrap());
}

#[tokio::test]
async fn fewer_prepare_if_jobs_wait_for_the_workers() {
    let lane = lane(1, 64).await;
    let (gate, (notes, _notes)) = (Gate::close(&lane), channel());
    lane.shared.lock().preparing_max = 5;
    note(&lane, B, "waits", &notes);
    assert_eq!(lane.shared.lock().preparing_max, 5);
    for _ in 0..5 {
        note(&lane, B, "waits", &notes);
    }
    assert_eq!(lane.shared.lock().preparing_max, 2, "never less");
    gate.open();
}

#[tokio::test]
async fn whoever_is_on_its_way_is_in_the_numbers() {
    let metrics = Metrics::new();
    let settings = settings(NonZeroUsize::MIN, 64, CHEAP);
    let lane = warmed_up(Shared::new(&settings, metrics.clone()), &settings).await;
    let gate = Gate::close(&lane);
    let has = |line: &str| metrics.encode().contains(line);
    let mut coming: Vec<_> = (0..2).map(|_| line_up(&lane, ticket(A)).unwrap()).collect();
    let mut third = Box::pin(lane.expect(ticket(A)));
    assert!(waits(&mut third).await);
    assert!(has("signet_lane_queued 3\n"));
    let pause = Duration::from_millis(20);
    tokio::time::sleep(pause).await;
    coming.pop();
    let third = third.await.unwrap();
    assert!(has("signet_lane_queued 2\n"));
    lane.shared.admit(third, WORK, Box::new(|_| ())).unwrap();
    assert!(has("signet_lane_queued 2\n"));
    let waits_since = lane.shared.lock().queue.find(A, |_| true).unwrap().waits_since;
    assert!(waits_since.elapsed() >= pause);
    drop(coming);
    assert!(has("signet_lane_queued 1\n"));
    gate.open();
}

/// What it captured may do anything, also ask the lane.
#[tokio::test]
async fn a_job_that_is_refused_as_it_arrives_is_not_dropped_under_the_lock() {
    struct Probe(Arc<Shared>);
    impl Drop for Probe {
        fn drop(&mut self) {
            assert!(self.0.try_lock());
        }
    }
    let lane = lane(1, 1).await;
    let gate = Gate::close(&lane);
    lane.shared.admit(ticket(A), WORK, Box::new(|_| ())).unwrap();
    assume(&lane, 10.0);
    for ticket in [ticket(A), within(A, Duration::from_secs(1))] {
        let probe = Probe(Arc::clone(&lane.shared));
        lane.shared.admit(ticket, WORK, Box::new(move |_| drop(probe))).unwrap_err();
    }
    gate.open();
}
