use http::Method;
use insta::assert_json_snapshot;
use serde_json::json;

use super::{Shop, assert_error};
use crate::{
    shape::shape,
    support::{ADA, PASSWORD},
};

#[tokio::test]
async fn callers_are_told_what_is_wrong_with_their_credentials() {
    let shop = Shop::start().await;
    let app = &shop.app;
    let path = "/v1/users/search";
    assert_error(&app.post(path).basic(&shop.project_id, "wrong").await, 401, "unauthorized_credentials");
    assert_error(&app.post(path).basic(&shop.project_id, "").await, 401, "unauthorized_credentials");
    assert_error(&app.post(path).basic("project-live-7", "s").await, 400, "invalid_project_id_authentication");
    let other = app.post(path).basic("project-live-00000000-0000-0000-0000-000000000000", &app.secret).await;
    assert_error(&other, 401, "unauthorized_credentials");
    // The same with the prefix of a test project, as it may stand in settings from before.
    let test = shop.project_id.replace("-live-", "-test-");
    assert_eq!(app.post(path).basic(&test, &app.secret).await.status, 200);

    let bootstrap = "/sdk/v1/projects/bootstrap/x";
    assert_error(&app.get(bootstrap).await, 404, "public_token_not_found");
    assert_error(&app.get(bootstrap).basic("public-token-live-7", "").await, 404, "public_token_not_found");
    let nobodys = "public-token-live-00000000-0000-0000-0000-000000000000";
    assert_error(&app.get(bootstrap).basic(nobodys, nobodys).await, 404, "public_token_not_found");
}

#[tokio::test]
async fn what_cannot_be_read_or_found_is_an_error_of_the_same_shape() {
    let shop = Shop::start().await;
    let unreadable = shop.back_end(Method::POST, "/v1/passwords/authenticate").body("{").await;
    assert_error(&unreadable, 400, "bad_request");
    assert_error(&shop.post("/v1/passwords/authenticate", json!({"email": ADA})).await, 400, "bad_request");
    assert_error(
        &shop.post("/v1/passwords/authenticate", json!({"email": "ada", "password": PASSWORD})).await,
        400,
        "invalid_email",
    );
    assert_error(&shop.get("/v1/nowhere").await, 404, "route_not_found");
    assert_error(&shop.back_end(Method::PATCH, "/v1/passwords").await, 405, "route_not_found");
    let error = shop.post("/v1/passwords/authenticate", json!({"email": ADA, "password": "wrong"})).await;
    assert_json_snapshot!("error", shape(&error));
}

#[tokio::test]
async fn the_request_id_is_that_of_the_header() {
    let shop = Shop::start().await;
    let answer = shop.back_end(Method::POST, "/v1/users/search").header("x-request-id", "my-own").await;
    let told = (answer.header("x-request-id"), &answer.json["request_id"]);
    assert_eq!(told, ("my-own", &json!("request-id-live-my-own")));
    let answer = shop.post("/v1/users/search", json!({})).await;
    let id = answer.json["request_id"].as_str().unwrap();
    let uuid = signet::id_form::parse_stytch("request-id", id).unwrap();
    assert_eq!(signet::id_form::canonical("x", uuid), format!("x_{}", answer.header("x-request-id")));
}

#[tokio::test]
async fn a_temporary_password_has_to_be_reset() {
    let shop = Shop::start().await;
    let app = &shop.app;
    let user_id = signet::id_form::canonical("user", app.ada.into());
    let body = json!({"password": "eleven little ducks", "must_change": true});
    let path = format!("/api/v1/users/{user_id}/password");
    let set = app.put(&path).basic(&app.client_id, &app.secret).json(&body).await;
    assert_eq!(set.status, 200, "{}", set.text());
    let body = json!({"email": ADA, "password": "eleven little ducks", "session_duration_minutes": 60});
    let answer = shop.post("/v1/passwords/authenticate", body).await;
    assert_error(&answer, 401, "reset_password");
}
