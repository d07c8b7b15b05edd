//! Sessions and keys.

use chrono::Duration;
use serde_json::{Value, json};
use signet::domain::project::ProjectSettings;

use super::{Shop, by_password, by_refresh_token, claims, merged, refusal};
use crate::{
    shape::shape,
    support::{ADA, PASSWORD},
};

fn sid(answer: &Value) -> String {
    claims(answer)["sid"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn sessions_are_listed_with_the_connection_of_the_end_user() {
    let shop = Shop::start().await;
    let path = format!("/user_management/users/{}/sessions", shop.ada);
    let context = json!({ "ip_address": "192.0.2.1", "user_agent": "a browser" });
    let first = shop.authenticate(merged(by_password(ADA, PASSWORD), context)).await;
    shop.clock.advance(Duration::seconds(1));
    let second = shop.signed_in(ADA).await;
    let listed = shop.keyed(shop.get(&path)).await;
    insta::assert_json_snapshot!("list", shape(&listed));
    let ids: Vec<_> = listed.json["data"].as_array().unwrap().iter().map(|session| &session["id"]).collect();
    assert_eq!(ids, [&json!(sid(&second)), &json!(sid(&first.json))], "the newest comes first");

    let page = shop.keyed(shop.get(&format!("{path}?limit=1&order=asc"))).await;
    assert_eq!(page.json["list_metadata"], json!({ "before": null, "after": sid(&first.json) }));
    let next = shop.keyed(shop.get(&format!("{path}?limit=1&order=asc&after={}", sid(&first.json)))).await;
    assert_eq!(
        (&next.json["data"][0]["id"], &next.json["list_metadata"]["after"]),
        (&json!(sid(&second)), &Value::Null)
    );
    let nobody = shop.keyed(shop.get("/user_management/users/no-id/sessions")).await;
    assert_eq!(refusal(&nobody), (404, "entity_not_found"));
}

#[tokio::test]
async fn a_revoked_session_is_over() {
    let shop = Shop::start().await;
    let signed_in = shop.signed_in(ADA).await;
    let revoke = async |body: Value| shop.keyed(shop.post("/user_management/sessions/revoke")).json(&body).await;
    let revoked = revoke(json!({ "session_id": sid(&signed_in) })).await;
    // Node cannot read an empty body that calls itself JSON.
    assert_eq!((revoked.status, revoked.body.len(), revoked.header("content-type")), (204, 0, ""));
    let over = shop.authenticate(by_refresh_token(&signed_in)).await;
    assert_eq!(refusal(&over), (400, "invalid_grant"));
    assert_eq!(revoke(json!({})).await.status, 422);
    for id in ["no-id", "session_01K0000000000000000000000Z"] {
        assert_eq!(refusal(&revoke(json!({ "session_id": id })).await), (404, "entity_not_found"));
    }
}

#[tokio::test]
async fn a_link_signs_out_and_leads_to_pages_that_are_known() {
    let shop = Shop::start_with(ProjectSettings::default()).await;
    let logout = async |query: &str| shop.get(&format!("/user_management/sessions/logout?{query}")).await;
    let signed_in = shop.signed_in(ADA).await;
    let session = sid(&signed_in);
    let elsewhere = logout(&format!("session_id={session}&return_to=https%3A%2F%2Fevil.example%2F")).await;
    insta::assert_json_snapshot!("logout_elsewhere", shape(&elsewhere));
    assert_eq!(shop.authenticate(by_refresh_token(&signed_in)).await.status, 200, "nothing has ended");

    let page = "https://app.example/bye";
    let back = logout(&format!("session_id={session}&return_to=https%3A%2F%2Fapp.example%2Fbye")).await;
    assert_eq!((back.status, back.header("location")), (302, page), "{}", back.text());
    let over = shop.authenticate(by_refresh_token(&signed_in)).await;
    assert_eq!(refusal(&over), (400, "invalid_grant"));
    let by_default = logout(&format!("session_id={}", sid(&shop.signed_in(ADA).await))).await;
    assert_eq!((by_default.status, by_default.header("location")), (302, page));
    assert_eq!(refusal(&logout("").await), (422, "invalid_request_parameters"));
    assert_eq!(refusal(&logout("session_id=no-id").await), (404, "entity_not_found"));
}

#[tokio::test]
async fn keys_carry_certificates() {
    let shop = Shop::start().await;
    let answer = shop.get(&format!("/sso/jwks/{}", shop.client_id)).await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, "public, max-age=300"), "{}", answer.text());
    let keys = answer.json["keys"].as_array().unwrap();
    assert!(!keys.is_empty());
    for key in keys {
        let mut names: Vec<_> = key.as_object().unwrap().keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["alg", "e", "kid", "kty", "n", "use", "x5c", "x5t#S256"]);
        assert_eq!((&key["alg"], &key["kty"], &key["use"]), (&json!("RS256"), &json!("RSA"), &json!("sig")));
        assert_eq!(key["x5c"].as_array().map(Vec::len), Some(1));
    }
    for id in ["client_01K0000000000000000000000Z", "no-id", &shop.project_id.to_string()] {
        assert_eq!(refusal(&shop.get(&format!("/sso/jwks/{id}")).await), (404, "entity_not_found"), "{id}");
    }
}
