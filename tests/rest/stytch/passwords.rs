use http::Method;
use insta::assert_json_snapshot;
use serde_json::{Value, json};

use super::{Shop, assert_error};
use crate::{
    shape::shape,
    support::{ADA, PASSWORD},
};

#[tokio::test]
async fn passwords_create_answers_with_the_user() {
    let shop = Shop::start().await;
    let body = json!({
        "email": "Linus@Example.com", "password": "eleven little ducks", "session_duration_minutes": 60,
        "name": {"first_name": "Linus", "last_name": "Pauling"},
        "trusted_metadata": {"plan": "pro"}, "untrusted_metadata": {"theme": "dark"},
        "session_custom_claims": {"seat": 7, "gone": null, "iss": "ignored"},
        "telemetry_id": "ignored",
    });
    let created = shop.post("/v1/passwords", body.clone()).await;
    assert_json_snapshot!("passwords_create", shape(&created));
    assert_eq!(created.json["user"]["emails"][0]["verified"], json!(false));

    let again = shop.post("/v1/passwords", body).await;
    assert_error(&again, 400, "duplicate_email");
    let weak = shop.post("/v1/passwords", json!({"email": "new@example.com", "password": "short"})).await;
    assert_error(&weak, 400, "weak_password");
}

#[tokio::test]
async fn passwords_authenticate_answers_with_a_session_if_one_is_asked_for() {
    let shop = Shop::start().await;
    let with = shop.sign_in().await;
    assert_json_snapshot!("passwords_authenticate", crate::shape::named(&with));
    let jwt = with["session_jwt"].as_str().unwrap();
    assert_json_snapshot!("session_jwt", crate::shape::named(&claims(jwt)));

    let without = shop.post("/v1/passwords/authenticate", json!({"email": ADA, "password": PASSWORD})).await;
    assert_json_snapshot!("passwords_authenticate_without_session", shape(&without));
}

/// What a JWT says.
fn claims(jwt: &str) -> Value {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

    let payload = jwt.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

#[tokio::test]
async fn an_unverified_address_does_not_stop_a_sign_in() {
    let shop = Shop::start().await;
    let body = json!({"email": crate::support::GRACE, "password": PASSWORD, "session_duration_minutes": 60});
    let answer = shop.post("/v1/passwords/authenticate", body).await;
    assert_eq!((answer.status, &answer.json["user"]["emails"][0]["verified"]), (200, &json!(false)));
}

#[tokio::test]
async fn a_sign_in_joins_the_session_it_names() {
    let shop = Shop::start().await;
    let first = shop.sign_in().await;
    let join = json!({
        "email": ADA, "password": PASSWORD, "session_token": first["session_token"],
        "session_custom_claims": {"seat": 7},
    });
    let joined = shop.post("/v1/passwords/authenticate", join).await;
    assert_eq!(joined.status, 200, "{}", joined.text());
    assert_eq!(joined.json["session"]["session_id"], first["session"]["session_id"]);
    assert_eq!(joined.json["session"]["expires_at"], first["session"]["expires_at"], "without a duration it stays");
    assert_eq!(joined.json["session_token"], first["session_token"], "several tabs share it");
    assert_eq!(joined.json["session"]["custom_claims"], json!({"seat": 7}));

    let both = json!({"email": ADA, "password": PASSWORD, "session_token": "t", "session_jwt": "j"});
    assert_error(&shop.post("/v1/passwords/authenticate", both).await, 400, "too_many_session_arguments");
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_address_get_one_answer_after_one_hash() {
    let shop = Shop::start().await;
    let sign_in = json!({"password": "not the password", "session_duration_minutes": 60});
    let replace = json!({"existing_password": "not the password", "new_password": "eleven little ducks"});
    for (path, body) in [
        ("/v1/passwords/authenticate", &sign_in),
        ("/sdk/v1/passwords/authenticate", &sign_in),
        ("/v1/passwords/existing_password/reset", &replace),
        ("/sdk/v1/passwords/existing_password/reset", &replace),
    ] {
        let mut answers = Vec::new();
        for email in [ADA, "nobody@example.com"] {
            let before = shop.app.hashes();
            let call = if path.starts_with("/sdk") {
                shop.page(Method::POST, path, None)
            } else {
                shop.back_end(Method::POST, path)
            };
            let mut body = body.clone();
            body["email"] = json!(email);
            let answer = call.header("x-request-id", "the-same").json(&body).await;
            assert_error(&answer, 401, "unauthorized_credentials");
            answers.push((answer.body, shop.app.hashes() - before));
        }
        assert_eq!(answers[0], answers[1], "{path}");
        assert_eq!(answers[0].1, 1, "{path}");
    }
}

#[tokio::test]
async fn an_existing_password_is_replaced_by_whoever_knows_it() {
    let shop = Shop::start().await;
    let old = shop.sign_in().await;
    let body = json!({
        "email": ADA, "existing_password": PASSWORD, "new_password": "eleven little ducks", "session_duration_minutes": 60,
    });
    let replaced = shop.post("/v1/passwords/existing_password/reset", body.clone()).await;
    assert_json_snapshot!("passwords_existing_password_reset", shape(&replaced));
    let session = shop.post("/v1/sessions/authenticate", json!({"session_token": old["session_token"]})).await;
    assert_error(&session, 404, "session_not_found");
    assert_error(&shop.post("/v1/passwords/existing_password/reset", body).await, 401, "unauthorized_credentials");
}
