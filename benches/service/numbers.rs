//! Medians, quantiles, and how they are written.

use std::fmt;

/// A figure of each round.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rounds(Vec<f64>);

impl Rounds {
    pub(crate) fn push(&mut self, figure: f64) {
        self.0.push(figure);
    }

    pub(crate) fn median(&self) -> f64 {
        quantile(&self.0, 0.5)
    }

    /// The least and the greatest.
    pub(crate) fn spread(&self) -> String {
        let least = self.0.iter().copied().fold(f64::INFINITY, f64::min);
        let greatest = self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        format!("{} to {}", Figure(least), Figure(greatest))
    }
}

impl FromIterator<f64> for Rounds {
    fn from_iter<T: IntoIterator<Item = f64>>(figures: T) -> Self {
        Self(figures.into_iter().collect())
    }
}

/// The least figure that is not exceeded by that share of them, or what is half-way between two. Not a number if there
/// are none.
pub(crate) fn quantile(figures: &[f64], share: f64) -> f64 {
    if figures.is_empty() {
        return f64::NAN;
    }
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in a list")]
    let place = |place: f64| sorted[place as usize];
    let exact = share * (sorted.len() - 1) as f64;
    let (low, high) = (place(exact.floor()), place(exact.ceil()));
    // What takes for ever has no middle.
    if low.total_cmp(&high).is_eq() { low } else { low.midpoint(high) }
}

/// What turns the ratio of two measurements into that of each by the part of the machine that its callers left to it:
/// they kept so many of the CPUs busy, first those of what the ratio is over.
pub(crate) fn of_what_is_left(callers_before: f64, callers: f64, cpus: f64) -> f64 {
    (cpus - callers_before) / (cpus - callers)
}

/// Three digits that count.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figure(pub(crate) f64);

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.is_finite() {
            return f.write_str(if self.0.is_nan() { "–" } else { "never" });
        }
        let digits = match self.0.abs() {
            100.0.. => 0,
            10.0.. => 1,
            1.0.. => 2,
            _ => 3,
        };
        write!(f, "{:.digits$}", self.0)
    }
}

/// `met`, or not.
pub(crate) const fn met(is_met: bool) -> &'static str {
    if is_met { "met" } else { "**not met**" }
}
