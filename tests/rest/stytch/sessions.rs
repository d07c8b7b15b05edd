use http::Method;
use insta::assert_json_snapshot;
use serde_json::{Value, json};

use super::{Shop, assert_error};
use crate::{
    shape::{named, shape},
    support::{ADA, PASSWORD},
};

#[tokio::test]
async fn sessions_authenticate_takes_either_token() {
    let shop = Shop::start().await;
    let signed_in = shop.sign_in().await;
    let (token, jwt) = (&signed_in["session_token"], &signed_in["session_jwt"]);
    let by_token = shop.post("/v1/sessions/authenticate", json!({"session_token": token})).await;
    assert_json_snapshot!("sessions_authenticate", shape(&by_token));
    assert_eq!(&by_token.json["session_token"], token, "several tabs share it");
    let by_jwt = shop.post("/v1/sessions/authenticate", json!({"session_jwt": jwt})).await;
    assert_eq!(by_jwt.status, 200, "{}", by_jwt.text());
    assert_eq!(&by_jwt.json["session_token"], token, "the opaque token of the same session");
    assert_eq!(named(&by_jwt.json), named(&by_token.json));
    // By JWT it takes two calls of the API, of which a key is for one.
    for _ in 0..2 {
        let call = shop.back_end(Method::POST, "/v1/sessions/authenticate").header("idempotency-key", "again");
        let answer = call.json(&json!({"session_jwt": jwt})).await;
        assert_eq!((answer.status, &answer.json["session_token"]), (200, token), "{}", answer.text());
    }

    // Past its five minutes a JWT still renews itself.
    shop.app.clock.advance(chrono::Duration::minutes(6));
    let late = shop.post("/v1/sessions/authenticate", json!({"session_jwt": jwt})).await;
    assert_eq!(late.status, 200, "{}", late.text());
    assert_ne!(&late.json["session_jwt"], jwt);
}

#[tokio::test]
async fn a_session_moves_on_only_with_a_duration() {
    let shop = Shop::start().await;
    let signed_in = shop.sign_in().await;
    let token = &signed_in["session_token"];
    let authenticate = async |more: Value| {
        let mut body = json!({"session_token": token});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        shop.post("/v1/sessions/authenticate", body).await
    };
    shop.app.clock.advance(chrono::Duration::minutes(10));
    let before = &signed_in["session"]["expires_at"];
    assert_eq!(&authenticate(json!({})).await.json["session"]["expires_at"], before);
    let moved = authenticate(json!({"session_duration_minutes": 60})).await;
    assert!(moved.json["session"]["expires_at"].as_str() > before.as_str(), "{}", moved.text());
    for minutes in [-1, 0, 4, 527_041] {
        let answer = authenticate(json!({"session_duration_minutes": minutes})).await;
        assert_error(&answer, 400, "invalid_session_duration_minutes");
    }
    for minutes in [5, 527_040] {
        assert_eq!(authenticate(json!({"session_duration_minutes": minutes})).await.status, 200);
    }
}

#[tokio::test]
async fn custom_claims_are_merged_into_a_session() {
    let shop = Shop::start().await;
    let signed_in = shop.sign_in().await;
    let merge = async |claims: Value| {
        let body = json!({"session_token": signed_in["session_token"], "session_custom_claims": claims});
        shop.post("/v1/sessions/authenticate", body).await
    };
    merge(json!({"seat": 7, "plan": {"name": "pro", "trial": true}})).await;
    let merged = merge(json!({"seat": null, "plan": {"trial": null}, "sub": "ignored"})).await;
    assert_eq!(merged.json["session"]["custom_claims"], json!({"plan": {"name": "pro"}}), "{}", merged.text());
    let own = merge(json!({"https://stytch.com/session": {}})).await;
    assert_error(&own, 400, "stytch_claims_in_custom_claims");
    let reserved = merge(json!({"token_kind": "access"})).await;
    assert_error(&reserved, 400, "reserved_claims_in_custom_claims");
    let sign_in = json!({
        "email": ADA, "password": PASSWORD, "session_duration_minutes": 60, "session_custom_claims": {"token_kind": 1},
    });
    let reserved = shop.post("/v1/passwords/authenticate", sign_in).await;
    assert_error(&reserved, 400, "reserved_claims_in_custom_claims");
    for length in [1600, 5000] {
        let large = merge(json!({"text": "x".repeat(length)})).await;
        assert_error(&large, 400, "custom_claims_too_large");
    }
}

#[tokio::test]
async fn sessions_are_listed_and_revoked() {
    let shop = Shop::start().await;
    let sessions = [shop.sign_in().await, shop.sign_in().await, shop.sign_in().await];
    let path = format!("/v1/sessions?user_id={}", sessions[0]["user_id"].as_str().unwrap());
    let listed = shop.get(&path).await;
    assert_eq!(listed.json["sessions"].as_array().unwrap().len(), 3, "{}", listed.text());
    let revokes = [
        json!({"session_id": sessions[0]["session"]["session_id"]}),
        json!({"session_token": sessions[1]["session_token"]}),
    ];
    for revoke in revokes {
        let answer = shop.post("/v1/sessions/revoke", revoke).await;
        assert_json_snapshot!("sessions_revoke", shape(&answer));
    }
    assert_json_snapshot!("sessions_get", shape(&shop.get(&path).await));
    let answer = shop.post("/v1/sessions/revoke", json!({"session_jwt": sessions[2]["session_jwt"]})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(shop.get(&path).await.json["sessions"], json!([]));
    for session in sessions {
        for credential in ["session_token", "session_jwt"] {
            let answer = shop.post("/v1/sessions/authenticate", json!({credential: session[credential]})).await;
            assert_error(&answer, 404, "session_not_found");
        }
    }
}

#[tokio::test]
async fn a_session_is_named_by_one_thing() {
    let shop = Shop::start().await;
    let authenticate = async |body: Value| shop.post("/v1/sessions/authenticate", body).await;
    assert_error(&authenticate(json!({})).await, 400, "no_session_arguments");
    let both = json!({"session_token": "t", "session_jwt": "j"});
    assert_error(&authenticate(both).await, 400, "too_many_session_arguments");
    assert_error(&authenticate(json!({"session_jwt": "no JWT"})).await, 400, "unable_to_parse_session_jwt");
    assert_error(&authenticate(json!({"session_token": "unknown"})).await, 404, "session_not_found");
    let revoke = async |body: Value| shop.post("/v1/sessions/revoke", body).await;
    assert_error(&revoke(json!({})).await, 400, "no_session_revoke_arguments");
    let both = json!({"session_id": "i", "session_token": "t"});
    assert_error(&revoke(both).await, 400, "too_many_session_revoke_arguments");
    assert_error(&revoke(json!({"session_id": "i"})).await, 400, "invalid_session_id");
}

#[tokio::test]
async fn an_authorization_check_is_passed_by_nobody() {
    let shop = Shop::start().await;
    let signed_in = shop.sign_in().await;
    let body = json!({
        "session_token": signed_in["session_token"], "session_duration_minutes": 527_040,
        "authorization_check": {"resource_id": "documents", "action": "read"},
    });
    assert_error(&shop.post("/v1/sessions/authenticate", body).await, 403, "consumer_session_authorization_error");
    let body = json!({"session_token": signed_in["session_token"]});
    let after = shop.post("/v1/sessions/authenticate", body).await;
    assert_eq!(after.json["session"]["expires_at"], signed_in["session"]["expires_at"], "nothing was prolonged");
}

#[tokio::test]
async fn the_key_set_needs_no_credentials() {
    let shop = Shop::start().await;
    let path = format!("/v1/sessions/jwks/{}", shop.project_id);
    let answer = shop.app.get(&path).await;
    assert_eq!(answer.header("cache-control"), "public, max-age=300");
    let [key] = &answer.json["keys"].as_array().unwrap()[..] else { panic!("one key: {}", answer.text()) };
    let mut members: Vec<_> = key.as_object().unwrap().keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(members, ["alg", "e", "key_ops", "kid", "kty", "n", "use", "x5c", "x5tS256"]);
    assert_eq!((&key["alg"], &key["key_ops"]), (&json!("RS256"), &json!(["verify"])));
    // With credentials, and naming the project twice, as the library for Python asks.
    let again = shop.back_end(Method::GET, &format!("{path}?project_id={}", shop.project_id)).await;
    assert_eq!(again.json["keys"], answer.json["keys"]);
    assert_error(&shop.app.get("/v1/sessions/jwks/project-live-unknown").await, 404, "project_not_found");
    let nobodys = "/v1/sessions/jwks/project-live-00000000-0000-0000-0000-000000000000";
    assert_error(&shop.app.get(nobodys).await, 404, "project_not_found");
}

#[tokio::test]
async fn a_session_of_nobody_is_not_listed() {
    let shop = Shop::start().await;
    assert_error(&shop.get("/v1/sessions").await, 404, "user_not_found");
    assert_error(&shop.get(&format!("/v1/sessions?user_id={ADA}")).await, 404, "user_not_found");
}
