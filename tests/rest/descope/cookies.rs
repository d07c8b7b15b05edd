//! Refresh tokens in a cookie.

use serde_json::json;
use signet::domain::{client::TokenDelivery, project::ProjectSettings};

use super::{Descope, refused, told};
use crate::support::{ADA, PASSWORD};

async fn with_cookies() -> Descope {
    Descope::start_with(TokenDelivery::Cookie, ProjectSettings::default()).await
}

/// Name and value of a cookie, and its attributes.
fn parts(cookie: &str) -> (&str, Vec<&str>) {
    let mut parts = cookie.split("; ");
    (parts.next().unwrap(), parts.collect())
}

#[tokio::test]
async fn the_cookie_takes_the_place_of_the_token() {
    let descope = with_cookies().await;
    let signed_in = descope.sign_in(ADA, PASSWORD).await;
    assert_eq!(signed_in.json["refreshJwt"], "");
    let [cookie] = signed_in.cookies()[..] else { panic!("one cookie: {:?}", signed_in.headers) };
    let (pair, attributes) = parts(cookie);
    assert!(pair.starts_with("DSR=eyJ"), "{pair}");
    let max_age = format!("Max-Age={}", signed_in.json["cookieMaxAge"]);
    // As the public URL of the app is encrypted.
    assert_eq!(attributes, ["Path=/", &max_age, "HttpOnly", "SameSite=None", "Secure"]);

    let call = |path: &str| descope.app.post(path).bearer(&descope.project).header("cookie", pair);
    let refreshed = told(call("/v1/auth/refresh")).await;
    assert_eq!((refreshed.status, &refreshed.json["refreshJwt"]), (200, &json!("")), "{}", refreshed.text());
    let newest = refreshed.cookies().first().map_or(pair, |cookie| parts(cookie).0).to_owned();
    let me = told(descope.app.get("/v1/auth/me").bearer(&descope.project).header("cookie", &newest)).await;
    assert_eq!(me.json["email"], ADA);

    let out = told(descope.app.post("/v1/auth/logout").bearer(&descope.project).header("cookie", &newest)).await;
    let [cookie] = out.cookies()[..] else { panic!("one cookie: {:?}", out.headers) };
    let (pair, attributes) = parts(cookie);
    assert_eq!((pair, attributes), ("DSR=", vec!["Path=/", "Max-Age=0", "HttpOnly", "SameSite=None", "Secure"]));
    let over = told(descope.app.post("/v1/auth/refresh").bearer(&descope.project).header("cookie", &newest)).await;
    refused(&over, 401, "E064001");
}

#[tokio::test]
async fn the_token_of_the_bearer_wins_over_the_cookie() {
    let descope = Descope::start().await;
    let (mine, other) = (descope.signed_in().await, descope.signed_in().await);
    descope.post_with("/v1/auth/logout", &other.refresh, json!({})).await;
    let cookie = |token: &str| format!("DSR={token}");
    let call = descope.app.get("/v1/auth/me").bearer(&descope.bearer(&mine.refresh));
    assert_eq!(told(call.header("cookie", &cookie(&other.refresh))).await.status, 200);
    let call = descope.app.get("/v1/auth/me").bearer(&descope.bearer(&other.refresh));
    refused(&told(call.header("cookie", &cookie(&mine.refresh))).await, 401, "E064001");
}
