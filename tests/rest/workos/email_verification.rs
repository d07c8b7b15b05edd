//! Verifying addresses.

use chrono::Duration;
use serde_json::json;

use super::{Shop, by_password, refusal};
use crate::{
    shape::shape,
    support::{GRACE, PASSWORD},
};

#[tokio::test]
async fn a_code_is_sent_and_confirmed() {
    let shop = Shop::start().await;
    let path = |user: &str, what: &str| format!("/user_management/users/{user}/email_verification/{what}");
    let grace = shop.grace.to_string();
    let sent = shop.keyed(shop.post(&path(&grace, "send"))).await;
    insta::assert_json_snapshot!("sent", shape(&sent));
    let code = shop.last_code_to(GRACE).await;

    // A second mail has to wait, and the libraries read for how long.
    let limited = shop.keyed(shop.post(&path(&grace, "send"))).json(&json!({ "locale": "en" })).await;
    insta::assert_json_snapshot!("sent_too_often", shape(&limited));
    assert!(limited.header("retry-after").parse::<u32>().unwrap() > 0);

    let confirm = async |user: &str, code: &str| {
        shop.keyed(shop.post(&path(user, "confirm"))).json(&json!({ "code": code })).await
    };
    let wrong = if code == "000000" { "000001" } else { "000000" };
    assert_eq!(refusal(&confirm(&grace, wrong).await), (400, "email_verification_code_incorrect"));
    assert_eq!(refusal(&confirm(&grace, "12345x").await), (422, "invalid_request_parameters"));
    assert_eq!(refusal(&confirm("no-id", &code).await), (404, "entity_not_found"));
    let missing = shop.keyed(shop.post(&path(&grace, "confirm"))).await;
    insta::assert_json_snapshot!("no_code", shape(&missing));
    let confirmed = confirm(&grace, &code).await;
    insta::assert_json_snapshot!("confirmed", shape(&confirmed));

    assert_eq!(refusal(&confirm(&grace, &code).await), (400, "email_previously_verified"));
    let again = shop.keyed(shop.post(&path(&grace, "send"))).await;
    assert_eq!(refusal(&again), (400, "email_already_verified"));
    let nobody = shop.keyed(shop.post(&path("user_01K0000000000000000000000Z", "send"))).await;
    assert_eq!(refusal(&nobody), (404, "entity_not_found"));
}

#[tokio::test]
async fn a_code_expires() {
    let shop = Shop::start().await;
    let path = format!("/user_management/users/{}/email_verification", shop.grace);
    shop.keyed(shop.post(&format!("{path}/send"))).await;
    let code = shop.last_code_to(GRACE).await;
    shop.clock.advance(Duration::minutes(11));
    let late = shop.keyed(shop.post(&format!("{path}/confirm"))).json(&json!({ "code": code })).await;
    assert_eq!(refusal(&late), (400, "email_verification_code_expired"));
}

#[tokio::test]
async fn a_back_end_reads_the_code_to_mail_it_itself() {
    let shop = Shop::start().await;
    let stopped = shop.authenticate(by_password(GRACE, PASSWORD)).await;
    let id = stopped.json["email_verification_id"].as_str().unwrap();
    let mut found = shop.keyed(shop.get(&format!("/user_management/email_verification/{id}"))).await;
    assert_eq!(found.json["code"], shop.last_code_to(GRACE).await);
    found.json["code"] = "<code>".into();
    insta::assert_json_snapshot!("email_verification", shape(&found));
    for other in ["no-id", "email_verification_01K0000000000000000000000Z"] {
        let answer = shop.keyed(shop.get(&format!("/user_management/email_verification/{other}"))).await;
        assert_eq!(refusal(&answer), (404, "entity_not_found"));
    }
}
