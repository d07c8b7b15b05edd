//! A secret where something else belongs, or of the wrong type: the answer says what is wrong, and never repeats the secret.

use serde_json::{Value, json};
use signet::{domain::client::TokenProfile, id_form};

use crate::{
    rest_app::{Call, RestApp},
    support::{ADA, Engine},
    vendor_app::VendorApp,
};

/// What is recognised wherever it turns up.
const SECRET: &str = "8675309";

/// Sends the secret as that member, in every type but the right one, and instead of the whole body.
async fn assert_not_repeated<'a>(call: impl Fn() -> Call<'a>, body: &Value, member: &str) {
    let values = [json!(8_675_309), json!(8_675_309.5), json!(-8_675_309), json!([SECRET]), json!({ SECRET: SECRET })];
    let mut bodies: Vec<String> =
        vec![format!("\"{SECRET}\""), format!("[{SECRET}]"), format!("{{\"{member}\": {SECRET}x}}")];
    for value in values {
        let mut body = body.clone();
        body[member] = value;
        bodies.push(body.to_string());
    }
    for body in bodies {
        let answer = call().header("content-type", "application/json").body(body.clone()).await;
        assert!((400..500).contains(&answer.status), "{body}: {} {}", answer.status, answer.text());
        assert!(!answer.text().contains(SECRET), "{body}: {}", answer.text());
    }
}

#[tokio::test]
async fn the_canonical_api_does_not_repeat_a_secret_of_the_wrong_type() {
    let app = RestApp::start(Engine::Sqlite).await.unwrap();
    let call = || app.post("/api/v1/auth/password/authenticate").header("authorization", &app.fixture.confidential);
    assert_not_repeated(call, &json!({"email": ADA}), "password").await;
    // Nor one that is taken for a number, a time or a name of an enum.
    let call = || app.post("/api/v1/auth/session/authenticate").header("authorization", &app.fixture.confidential);
    for member in ["session_duration", "custom_claims", "access_token"] {
        let answer = call().json(&json!({ member: SECRET, "session_duration": SECRET })).await;
        assert!(answer.status == 400 && !answer.text().contains(SECRET), "{member}: {}", answer.text());
    }
    let answer = app.get("/api/v1/users?page_size=8675309x").header("authorization", &app.fixture.confidential).await;
    assert!(answer.status == 400 && !answer.text().contains(SECRET), "{}", answer.text());
}

#[tokio::test]
async fn the_dialect_of_workos_does_not_repeat_a_secret_of_the_wrong_type() {
    let app = VendorApp::start(TokenProfile::WorkOs).await;
    let sign_in =
        json!({"grant_type": "password", "client_id": app.client_id, "client_secret": app.secret, "email": ADA});
    for member in ["password", "client_secret"] {
        assert_not_repeated(|| app.post("/user_management/authenticate"), &sign_in, member).await;
    }
    let create = || app.post("/user_management/users").bearer(&format!("sk_{}", app.secret));
    assert_not_repeated(create, &json!({"email": "eve@example.com"}), "password").await;
}

#[tokio::test]
async fn the_dialect_of_stytch_does_not_repeat_a_secret_of_the_wrong_type() {
    let app = VendorApp::start(TokenProfile::Stytch).await;
    let project = id_form::stytch("project", app.project_id.into());
    let call = || app.post("/v1/passwords/authenticate").basic(&project, &app.secret);
    assert_not_repeated(call, &json!({"email": ADA}), "password").await;
}

#[tokio::test]
async fn the_dialect_of_descope_does_not_repeat_a_secret_of_the_wrong_type() {
    let app = VendorApp::start(TokenProfile::Descope).await;
    let project = id_form::descope('P', id_form::parse_canonical("project", &app.project_id.to_string()).unwrap());
    let call = || app.post("/v1/auth/password/signin").bearer(&project);
    assert_not_repeated(call, &json!({"loginId": ADA}), "password").await;
}

#[tokio::test]
async fn the_dialect_of_transmit_does_not_repeat_a_secret_of_the_wrong_type() {
    let app = VendorApp::start(TokenProfile::Transmit).await;
    let token = app.post("/api/v1/auth/client_token").basic(&app.client_id, &app.secret).await;
    let token = token.json["accessToken"].as_str().unwrap();
    let sign_in = || app.post("/v1/auth/password/authenticate").bearer(token);
    assert_not_repeated(sign_in, &json!({"username": "ada"}), "password").await;
    let told = sign_in().json(&json!({"username": "ada", "password": 7})).await;
    assert_eq!(told.json["message"], "the body cannot be read: password: expected a string");
    let path = format!("/v1/users/{}/password", app.ada);
    assert_not_repeated(|| app.put(&path).bearer(token), &json!({}), "password").await;
}
