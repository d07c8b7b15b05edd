//! JSON and time, as messages hold them and as dialects write them.

use chrono::{DateTime, SecondsFormat, Utc};
use prost_types::Timestamp;

pub(super) use crate::json_struct::{object_of, struct_of};

fn moment(time: &Timestamp) -> DateTime<Utc> {
    DateTime::from_timestamp(time.seconds, u32::try_from(time.nanos).unwrap_or(0)).unwrap_or_default()
}

/// RFC 3339 in UTC with milliseconds: `2026-01-15T12:00:00.000Z`.
pub(super) fn rfc3339_millis(time: &Timestamp) -> String {
    moment(time).to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// RFC 3339 in UTC with whole seconds: `2026-01-15T12:00:00Z`.
pub(super) fn rfc3339_seconds(time: &Timestamp) -> String {
    moment(time).to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Milliseconds since 1970.
pub(super) fn epoch_millis(time: &Timestamp) -> i64 {
    moment(time).timestamp_millis()
}

/// Seconds since 1970.
pub(super) const fn epoch_seconds(time: &Timestamp) -> i64 {
    time.seconds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_the_form_that_each_dialect_writes() {
        let time = Timestamp { seconds: 1_768_478_400, nanos: 5_000_000 };
        assert_eq!(rfc3339_millis(&time), "2026-01-15T12:00:00.005Z");
        assert_eq!(rfc3339_seconds(&time), "2026-01-15T12:00:00Z");
        assert_eq!((epoch_millis(&time), epoch_seconds(&time)), (1_768_478_400_005, 1_768_478_400));
    }
}
