//! The arithmetic of the service's benchmark, which no other test runs.

#[path = "../../benches/service/numbers.rs"]
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
mod numbers;

use numbers::{Figure, Rounds, met, of_what_is_left, quantile};

fn figure(number: f64) -> String {
    Figure(number).to_string()
}

#[test]
fn callers_are_taken_out_of_both_measurements() {
    // Half a CPU of two called for what could be done; a whole one floods.
    assert_eq!(figure(0.6 * of_what_is_left(0.5, 1.0, 2.0)), "0.900");
    assert_eq!(figure(0.9 * of_what_is_left(0.25, 0.25, 2.0)), "0.900", "what took the same share changes nothing");
}

#[test]
fn medians_and_quantiles_are_of_the_rounds() {
    let mut rounds: Rounds = [3.0, 1.0].into_iter().collect();
    assert_eq!((figure(rounds.median()), rounds.spread()), ("2.00".to_owned(), "1.00 to 3.00".to_owned()));
    rounds.push(200.0);
    assert_eq!((figure(rounds.median()), rounds.spread()), ("3.00".to_owned(), "1.00 to 200".to_owned()));
    let never = [1.0, f64::INFINITY];
    assert_eq!([0.0, 0.5, 1.0].map(|share| figure(quantile(&never, share))), ["1.00", "never", "never"]);
    assert_eq!(figure(quantile(&[], 0.5)), "–");
}

#[test]
fn three_digits_count() {
    assert_eq!([0.12345, 1.2345, 12.345, 123.45].map(figure), ["0.123", "1.23", "12.3", "123"]);
    assert_eq!([true, false].map(met), ["met", "**not met**"]);
}
