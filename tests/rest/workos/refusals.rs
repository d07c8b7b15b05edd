//! What every path has in common when it refuses.

use http::Method;
use serde_json::json;

use super::{Shop, refusal};
use crate::{
    shape::shape,
    support::{ADA, PASSWORD},
};

/// Every path that needs the API key, with a body that is otherwise right.
fn keyed_paths() -> Vec<(Method, &'static str, serde_json::Value)> {
    let none = || json!({});
    vec![
        (Method::POST, "/user_management/users", json!({ "email": "new@example.com" })),
        (Method::GET, "/user_management/users", none()),
        (Method::GET, "/user_management/users?organization_id=org_1", none()),
        (Method::GET, "/user_management/users/external_id/x", none()),
        (Method::GET, "/user_management/users/{user}", none()),
        (Method::PUT, "/user_management/users/{user}", json!({ "first_name": "x" })),
        (Method::PUT, "/user_management/users/{user}", json!({ "password": PASSWORD })),
        (Method::DELETE, "/user_management/users/{user}", none()),
        (Method::GET, "/user_management/users/{user}/sessions", none()),
        (Method::POST, "/user_management/users/{user}/email_verification/send", none()),
        (Method::POST, "/user_management/users/{user}/email_verification/confirm", json!({ "code": "123456" })),
        (Method::GET, "/user_management/email_verification/email_verification_01K0000000000000000000000Z", none()),
        (Method::POST, "/user_management/password_reset", json!({ "email": ADA })),
        (Method::POST, "/user_management/password_reset/confirm", json!({ "token": "x", "new_password": PASSWORD })),
        (Method::GET, "/user_management/password_reset/password_reset_01K0000000000000000000000Z", none()),
        (
            Method::POST,
            "/user_management/sessions/revoke",
            json!({ "session_id": "session_01K0000000000000000000000Z" }),
        ),
    ]
}

#[tokio::test]
async fn without_the_api_key_nothing_is_done() {
    let shop = Shop::start().await;
    let before = shop.contents().await;
    let (client_id, secret) = (shop.client_id.clone(), shop.secret.clone());
    for (method, path, body) in keyed_paths() {
        let path = path.replace("{user}", &shop.ada.to_string());
        let call = || shop.request(method.clone(), &path).json(&body);
        let calls = [
            ("none", call()),
            ("wrong", call().bearer("sk_made_up")),
            ("another scheme", call().basic(&client_id, &secret)),
            ("two", call().bearer(&shop.api_key()).bearer("sk_made_up")),
            ("a project", call().bearer(&shop.project_id.to_string())),
            ("of the public client", call().bearer(&shop.public_client_id)),
        ];
        for (kind, call) in calls {
            let answer = call.await;
            assert_eq!(
                (answer.status, &answer.json),
                (401, &json!({ "message": "Unauthorized" })),
                "{method} {path} {kind}"
            );
        }
    }
    assert_eq!(shop.contents().await, before);
}

#[tokio::test]
async fn every_refusal_has_a_body_of_json() {
    let shop = Shop::start().await;
    let users = "/user_management/users";
    let calls = [
        ("broken_json", shop.keyed(shop.post(users)).header("content-type", "application/json").body("{")),
        ("an_array", shop.keyed(shop.post(users)).json(&json!([]))),
        ("unknown_path", shop.keyed(shop.get("/user_management/made_up"))),
        ("unknown_method", shop.keyed(shop.patch(users))),
        ("broken_json_at_sign_in", shop.post("/user_management/authenticate").body("{")),
        ("too_large", shop.keyed(shop.post(users)).body(vec![b' '; 300 * 1024])),
    ];
    for (name, call) in calls {
        let answer = call.await;
        assert_eq!(answer.header("content-type"), "application/json", "{name}");
        insta::assert_json_snapshot!(name, shape(&answer));
    }
    let form = shop.post("/user_management/authenticate").form(&[("email", "a"), ("email", "b")]).await;
    assert_eq!(refusal(&form), (400, "invalid_request"));
}

#[tokio::test]
async fn a_post_without_a_body_comes_in_three_shapes() {
    let shop = Shop::start().await;
    for (index, shape) in ["nothing", "labelled", "object"].into_iter().enumerate() {
        let email = format!("user{index}@example.com");
        let user = shop.created(json!({ "email": email })).await;
        let path = format!("/user_management/users/{}/email_verification/send", user["id"].as_str().unwrap());
        let call = shop.keyed(shop.post(&path));
        let answer = match shape {
            "nothing" => call.await,
            "labelled" => call.header("content-type", "application/json").await,
            _ => call.json(&json!({})).await,
        };
        assert_eq!(answer.status, 200, "{shape}: {}", answer.text());
    }
}
