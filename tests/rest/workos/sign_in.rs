//! `POST /user_management/authenticate`.

use chrono::Duration;
use secrecy::SecretString;
use serde_json::{Value, json};
use signet::proto::{CreateUserRequest, PendingAuthentication, SignInRequest};

use super::{EMAIL_VERIFICATION, Shop, by_password, by_refresh_token, claims, merged, refusal};
use crate::{
    shape::{named, shape},
    support::{ADA, GRACE, PASSWORD, basic, detail},
};

const PATH: &str = "/user_management/authenticate";

#[tokio::test]
async fn a_sign_in_answers_with_user_and_tokens() {
    let shop = Shop::start().await;
    let answer = shop.authenticate(by_password(ADA, PASSWORD)).await;
    insta::assert_json_snapshot!("sign_in", shape(&answer));
    let mut claims = named(&claims(&answer.json));
    assert_eq!(claims["jti"].as_str().map(str::len), Some(26));
    claims["jti"] = "<ULID>".into();
    insta::assert_json_snapshot!("claims", claims);

    let fields = [
        ("client_id", shop.client_id.as_str()),
        ("client_secret", &shop.api_key()),
        ("grant_type", "password"),
        ("email", ADA),
        ("password", PASSWORD),
    ];
    let by_form = shop.post(PATH).form(&fields).await;
    assert_eq!(shape(&by_form), shape(&answer));
    let doubled_slash = shop.post("//user_management/authenticate").form(&fields).await;
    assert_eq!(doubled_slash.status, 200, "{}", doubled_slash.text());
}

#[tokio::test]
async fn claims_are_what_the_libraries_check() {
    let shop = Shop::start().await;
    let answer = shop.signed_in(ADA).await;
    let claims = claims(&answer);
    assert_eq!((&claims["sub"], &claims["client_id"]), (&answer["user"]["id"], &json!(shop.client_id)));
    let issuer = claims["iss"].as_str().unwrap();
    assert!(issuer.ends_with(&format!("/user_management/{}", shop.client_id)), "{issuer}");
    assert!(claims["auth_time"].is_i64() && claims["sid"].as_str().unwrap().starts_with("session_"), "{claims}");
    assert!(claims.as_object().unwrap().values().all(|value| !value.is_null()), "{claims}");
    for absent in ["aud", "sub_type", "org_id"] {
        assert!(claims.get(absent).is_none(), "{absent} in {claims}");
    }
}

#[tokio::test]
async fn a_client_shows_its_secret_in_the_body_or_in_the_header() {
    let shop = Shop::start().await;
    let of_another = shop.another_secret().await;
    let (key, bare, wrong) = (shop.api_key(), shop.secret.clone(), format!("sk_{of_another}"));
    let (id, nobody) = (shop.client_id.as_str(), "client_01K0000000000000000000000Z");
    let table: [(&str, Option<&str>, Option<&str>, u16); 9] = [
        (id, Some(&key), None, 200),
        (id, None, Some(&key), 200),
        (id, Some(&key), Some(&key), 200),
        (id, Some(&bare), Some(&key), 200),
        (id, Some(&key), Some(&wrong), 400),
        (id, Some(&wrong), None, 400),
        (id, None, None, 400),
        (nobody, Some(&key), None, 400),
        ("no id", Some(&key), None, 400),
    ];
    for (client_id, in_body, in_header, status) in table {
        let client = json!({ "client_id": client_id, "client_secret": in_body });
        let mut call = shop.post(PATH).json(&merged(client, by_password(ADA, PASSWORD)));
        if let Some(key) = in_header {
            call = call.bearer(key);
        }
        let answer = call.await;
        assert_eq!(answer.status, status, "{client_id} {in_body:?} {in_header:?}: {}", answer.text());
        if status == 400 {
            assert_eq!(refusal(&answer), (400, "invalid_client"));
            assert!(!answer.json["error_description"].as_str().unwrap().is_empty());
        }
    }
}

#[tokio::test]
async fn an_explicit_null_is_as_good_as_absent() {
    let shop = Shop::start().await;
    let unset = json!({
        "invitation_token": null, "ip_address": null, "user_agent": null, "device_id": null, "signals_id": null,
        "radar_auth_attempt_id": null, "made_up": {"deep": 1},
    });
    let answer = shop.authenticate(merged(by_password(ADA, PASSWORD), unset)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let refresh = merged(by_refresh_token(&answer.json), json!({ "organization_id": null }));
    assert_eq!(shop.authenticate(refresh).await.status, 200);
}

#[tokio::test]
async fn nobody_learns_who_has_an_account() {
    let shop = Shop::start().await;
    let mut answers = Vec::new();
    for (email, password) in [(ADA, "wrong password"), ("nobody@example.com", PASSWORD)] {
        let before = shop.hashes();
        let answer = shop.authenticate(by_password(email, password)).await;
        assert_eq!(answer.json["message"], format!("Invalid credentials for '{email}'."));
        let headers: Vec<_> = answer.headers.iter().filter(|(name, _)| *name != "x-request-id").collect();
        let headers = format!("{headers:?}").replace(&answer.text().len().to_string(), "");
        answers.push((answer.status, headers, answer.text().replace(email, ""), shop.hashes() - before));
    }
    assert_eq!((answers[0].0, answers[0].3), (400, 1), "one hash each");
    assert_eq!(answers[0], answers[1]);
    let answer = shop.authenticate(by_password(ADA, "wrong password")).await;
    insta::assert_json_snapshot!("wrong_password", shape(&answer));
}

#[tokio::test]
async fn an_unverified_address_stops_a_sign_in_until_its_code_comes() {
    let shop = Shop::start().await;
    let stopped = shop.authenticate(by_password(GRACE, PASSWORD)).await;
    insta::assert_json_snapshot!("unverified", shape(&stopped));
    let code = shop.last_code_to(GRACE).await;
    let grant = |code: &str| {
        let token = &stopped.json["pending_authentication_token"];
        json!({ "grant_type": EMAIL_VERIFICATION, "code": code, "pending_authentication_token": token })
    };
    let wrong = if code == "000000" { "000001" } else { "000000" };
    let answer = shop.authenticate(grant(wrong)).await;
    insta::assert_json_snapshot!("wrong_code", shape(&answer));
    // A bad code does not use the token up.
    let answer = shop.authenticate(grant(&code)).await;
    insta::assert_json_snapshot!("verified", shape(&answer));
    assert_eq!(answer.json["user"]["id"], shop.grace.to_string());
    let answer = shop.authenticate(grant(&code)).await;
    insta::assert_json_snapshot!("pending_token_used", shape(&answer));
}

#[tokio::test]
async fn guessing_a_code_ends() {
    let shop = Shop::start().await;
    let stopped = shop.authenticate(by_password(GRACE, PASSWORD)).await;
    let code = shop.last_code_to(GRACE).await;
    let wrong = if code == "000000" { "000001" } else { "000000" };
    let grant = |code: &str| {
        let token = &stopped.json["pending_authentication_token"];
        json!({ "grant_type": EMAIL_VERIFICATION, "code": code, "pending_authentication_token": token })
    };
    let mut last = Value::Null;
    for _ in 0..6 {
        last = shop.authenticate(grant(wrong)).await.json["code"].clone();
    }
    assert_eq!(last, "one_time_code_too_many_attempts");
    let right = shop.authenticate(grant(&code)).await;
    assert_eq!(refusal(&right), (400, "one_time_code_too_many_attempts"));
}

#[tokio::test]
async fn a_stopped_sign_in_expires_with_its_code() {
    let shop = Shop::start().await;
    let stopped = shop.authenticate(by_password(GRACE, PASSWORD)).await;
    let token = &stopped.json["pending_authentication_token"];
    let code = shop.last_code_to(GRACE).await;
    let grant = json!({ "grant_type": EMAIL_VERIFICATION, "code": code, "pending_authentication_token": token });
    shop.clock.advance(Duration::minutes(11));
    assert_eq!(refusal(&shop.authenticate(grant).await), (400, "invalid_pending_authentication_token"));
}

#[tokio::test]
async fn a_public_client_refreshes_and_finishes_but_begins_nothing() {
    let shop = Shop::start().await;
    let begun = shop.authenticate_publicly(by_password(ADA, PASSWORD)).await;
    insta::assert_json_snapshot!("public_client_begins", shape(&begun));
    // A client's sessions are its own: what another one began cannot be finished or refreshed here.
    let foreign = shop.signed_in(ADA).await;
    let answer = shop.authenticate_publicly(by_refresh_token(&foreign)).await;
    assert_eq!(refusal(&answer), (400, "invalid_grant"));
}

#[tokio::test]
async fn a_public_client_goes_on_with_what_is_its_own() {
    let shop = Shop::start().await;
    let caller = shop.caller(Some(&basic(&shop.public_client_id, &SecretString::default())));
    let sign_in = async |login_id: &str| {
        let request = SignInRequest { login_id: login_id.into(), password: PASSWORD.into(), ..Default::default() };
        caller.auth.clone().sign_in(request).await
    };
    let tokens = sign_in(ADA).await.unwrap().into_inner().tokens.unwrap();
    let grant = json!({ "grant_type": "refresh_token", "refresh_token": tokens.refresh_token });
    let refreshed = shop.authenticate_publicly(grant).await;
    assert_eq!((refreshed.status, &refreshed.json["user"]["email"]), (200, &json!(ADA)), "{}", refreshed.text());

    let stopped = sign_in(GRACE).await.unwrap_err();
    let pending: PendingAuthentication = detail(&stopped, "auth.v1.PendingAuthentication").unwrap();
    let grant = json!({
        "grant_type": EMAIL_VERIFICATION, "code": shop.last_code_to(GRACE).await,
        "pending_authentication_token": pending.pending_authentication_token,
    });
    let verified = shop.authenticate_publicly(grant).await;
    assert_eq!((verified.status, &verified.json["user"]["email"]), (200, &json!(GRACE)), "{}", verified.text());
}

#[tokio::test]
async fn a_password_that_has_to_be_changed_stops_a_sign_in() {
    let shop = Shop::start().await;
    let caller = shop.caller(Some(&basic(&shop.client_id, &shop.secret.clone().into())));
    let request = CreateUserRequest {
        email: Some("mary@example.com".into()),
        email_verified: true,
        password: Some(PASSWORD.into()),
        password_must_change: true,
        ..Default::default()
    };
    caller.users.clone().create_user(request).await.unwrap();
    let stopped = shop.authenticate(by_password("mary@example.com", PASSWORD)).await;
    insta::assert_json_snapshot!("password_change_required", shape(&stopped));
    let token = &stopped.json["pending_authentication_token"];
    let body = json!({ "token": token, "new_password": "a new horse, a lamp" });
    let changed = shop.keyed(shop.post("/user_management/password_reset/confirm")).json(&body).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    assert_eq!(shop.authenticate(by_password("mary@example.com", "a new horse, a lamp")).await.status, 200);
}

#[tokio::test]
async fn a_refresh_goes_on_with_the_session() {
    let shop = Shop::start().await;
    let signed_in = shop.signed_in(ADA).await;
    shop.clock.advance(Duration::minutes(3));
    let refreshed = shop.authenticate(by_refresh_token(&signed_in)).await;
    insta::assert_json_snapshot!("refresh", shape(&refreshed));
    let (old, new) = (claims(&signed_in), claims(&refreshed.json));
    assert_eq!((&new["sid"], &new["auth_time"]), (&old["sid"], &old["auth_time"]));
    assert!(new["iat"].as_i64() > old["iat"].as_i64());

    // Whoever repeats the call in time gets the same answer: two tabs, or a lost reply.
    let again = shop.authenticate(by_refresh_token(&signed_in)).await;
    assert_eq!(again.json["refresh_token"], refreshed.json["refresh_token"]);
    shop.clock.advance(Duration::minutes(2));
    let late = shop.authenticate(by_refresh_token(&signed_in)).await;
    insta::assert_json_snapshot!("refresh_token_reused", shape(&late));
    // The session is over for everybody.
    let over = shop.authenticate(by_refresh_token(&refreshed.json)).await;
    assert_eq!(refusal(&over), (400, "invalid_grant"));
    assert_eq!(over.json["error_description"], "Invalid refresh token.");
}

#[tokio::test]
async fn other_grants_are_refused_in_the_words_of_oauth() {
    let shop = Shop::start().await;
    let missing = |name: &str| {
        let mut grant = by_password(ADA, PASSWORD);
        grant.as_object_mut().unwrap().remove(name);
        grant
    };
    let code = json!({ "grant_type": EMAIL_VERIFICATION, "code": "123456" });
    let with_invitation = merged(by_password(ADA, PASSWORD), json!({ "invitation_token": "made up" }));
    let signed_in = shop.signed_in(ADA).await;
    let other_organization = merged(by_refresh_token(&signed_in), json!({ "organization_id": "org_made_up" }));
    let table = [
        (json!({ "grant_type": "authorization_code", "code": "x" }), "unauthorized_client"),
        (json!({ "grant_type": "urn:workos:oauth:grant-type:magic-auth:code" }), "unauthorized_client"),
        (json!({ "grant_type": "urn:workos:oauth:grant-type:mfa-totp" }), "unauthorized_client"),
        (json!({ "grant_type": "made up" }), "invalid_request"),
        (missing("grant_type"), "invalid_request"),
        (missing("email"), "invalid_request"),
        (missing("password"), "invalid_request"),
        (by_password(ADA, ""), "invalid_request"),
        (by_password("no address", PASSWORD), "invalid_request"),
        (merged(by_password(ADA, PASSWORD), json!({ "ip_address": "nowhere" })), "invalid_request"),
        (merged(by_password(ADA, PASSWORD), json!({ "email": 5 })), "invalid_request"),
        (code, "invalid_request"),
        (json!({ "grant_type": "refresh_token" }), "invalid_request"),
        (json!({ "grant_type": "refresh_token", "refresh_token": "made up" }), "invalid_grant"),
        (with_invitation, "invitation_invalid"),
        (other_organization, "organization_not_found"),
    ];
    for (grant, code) in table {
        let answer = shop.authenticate(grant.clone()).await;
        assert_eq!(refusal(&answer), (400, code), "{grant}");
        assert!(!answer.json["error_description"].as_str().unwrap_or_default().is_empty(), "{}", answer.text());
    }
}
