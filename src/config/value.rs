//! Parsers of single values, as clap wants them.

use std::{convert::Infallible, net::SocketAddr, ops::RangeInclusive, time::Duration};

use secrecy::SecretString;

/// Never fails, because clap would print the value: secrets are checked later.
#[expect(clippy::unnecessary_wraps, reason = "clap asks for a result")]
pub(super) fn secret(text: &str) -> Result<SecretString, Infallible> {
    Ok(SecretString::from(text))
}

/// A length of time such as `500ms`, `20s` or `1h 30m`, within limits in seconds.
pub(super) fn duration(seconds: RangeInclusive<u64>) -> impl Fn(&str) -> Result<Duration, String> + Clone {
    duration_within(Duration::from_secs(*seconds.start()), Duration::from_secs(*seconds.end()))
}

/// A length of time such as `500ms`, `20s` or `1h 30m`, within limits.
pub fn duration_within(least: Duration, most: Duration) -> impl Fn(&str) -> Result<Duration, String> + Clone {
    move |text| {
        let value =
            humantime::parse_duration(text).map_err(|error| format!("{error}; write it as 500ms, 20s or 5m"))?;
        if value < least || value > most {
            let (least, most) = (humantime::format_duration(least), humantime::format_duration(most));
            return Err(format!("must be between {least} and {most}"));
        }
        Ok(value)
    }
}

pub(super) fn socket_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "must be an IP address and a port, such as 127.0.0.1:8080 or [::]:8080".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_outside_its_limits_is_refused() {
        let parse = duration(1..=60);
        assert_eq!(parse("1m").unwrap(), Duration::from_mins(1));
        assert!(parse("61s").unwrap_err().contains("between 1s and 1m"));
        assert!(parse("999ms").is_err());
        assert!(parse("20").is_err(), "a number without a unit says nothing");
    }
}
