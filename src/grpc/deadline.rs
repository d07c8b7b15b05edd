//! The deadline a caller sets, as `grpc-timeout` carries it.

use std::time::Duration;

use http::HeaderMap;

/// Reads `grpc-timeout`: up to 8 digits and a unit. A malformed one counts as none.
pub(super) fn requested(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(amount * 3600),
        "M" => Duration::from_secs(amount * 60),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("5S", Some(Duration::from_secs(5)))]
    #[case("250m", Some(Duration::from_millis(250)))]
    #[case("99999999H", Some(Duration::from_hours(99_999_999)))]
    #[case("", None)]
    #[case("S", None)]
    #[case("123456789S", None)]
    #[case("5s", None)]
    #[case("5é", None)]
    fn a_timeout_is_read(#[case] value: &str, #[case] expected: Option<Duration>) {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-timeout", http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
        assert_eq!(requested(&headers), expected);
    }
}
