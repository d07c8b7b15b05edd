//! The search for users: `POST /v1/users/search` (contract, section 4.5).

use std::collections::HashSet;

use chrono::DateTime;
use prost_types::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{answer::success, errors::said, objects::User, site::Site};
use crate::{
    id_form,
    proto::{ListUsersRequest, UserFilter},
    rest::{
        api::Api,
        failure::Refusal,
        incoming::{Head, Incoming},
        reply::Reply,
    },
};

/// The vendor's largest and default `limit`.
const LIMIT_MAX: i32 = 1000;
const LIMIT_DEFAULT: i32 = 100;
/// Users that a page of the API's list holds: a larger limit gets so many, and a cursor for the rest.
const PAGE_SIZE_MAX: i32 = 100;
/// Filters for what no user has.
const NOBODY_HAS: [&str; 5] = ["biometric_", "crypto_wallet_", "oauth_provider", "totp_", "webauthn_"];

#[derive(Deserialize)]
struct Search {
    limit: Option<i32>,
    cursor: Option<String>,
    query: Option<Query>,
}

#[derive(Deserialize)]
struct Query {
    operator: Option<String>,
    #[serde(default)]
    operands: Vec<Operand>,
}

#[derive(Deserialize)]
struct Operand {
    filter_name: String,
    #[serde(default)]
    filter_value: Value,
}

#[derive(Serialize)]
struct Found {
    results: Vec<User>,
    results_metadata: Metadata,
}

#[derive(Serialize)]
struct Metadata {
    total: i32,
    next_cursor: Option<String>,
}

/// `POST /v1/users/search`.
pub(super) async fn search(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let (head, site) = (&incoming.head, Site::back_end(incoming)?);
    let body: Search = incoming.json()?;
    let limit = body.limit.unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(said(head, 400, "user_search_invalid_limit", "limit is 1 to 1000"));
    }
    let request = ListUsersRequest {
        page_size: limit.min(PAGE_SIZE_MAX),
        page_token: body.cursor.unwrap_or_default(),
        filter: body.query.map(|query| query.into_filter(head)).transpose()?,
        include_total: true,
        ..ListUsersRequest::default()
    };
    let page = api.users.clone().list_users(site.call(request)).await?.into_inner();
    let metadata = Metadata {
        total: page.total.unwrap_or_default(),
        next_cursor: Some(page.next_page_token).filter(|cursor| !cursor.is_empty()),
    };
    let results = page.users.iter().map(User::from).collect();
    Ok(success(head, Found { results, results_metadata: metadata }))
}

impl Query {
    fn into_filter(self, head: &Head) -> Result<UserFilter, Refusal> {
        let operator = self.operator.as_deref().unwrap_or("AND");
        // Of a single condition both say the same.
        if !(operator == "AND" || operator == "OR" && self.operands.len() < 2) {
            let message = "conditions are combined by AND; this service knows no other operator";
            return Err(said(head, 400, "user_search_invalid_operator", message));
        }
        let mut conditions = Conditions { head, filter: UserFilter::default(), ids: None, is_nobody: false };
        for operand in &self.operands {
            conditions.add(operand)?;
        }
        Ok(conditions.into_filter())
    }
}

/// The conditions read so far.
struct Conditions<'a> {
    head: &'a Head,
    filter: UserFilter,
    /// The users who are named by an id of any kind.
    ids: Option<HashSet<Uuid>>,
    /// True if nobody can meet them.
    is_nobody: bool,
}

impl Conditions<'_> {
    fn add(&mut self, Operand { filter_name: name, filter_value: value }: &Operand) -> Result<(), Refusal> {
        match name.as_str() {
            "created_at_between" => {
                self.filter.created_from = Some(self.time(&value["greater_than"])?);
                self.filter.created_before = Some(self.time(&value["less_than"])?);
            }
            "created_at_greater_than" => self.filter.created_from = Some(self.time(value)?),
            "created_at_less_than" => self.filter.created_before = Some(self.time(value)?),
            "email_address" => self.filter.emails = self.texts(value)?,
            "email_address_fuzzy" | "full_name_fuzzy" | "phone_number_fuzzy" => self.add_text(value)?,
            "email_id" => self.add_ids("email", value)?,
            "email_verified" => self.filter.email_verified = Some(self.truth(value)?),
            "password_exists" => self.filter.has_password = Some(self.truth(value)?),
            "phone_id" => self.add_ids("phone-number", value)?,
            "phone_number" => self.filter.phone_numbers = self.texts(value)?,
            // Every user is active here.
            "status" => self.is_nobody |= self.text(value)? != "active",
            "user_id" => self.add_user_ids(value)?,
            other if NOBODY_HAS.iter().any(|prefix| other.starts_with(prefix)) => self.is_nobody = true,
            other => {
                let message = format!("this service has no filter named {other}");
                return Err(said(self.head, 400, "user_search_filter_name_not_recognized", &message));
            }
        }
        // An empty list is met by nobody; to the API it would be no condition.
        self.is_nobody |= value.as_array().is_some_and(Vec::is_empty);
        Ok(())
    }

    fn add_user_ids(&mut self, value: &Value) -> Result<(), Refusal> {
        let names = self.texts(value)?;
        let of_ours = names.iter().filter(|name| id_form::parse_stytch("user", name).is_some()).count();
        if of_ours == names.len() {
            return self.add_ids("user", value);
        }
        if of_ours > 0 {
            let message = "user_id takes ids, or names that the application has given, but not both";
            return Err(said(self.head, 400, "user_search_cannot_mix_internal_and_external_user_ids", message));
        }
        self.filter.external_ids = names;
        Ok(())
    }

    /// Narrows the users down to those with these ids.
    fn add_ids(&mut self, kind: &str, value: &Value) -> Result<(), Refusal> {
        let named: HashSet<_> = self.texts(value)?.iter().filter_map(|id| id_form::parse_stytch(kind, id)).collect();
        self.ids = Some(match self.ids.take() {
            None => named,
            Some(before) => before.intersection(&named).copied().collect(),
        });
        Ok(())
    }

    fn add_text(&mut self, value: &Value) -> Result<(), Refusal> {
        let text = self.text(value)?.to_owned();
        if !self.filter.text.is_empty() && self.filter.text != text {
            return Err(said(self.head, 400, "bad_request", "of the fuzzy filters one can be used at a time"));
        }
        self.filter.text = text;
        Ok(())
    }

    fn into_filter(mut self) -> UserFilter {
        if let Some(ids) = self.ids {
            self.is_nobody |= ids.is_empty();
            let mut ids: Vec<_> = ids.into_iter().collect();
            ids.sort_unstable();
            self.filter.user_ids = ids.into_iter().map(|id| id_form::canonical("user", id)).collect();
        }
        if self.is_nobody {
            // An id that no user has: the API still has to say whether the caller may ask.
            self.filter.user_ids = vec![id_form::canonical("user", Uuid::nil())];
        }
        self.filter
    }

    fn expected(&self, error_type: &str, what: &str) -> Refusal {
        said(self.head, 400, error_type, &format!("the filter_value is no {what}"))
    }

    fn text<'v>(&self, value: &'v Value) -> Result<&'v str, Refusal> {
        value.as_str().ok_or_else(|| self.expected("user_search_expected_string", "text"))
    }

    fn texts(&self, value: &Value) -> Result<Vec<String>, Refusal> {
        let texts =
            value.as_array().and_then(|values| values.iter().map(|text| text.as_str().map(str::to_owned)).collect());
        texts.ok_or_else(|| self.expected("user_search_expected_array_of_string", "list of texts"))
    }

    fn truth(&self, value: &Value) -> Result<bool, Refusal> {
        value.as_bool().ok_or_else(|| self.expected("user_search_expected_bool", "truth value"))
    }

    fn time(&self, value: &Value) -> Result<Timestamp, Refusal> {
        let time = value.as_str().and_then(|text| DateTime::parse_from_rfc3339(text).ok());
        let time = time.ok_or_else(|| self.expected("user_search_expected_timestamp", "time of RFC 3339"))?;
        Ok(Timestamp { seconds: time.timestamp(), nanos: i32::try_from(time.timestamp_subsec_nanos()).unwrap_or(0) })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filter(operands: &Value) -> Result<UserFilter, Refusal> {
        let head = Head::new(http::Request::new(()).into_parts().0, "a-request".to_owned());
        let query: Query = serde_json::from_value(json!({"operator": "AND", "operands": operands})).unwrap();
        query.into_filter(&head)
    }

    fn nobody() -> Vec<String> {
        vec![id_form::canonical("user", Uuid::nil())]
    }

    #[test]
    fn conditions_on_ids_narrow_each_other_down() {
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let users = json!([id_form::stytch("user", one), id_form::stytch("user", two)]);
        let found = filter(&json!([
            {"filter_name": "user_id", "filter_value": users},
            {"filter_name": "email_id", "filter_value": [id_form::stytch("email", two)]},
        ]));
        assert_eq!(found.unwrap().user_ids, [id_form::canonical("user", two)]);
    }

    #[test]
    fn what_nobody_meets_finds_nobody_rather_than_everybody() {
        for operand in [
            json!({"filter_name": "user_id", "filter_value": []}),
            json!({"filter_name": "email_id", "filter_value": ["unknown"]}),
            json!({"filter_name": "email_address", "filter_value": []}),
            json!({"filter_name": "status", "filter_value": "pending"}),
            json!({"filter_name": "totp_verified", "filter_value": true}),
        ] {
            assert_eq!(filter(&json!([operand])).unwrap().user_ids, nobody(), "{operand}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for operand in [
            json!({"filter_name": "email_verified", "filter_value": "yes"}),
            json!({"filter_name": "created_at_between", "filter_value": {"greater_than": "2026-01-01T00:00:00Z"}}),
            json!({"filter_name": "user_id", "filter_value": "not a list"}),
            json!({"filter_name": "shoe_size", "filter_value": 42}),
        ] {
            assert!(filter(&json!([operand])).is_err(), "{operand}");
        }
    }
}
