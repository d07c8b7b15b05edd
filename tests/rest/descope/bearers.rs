//! What callers may send.

use serde_json::json;
use signet::domain::{client::TokenDelivery, project::ProjectSettings};

use super::{Descope, refused, told};
use crate::support::{ADA, PASSWORD};

#[tokio::test]
async fn every_form_of_the_bearer_signs_in() {
    let descope = Descope::start().await;
    let old = descope.signed_in().await;
    descope.post_with("/v1/auth/logout", &old.refresh, json!({})).await;
    let (project, secret) = (&descope.project, &descope.app.secret);
    let stale = &old.refresh;
    let bearers = [
        project.clone(),
        format!("{project}:"),
        format!("{project}:{secret}"),
        format!("{project}:no_such_key"),
        format!("{project}:{stale}"),
        format!("{project}:{stale}:{secret}"),
        format!("{project}:{stale}:"),
        format!("{project}:aGVh.Ym9k.c2ln"),
    ];
    for bearer in bearers {
        let body =
            json!({ "loginId": ADA, "password": PASSWORD, "loginOptions": null, "ssoAppId": null, "unknown": [1] });
        let answer = told(descope.app.post("//v1/auth/password/signin").bearer(&bearer).json(&body)).await;
        assert_eq!(answer.status, 200, "{bearer}: {}", answer.text());
        let policy = told(descope.app.get("/v1/auth/password/policy").bearer(&bearer)).await;
        assert_eq!(policy.status, 200, "{bearer}: {}", policy.text());
    }
}

#[tokio::test]
async fn a_body_may_be_missing() {
    let descope = Descope::start().await;
    let tokens = descope.signed_in().await;
    let bearer = descope.bearer(&tokens.refresh);
    let refreshed =
        told(descope.app.post("/v1/auth/refresh").bearer(&bearer).header("content-type", "application/json"));
    let refreshed = refreshed.await;
    assert_eq!(refreshed.status, 200, "{}", refreshed.text());
    let tokens = descope.signed_in().await;
    let bearer = descope.bearer(&tokens.refresh);
    assert_eq!(told(descope.app.get("/v1/auth/refresh").bearer(&bearer)).await.status, 200);
    let tokens = descope.signed_in().await;
    let bearer = descope.bearer(&tokens.refresh);
    let tried = told(descope.app.get("/v1/auth/try-refresh").bearer(&bearer)).await;
    assert_eq!((tried.status, tried.json["sessionJwt"] != ""), (200, true), "{}", tried.text());
    let tokens = descope.signed_in().await;
    let bearer = descope.bearer(&tokens.refresh);
    assert_eq!(told(descope.app.post("/v1/auth/logout").bearer(&bearer)).await.status, 200);
}

#[tokio::test]
async fn a_refresh_token_that_did_not_change_is_not_sent_again() {
    let settings = ProjectSettings { rotate_refresh_tokens: false, ..ProjectSettings::default() };
    let descope = Descope::start_with(TokenDelivery::Body, settings).await;
    let tokens = descope.signed_in().await;
    for _ in 0..2 {
        let answer = descope.post_with("/v1/auth/refresh", &tokens.refresh, json!({})).await;
        assert_eq!((answer.status, &answer.json["refreshJwt"]), (200, &json!("")));
        assert_ne!(answer.json["sessionJwt"], "");
    }
}

#[tokio::test]
async fn aliases_are_read() {
    let descope = Descope::start().await;
    let body = json!({ "identifier": ADA, "password": PASSWORD });
    assert_eq!(descope.post("/v1/auth/password/signin", body).await.status, 200);
    let loaded = descope.get_with(&format!("/v1/mgmt/user?identifier={ADA}"), &descope.app.secret).await;
    assert_eq!(loaded.status, 200, "{}", loaded.text());
    let body =
        json!({ "identifier": "eve", "phoneNumber": "+12025550123", "name": "Eve", "additionalIdentifiers": [] });
    let created = descope.manage("/v1/mgmt/user/create", body).await;
    assert_eq!(created.json["user"]["phone"], "+12025550123");
    assert_eq!(created.json["user"]["name"], "Eve");
}

#[tokio::test]
async fn a_key_counts_where_an_application_alone_gets_nowhere() {
    let descope = Descope::start().await;
    let body = json!({ "loginId": "eve@example.com", "password": PASSWORD });
    let project = signet::id_form::descope('P', uuid::Uuid::from_u128(7));
    let nobodys = told(descope.app.post("/v1/auth/password/signup").bearer(&project).json(&body)).await;
    refused(&nobodys, 401, "E011005");
    let session = descope.signed_in().await;
    for credential in ["", "no_such_key", &session.refresh] {
        refused(&descope.get_with("/v1/mgmt/license", credential).await, 401, "E111119");
    }
    let behind = format!("{}:{}", session.refresh, descope.app.secret);
    assert_eq!(descope.get_with("/v1/mgmt/license", &behind).await.status, 200);
}

#[tokio::test]
async fn sign_up_needs_a_key_where_applications_may_not() {
    let descope = Descope::start().await;
    descope.allow_sign_up(false).await;
    let body = |login_id: &str| json!({ "loginId": login_id, "password": PASSWORD });
    refused(&descope.post("/v1/auth/password/signup", body("eve@example.com")).await, 400, "E061001");
    let signed_up = descope.manage("/v1/auth/password/signup", body("eve@example.com")).await;
    assert_eq!(signed_up.status, 200, "{}", signed_up.text());
    // As the library goes on: with the key behind the token.
    let refresh = signed_up.json["refreshJwt"].as_str().unwrap();
    let refreshed = descope.post_behind("/v1/auth/refresh", refresh).await;
    assert_eq!(refreshed.status, 200, "{}", refreshed.text());
}

#[tokio::test]
async fn an_origin_that_is_not_listed_is_refused() {
    let descope = Descope::start().await;
    let body = json!({ "loginId": ADA, "password": PASSWORD });
    let call = || descope.app.post("/v1/auth/password/signin").bearer(&descope.project).json(&body);
    refused(&told(call().header("origin", "https://elsewhere.example")).await, 403, "E011006");
    let answer = told(call().header("origin", "https://app.example")).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, "https://app.example"));
}
