//! Which cost meets a goal.

use std::time::Duration;

use crate::crypto::argon2_kernel::{Argon2Cost, ITERATIONS_MAX, MEMORY_KIB_MAX};

/// Memory is suggested in steps of 1 MiB.
const STEP_KIB: u32 = 1024;
/// How far below the goal the next try goes, so that the tries come to an end.
const MARGIN: f64 = 0.97;
/// What uses so much of the goal is near enough to it.
const NEAR: f64 = 0.9;

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

/// What a search came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// The cost meets the goal.
    Met,
    /// Not even the cheapest that this service takes meets it.
    Missed,
    /// It met the goal at first, and not when it was measured for longer.
    Unsteady,
}

/// The search for the dearest cost that meets the goal.
pub(super) struct Search {
    goal: Goal,
    tries_left: u32,
    candidate: Argon2Cost,
    /// The dearest that met the goal.
    met: Option<Argon2Cost>,
    /// The cheapest that did not.
    missed: Option<Argon2Cost>,
}

impl Goal {
    /// The part of what the goal allows that is used; above 1 it is missed.
    fn used(&self, time: Duration, per_second: f64) -> f64 {
        let of_rate = self.logins_per_second.map_or(0.0, |wanted| wanted / per_second);
        (time.as_secs_f64() / self.latency.as_secs_f64()).max(of_rate)
    }

    /// Whether hashes that take so long, and of which there are so many in a second, meet it.
    pub(super) fn is_met(&self, time: Duration, per_second: f64) -> bool {
        self.used(time, per_second) <= 1.0
    }

    /// The work, in KiB, for which there is time if a KiB of a pass takes so long.
    fn work_kib(&self, seconds_a_kib: f64) -> u64 {
        #[expect(clippy::cast_precision_loss, reason = "they are few")]
        let of_rate = self.logins_per_second.map_or(f64::INFINITY, |rate| self.workers as f64 / rate);
        saturating(self.latency.as_secs_f64().min(of_rate) / seconds_a_kib)
    }

    /// The dearest cost of so much work: as much memory as there may be with the fewest passes that this service takes, then passes.
    /// None is below the floor.
    fn dearest(&self, work_kib: u64) -> Argon2Cost {
        let floor = Argon2Cost::OWASP;
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
    /// Begins with what is known: costs, and what a hash of each takes. Ends after so many tries.
    pub(super) fn new(goal: &Goal, known: impl Iterator<Item = (Argon2Cost, Duration)>, tries: u32) -> Self {
        let speed = |(cost, time): (Argon2Cost, Duration)| seconds_a_kib(&cost, time);
        let mut speeds: Vec<f64> = known.map(speed).collect();
        speeds.sort_unstable_by(f64::total_cmp);
        let seconds_a_kib = speeds.get(speeds.len() / 2).copied().unwrap_or(1e-6);
        let candidate = goal.dearest(goal.work_kib(seconds_a_kib));
        Self { goal: *goal, tries_left: tries, candidate, met: None, missed: None }
    }

    /// What to measure next.
    pub(super) const fn candidate(&self) -> Argon2Cost {
        self.candidate
    }

    /// Takes what a hash of the candidate takes, and how many there are in a second. True if there is another one to try.
    pub(super) fn goes_on_after(&mut self, time: Duration, per_second: f64) -> bool {
        self.tries_left = self.tries_left.saturating_sub(1);
        let used = self.goal.used(time, per_second);
        if used <= 1.0 {
            self.met = Some(self.candidate);
        } else {
            self.missed = Some(self.candidate);
        }
        if self.tries_left == 0 || (NEAR..=1.0).contains(&used) {
            return false;
        }
        self.candidate = self.next(saturating(work_of(&self.candidate) * MARGIN / used));
        ![self.met, self.missed].contains(&Some(self.candidate))
    }

    /// The cost of so much work, or one between what met the goal and what did not. The last try is for the floor while nothing has met
    /// the goal: only then is it known that nothing does.
    fn next(&self, work_kib: u64) -> Argon2Cost {
        let floor = Argon2Cost::OWASP;
        if self.met.is_none() && self.tries_left == 1 {
            return floor;
        }
        let low = self.met.map_or(0, |cost| cost.work_kib());
        let high = self.missed.map_or(u64::MAX, |cost| cost.work_kib());
        let aimed = if (low..high).contains(&work_kib) { work_kib } else { low.midpoint(high) };
        let cost = self.goal.dearest(aimed);
        if self.met.is_none() && self.missed == Some(cost) { floor } else { cost }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
const fn saturating(value: f64) -> u64 {
    value as u64
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn work_of(cost: &Argon2Cost) -> f64 {
    cost.work_kib().max(1) as f64
}

fn seconds_a_kib(cost: &Argon2Cost, time: Duration) -> f64 {
    time.as_secs_f64().max(1e-9) / work_of(cost)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const fn goal(millis: u64) -> Goal {
        Goal { latency: Duration::from_millis(millis), logins_per_second: None, workers: 2, arenas_max: None }
    }

    const TRIES: u32 = 4;

    /// Searches on a machine that computes a KiB of a pass in a microsecond, as far as is known, and takes so many seconds for each
    /// candidate.
    fn search_with(goal: &Goal, seconds: impl Fn(&Argon2Cost) -> f64) -> (u32, u32, Verdict) {
        let known = [(Argon2Cost::OWASP, Duration::from_micros(Argon2Cost::OWASP.work_kib()))];
        let mut search = Search::new(goal, known.into_iter(), TRIES);
        let mut tried = Vec::new();
        loop {
            let cost = search.candidate();
            assert!(!tried.contains(&cost), "{cost:?} is tried twice");
            tried.push(cost);
            let seconds = seconds(&cost);
            if !search.goes_on_after(Duration::from_secs_f64(seconds), 2.0 / seconds) {
                break;
            }
        }
        assert!(tried.len() <= TRIES as usize);
        let (cost, verdict) = search.met.map_or((tried[tried.len() - 1], Verdict::Missed), |cost| (cost, Verdict::Met));
        (cost.memory_kib, cost.iterations, verdict)
    }

    /// The same on a machine that is so many times slower with the memory of any candidate.
    fn search(goal: &Goal, slower: f64) -> (u32, u32, Verdict) {
        search_with(goal, |cost| work_of(cost) * 1e-6 * slower)
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

    #[test]
    fn what_is_faster_than_expected_is_made_dearer() {
        let (memory_kib, iterations, verdict) = search(&goal(100), 0.5);
        assert_eq!((memory_kib, iterations, verdict), (96_256, 2, Verdict::Met), "48 MiB were expected");
    }

    #[test]
    fn between_what_fits_and_what_does_not_there_may_be_better() {
        // Beyond 64 MiB of work and more this machine is slow all at once.
        let cliff = |cost: &Argon2Cost| if cost.work_kib() < 160_000 { 0.04 } else { 0.3 };
        let (memory_kib, iterations, verdict) = search_with(&goal(200), cliff);
        assert_eq!((iterations, verdict), (2, Verdict::Met));
        assert!((65_536..80_000).contains(&memory_kib), "{memory_kib}");
    }

    #[test]
    fn the_last_try_is_the_least_cost() {
        // Whatever is tried takes a little too long, but for the least.
        let seconds = |cost: &Argon2Cost| if *cost == Argon2Cost::OWASP { 0.18 } else { 0.21 };
        assert_eq!(search_with(&goal(200), seconds), (19_456, 2, Verdict::Met));
    }

    #[rstest]
    #[case::too_slow(goal(10))]
    #[case::too_many(Goal { logins_per_second: Some(1000.0), ..goal(1000) })]
    fn nothing_below_the_floor_is_suggested(#[case] goal: Goal) {
        assert_eq!(search(&goal, 1.0), (19_456, 2, Verdict::Missed));
    }
}
