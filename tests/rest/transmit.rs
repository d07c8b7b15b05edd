//! The dialect of Transmit Security: its shapes, and what must not show in them.

use serde_json::{Value, json};
use signet::domain::client::TokenProfile;

use crate::{
    rest_app::Answer,
    shape::shape,
    support::{ADA, PASSWORD},
    vendor_app::VendorApp,
};

/// An app with a client token.
struct BackEnd {
    app: VendorApp,
    token: String,
}

impl BackEnd {
    async fn start() -> Self {
        let app = VendorApp::start(TokenProfile::Transmit).await;
        let granted = grant(&app, &[("grant_type", "client_credentials")]).await;
        assert_eq!(granted.status, 200, "{}", granted.text());
        insta::assert_json_snapshot!("transmit_client_token", shape(&granted));
        Self { token: granted.json["access_token"].as_str().unwrap().to_owned(), app }
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.app.post(path).bearer(&self.token).json(&body).await
    }

    async fn sign_in(&self, body: Value) -> Answer {
        self.post("/v1/auth/password/authenticate", body).await
    }
}

async fn grant(app: &VendorApp, fields: &[(&str, &str)]) -> Answer {
    let mut form = vec![("client_id", app.client_id.as_str()), ("client_secret", app.secret.as_str())];
    form.extend(fields);
    app.post("/cis/oidc/token").form(&form).await
}

#[tokio::test]
async fn the_answers_of_a_sign_in_and_what_follows() {
    let back_end = BackEnd::start().await;
    let signed_in = back_end.sign_in(json!({"username": "ada", "password": PASSWORD})).await;
    insta::assert_json_snapshot!("transmit_sign_in", shape(&signed_in));
    assert_eq!(signed_in.header("pragma"), "no-cache");
    let session = &signed_in.json["session_id"];
    let resumed = back_end.post("/v1/auth/session/authenticate", json!({"session_id": session})).await;
    insta::assert_json_snapshot!("transmit_resumed", shape(&resumed));
    let refresh = json!({"refresh_token": signed_in.json["refresh_token"]});
    insta::assert_json_snapshot!("transmit_refreshed", shape(&back_end.post("/v1/auth/token/refresh", refresh).await));
    let access = signed_in.json["access_token"].as_str().unwrap();
    insta::assert_json_snapshot!("transmit_user_info", shape(&back_end.app.get("/oidc/me").bearer(access).await));
    let path = format!("/v1/auth/users/{}/sessions", back_end.app.ada);
    insta::assert_json_snapshot!("transmit_sessions", shape(&back_end.app.get(&path).bearer(&back_end.token).await));
    let path = format!("/v1/sessions/{}", back_end.app.ada);
    let older = back_end.app.get(&path).bearer(&back_end.token).await;
    insta::assert_json_snapshot!("transmit_sessions_with_owner", shape(&older));
    let ended = back_end.app.delete(&path).bearer(&back_end.token).await;
    insta::assert_json_snapshot!("transmit_sessions_deleted", shape(&ended));
    let gone = back_end.post("/v1/auth/session/authenticate", json!({"session_id": session})).await;
    insta::assert_json_snapshot!("transmit_session_not_found", shape(&gone));
}

#[tokio::test]
async fn the_answers_about_users_and_passwords() {
    let back_end = BackEnd::start().await;
    let new = json!({
        "username": "eve", "email": "eve@example.com", "phone_number": "+12025550188",
        "name": {"first_name": "Eve", "last_name": "Adams"}, "external_user_id": "crm-7", "language": "en",
        "custom_data": {"plan": "free"}, "credentials": {"password": "temporary, for now"}
    });
    let created = back_end.post("/v1/users", new.clone()).await;
    insta::assert_json_snapshot!("transmit_user_created", shape(&created));
    insta::assert_json_snapshot!("transmit_user_taken", shape(&back_end.post("/v1/users", new).await));
    let temporary = back_end.sign_in(json!({"username": "eve", "password": "temporary, for now"})).await;
    insta::assert_json_snapshot!("transmit_temporary_password", shape(&temporary));
    let path = format!("/v1/users/{}/password", created.json["result"]["user_id"].as_str().unwrap());
    let set = back_end.post(&path, json!({"password": "quite another one"})).await;
    insta::assert_json_snapshot!("transmit_password_already_configured", shape(&set));
    let weak = back_end.app.put(&path).bearer(&back_end.token).json(&json!({"password": "short"})).await;
    insta::assert_json_snapshot!("transmit_password_weak", shape(&weak));
    let invalid = back_end.post("/v1/auth/password/validate", json!({"password": "short"})).await;
    insta::assert_json_snapshot!("transmit_password_validated", shape(&invalid));
    let wrong = back_end.post("/v1/users", json!({"email": "not an address"})).await;
    insta::assert_json_snapshot!("transmit_user_invalid", shape(&wrong));
    let missing = back_end.app.get("/v1/users/user_nobody").bearer(&back_end.token).await;
    insta::assert_json_snapshot!("transmit_user_not_found", shape(&missing));
}

#[tokio::test]
async fn refusals_have_the_form_of_their_endpoint() {
    let back_end = BackEnd::start().await;
    let app = &back_end.app;
    let refusals = [
        ("transmit_wrong_secret", grant(app, &[("grant_type", "client_credentials"), ("client_secret", "x")]).await),
        ("transmit_unsupported_grant", grant(app, &[("grant_type", "password")]).await),
        ("transmit_bad_refresh_grant", grant(app, &[("grant_type", "refresh_token"), ("refresh_token", "x")]).await),
        ("transmit_wrong_password", back_end.sign_in(json!({"username": "ada", "password": "wrong, quite"})).await),
        ("transmit_not_json", app.post("/v1/auth/password/authenticate").bearer(&back_end.token).body("{").await),
        ("transmit_no_token", app.post("/v1/auth/password/authenticate").bearer("rubbish").json(&json!({})).await),
        (
            "transmit_organization",
            back_end.sign_in(json!({"username": "ada", "password": PASSWORD, "org_id": "o"})).await,
        ),
        ("transmit_unknown_path", app.get("/cis/v1/nowhere").await),
        ("transmit_wrong_method", app.delete("/cis/v1/auth/password/authenticate").await),
    ];
    for (name, answer) in refusals {
        insta::assert_json_snapshot!(name, shape(&answer));
    }
}

#[tokio::test]
async fn transmit_unknown_user_and_wrong_password_cost_the_same_and_look_the_same() {
    let back_end = BackEnd::start().await;
    let mut seen = Vec::new();
    for name in [ADA, "nobody@example.com"] {
        let before = back_end.app.hashes();
        let body = json!({"username": name, "username_type": "email", "password": "wrong, quite"});
        let answer = back_end.sign_in(body).await;
        seen.push((answer.status, answer.body, back_end.app.hashes() - before));
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!((seen[0].0, seen[0].2), (400, 1));
}

#[tokio::test]
async fn keys_and_discovery_are_served_to_everybody() {
    let app = VendorApp::start(TokenProfile::Transmit).await;
    // This server has several projects: which one would that be?
    for path in ["/cis/oidc/jwks", "/oidc/.well-known/openid-configuration"] {
        let answer = app.get(path).await;
        assert_eq!((answer.status, answer.json["error"].is_string()), (404, true), "{}", answer.text());
    }
}

#[tokio::test]
async fn a_user_is_found_by_a_phone_number_in_either_spelling() {
    let back_end = BackEnd::start().await;
    let created = back_end.post("/v1/users", json!({"phone_number": "+12025550177"})).await;
    let user_id = created.json["result"]["user_id"].as_str().unwrap();
    for path in [
        "/v1/users/phone-number/+12025550177",
        "/v1/users/phone-number/%2B12025550177",
        "/v1/users/phone/+12025550177",
        "/v1/users/identifier?identifier_name=phone_number&identifier_value=+12025550177",
    ] {
        let found = back_end.app.get(path).bearer(&back_end.token).await;
        assert_eq!(found.json["result"]["user_id"], user_id, "{path}: {}", found.text());
    }
    let path = format!("/v1/users/{user_id}/phone-numbers/+12025550177/verify");
    let verified = back_end.post(&path, json!({})).await;
    let number = &verified.json["result"]["phone_number"];
    assert_eq!((verified.status, &number["phone_number_verified"]), (202, &json!(true)), "{}", verified.text());
    let path = format!("/v1/users/{}/phone-numbers/+12025550177/verify", back_end.app.ada);
    assert_eq!(back_end.post(&path, json!({})).await.status, 404, "somebody else's");
}

#[tokio::test]
async fn a_resource_of_the_client_token_is_checked() {
    let app = VendorApp::start(TokenProfile::Transmit).await;
    let fields = [("grant_type", "client_credentials"), ("resource", "https://elsewhere.example/")];
    let refused = grant(&app, &fields).await;
    assert_eq!((refused.status, &refused.json["error"]), (400, &json!("invalid_target")), "{}", refused.text());
}

#[tokio::test]
async fn client_attributes_are_kept_on_the_session() {
    let back_end = BackEnd::start().await;
    let attributes = json!({"user_agent": "Firefox", "ip_address": "203.0.113.9"});
    let body = json!({"username": "ada", "password": PASSWORD, "client_attributes": attributes});
    assert_eq!(back_end.sign_in(body).await.status, 200);
    let path = format!("/api/v1/users/{}/sessions", back_end.app.ada);
    let listed = back_end.app.get(&path).bearer(&back_end.token).await;
    let context = &listed.json["sessions"][0]["clientContext"];
    assert_eq!((&context["ipAddress"], &context["userAgent"]), (&json!("203.0.113.9"), &json!("Firefox")));
    let wrong = json!({"username": "ada", "password": PASSWORD, "client_attributes": {"ip_address": "here"}});
    let refused = back_end.sign_in(wrong).await;
    assert_eq!((refused.status, &refused.json["error_code"]), (400, &json!("system_invalid_input")));
    assert!(refused.json["message"].as_str().unwrap().contains("ip_address"), "{}", refused.text());
}

#[tokio::test]
async fn a_refresh_token_that_was_replaced_ends_the_session() {
    let back_end = BackEnd::start().await;
    let signed_in = back_end.sign_in(json!({"username": "ada", "password": PASSWORD})).await;
    let refresh = async |token: &Value| back_end.post("/v1/auth/token/refresh", json!({"refresh_token": token})).await;
    let first = refresh(&signed_in.json["refresh_token"]).await;
    assert_eq!(first.status, 200, "{}", first.text());
    back_end.app.clock.advance(chrono::Duration::minutes(5));
    for token in [&signed_in.json["refresh_token"], &first.json["refresh_token"]] {
        let refused = refresh(token).await;
        assert_eq!((refused.status, &refused.json["error_code"]), (400, &json!(400)), "{}", refused.text());
    }
}
