//! What the machine promises, whatever comes in.

use proptest::prelude::*;

use super::*;

const POLICY: ThrottlePolicy = ThrottlePolicy {
    free_failures: 10,
    first_delay: Duration::seconds(30),
    longest_delay: Duration::minutes(15),
    memory: Duration::minutes(30),
    reservation_lease: Duration::seconds(60),
};

fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + Duration::seconds(seconds)
}

fn failed(count: u32, last_at: Timestamp) -> Throttle {
    Throttle { failures: Some(Failures { count, last_at }), reservations: None }
}

/// What happens to a bucket.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// An attempt comes in.
    Arrive,
    /// The oldest attempt that is being checked turns out like that.
    Settle(Outcome),
    /// The process of the newest attempt dies.
    Die,
    /// Time goes by, so many seconds.
    Pass(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Arrive),
        4 => Just(Step::Settle(Outcome::Failed)),
        1 => Just(Step::Settle(Outcome::Withdrawn)),
        1 => Just(Step::Die),
        2 => (0_i64..120).prop_map(Step::Pass),
        1 => (0_i64..3600).prop_map(Step::Pass),
    ]
}

fn policy() -> impl Strategy<Value = ThrottlePolicy> {
    (1_u32..20, 1_i64..60, 1_i64..1800, 60_i64..7200).prop_map(|(free_failures, first, longest, memory)| {
        ThrottlePolicy {
            free_failures,
            first_delay: Duration::seconds(first),
            longest_delay: Duration::seconds(longest.max(first)),
            memory: Duration::seconds(memory),
            reservation_lease: Duration::seconds(60),
        }
    })
}

/// A bucket with the attempts that are being checked, and the times at which guesses were let through to the check.
struct Model {
    policy: ThrottlePolicy,
    now: Timestamp,
    throttle: Throttle,
    in_flight: Vec<Timestamp>,
    checked: Vec<Timestamp>,
}

impl Model {
    fn new(policy: ThrottlePolicy) -> Self {
        let (throttle, in_flight, checked) = (Throttle::default(), Vec::new(), Vec::new());
        Self { policy, now: at(1_000_000), throttle, in_flight, checked }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Arrive => {
                if self.throttle.admit(self.now, &self.policy) == Admission::Admitted {
                    self.throttle.reserve(self.now, &self.policy);
                    self.in_flight.push(self.now);
                    self.checked.push(self.now);
                }
            }
            Step::Settle(outcome) if !self.in_flight.is_empty() => {
                let reserved_at = self.in_flight.remove(0);
                self.throttle.settle(reserved_at, outcome, self.now, &self.policy);
                if outcome == Outcome::Withdrawn
                    && let Some(place) = self.checked.iter().position(|checked| *checked == reserved_at)
                {
                    self.checked.remove(place);
                }
            }
            Step::Settle(_) => {}
            Step::Die => drop(self.in_flight.pop()),
            Step::Pass(seconds) => self.now += Duration::seconds(seconds),
        }
    }
}

/// What may be known at that time.
fn throttle(now: Timestamp) -> impl Strategy<Value = Throttle> {
    let before = move |seconds| now - Duration::seconds(seconds);
    // None of the future, by another machine's clock: until then the machine waits for nothing.
    let failures = (1_u32..8, 0_i64..7200).prop_map(move |(count, age)| Failures { count, last_at: before(age) });
    let reservations =
        (1_u32..6, -5_i64..70).prop_map(move |(count, age)| Reservations { count, newest_at: before(age) });
    (prop::option::of(failures), prop::option::of(reservations))
        .prop_map(|(failures, reservations)| Throttle { failures, reservations })
}

proptest! {
    /// What a statement writes that cannot ask is what the machine would have written.
    #[test]
    fn where_room_is_plain_to_see_there_is_room(policy in policy(), known in throttle(at(10_000))) {
        let (now, Throttle { failures, reservations }) = (at(10_000), known);
        let room = policy.plain_room(now);
        let held = reservations.map_or(0, |held| held.count);
        let is_fresh = reservations.is_none_or(|held| held.newest_at > room.reserved_after);
        prop_assume!(failures.map_or(0, |failures| failures.count) + held < room.bound && is_fresh);
        prop_assert_eq!(known.admit(now, &policy), Admission::Admitted);
        let newest_at = reservations.map_or(now, |held| held.newest_at.max(now));
        let written = Throttle { failures, reservations: Some(Reservations { count: held + 1, newest_at }) };
        let mut reserved = known;
        reserved.reserve(now, &policy);
        prop_assert_eq!(written.at(now, &policy), reserved);
    }

    #[test]
    fn every_lock_ends_without_an_operator(policy in policy(), steps in prop::collection::vec(step(), 0..200)) {
        let mut model = Model::new(policy);
        for step in steps {
            model.take(step);
        }
        // Nobody settles anything any more: all processes have died.
        let by_then = model.now + policy.reservation_lease + policy.longest_delay;
        prop_assert_eq!(model.throttle.admit(by_then, &policy), Admission::Admitted);
        let later = by_then + policy.memory;
        prop_assert!(model.throttle.at(later, &policy).is_empty(), "and in the end it is forgotten");
    }

    #[test]
    fn whatever_state_is_stored_a_lock_ends(count: u32, held: u32, failed in 0_i64..4_000_000, reserved in 0_i64..4_000_000) {
        let throttle = Throttle {
            failures: Some(Failures { count, last_at: at(failed) }),
            reservations: Some(Reservations { count: held, newest_at: at(reserved) }),
        };
        let by_then = at(failed.max(reserved)) + POLICY.reservation_lease + POLICY.longest_delay;
        prop_assert_eq!(throttle.admit(by_then, &POLICY), Admission::Admitted);
    }

    #[test]
    fn guesses_that_are_checked_within_the_memory_are_bounded(
        policy in policy(),
        steps in prop::collection::vec(step(), 0..400),
    ) {
        let mut model = Model::new(policy);
        for step in steps {
            model.take(step);
            // The free ones, those that are forgotten meanwhile, the one that starts the first delay, and one after each delay.
            let delays = policy.memory.num_seconds() / policy.first_delay.num_seconds();
            let bound = 2 * i64::from(policy.free_failures) + 2 + delays + 1;
            let within = model.checked.iter().filter(|checked| model.now - **checked < policy.memory).count();
            prop_assert!(i64::try_from(within).unwrap() <= bound, "{within} of {bound}");
        }
    }

    #[test]
    fn with_the_usual_bounds_about_twice_the_free_ones_are_checked_within_the_memory(
        // Guesses that come as soon as they are let through: nobody gets more.
        offset in 0_i64..180, pauses in prop::collection::vec(0_i64..20, 200..400),
    ) {
        let mut model = Model::new(POLICY);
        model.now += Duration::seconds(offset);
        for pause in pauses {
            let blocked = model.throttle.blocked_until(model.now, &POLICY);
            model.now = blocked.unwrap_or(model.now) + Duration::seconds(pause);
            model.take(Step::Arrive);
            model.take(Step::Settle(Outcome::Failed));
            let within = model.checked.iter().filter(|checked| model.now - **checked < POLICY.memory).count();
            prop_assert!(within <= 2 * 10 + 5, "{within}");
        }
    }

    #[test]
    fn whoever_fails_no_faster_than_failures_are_forgotten_waits_for_a_moment_at_most(
        policy in policy(), count in 0_u32..30, micros in 0_i64..10_000_000_000,
    ) {
        let step = policy.memory / i32::try_from(policy.free_failures).unwrap();
        let mut now = at(1_000_000) + Duration::microseconds(micros);
        let count = count.min(policy.free_failures + 1);
        let mut throttle = if count == 0 { Throttle::default() } else { failed(count, now) };
        for _ in 0..100 {
            now += step;
            match throttle.admit(now, &policy) {
                Admission::Blocked { until } => prop_assert!(until - now <= policy.first_delay),
                admission => {
                    prop_assert_eq!(admission, Admission::Admitted);
                    throttle.fail(now, &policy);
                }
            }
        }
    }

    #[test]
    fn no_part_of_a_step_is_lost_however_failures_are_spread(policy in policy(), pauses in prop::collection::vec(0_i64..100_000_000, 1..100)) {
        let (start, mut now, mut throttle) = (at(1_000_000), at(1_000_000), failed(1_000_000, at(1_000_000)));
        for pause in &pauses {
            now += Duration::microseconds(*pause).min(policy.memory / 2);
            throttle.fail(now, &policy);
        }
        let leaked = 1_000_000 + u32::try_from(pauses.len()).unwrap() - throttle.failures.unwrap().count;
        let step = policy.memory / i32::try_from(policy.free_failures).unwrap();
        let steps = u32::try_from((now - start).num_microseconds().unwrap() / step.num_microseconds().unwrap()).unwrap();
        prop_assert!((steps..=steps + 1).contains(&leaked), "{leaked} of {steps}");
    }

    #[test]
    fn no_more_are_checked_at_once_than_may_fail(steps in prop::collection::vec(step(), 0..200)) {
        let mut model = Model::new(POLICY);
        for step in steps {
            model.take(step);
            let known = model.throttle.at(model.now, &POLICY);
            let (held, failed) = (known.reservations.map_or(0, |held| held.count), known.failures.map_or(0, |f| f.left(model.now, &POLICY)));
            prop_assert!(held <= POLICY.free_failures.saturating_sub(failed).max(1), "{known:?}");
        }
    }

    #[test]
    fn what_comes_in_during_a_block_changes_nothing(count in 11_u32..1000, seconds in 0_i64..30) {
        let throttle = failed(count, at(0));
        let now = at(seconds);
        let Admission::Blocked { until } = throttle.admit(now, &POLICY) else { panic!("not blocked") };
        prop_assert_eq!(until, throttle.blocked_until(at(0), &POLICY).unwrap());
        prop_assert_eq!(throttle.admit(until, &POLICY), Admission::Admitted);
    }

    #[test]
    fn more_failures_never_shorten_a_block(count in 0..u32::MAX) {
        let (fewer, more) = (failed(count, at(0)), failed(count + 1, at(0)));
        prop_assert!(more.blocked_until(at(0), &POLICY) >= fewer.blocked_until(at(0), &POLICY));
    }
}

#[test]
fn the_first_failures_are_free() {
    let after = |count| failed(count, at(0)).blocked_until(at(0), &POLICY).map(|until| until - at(0));
    assert_eq!(after(10), None);
    assert_eq!(after(11), Some(POLICY.first_delay));
    assert_eq!(after(12), Some(POLICY.first_delay * 2));
    assert_eq!(after(110), Some(POLICY.longest_delay));
    assert_eq!(after(u32::MAX), Some(POLICY.longest_delay));
}

#[test]
fn as_many_are_checked_at_once_as_may_still_fail() {
    let (mut throttle, now) = (failed(7, at(0)), at(1));
    for _ in 0..3 {
        assert_eq!(throttle.admit(now, &POLICY), Admission::Admitted);
        throttle.reserve(now, &POLICY);
    }
    assert_eq!(throttle.admit(now, &POLICY), Admission::Wait);
    throttle.settle(now, Outcome::Withdrawn, now, &POLICY);
    assert_eq!(throttle.admit(now, &POLICY), Admission::Admitted);
}

#[test]
fn a_success_forgets_and_makes_room() {
    let (mut throttle, now) = (failed(10, at(0)), at(1));
    throttle.reserve(now, &POLICY);
    assert_eq!(throttle.admit(now, &POLICY), Admission::Wait, "past the free ones one at a time");
    throttle.settle(now, Outcome::Succeeded, now, &POLICY);
    assert!(throttle.is_empty());
}

#[test]
fn failures_are_forgotten_when_the_memory_is_over() {
    let throttle = failed(400, at(0));
    let just_before = at(0) + POLICY.memory - Duration::microseconds(1);
    assert_eq!(throttle.at(just_before, &POLICY), throttle);
    assert!(throttle.at(at(0) + POLICY.memory, &POLICY).is_empty());
}

#[test]
fn as_many_failures_as_are_free_are_forgotten_within_the_memory() {
    let Some(failures) = failed(15, at(0)).failures else { panic!("failures") };
    for (seconds, left) in [(0, 15), (179, 15), (180, 14), (359, 14), (360, 13), (1799, 6), (1800, 0)] {
        assert_eq!(failures.left(at(seconds), &POLICY), left, "after {seconds} seconds");
    }
    assert_eq!(failures.left(at(-1), &POLICY), 15, "a clock that runs late");
}

#[test]
fn what_leaks_away_during_a_delay_does_not_shorten_it() {
    let until = failed(20, at(0)).blocked_until(at(0), &POLICY);
    assert_eq!(until, Some(at(15 * 60)));
    assert_eq!(failed(20, at(0)).blocked_until(at(15 * 60 - 1), &POLICY), until);
    let one = ThrottlePolicy { free_failures: 1, longest_delay: Duration::minutes(60), ..POLICY };
    assert_eq!(failed(20, at(0)).blocked_until(at(60 * 60 - 1), &one), Some(at(60 * 60)), "longer than the memory");
}

#[test]
fn an_address_recovers_though_a_failure_comes_now_and_then() {
    let policy = ThrottlePolicy { free_failures: 100, ..POLICY };
    let (mut throttle, mut now) = (failed(101, at(0)), at(0));
    for _ in 0..1000 {
        now += Duration::minutes(29);
        assert_eq!(throttle.admit(now, &policy), Admission::Admitted);
        throttle.fail(now, &policy);
        assert_eq!(throttle.admit(now, &policy), Admission::Admitted);
    }
    assert!(throttle.failures.unwrap().count < 10, "{throttle:?}");
}

#[test]
fn a_reservation_whose_process_died_counts_as_a_failure() {
    let mut throttle = Throttle::default();
    for _ in 0..3 {
        throttle.reserve(at(0), &POLICY);
    }
    let lapse = at(0) + POLICY.reservation_lease;
    assert_eq!(throttle.at(lapse - Duration::microseconds(1), &POLICY), throttle);
    assert_eq!(throttle.at(lapse, &POLICY), failed(3, at(0)));
}

#[test]
fn a_place_that_lapsed_is_not_given_back_twice() {
    let mut throttle = Throttle::default();
    throttle.reserve(at(0), &POLICY);
    throttle.reserve(at(61), &POLICY);
    throttle.settle(at(0), Outcome::Failed, at(62), &POLICY);
    let held = Reservations { count: 1, newest_at: at(61) };
    assert_eq!(throttle, Throttle { reservations: Some(held), ..failed(1, at(0)) });
}
