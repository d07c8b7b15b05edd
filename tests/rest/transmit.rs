//! The dialect of Transmit Security: its shapes, and what must not show in them.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use signet::domain::{
    client::{TokenDelivery, TokenProfile},
    project::ProjectSettings,
};

use crate::{
    rest_app::{Answer, RestApp},
    shape::shape,
    support::{ADA, Engine, PASSWORD},
    vendor_app::VendorApp,
};

/// An app with a client token.
struct BackEnd {
    app: VendorApp,
    token: String,
}

impl BackEnd {
    async fn start() -> Self {
        Self::of(VendorApp::start(TokenProfile::Transmit).await).await
    }

    async fn of(app: VendorApp) -> Self {
        let granted = grant(&app, &[("grant_type", "client_credentials")]).await;
        assert_eq!(granted.status, 200, "{}", granted.text());
        insta::assert_json_snapshot!("transmit_client_token", shape(&granted));
        Self { token: granted.json["access_token"].as_str().unwrap().to_owned(), app }
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.app.post(path).bearer(&self.token).json(&body).await
    }

    async fn put(&self, path: &str, body: Value) -> Answer {
        self.app.put(path).bearer(&self.token).json(&body).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.app.get(path).bearer(&self.token).await
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
    let wrong = [("grant_type", "client_credentials"), ("client_id", app.client_id.as_str()), ("client_secret", "x")];
    let refusals = [
        ("transmit_wrong_secret", app.post("/oidc/token").form(&wrong).await),
        ("transmit_secret_twice", grant(app, &[("grant_type", "client_credentials"), ("client_secret", "x")]).await),
        ("transmit_no_username", back_end.sign_in(json!({"password": PASSWORD})).await),
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
async fn keys_and_discovery_of_the_default_project_are_served_to_everybody() {
    let app = VendorApp::start(TokenProfile::Transmit).await.at_the_root();
    let own = app.get(&format!("/projects/{}/.well-known/jwks.json", app.project_id)).await;
    for path in ["/oidc/jwks", "/cis/oidc/jwks"] {
        let keys = app.get(path).await;
        assert_eq!((keys.status, &keys.json), (200, &own.json), "{}", keys.text());
        assert_eq!((&keys.json["keys"][0]["kty"], &keys.json["keys"][0]["alg"]), (&json!("RSA"), &json!("RS256")));
        assert_eq!(keys.header("cache-control"), "public, max-age=300");
    }
    let own = app.get(&format!("/projects/{}/.well-known/openid-configuration", app.project_id)).await;
    for path in ["/oidc/.well-known/openid-configuration", "/cis/oidc/.well-known/openid-configuration"] {
        let metadata = app.get(path).await;
        assert_eq!((metadata.status, &metadata.json["issuer"]), (200, &own.json["issuer"]), "{}", metadata.text());
        assert_eq!(metadata.json["grant_types_supported"], json!(["client_credentials", "refresh_token"]));
        assert!(metadata.json["jwks_uri"].as_str().unwrap().ends_with("/cis/oidc/jwks"), "{}", metadata.text());
    }
}

#[tokio::test]
async fn keys_at_the_root_are_of_rsa_alone() {
    let app = RestApp::start(Engine::Sqlite).await.unwrap();
    let (project, own) =
        (app.fixture.project_id, format!("/projects/{}/.well-known/jwks.json", app.fixture.project_id));
    assert_eq!(app.get(&own).await.json["keys"][0]["kty"], "OKP");
    let keys = app.with_default_project(project).get("/cis/oidc/jwks").await;
    assert_eq!((keys.status, &keys.json), (200, &json!({"keys": []})));
}

#[tokio::test]
async fn of_several_projects_none_is_at_the_root_unless_the_settings_name_it() {
    let app = VendorApp::start(TokenProfile::Transmit).await;
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

#[tokio::test]
async fn an_id_that_cannot_be_read_is_one_that_is_not_there() {
    let back_end = BackEnd::start().await;
    let app = &back_end.app;
    for id in ["nobody", "user_01M7ZZMBNVEP7TMCP4KZTGWZT8"] {
        let (user, password) = (format!("/v1/users/{id}"), json!({"password": "quite another one"}));
        let with_username = json!({"password": "quite another one", "username": "eve"});
        let path = |rest: &str| format!("{user}{rest}");
        let classic = [
            back_end.get(&user).await,
            back_end.put(&user, json!({"language": "pl"})).await,
            back_end.put(&user, json!({})).await,
            app.delete(&path("/apps")).bearer(&back_end.token).await,
            back_end.post(&path("/emails/ada@example.com/verify"), json!({})).await,
            back_end.post(&path("/phone-numbers/+12025550177/verify"), json!({})).await,
        ];
        for answer in &classic {
            assert_eq!((answer.status, &answer.json), (404, &json!({"message": "User not found", "error_code": 404})));
        }
        let coded = [
            back_end.post(&path("/password"), password.clone()).await,
            back_end.put(&path("/password"), password).await,
            back_end.put(&path("/password"), with_username).await,
        ];
        let expected = json!({"error_code": "user_not_found", "message": "User not found"});
        for answer in &coded {
            assert_eq!((answer.status, &answer.json), (404, &expected));
        }
    }
    for path in ["/v1/auth/users/nobody/sessions", "/v1/sessions/nobody"] {
        for answer in [back_end.get(path).await, app.delete(path).bearer(&back_end.token).await] {
            assert_eq!((answer.status, &answer.json["error_code"]), (404, &json!(404)), "{path}: {}", answer.text());
        }
    }
    let unknown = format!("/v1/users/{}/emails/nobody@example.com/verify", app.ada);
    assert_eq!(back_end.post(&unknown, json!({})).await.status, 404);
}

#[tokio::test]
async fn a_client_without_a_secret_gets_no_token() {
    let app = VendorApp::start(TokenProfile::Transmit).await;
    for id in [&app.client_id, &app.public_client_id] {
        let form = [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", "")];
        for refused in
            [app.post("/oidc/token").form(&form).await, app.post("/oidc/token").basic(id, "").form(&form[..1]).await]
        {
            assert_eq!((refused.status, &refused.json["error"]), (401, &json!("invalid_client")), "{}", refused.text());
            assert!(refused.header("www-authenticate").starts_with("Basic"), "{}", refused.text());
        }
    }
}

#[tokio::test]
async fn a_password_that_is_refused_leaves_the_username_as_it_was() {
    let back_end = BackEnd::start().await;
    let created = back_end.post("/v1/users", json!({"username": "eve", "email": "eve@example.com"})).await;
    let eve = format!("/v1/users/{}", created.json["result"]["user_id"].as_str().unwrap());
    let username = async || back_end.get(&eve).await.json["result"]["username"].as_str().unwrap().to_owned();
    let password = format!("{eve}/password");
    let body = |password: &str, name: &str| json!({"password": password, "username": name, "force_replace": false});

    let missing = back_end.put(&password, body("quite another one", "eva")).await;
    let code = "auth_password_already_configured";
    assert_eq!((missing.status, &missing.json["error_code"]), (409, &json!(code)), "{}", missing.text());
    // Too short, like the address, and like the new name.
    for weak in ["short", "eve@example.com", "evangeline-the-first"] {
        let refused = back_end.post(&password, body(weak, "evangeline-the-first")).await;
        let told = (refused.status, &refused.json["error_code"]);
        assert_eq!(told, (400, &json!("auth_password_weak")), "{weak}: {}", refused.text());
        assert!(!refused.text().contains(weak), "{}", refused.text());
    }
    let taken = back_end.post(&password, body("quite another one", "ada")).await;
    assert_eq!((taken.status, username().await.as_str()), (409, "eve"), "{}", taken.text());
    assert_eq!(back_end.sign_in(json!({"username": "eve", "password": "quite another one"})).await.status, 400);

    assert_eq!(back_end.post(&password, body("quite another one", "eva")).await.status, 201);
    assert_eq!(back_end.post(&password, body("and yet another one", "evi")).await.status, 409);
    assert_eq!(username().await, "eva");
    assert_eq!(back_end.put(&password, body("and yet another one", "evi")).await.status, 200);
    assert_eq!(back_end.sign_in(json!({"username": "evi", "password": "and yet another one"})).await.status, 200);
}

/// The audience of a token, unverified.
fn audience(token: &Value) -> Value {
    let payload = URL_SAFE_NO_PAD.decode(token.as_str().unwrap().split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice::<Value>(&payload).unwrap()["aud"].clone()
}

#[tokio::test]
async fn an_allowed_resource_becomes_the_audience() {
    let resource = "https://orders.example/";
    let settings = ProjectSettings { allowed_resources: vec![resource.into()], ..ProjectSettings::default() };
    let app = VendorApp::start_with(TokenProfile::Transmit, TokenDelivery::Body, settings).await;
    let back_end = BackEnd::of(app).await;
    let granted = grant(&back_end.app, &[("grant_type", "client_credentials"), ("resource", resource)]).await;
    assert_eq!((granted.status, audience(&granted.json["access_token"])), (200, json!(resource)), "{}", granted.text());

    let body = json!({"username": "ada", "password": PASSWORD, "resource": resource});
    let signed_in = back_end.sign_in(body.clone()).await;
    assert_eq!(signed_in.status, 200, "{}", signed_in.text());
    assert_eq!(audience(&signed_in.json["access_token"]), json!(resource));
    assert_eq!(audience(&signed_in.json["id_token"]), json!(back_end.app.client_id));
    let session = json!({"session_id": signed_in.json["session_id"], "resource": resource});
    let resumed = back_end.post("/v1/auth/session/authenticate", session).await;
    assert_eq!(audience(&resumed.json["access_token"]), json!(resource), "{}", resumed.text());
    let other = back_end.sign_in(json!({"username": "ada", "password": PASSWORD})).await;
    assert_eq!(audience(&other.json["access_token"]), json!("userid-api"));
    let refused =
        back_end.sign_in(json!({"username": "ada", "password": PASSWORD, "resource": "https://no.example/"})).await;
    assert_eq!((refused.status, &refused.json["error_code"]), (400, &json!("system_invalid_input")));
}

#[tokio::test]
async fn an_update_replaces_objects_and_merges_custom_data() {
    let back_end = BackEnd::start().await;
    let new = json!({
        "username": "eve", "name": {"first_name": "Eve", "middle_name": "M", "last_name": "Adams"},
        "custom_data": {"plan": "free", "seats": 5}
    });
    let created = back_end.post("/v1/users", new).await;
    let path = format!("/v1/users/{}", created.json["result"]["user_id"].as_str().unwrap());
    let updated = back_end.put(&path, json!({"name": {"first_name": "Eva"}, "custom_data": {"plan": "paid"}})).await;
    let user = &updated.json["result"];
    assert_eq!(user["name"], json!({"first_name": "Eva"}), "{}", updated.text());
    assert_eq!((&user["custom_data"], &user["username"]), (&json!({"plan": "paid", "seats": 5}), &json!("eve")));
}
