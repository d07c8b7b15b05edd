//! Password resets.

use chrono::Duration;
use serde_json::{Value, json};

use super::{Shop, by_password, by_refresh_token, refusal};
use crate::{
    shape::shape,
    support::{ADA, GRACE, PASSWORD},
};

const PATH: &str = "/user_management/password_reset";

#[tokio::test]
async fn a_password_is_reset_with_the_token() {
    let shop = Shop::start().await;
    let signed_in = shop.signed_in(ADA).await;
    let mut created = shop.keyed(shop.post(PATH)).json(&json!({ "email": "ADA@example.com" })).await;
    let token = created.json["password_reset_token"].as_str().unwrap().to_owned();
    let id = created.json["id"].as_str().unwrap().to_owned();
    let found = shop.keyed(shop.get(&format!("{PATH}/{id}"))).await;
    assert_eq!((found.status, &found.json), (200, &created.json));
    let url = created.json["password_reset_url"].as_str().unwrap();
    assert_eq!(url, format!("https://app.example/reset?token={token}"));
    created.json["password_reset_url"] = url.replace(&token, "<token>").into();
    insta::assert_json_snapshot!("created", shape(&created));

    let confirm = async |body: Value| shop.keyed(shop.post(&format!("{PATH}/confirm"))).json(&body).await;
    let with = |password: &str| json!({ "token": token, "new_password": password });
    let weak = confirm(with("short")).await;
    insta::assert_json_snapshot!("weak", shape(&weak));
    let done = confirm(with("a new horse, a lamp")).await;
    insta::assert_json_snapshot!("confirmed", shape(&done));

    assert_eq!(shop.authenticate(by_password(ADA, "a new horse, a lamp")).await.status, 200);
    assert_eq!(refusal(&shop.authenticate(by_password(ADA, PASSWORD)).await), (400, "invalid_credentials"));
    let over = shop.authenticate(by_refresh_token(&signed_in)).await;
    assert_eq!(refusal(&over), (400, "invalid_grant"), "every session has ended");
    let used = confirm(with("another horse, a lamp")).await;
    insta::assert_json_snapshot!("used", shape(&used));
    assert_eq!(shop.keyed(shop.get(&format!("{PATH}/{id}"))).await.status, 404);
}

#[tokio::test]
async fn a_reset_verifies_the_address() {
    let shop = Shop::start().await;
    let created = shop.keyed(shop.post(PATH)).json(&json!({ "email": GRACE })).await;
    let body = json!({ "token": created.json["password_reset_token"], "new_password": "a new horse, a lamp" });
    let done = shop.keyed(shop.post(&format!("{PATH}/confirm"))).json(&body).await;
    assert_eq!(done.json["user"]["email_verified"], true, "{}", done.text());
    assert_eq!(shop.authenticate(by_password(GRACE, "a new horse, a lamp")).await.status, 200);
}

#[tokio::test]
async fn a_reset_is_refused_in_the_words_of_workos() {
    let shop = Shop::start().await;
    let nobody = shop.keyed(shop.post(PATH)).json(&json!({ "email": "nobody@example.com" })).await;
    insta::assert_json_snapshot!("of_nobody", shape(&nobody));
    let table = [
        (PATH.to_owned(), json!({}), (422, "invalid_request_parameters")),
        (PATH.to_owned(), json!({ "email": "no address" }), (422, "invalid_request_parameters")),
        (format!("{PATH}/confirm"), json!({ "token": "x" }), (422, "invalid_request_parameters")),
        (format!("{PATH}/confirm"), json!({ "new_password": PASSWORD }), (422, "invalid_request_parameters")),
        (format!("{PATH}/confirm"), json!({ "token": "made up", "new_password": PASSWORD }), (404, "entity_not_found")),
    ];
    for (path, body, expected) in table {
        assert_eq!(refusal(&shop.keyed(shop.post(&path)).json(&body).await), expected, "{path} {body}");
    }
    for id in ["no-id", "password_reset_01K0000000000000000000000Z"] {
        assert_eq!(refusal(&shop.keyed(shop.get(&format!("{PATH}/{id}"))).await), (404, "entity_not_found"));
    }
    let created = shop.keyed(shop.post(PATH)).json(&json!({ "email": ADA })).await;
    shop.clock.advance(Duration::days(8));
    let body = json!({ "token": created.json["password_reset_token"], "new_password": PASSWORD });
    let late = shop.keyed(shop.post(&format!("{PATH}/confirm"))).json(&body).await;
    assert_eq!(refusal(&late), (404, "entity_not_found"));
}
