//! More users than a page of the gRPC API holds.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use signet::id_form;
use uuid::Uuid;

use super::{Descope, refused};

const SEARCH: &str = "/v2/mgmt/user/search";
const LOAD: &str = "/v1/mgmt/users/load";

fn ids(answer: &Value) -> Vec<String> {
    let users = answer["users"].as_array().unwrap().iter();
    users.map(|user| user["userId"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn more_users_than_fit_on_a_page_are_read_in_one_answer() {
    let descope = Descope::start().await;
    for number in 0..118 {
        let created = descope.manage("/v1/mgmt/user/create", json!({ "loginId": format!("user{number}") })).await;
        assert_eq!(created.status, 200, "{}", created.text());
    }
    // With the two who were there before.
    let search = async |body: Value| {
        let found = descope.manage(SEARCH, body).await;
        assert_eq!((found.status, &found.json["total"]), (200, &json!(120)), "{}", found.text());
        ids(&found.json)
    };
    let everybody = search(json!({ "limit": 1000 })).await;
    assert_eq!(everybody.iter().collect::<BTreeSet<_>>().len(), 120);
    let order = json!([{ "field": "createdTime", "desc": true }]);
    let mut backward = search(json!({ "limit": 110, "sort": order })).await;
    assert_eq!(backward.len(), 110);
    backward.extend(search(json!({ "limit": 110, "page": 1, "sort": order })).await);
    backward.reverse();
    assert_eq!(backward, everybody);

    let mut asked = everybody.clone();
    asked.push("nobody".to_owned());
    asked.extend_from_within(..20);
    let loaded = descope.manage(LOAD, json!({ "userIds": asked })).await;
    assert_eq!((loaded.status, &loaded.json["total"]), (200, &json!(120)), "each once: {}", loaded.text());
    assert_eq!(ids(&loaded.json).into_iter().collect::<BTreeSet<_>>(), everybody.into_iter().collect());

    refused(&descope.manage(SEARCH, json!({ "limit": 1001 })).await, 400, "E011003");
    refused(&descope.manage(SEARCH, json!({ "limit": 1000, "page": 11 })).await, 400, "E011003");
    let too_many: Vec<_> = (0..1001).map(|number| id_form::descope('U', Uuid::from_u128(number))).collect();
    refused(&descope.manage(LOAD, json!({ "userIds": too_many })).await, 400, "E011003");
}
