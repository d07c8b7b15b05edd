//! Users whom a back end looks for.

use http::StatusCode;
use prost_types::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::pages::{self, check_count};
use crate::{
    proto::{ListOrder, ListUsersRequest, UserFilter, UserStatus},
    rest::{
        api::Api,
        descope::{
            body::body,
            caller::Caller,
            refusals::{not_supported, said},
            user::{UserObject, canonical_id},
        },
        failure::Refusal,
        incoming::Incoming,
        reply::Reply,
    },
};

/// Users of a page, where the call does not say.
const LIMIT_DEFAULT: usize = 100;

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Search {
    limit: i64,
    page: i64,
    text: String,
    sort: Vec<Sort>,
    test_users_only: bool,
    statuses: Vec<String>,
    emails: Vec<String>,
    phones: Vec<String>,
    login_ids: Vec<String>,
    user_ids: Vec<String>,
    from_created_time: Option<Value>,
    to_created_time: Option<Value>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Sort {
    field: String,
    desc: bool,
}

/// Filters by what this service does not have. An answer that leaves them out would show users that were not asked for.
const REFUSED: [&str; 12] = [
    "tenantIds",
    "roleNames",
    "tenantRoleIds",
    "tenantRoleNames",
    "ssoAppIDs",
    "customAttributes",
    "fromModifiedTime",
    "toModifiedTime",
    "familyIds",
    "dependent",
    "lockReasons",
    "tempLockReasons",
];

impl Search {
    /// The request, and for how many users at most; none if it can only find nobody.
    fn checked(mut self) -> Result<Option<(ListUsersRequest, usize)>, Refusal> {
        let is_empty = |value: &Value| match value {
            Value::Array(values) => values.is_empty(),
            Value::Object(object) => object.is_empty(),
            Value::Bool(asked) => !asked,
            other => other.as_i64() == Some(0) || other == "0" || other == "",
        };
        if let Some(name) = REFUSED.into_iter().find(|name| self.rest.get(*name).is_some_and(|value| !is_empty(value)))
        {
            return Err(not_supported(name));
        }
        let (Ok(limit), Ok(page)) = (usize::try_from(self.limit), usize::try_from(self.page)) else {
            return Err(said(StatusCode::BAD_REQUEST, "E011004", "limit and page must not be negative").into());
        };
        let limit = if limit == 0 { LIMIT_DEFAULT } else { limit };
        check_count("limit", limit)?;
        let is_asked = !self.user_ids.is_empty();
        let user_ids: Vec<_> = self.user_ids.drain(..).filter_map(|id| canonical_id(&id)).collect();
        if self.test_users_only || (is_asked && user_ids.is_empty()) {
            return Ok(None);
        }
        let order = self.order()?;
        let filter = UserFilter {
            user_ids,
            statuses: statuses(&self.statuses)?,
            emails: self.emails,
            phone_numbers: self.phones,
            login_ids: self.login_ids,
            created_from: moment(self.from_created_time.as_ref(), 0)?,
            // That moment itself is asked for, too.
            created_before: moment(self.to_created_time.as_ref(), 1)?,
            text: self.text,
            ..UserFilter::default()
        };
        let request = ListUsersRequest {
            skip: i32::try_from(page.saturating_mul(limit)).unwrap_or(i32::MAX),
            filter: Some(filter),
            order: order.into(),
            include_total: true,
            ..ListUsersRequest::default()
        };
        Ok(Some((request, limit)))
    }

    fn order(&self) -> Result<ListOrder, Refusal> {
        match self.sort.as_slice() {
            [] => Ok(ListOrder::Unspecified),
            [Sort { field, desc: false }] if field == "createdTime" => Ok(ListOrder::OldestFirst),
            [Sort { field, desc: true }] if field == "createdTime" => Ok(ListOrder::NewestFirst),
            _ => Err(not_supported("to sort by anything but createdTime")),
        }
    }
}

/// The statuses to look for. `invited` is said of whoever has never signed in, and the API has no filter for that: it finds everybody
/// who is not disabled.
fn statuses(names: &[String]) -> Result<Vec<i32>, Refusal> {
    let status = |name: &String| match name.as_str() {
        "enabled" | "invited" => Ok(UserStatus::Active.into()),
        "disabled" => Ok(UserStatus::Disabled.into()),
        _ => Err(not_supported("to search by that status")),
    };
    let mut found = names.iter().map(status).collect::<Result<Vec<_>, _>>()?;
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// Milliseconds since 1970, as a number or as text; 0 counts as absent.
fn moment(value: Option<&Value>, later_millis: i64) -> Result<Option<Timestamp>, Refusal> {
    let millis = match value {
        None => 0,
        Some(Value::String(text)) if text.is_empty() => 0,
        Some(value) => {
            let read = value.as_i64().or_else(|| value.as_str()?.parse().ok()).filter(|millis| *millis >= 0);
            read.ok_or_else(|| said(StatusCode::BAD_REQUEST, "E011004", "times must be milliseconds since 1970"))?
        }
    };
    if millis == 0 {
        return Ok(None);
    }
    let millis = millis.saturating_add(later_millis);
    let nanos = i32::try_from(millis % 1000).unwrap_or(0) * 1_000_000;
    Ok(Some(Timestamp { seconds: millis / 1000, nanos }))
}

/// `POST /v1/mgmt/user/search` and `/v2/mgmt/user/search` (contract, section 8).
pub(in crate::rest::descope) async fn search(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let authorization = Caller::of(&incoming.head)?.management()?;
    let Some((request, limit)) = body::<Search>(incoming)?.checked()? else {
        return Ok(Reply::json(StatusCode::OK, &json!({ "users": [], "total": 0 })));
    };
    let found = pages::read(api, incoming, &authorization, request, limit).await?;
    let users: Vec<_> = found.users.into_iter().map(UserObject::from).collect();
    Ok(Reply::json(StatusCode::OK, &json!({ "users": users, "total": found.total })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn searched(body: Value) -> Result<Option<(ListUsersRequest, usize)>, Refusal> {
        serde_json::from_value::<Search>(body).unwrap().checked()
    }

    #[test]
    fn zero_values_ask_for_everybody() {
        // As the libraries send it.
        let body = json!({
            "tenantIds": [], "roleNames": [], "limit": 0, "page": 0, "testUsersOnly": false, "withTestUser": false,
            "ssoAppIDs": [], "customAttributes": {}, "tenantRoleIds": {}, "tenantRoleNames": {}, "toModifiedTime": 0,
        });
        let (request, limit) = searched(body).unwrap().unwrap();
        assert_eq!((limit, request.skip, request.include_total), (100, 0, true));
        assert_eq!(request.filter, Some(UserFilter::default()));
    }

    #[test]
    fn pages_times_and_orders_are_translated() {
        let body = json!({
            "limit": 10, "page": 3, "sort": [{"field": "createdTime", "desc": true}],
            "statuses": ["enabled", "invited", "disabled"],
            "fromCreatedTime": "1700000000123", "toCreatedTime": 1_700_000_001_999_i64,
        });
        let (request, limit) = searched(body).unwrap().unwrap();
        assert_eq!((limit, request.skip), (10, 30));
        assert_eq!(request.order(), ListOrder::NewestFirst);
        let filter = request.filter.unwrap();
        assert_eq!(filter.statuses, [1, 2]);
        assert_eq!(filter.created_from, Some(Timestamp { seconds: 1_700_000_000, nanos: 123_000_000 }));
        assert_eq!(filter.created_before, Some(Timestamp { seconds: 1_700_000_002, nanos: 0 }));
    }

    #[test]
    fn what_cannot_be_looked_for_is_refused_and_nobody_is_nobody() {
        for body in [
            json!({"roleNames": ["admin"]}),
            json!({"tenantIds": ["T1"]}),
            json!({"customAttributes": {"a": 1}}),
            json!({"sort": [{"field": "email"}]}),
            json!({"page": -1}),
            json!({"limit": 1001}),
            json!({"statuses": ["expired"]}),
            json!({"toModifiedTime": 5}),
            json!({"fromCreatedTime": "yesterday"}),
        ] {
            assert!(searched(body.clone()).is_err(), "{body}");
        }
        assert_eq!(searched(json!({"testUsersOnly": true})).unwrap(), None);
        assert_eq!(searched(json!({"userIds": ["nobody"]})).unwrap(), None);
    }
}
