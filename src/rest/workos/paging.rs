//! Lists (contract section 3). A cursor is the id of an object.

use http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};

use super::refusal;
use crate::{
    proto::ListOrder,
    rest::{failure::Refusal, incoming::Head, reply::Reply},
};

const LIMIT_DEFAULT: i32 = 10;

/// Which page was asked for.
pub(super) struct Paging {
    pub(super) limit: i32,
    pub(super) order: ListOrder,
    pub(super) after: Option<String>,
    pub(super) before: Option<String>,
}

impl Paging {
    pub(super) fn of(head: &Head) -> Result<Self, Refusal> {
        // 0 would be taken for the default of the API.
        let limit =
            head.query("limit").map_or(Some(LIMIT_DEFAULT), |text| text.parse().ok().filter(|limit| *limit > 0));
        let limit = limit.ok_or_else(|| refusal::invalid("limit_invalid", "limit must be 1 to 100"))?;
        let order = match head.query("order") {
            None | Some("desc") => ListOrder::NewestFirst,
            Some("asc") => ListOrder::OldestFirst,
            Some("normal") => ListOrder::Unspecified,
            Some(_) => return Err(refusal::invalid("order_invalid", "order must be asc, desc or normal")),
        };
        let cursor = |name| head.query(name).filter(|id| !id.is_empty()).map(str::to_owned);
        Ok(Self { limit, order, after: cursor("after"), before: cursor("before") })
    }

    /// The page as it is answered. `has_more` tells whether more follow.
    pub(super) fn reply<T: Serialize>(&self, data: &[T], id: impl Fn(&T) -> &str, has_more: bool) -> Reply {
        let (first, last) = (data.first().map(&id), data.last().map(&id));
        // Read backward, the API does not say whether there is more: a page that is full may lead to an empty one.
        let is_full = i32::try_from(data.len()).is_ok_and(|length| length >= self.limit);
        let before = first.filter(|_| self.after.is_some() || (self.before.is_some() && is_full));
        let after = last.filter(|_| has_more);
        listed(&json!(data), before, after)
    }
}

/// A page that can hold nothing.
pub(super) fn none() -> Reply {
    listed(&json!([]), None, None)
}

fn listed(data: &Value, before: Option<&str>, after: Option<&str>) -> Reply {
    let metadata = json!({ "before": before, "after": after });
    Reply::json(StatusCode::OK, &json!({ "object": "list", "data": data, "list_metadata": metadata }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paging(query: &str) -> Result<Paging, Refusal> {
        let request = http::Request::builder().uri(format!("/user_management/users?{query}")).body(()).unwrap();
        Paging::of(&Head::new(request.into_parts().0, String::new()))
    }

    #[test]
    fn a_page_is_ten_of_the_newest_unless_it_says_otherwise() {
        let plain = paging("").ok().unwrap();
        assert_eq!((plain.limit, plain.order, plain.after), (10, ListOrder::NewestFirst, None));
        let asked = paging("limit=3&order=asc&after=user_1").ok().unwrap();
        assert_eq!((asked.limit, asked.order, asked.after.as_deref()), (3, ListOrder::OldestFirst, Some("user_1")));
        for wrong in ["limit=0", "limit=-1", "limit=many", "order=up"] {
            assert!(paging(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn cursors_lead_to_where_there_is_more() {
        let table = [
            ("", true, (None, Some("b"))),
            ("", false, (None, None)),
            ("after=x", true, (Some("a"), Some("b"))),
            ("after=x", false, (Some("a"), None)),
            ("before=x", true, (None, Some("b"))),
            ("before=x&limit=2", true, (Some("a"), Some("b"))),
        ];
        for (query, has_more, (before, after)) in table {
            let reply = paging(query).ok().unwrap().reply(&["a", "b"], |id| id, has_more);
            let body: Value = serde_json::from_slice(&reply.body.unwrap().1).unwrap();
            assert_eq!(body["list_metadata"], json!({ "before": before, "after": after }), "{query} {has_more}");
        }
    }
}
