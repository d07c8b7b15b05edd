//! Where a page lies, and since when.

use prost_types::Timestamp;
use uuid::Uuid;

use crate::{
    clock,
    domain::{
        page::{ListOrder, OrderedPage, Page, Place},
        violation::InField as _,
    },
    proto,
    usecase::Error,
};

/// 0001-01-01T00:00:00Z to 9999-12-31T23:59:59Z, the times that `google.protobuf.Timestamp` can tell.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// What a page lies next to, beside a page token: each with its field, and its id if it is set.
pub(in crate::grpc) struct Edges {
    /// It starts behind that.
    pub(in crate::grpc) after: (&'static str, Option<Uuid>),
    /// It ends before that.
    pub(in crate::grpc) before: (&'static str, Option<Uuid>),
}

/// Reads the fields of a list request that goes both ways.
pub(in crate::grpc) fn ordered_page(
    (size, token): (i32, &str),
    order: i32,
    edges: &Edges,
    skip: i32,
) -> Result<OrderedPage, Error> {
    let size = Page::parse_size(size).in_field("page_size")?;
    let token = Page::parse_token(token).in_field("page_token")?;
    let order = match proto::ListOrder::try_from(order) {
        Ok(proto::ListOrder::Unspecified | proto::ListOrder::OldestFirst) => ListOrder::OldestFirst,
        Ok(proto::ListOrder::NewestFirst) => ListOrder::NewestFirst,
        Err(_) => return Err(Error::field("order", "is none of the orders")),
    };
    let ((after_field, after), (before_field, before)) = (edges.after, edges.before);
    let place = match (token, after, before) {
        (None, None, None) => Place::First,
        (Some(id), None, None) | (None, Some(id), None) => Place::After(id),
        (None, None, Some(id)) => Place::Before(id),
        (Some(_), ..) => {
            return Err(Error::field("page_token", format!("not together with {after_field} or {before_field}")));
        }
        (None, Some(_), Some(_)) => return Err(Error::field(before_field, format!("not together with {after_field}"))),
    };
    Ok(OrderedPage { size, order, place, skip: OrderedPage::parse_skip(skip).in_field("skip")? })
}

/// Reads a time.
pub(in crate::grpc) fn time_from(field: &str, time: Timestamp) -> Result<clock::Timestamp, Error> {
    let nanos = u32::try_from(time.nanos).ok().filter(|nanos| *nanos < 1_000_000_000);
    let read = nanos.filter(|_| SECONDS.contains(&time.seconds)).and_then(|nanos| {
        // The databases keep microseconds.
        clock::Timestamp::from_timestamp(time.seconds, nanos / 1000 * 1000)
    });
    read.ok_or_else(|| Error::field(field, "must be a time from 0001-01-01T00:00:00Z to 9999-12-31T23:59:59Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_one_that_the_databases_can_keep() {
        let at = |seconds, nanos| time_from("filter.created_from", Timestamp { seconds, nanos });
        assert_eq!(at(1, 1_999).unwrap().timestamp_subsec_nanos(), 1_000, "microseconds");
        assert!(at(*SECONDS.start(), 0).is_ok() && at(*SECONDS.end(), 999_999_999).is_ok());
        for (seconds, nanos) in [
            (SECONDS.start() - 1, 0),
            (SECONDS.end() + 1, 0),
            (i64::MIN, 0),
            (i64::MAX, 0),
            (0, -1),
            (0, 1_000_000_000),
        ] {
            assert!(matches!(at(seconds, nanos), Err(Error::InvalidFields(_))), "{seconds} {nanos}");
        }
    }
}
