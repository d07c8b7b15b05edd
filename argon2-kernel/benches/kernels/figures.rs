//! Quartiles, and the goal.

/// How many times as long as ours the crate `argon2` is to take at the default parameters, used as its documentation
/// shows.
const GOAL: f64 = 2.2;

/// The lower quartile, the median and the upper quartile, each of them a value that was measured.
pub(crate) fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values[(values.len() * quarter / 4).min(values.len() - 1)])
}

/// Whether the goal is met, in words, by the median of the ratios.
pub(crate) fn goal(ratio: f64) -> String {
    let met = if ratio >= GOAL { "met" } else { "**not met**" };
    format!("`argon2` plain ÷ ours at the default parameters: {ratio:.2} (goal ≥ {GOAL}: {met})")
}
