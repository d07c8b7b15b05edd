use http::Method;
use insta::assert_json_snapshot;
use serde_json::{Value, json};

use super::{Shop, assert_error};
use crate::{
    shape::shape,
    support::{ADA, GRACE},
};

fn linus() -> Value {
    json!({
        "email": "linus@example.com", "phone_number": "+12025550123",
        "name": {"first_name": "Linus", "middle_name": "Carl", "last_name": "Pauling"},
        "external_id": "shop|7", "trusted_metadata": {"plan": "pro"}, "untrusted_metadata": {"theme": "dark"},
    })
}

#[tokio::test]
async fn users_are_created_read_and_deleted() {
    let shop = Shop::start().await;
    let created = shop.post("/v1/users", linus()).await;
    assert_json_snapshot!("users_create", shape(&created));
    let path = format!("/v1/users/{}", created.json["user_id"].as_str().unwrap());
    // The library for Python names the user twice.
    let read = shop.get(&format!("{path}?user_id=ignored")).await;
    assert_json_snapshot!("users_get", shape(&read));
    let by_name = shop.get("/v1/users/shop%7C7").await;
    assert_eq!(by_name.json["user_id"], created.json["user_id"], "{}", by_name.text());

    let deleted = shop.back_end(Method::DELETE, &path).header("content-type", "application/json").await;
    assert_json_snapshot!("users_delete", shape(&deleted));
    for path in [path.as_str(), "/v1/users/shop%7C7"] {
        assert_error(&shop.get(path).await, 404, "user_not_found");
        assert_error(&shop.back_end(Method::DELETE, path).json(&json!({})).await, 404, "user_not_found");
    }
}

#[tokio::test]
async fn users_are_updated_in_part() {
    let shop = Shop::start().await;
    let created = shop.post("/v1/users", linus()).await;
    let path = format!("/v1/users/{}", created.json["user_id"].as_str().unwrap());
    let update = json!({
        "user_id": "repeated", "name": {"first_name": "Linus P.", "middle_name": ""},
        "trusted_metadata": {"plan": null, "seats": 3}, "untrusted_metadata": {"lang": "en"},
    });
    let updated = shop.back_end(Method::PUT, &path).json(&update).await;
    assert_json_snapshot!("users_update", shape(&updated));
    let nothing = shop.back_end(Method::PUT, &path).json(&json!({})).await;
    assert_eq!(nothing.json["user"], updated.json["user"], "{}", nothing.text());
}

#[tokio::test]
async fn users_without_password_or_address_have_nulls_and_empty_texts() {
    let shop = Shop::start().await;
    let created = shop.post("/v1/users", json!({"phone_number": "+12025550123"})).await;
    assert_eq!((created.status, &created.json["email_id"]), (200, &json!("")), "{}", created.text());
    let user = &created.json["user"];
    assert_eq!(
        (&user["password"], &user["emails"], &user["name"]["first_name"]),
        (&Value::Null, &json!([]), &json!(""))
    );
}

#[tokio::test]
async fn users_are_searched() {
    let shop = Shop::start().await;
    shop.post("/v1/users", linus()).await;
    let search = async |body: Value| shop.post("/v1/users/search", body).await;
    let all = search(json!({})).await;
    assert_eq!(all.json["results_metadata"], json!({"total": 3, "next_cursor": null}), "{}", all.text());
    let page = search(json!({"limit": 2})).await;
    assert_eq!(
        (page.json["results"].as_array().unwrap().len(), &page.json["results_metadata"]["total"]),
        (2, &json!(3))
    );
    let rest = search(json!({"limit": 2, "cursor": page.json["results_metadata"]["next_cursor"]})).await;
    assert_eq!(rest.json["results"].as_array().unwrap().len(), 1, "{}", rest.text());

    let emails = async |operands: Value| {
        let answer = search(json!({"query": {"operator": "AND", "operands": operands}})).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let mut found: Vec<_> =
            answer.json["results"].as_array().unwrap().iter().map(|user| user["emails"][0]["email"].clone()).collect();
        found.sort_by_key(ToString::to_string);
        found
    };
    let filter = |name: &str, value: Value| json!({"filter_name": name, "filter_value": value});
    let ada = &shop.get(&format!("/v1/users/{}", stytch_id(&shop))).await.json;
    let table = [
        (vec![filter("email_address", json!(["ADA@example.com", GRACE]))], vec![ADA, GRACE]),
        (vec![filter("user_id", json!([ada["user_id"]]))], vec![ADA]),
        (vec![filter("user_id", json!(["shop|7"]))], vec!["linus@example.com"]),
        (vec![filter("email_id", json!([ada["emails"][0]["email_id"]]))], vec![ADA]),
        (vec![filter("email_verified", json!(true))], vec![ADA]),
        (vec![filter("password_exists", json!(false))], vec!["linus@example.com"]),
        (vec![filter("password_exists", json!(true)), filter("email_verified", json!(false))], vec![GRACE]),
        (vec![filter("phone_number", json!(["+12025550123"]))], vec!["linus@example.com"]),
        (vec![filter("status", json!("active")), filter("email_address_fuzzy", json!("grac"))], vec![GRACE]),
        (vec![filter("status", json!("pending"))], vec![]),
        (vec![filter("created_at_less_than", json!("2001-01-01T00:00:00Z"))], vec![]),
        (vec![filter("user_id", json!([]))], vec![]),
    ];
    for (operands, expected) in table {
        assert_eq!(emails(json!(operands)).await, expected, "{operands:?}");
    }
    let one = search(json!({"query": {"operator": "AND", "operands": [filter("email_address", json!([ADA]))]}})).await;
    assert_json_snapshot!("users_search", shape(&one));
}

fn stytch_id(shop: &Shop) -> String {
    signet::id_form::stytch("user", shop.app.ada.into())
}

#[tokio::test]
async fn a_search_that_cannot_be_done_is_refused() {
    let shop = Shop::start().await;
    let search = async |body: Value| shop.post("/v1/users/search", body).await;
    for limit in [0, 1001] {
        assert_error(&search(json!({"limit": limit})).await, 400, "user_search_invalid_limit");
    }
    assert_error(&search(json!({"cursor": "unknown"})).await, 400, "user_search_invalid_cursor");
    let filter = |name: &str, value: Value| json!({"filter_name": name, "filter_value": value});
    let table = [
        ("AND", vec![filter("shoe_size", json!(42))], "user_search_filter_name_not_recognized"),
        ("AND", vec![filter("email_verified", json!("yes"))], "user_search_expected_bool"),
        ("AND", vec![filter("email_address", json!("a@example.com"))], "user_search_expected_array_of_string"),
        ("AND", vec![filter("created_at_greater_than", json!("yesterday"))], "user_search_expected_timestamp"),
        (
            "OR",
            vec![filter("password_exists", json!(true)), filter("email_verified", json!(true))],
            "user_search_invalid_operator",
        ),
    ];
    for (operator, operands, expected) in table {
        let answer = search(json!({"query": {"operator": operator, "operands": operands}})).await;
        assert_error(&answer, 400, expected);
    }
}

#[tokio::test]
async fn what_is_taken_is_named() {
    let shop = Shop::start().await;
    shop.post("/v1/users", linus()).await;
    let create = async |body: Value| shop.post("/v1/users", body).await;
    assert_error(&create(json!({"email": "LINUS@example.com"})).await, 400, "duplicate_email");
    assert_error(&create(json!({"phone_number": "+1 202 555 0123"})).await, 400, "duplicate_phone_number");
    let named = json!({"email": "new@example.com", "external_id": "shop|7"});
    assert_error(&create(named).await, 400, "duplicate_user_external_id");
    assert_error(&create(json!({"email": "no address"})).await, 400, "invalid_email");
    assert_error(&create(json!({"phone_number": "123"})).await, 400, "invalid_phone_number");
    assert_eq!(create(json!({})).await.status, 400);
}
