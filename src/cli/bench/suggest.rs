//! Which cost meets a goal.

use std::time::Duration;

use crate::crypto::argon2_kernel::{Argon2Cost, ITERATIONS_MAX, MEMORY_KIB_MAX};

/// Memory is suggested in steps of 1 MiB.
const STEP_KIB: u32 = 1024;
/// How far below the goal the next try goes, so that the tries come to an end.
const MARGIN: f64 = 0.97;

/// What is wanted, and within what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Goal {
    /// What a hash may take.
    pub(super) latency: Duration,
    /// Sign-ins of all workers.
    pub(super) logins_per_second: Option<f64>,
    /// Threads, each with an arena.
    pub(super) workers: usize,
    /// Bytes that their arenas may take together.
    pub(super) arenas_max: Option<u64>,
}

/// What a measurement says of a candidate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// It meets the goal.
    Met,
    /// It does not; nothing cheaper is taken by this service, or no better was found.
    Missed,
    /// There is a better one to try.
    Again,
}

/// The search for the dearest cost that meets the goal.
pub(super) struct Search {
    goal: Goal,
    /// What a KiB of a pass takes.
    seconds_a_kib: f64,
    tries: u32,
}

impl Goal {
    /// What a hash may take, so that latency and rate are met.
    fn time(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "they are few")]
        let of_rate = self.logins_per_second.map_or(f64::INFINITY, |rate| self.workers as f64 / rate);
        self.latency.as_secs_f64().min(of_rate)
    }

    /// The dearest cost that fits if a KiB of a pass takes so long: as much memory as there may be with the fewest passes that this
    /// service takes, then passes. None is below the floor.
    fn dearest(&self, seconds_a_kib: f64) -> Argon2Cost {
        let floor = Argon2Cost::OWASP;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
        let work_kib = (self.time() / seconds_a_kib) as u64;
        let whole = |kib: u64| u32::try_from(kib).unwrap_or(u32::MAX) / STEP_KIB * STEP_KIB;
        let workers = u64::try_from(self.workers).unwrap_or(u64::MAX).max(1);
        let memory_max = self.arenas_max.map_or(MEMORY_KIB_MAX, |bytes| whole(bytes / 1024 / workers));
        let memory_max = memory_max.clamp(floor.memory_kib, MEMORY_KIB_MAX);
        let memory_kib = whole(work_kib / u64::from(floor.iterations)).clamp(floor.memory_kib, memory_max);
        let passes = u32::try_from(work_kib / u64::from(memory_kib)).unwrap_or(u32::MAX);
        Argon2Cost { memory_kib, iterations: passes.clamp(floor.iterations, ITERATIONS_MAX), ..floor }
    }
}

impl Search {
    /// Begins with what is known: costs, and what a hash of each takes.
    pub(super) fn new(goal: &Goal, known: impl Iterator<Item = (Argon2Cost, Duration)>) -> Self {
        let speed = |(cost, time): (Argon2Cost, Duration)| seconds_a_kib(&cost, time);
        let mut speeds: Vec<f64> = known.map(speed).collect();
        speeds.sort_unstable_by(f64::total_cmp);
        let seconds_a_kib = speeds.get(speeds.len() / 2).copied().unwrap_or(1e-6);
        Self { goal: *goal, seconds_a_kib, tries: 0 }
    }

    /// What to measure next.
    pub(super) fn candidate(&self) -> Argon2Cost {
        self.goal.dearest(self.seconds_a_kib)
    }

    /// Says what a measurement of the candidate means, which is the last one after so many tries.
    pub(super) fn judge(&mut self, cost: &Argon2Cost, time: Duration, per_second: f64, tries_max: u32) -> Verdict {
        self.tries += 1;
        let rate_share = self.goal.logins_per_second.map_or(0.0, |wanted| wanted / per_second);
        let excess = (time.as_secs_f64() / self.goal.latency.as_secs_f64()).max(rate_share);
        if excess <= 1.0 {
            return Verdict::Met;
        }
        let time_that_counts = self.goal.time() * excess / MARGIN;
        self.seconds_a_kib = seconds_a_kib(cost, Duration::from_secs_f64(time_that_counts));
        if self.tries >= tries_max || self.candidate() == *cost { Verdict::Missed } else { Verdict::Again }
    }
}

fn seconds_a_kib(cost: &Argon2Cost, time: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let work_kib = cost.work_kib().max(1) as f64;
    time.as_secs_f64().max(1e-9) / work_kib
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const fn goal(millis: u64) -> Goal {
        Goal { latency: Duration::from_millis(millis), logins_per_second: None, workers: 2, arenas_max: None }
    }

    /// Searches on a machine that computes a KiB of a pass in a microsecond, but is so many times slower than that with the memory
    /// of any candidate.
    fn search(goal: &Goal, slower: f64) -> (u32, u32, Verdict) {
        let known = [(Argon2Cost::OWASP, Duration::from_micros(Argon2Cost::OWASP.work_kib()))];
        let mut search = Search::new(goal, known.into_iter());
        loop {
            let cost = search.candidate();
            #[expect(clippy::cast_precision_loss, reason = "they are small")]
            let seconds = cost.work_kib() as f64 * 1e-6 * slower;
            match search.judge(&cost, Duration::from_secs_f64(seconds), 2.0 / seconds, 3) {
                Verdict::Again => {}
                verdict => return (cost.memory_kib, cost.iterations, verdict),
            }
        }
    }

    #[rstest]
    #[case::memory_first(goal(100), (49_152, 2))]
    #[case::then_passes(goal(2_000), (262_144, 7))]
    #[case::within_the_memory(Goal { arenas_max: Some(64 << 20), ..goal(100) }, (32_768, 3))]
    #[case::as_much_as_there_is(goal(60_000), (262_144, 16))]
    #[case::for_a_rate(Goal { logins_per_second: Some(40.0), ..goal(1000) }, (24_576, 2))]
    #[case::the_floor_takes_39_ms(goal(39), (19_456, 2))]
    fn the_dearest_that_meets_the_goal_is_suggested(#[case] goal: Goal, #[case] expected: (u32, u32)) {
        let (memory_kib, iterations, verdict) = search(&goal, 1.0);
        assert_eq!(((memory_kib, iterations), verdict), (expected, Verdict::Met));
    }

    #[test]
    fn what_takes_longer_than_expected_is_made_cheaper_until_it_fits() {
        let (memory_kib, iterations, verdict) = search(&goal(200), 1.5);
        assert_eq!((memory_kib, iterations, verdict), (64_512, 2, Verdict::Met));
    }

    #[rstest]
    #[case::too_slow(goal(10))]
    #[case::too_many(Goal { logins_per_second: Some(1000.0), ..goal(1000) })]
    fn nothing_below_the_floor_is_suggested(#[case] goal: Goal) {
        assert_eq!(search(&goal, 1.0), (19_456, 2, Verdict::Missed));
    }
}
