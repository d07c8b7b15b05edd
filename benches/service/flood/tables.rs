//! How the figures are shown.

use std::collections::BTreeMap;

use super::{
    Scene,
    phase::{Measured, Phase},
};
use crate::{
    numbers::{Figure, Rounds, met},
    orders::Refused,
    run::Table,
};

/// Of the p99 beside a flood: in milliseconds, or times what it is alone, whichever is more.
const P99_GOAL_MS: f64 = 5.0;
const P99_GOAL_TIMES: f64 = 2.0;
/// Of the flood's successes, over the capacity.
const GOODPUT_GOAL: f64 = 0.9;

pub(super) fn print(scene: &Scene<'_>) {
    let kind = scene.replica.service.kind;
    goals(scene).print(&format!("A flood of sign-ins on {kind}: goals"));
    phases(scene).print(&format!("A flood of sign-ins on {kind}: medians of the rounds"));
    for phase in Phase::FLOODS {
        let heading = format!("A flood of sign-ins on {kind}: how it was answered, {}", name(phase));
        answers(scene, phase).print(&heading);
    }
}

const fn name(phase: Phase) -> &'static str {
    match phase {
        Phase::Alone => "alone",
        Phase::Full => "beside a full lane",
        Phase::OneClient => "flood of one client",
        Phase::FourClients => "flood of four clients",
    }
}

impl Scene<'_> {
    fn of(&self, phase: Phase) -> impl Iterator<Item = &Measured> {
        self.measured.iter().filter(move |(played, _)| *played == phase).map(|(_, measured)| measured)
    }

    fn rounds(&self, phase: Phase, figure: impl Fn(&Measured) -> f64) -> Rounds {
        self.of(phase).map(figure).collect()
    }
}

fn goals(scene: &Scene<'_>) -> Table {
    let mut table = Table::new(&["Figure", "Goal", "Median", "Rounds", ""]);
    for phase in Phase::FLOODS {
        for (stream, what) in ["AuthenticateSession", "RefreshTokens"].into_iter().enumerate() {
            let p99 = scene.rounds(phase, |measured| measured.quantile_ms(stream, 0.99));
            let alone = scene.rounds(Phase::Alone, |measured| measured.quantile_ms(stream, 0.99)).median();
            let goal = P99_GOAL_MS.max(P99_GOAL_TIMES * alone);
            let name = format!("`{what}`, {}: p99, ms", name(phase));
            let is_met = met(p99.median() < goal);
            table.row(&[&name, &format!("< {}", Figure(goal)), &Figure(p99.median()), &p99.spread(), &is_met]);
            let times = p99.median() / alone;
            table.row(&[&"… ÷ the same alone", &"", &Figure(times), &"", &""]);
        }
        let goodput = scene.rounds(phase, Measured::goodput);
        let name = format!("sign-ins that succeed ÷ capacity, {}", name(phase));
        let is_met = met(goodput.median() >= GOODPUT_GOAL);
        table.row(&[&name, &format!("≥ {GOODPUT_GOAL}"), &Figure(goodput.median()), &goodput.spread(), &is_met]);
        let rest = scene.rounds(phase, Measured::goodput_beside_the_flooder);
        table.row(&[
            &"… as if the flooding process had a machine of its own",
            &"",
            &Figure(rest.median()),
            &rest.spread(),
            &"",
        ]);
    }
    table
}

fn phases(scene: &Scene<'_>) -> Table {
    let mut head = vec!["Figure"];
    head.extend(Phase::ALL.map(name));
    let mut table = Table::new(&head);
    let mut row = |name: &str, counts: fn(Phase) -> bool, figure: &dyn Fn(&Measured) -> f64| {
        let median = |phase| Figure(scene.rounds(phase, figure).median()).to_string();
        let cell = |phase| if counts(phase) { median(phase) } else { String::new() };
        let [alone, full, one, four] = Phase::ALL.map(cell);
        table.row(&[&name, &alone, &full, &one, &four]);
    };
    let always = |_| true;
    for (stream, what) in ["AuthenticateSession", "RefreshTokens"].into_iter().enumerate() {
        row(&format!("`{what}` p50, ms"), always, &|measured| measured.quantile_ms(stream, 0.5));
        row(&format!("`{what}` p99, ms"), always, &|measured| measured.quantile_ms(stream, 0.99));
    }
    row("capacity, sign-ins a second", |phase| phase == Phase::Full, &|measured| measured.capacity.per_second);
    row("sign-ins asked for ÷ capacity", Phase::is_flood, &Measured::offered);
    row("the client that takes no part: what part of its sign-ins succeeds", Phase::is_flood, &|measured| {
        measured.neighbours_successes()
    });
    row("… p50 of its sign-ins, ms", Phase::is_flood, &|measured| measured.quantile_ms(2, 0.5));
    row("least that a flooding client gets ÷ an equal share", |phase| phase == Phase::FourClients, &|measured| {
        measured.least_share()
    });
    let whose =
        ["the hash workers", "the rest of the service", "the flooding process", "the watching process", "the database"];
    for (place, whose) in whose.into_iter().enumerate() {
        row(&format!("CPUs busy with {whose}"), always, &|measured| measured.cores[place]);
    }
    table
}

fn answers(scene: &Scene<'_>, phase: Phase) -> Table {
    let mut codes: BTreeMap<&str, Refused> = BTreeMap::new();
    let (mut offered, mut good) = (0, 0);
    for measured in scene.of(phase) {
        offered += measured.flood.iter().map(|outcome| outcome.offered).sum::<u32>();
        good += measured.flood.iter().map(|outcome| outcome.latencies.len()).sum::<usize>();
        for (code, refused) in measured.refused() {
            let sum = codes.entry(code).or_default();
            sum.count += refused.count;
            sum.with_retry_info += refused.with_retry_info;
            sum.seconds += refused.seconds;
        }
    }
    let mut table = Table::new(&["Answer", "Share of the calls", "With `RetryInfo`", "Mean time, ms"]);
    table.row(&[&"tokens", &Figure(good as f64 / f64::from(offered)), &"", &""]);
    for (code, refused) in codes {
        let count = f64::from(refused.count);
        let told = Figure(f64::from(refused.with_retry_info) / count);
        let mean = Figure(refused.seconds * 1e3 / count);
        table.row(&[&format!("`{code}`"), &Figure(count / f64::from(offered)), &told, &mean]);
    }
    table
}
