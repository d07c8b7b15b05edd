use http::Method;
use insta::assert_json_snapshot;
use serde_json::{Value, json};
use signet::domain::client::TokenDelivery;

use super::{Shop, assert_error};
use crate::{
    rest_app::Answer,
    shape::shape,
    support::{ADA, GRACE, PASSWORD},
};

const AUTHENTICATE: &str = "/sdk/v1/passwords/authenticate";

async fn sign_in(shop: &Shop, session: Option<&str>, email: &str) -> Answer {
    let body = json!({"email": email, "password": PASSWORD, "session_duration_minutes": 60});
    let answer = shop.post_from_page(AUTHENTICATE, session, body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer
}

fn token(answer: &Answer) -> &str {
    answer.json["data"]["session_token"].as_str().unwrap()
}

#[tokio::test]
async fn bootstrap_says_that_nothing_of_the_vendor_is_needed() {
    let shop = Shop::start().await;
    let path = format!("/sdk/v1/projects/bootstrap/{}", shop.public_token);
    let answer = shop.page(Method::GET, &path, None).await;
    assert_json_snapshot!("page_bootstrap", shape(&answer));
    let stale = shop.page(Method::GET, &path, Some("a session that is over")).await;
    assert_eq!(stale.status, 200, "{}", stale.text());
}

#[tokio::test]
async fn events_are_dropped() {
    let shop = Shop::start().await;
    let answer = shop.app.post("/sdk/v1/events").json(&json!([{"telemetry": {}, "event": {}}])).await;
    assert_eq!((answer.status, answer.json["data"].is_object()), (200, true));
}

#[tokio::test]
async fn a_page_signs_up_and_in_and_stays_so() {
    let shop = Shop::start().await;
    let body = json!({"email": "linus@example.com", "password": "eleven little ducks", "session_duration_minutes": 60});
    let created = shop.post_from_page("/sdk/v1/passwords", Some("a session that is over"), body).await;
    assert_json_snapshot!("page_passwords_create", shape(&created));
    let signed_in = sign_in(&shop, None, ADA).await;
    assert_json_snapshot!("page_passwords_authenticate", shape(&signed_in));
    assert!(signed_in.cookies().is_empty(), "the page writes its own");
    assert_eq!(signed_in.header("access-control-allow-origin"), "https://app.example");

    let token = token(&signed_in);
    let renewed = shop.post_from_page("/sdk/v1/sessions/authenticate", Some(token), json!({})).await;
    assert_json_snapshot!("page_sessions_authenticate", shape(&renewed));
    assert_eq!(renewed.json["data"]["session"], signed_in.json["data"]["session"]);
    let me = shop.page(Method::GET, "/sdk/v1/users/me", Some(token)).await;
    assert_json_snapshot!("page_users_me", shape(&me));

    let json = "application/json";
    let revoked = shop.page(Method::POST, "/sdk/v1/sessions/revoke", Some(token)).header("content-type", json).await;
    assert_json_snapshot!("page_sessions_revoke", shape(&revoked));
    for path in ["/sdk/v1/sessions/authenticate", "/sdk/v1/users/me"] {
        let method = if path.ends_with("me") { Method::GET } else { Method::POST };
        assert_error(&shop.page(method.clone(), path, Some(token)).await, 404, "session_not_found");
        assert_error(&shop.page(method, path, None).await, 401, "user_unauthenticated");
    }
}

#[tokio::test]
async fn claims_of_a_page_are_left_out() {
    let shop = Shop::start().await;
    let claims = json!({"plan": "pro", "role": "admin", "https://stytch.com/organization": {}});
    let new = json!({"email": "linus@example.com", "password": "eleven little ducks", "session_duration_minutes": 60,
        "session_custom_claims": claims});
    let created = shop.post_from_page("/sdk/v1/passwords", None, new).await;
    let given =
        json!({"email": ADA, "password": PASSWORD, "session_duration_minutes": 60, "session_custom_claims": claims});
    let signed_in = shop.post_from_page(AUTHENTICATE, None, given).await;
    let moved = json!({"session_duration_minutes": 30, "session_custom_claims": claims});
    let renewed = shop.post_from_page("/sdk/v1/sessions/authenticate", Some(token(&signed_in)), moved).await;
    for answer in [created, signed_in, renewed] {
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json["data"]["session"]["custom_claims"], json!({}));
    }
}

#[tokio::test]
async fn a_page_joins_the_session_it_shows_unless_that_is_over() {
    let shop = Shop::start().await;
    let first = sign_in(&shop, None, ADA).await;
    let session_id = |answer: &Answer| answer.json["data"]["session"]["session_id"].clone();
    let second = sign_in(&shop, Some(token(&first)), ADA).await;
    assert_eq!(session_id(&second), session_id(&first));
    // Somebody else's session does not keep anybody from signing in.
    let grace = sign_in(&shop, Some(token(&first)), GRACE).await;
    assert_ne!(session_id(&grace), session_id(&first));
    shop.page(Method::POST, "/sdk/v1/sessions/revoke", Some(token(&first))).await;
    for stale in [token(&first), "a token of the vendor"] {
        let third = sign_in(&shop, Some(stale), ADA).await;
        assert_ne!(session_id(&third), session_id(&first));
    }
}

#[tokio::test]
async fn a_client_that_wants_cookies_gets_them_and_no_tokens() {
    let shop = Shop::start_with(TokenDelivery::Cookie).await;
    let signed_in = sign_in(&shop, None, ADA).await;
    let data = &signed_in.json["data"];
    assert_eq!((&data["session_token"], &data["session_jwt"]), (&json!(""), &json!("")));
    assert!(data["session"]["session_id"].is_string());
    let cookies = read_cookies(&signed_in, "; Secure; HttpOnly; SameSite=Lax");
    assert_eq!(cookies.len(), 2, "{cookies:?}");

    let call = |path: &str| {
        let cookies = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ");
        shop.page(Method::POST, path, None).header("cookie", &cookies)
    };
    let renewed = call("/sdk/v1/sessions/authenticate").await;
    assert_eq!((renewed.status, &renewed.json["data"]["session_token"]), (200, &json!("")), "{}", renewed.text());
    assert_eq!(read_cookies(&renewed, "; HttpOnly").get("stytch_session"), cookies.get("stytch_session"));
    let revoked = call("/sdk/v1/sessions/revoke").await;
    assert_eq!(revoked.status, 200, "{}", revoked.text());
    assert!(read_cookies(&revoked, "Expires=Thu, 01 Jan 1970 00:00:00 GMT").values().all(String::is_empty));
    assert_error(&call("/sdk/v1/sessions/authenticate").await, 404, "session_not_found");
}

fn read_cookies(answer: &Answer, attributes: &str) -> std::collections::BTreeMap<String, String> {
    let read = |cookie: &str| {
        assert!(cookie.contains(attributes), "{cookie}");
        let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
        (name.to_owned(), value.to_owned())
    };
    answer.cookies().into_iter().map(read).collect()
}

#[tokio::test]
async fn a_page_replaces_its_users_password() {
    let shop = Shop::start().await;
    let old = sign_in(&shop, None, ADA).await;
    let body = json!({
        "email": ADA, "existing_password": PASSWORD, "new_password": "eleven little ducks", "session_duration_minutes": 60,
    });
    let path = "/sdk/v1/passwords/existing_password/reset";
    let replaced = shop.post_from_page(path, Some(token(&old)), body).await;
    assert_eq!(replaced.status, 200, "{}", replaced.text());
    let renew = async |token: &str| shop.post_from_page("/sdk/v1/sessions/authenticate", Some(token), json!({})).await;
    assert_error(&renew(token(&old)).await, 404, "session_not_found");
    assert_eq!(renew(token(&replaced)).await.status, 200);
}

#[tokio::test]
async fn a_page_cannot_do_what_is_for_back_ends() {
    let shop = Shop::start().await;
    let trusted =
        json!({"email": "new@example.com", "password": "eleven little ducks", "trusted_metadata": {"plan": "pro"}});
    let answer = shop.post_from_page("/sdk/v1/passwords", None, trusted).await;
    assert!((400..500).contains(&answer.status), "{}", answer.text());
    let answer = shop.app.post("/v1/users/search").basic(&shop.public_token, &shop.public_token).await;
    assert_error(&answer, 400, "invalid_project_id_authentication");
}

#[tokio::test]
async fn a_page_of_elsewhere_is_refused_and_may_read_why() {
    let shop = Shop::start().await;
    let call = shop.app.post(AUTHENTICATE).basic(&shop.public_token, &shop.public_token);
    let answer = call.header("origin", "https://evil.example").json(&json!({"email": ADA, "password": PASSWORD})).await;
    assert_error(&answer, 400, "bad_domain_for_stytch_sdk");
    assert_eq!(answer.header("access-control-allow-origin"), "https://evil.example");
    assert_eq!(answer.header("access-control-allow-credentials"), "true");
}

#[tokio::test]
async fn a_preflight_is_answered_for_every_header_of_the_library() {
    let shop = Shop::start().await;
    let asked = "authorization,content-type,x-sdk-client,x-sdk-parent-host";
    let call = shop.app.request(Method::OPTIONS, AUTHENTICATE).header("origin", "https://app.example");
    let answer =
        call.header("access-control-request-method", "POST").header("access-control-request-headers", asked).await;
    let allowed: Vec<_> = answer.header("access-control-allow-headers").split(',').map(str::trim).collect();
    assert_eq!((answer.status, allowed), (200, asked.split(',').collect()));
    assert_eq!(answer.header("access-control-allow-origin"), "https://app.example");
    assert!(answer.json == json!({}) || answer.json == Value::Null);
}
