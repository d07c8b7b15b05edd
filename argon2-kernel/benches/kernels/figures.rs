//! Quartiles, and the goal.

/// How many times as long as ours the crate `argon2` is to take at the default parameters, used as its documentation
/// shows.
const GOAL: f64 = 2.2;
/// With fewer rounds, less than five are beyond a quartile: a single bad moment of the machine moves it.
const ROUNDS_ENOUGH: usize = 20;

/// The lower quartile, the median and the upper quartile, each of them a value that was measured.
pub(crate) fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values[(values.len() * quarter / 4).min(values.len() - 1)])
}

/// Whether the goal is met, in words, by the quartiles of the ratios of so many rounds. What is printed of the median
/// decides, so that nobody reads of a ratio that is the goal and does not meet it.
pub(crate) fn goal([low, median, high]: [f64; 3], rounds: usize) -> String {
    let median = (median * 1e3).round() / 1e3;
    let met = if median >= GOAL { "met" } else { "**not met**" };
    let first_look = if rounds < ROUNDS_ENOUGH { ", a first look" } else { "" };
    format!(
        "`argon2` plain ÷ ours at the default parameters: {median:.3} (quartiles {low:.3} – {high:.3}, rounds: \
         {rounds}{first_look}; goal ≥ {GOAL}: {met})"
    )
}
