//! The table of errors (contract, section 7).

use serde_json::{Value, json};

use super::{Descope, refused, told};
use crate::support::{ADA, GRACE, PASSWORD};

const SIGN_IN: &str = "/v1/auth/password/signin";
const SIGN_UP: &str = "/v1/auth/password/signup";

#[tokio::test]
async fn what_cannot_be_read_is_refused() {
    let descope = Descope::start().await;
    let raw = async |body: &str| told(descope.app.post(SIGN_IN).bearer(&descope.project).body(body)).await;
    for body in ["{", "[]", "7", r#"{"loginId":5}"#] {
        refused(&raw(body).await, 400, "E011001");
    }
    refused(&descope.post(SIGN_IN, json!({ "password": PASSWORD })).await, 400, "E011003");
    refused(&descope.post(SIGN_UP, json!({ "loginId": "", "password": PASSWORD })).await, 400, "E011003");
    let get = told(descope.app.get(SIGN_IN).bearer(&descope.project)).await;
    refused(&get, 405, "E011001");
    refused(&descope.post("/v1/auth/nothing/here", json!({})).await, 404, "E011001");
    let no_project = told(descope.app.get("/v2/keys/P000000000000000000000000007")).await;
    refused(&no_project, 404, "E011005");
    refused(&told(descope.app.get("/v2/keys/nothing")).await, 404, "E011005");
    refused(&told(descope.app.post(SIGN_IN).json(&json!({}))).await, 401, "E011005");
}

#[tokio::test]
async fn wishes_that_cannot_be_met_are_refused() {
    let descope = Descope::start().await;
    let with = |options: Value| json!({ "loginId": ADA, "password": PASSWORD, "loginOptions": options });
    for option in ["stepup", "mfa"] {
        refused(&descope.post(SIGN_IN, with(json!({ option: true }))).await, 401, "E061005");
        let tokens = descope.signed_in().await;
        let answer = descope.post_with(SIGN_IN, &tokens.refresh, with(json!({ option: true }))).await;
        refused(&answer, 400, "E011004");
    }
    refused(&descope.post(SIGN_IN, with(json!({ "tenantId": "T1" }))).await, 400, "E011004");
    refused(&descope.post(SIGN_IN, with(json!({ "customClaims": { "": 1 } }))).await, 400, "E011003");
    let ignored = json!({
        "ssoAppId": "S1", "templateId": "t", "templateOptions": { "a": "b" }, "pkceChallenge": "AA==", "tenantId": "",
        "stepup": false, "mfa": null, "revokeOtherSessionsTypes": ["web"],
    });
    assert_eq!(descope.post(SIGN_IN, with(ignored)).await.status, 200);
}

#[tokio::test]
async fn sign_up_is_refused_for_a_name_that_is_taken_and_for_a_weak_password() {
    let descope = Descope::start().await;
    refused(&descope.post(SIGN_UP, json!({ "loginId": ADA, "password": PASSWORD })).await, 400, "E062107");
    let taken = json!({ "loginId": "eve", "password": PASSWORD, "user": { "email": GRACE } });
    refused(&descope.post(SIGN_UP, taken).await, 400, "E062107");
    let weak = descope.post(SIGN_UP, json!({ "loginId": "eve@example.com", "password": "short" })).await;
    refused(&weak, 400, "E062910");
    let two = json!({ "loginId": "eve@example.com", "password": PASSWORD, "user": { "email": "other@example.com" } });
    refused(&descope.post(SIGN_UP, two).await, 400, "E011004");
    let recovery = json!({ "loginId": "eve", "password": PASSWORD, "user": { "recoveryEmail": "a@example.com" } });
    refused(&descope.post(SIGN_UP, recovery).await, 400, "E011004");
}

#[tokio::test]
async fn a_temporary_password_has_to_be_replaced() {
    let descope = Descope::start().await;
    let body = json!({ "loginId": ADA, "password": "a temporary passphrase" });
    assert_eq!(descope.manage("/v1/mgmt/user/password/set/temporary", body).await.status, 200);
    refused(&descope.sign_in(ADA, "a temporary passphrase").await, 401, "E062909");
    refused(&descope.sign_in(ADA, "wrong").await, 401, "E062903");
    let body = json!({ "loginId": ADA, "oldPassword": "a temporary passphrase", "newPassword": PASSWORD });
    assert_eq!(descope.post("/v1/auth/password/replace", body).await.status, 200);
    assert_eq!(descope.sign_in(ADA, PASSWORD).await.status, 200);
}

#[tokio::test]
async fn codes_are_refused_each_for_its_reason() {
    let descope = Descope::start().await;
    let tokens = descope.signed_in().await;
    let update = |email: &str| json!({ "loginId": ADA, "email": email });
    let path = "/v1/auth/otp/update/email";
    refused(&descope.post(path, update(ADA)).await, 401, "E061005");
    refused(&descope.post_with(path, &tokens.session, update(ADA)).await, 401, "E061005");
    refused(&descope.post_with(path, &tokens.refresh, update("nothing")).await, 400, "E011003");
    refused(
        &descope.post_with(path, &tokens.refresh, json!({ "loginId": ADA, "email": ADA, "mfa": true })).await,
        400,
        "E011004",
    );
    assert_eq!(descope.post_with(path, &tokens.refresh, update(ADA)).await.status, 200);
    let limited = descope.post_with(path, &tokens.refresh, update(ADA)).await;
    refused(&limited, 429, "E130429");
    assert!(limited.header("retry-after").parse::<u32>().unwrap() > 0);

    let code = descope.app.last_code_to(ADA).await;
    let wrong = if code == "000000" { "000001" } else { "000000" };
    let verify = |code: &str| json!({ "loginId": ADA, "code": code });
    refused(&descope.post("/v1/auth/otp/verify/email", verify(wrong)).await, 401, "E061102");
    descope.app.clock.advance(chrono::Duration::hours(1));
    refused(&descope.post("/v1/auth/otp/verify/email", verify(&code)).await, 401, "E061104");
}

#[tokio::test]
async fn a_code_takes_only_so_many_guesses() {
    let descope = Descope::start().await;
    let tokens = descope.signed_in().await;
    let body = json!({ "loginId": ADA, "email": ADA });
    let sent = descope.post_with("/v1/auth/otp/update/email", &tokens.refresh, body).await;
    let attempts = sent.json["verificationAttempts"].as_i64().unwrap();
    let code = descope.app.last_code_to(ADA).await;
    let wrong = if code == "000000" { "000001" } else { "000000" };
    let verify =
        async |code: &str| descope.post("/v1/auth/otp/verify/email", json!({ "loginId": ADA, "code": code })).await;
    for _ in 0..attempts {
        refused(&verify(wrong).await, 401, "E061102");
    }
    // Whether tries are left does not show, nor whether guessing itself is slowed down.
    refused(&verify(&code).await, 401, "E061102");
    for _ in 0..15 {
        refused(&verify(wrong).await, 401, "E061102");
    }
}

#[tokio::test]
async fn an_address_of_another_user_is_refused() {
    let descope = Descope::start().await;
    let tokens = descope.signed_in().await;
    let body = json!({ "loginId": ADA, "email": GRACE });
    let answer = descope.post_with("/v1/auth/otp/update/email", &tokens.refresh, body).await;
    refused(&answer, 400, "E062125");
}

#[tokio::test]
async fn tokens_and_sessions_that_are_over_are_told_apart() {
    let descope = Descope::start().await;
    let tokens = descope.signed_in().await;
    for path in ["/v1/auth/refresh", "/v1/auth/logout", "/v1/auth/logoutall", "/v1/auth/validate"] {
        refused(&descope.post(path, json!({})).await, 401, "E061005");
        refused(&descope.post_with(path, "aGVh.Ym9k.c2ln", json!({})).await, 401, "E061005");
    }
    refused(&descope.post_with("/v1/auth/validate", &tokens.refresh, json!({})).await, 401, "E061005");
    refused(&descope.post_with("/v1/auth/refresh", &tokens.session, json!({})).await, 401, "E061005");
    assert_eq!(descope.post_with("/v1/auth/logoutall", &tokens.refresh, json!({})).await.status, 200);
    refused(&descope.post_with("/v1/auth/refresh", &tokens.refresh, json!({})).await, 401, "E064001");
    refused(&descope.post_with("/v1/auth/validate", &tokens.session, json!({})).await, 401, "E064001");
    refused(&descope.get_with("/v1/auth/me", &tokens.refresh).await, 401, "E064001");
}

#[tokio::test]
async fn management_calls_name_what_is_wrong() {
    let descope = Descope::start().await;
    let create = async |body: Value| descope.manage("/v1/mgmt/user/create", body).await;
    refused(&create(json!({ "loginId": ADA })).await, 400, "E062107");
    refused(&create(json!({ "email": "eve@example.com" })).await, 400, "E011003");
    for more in [
        json!({ "roleNames": ["admin"] }),
        json!({ "userTenants": [{ "tenantId": "T1" }] }),
        json!({ "hashedPassword": { "md5": { "hash": "00" } } }),
        json!({ "invite": true }),
        json!({ "status": "disabled" }),
        json!({ "additionalLoginIds": ["eve2"] }),
    ] {
        let mut body = json!({ "loginId": "eve" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        refused(&create(body).await, 400, "E011004");
    }
    let nobody = json!({ "loginId": "nobody@example.com", "password": PASSWORD, "status": "enabled" });
    for path in ["delete", "logout", "update/status", "password/set/active"] {
        refused(&descope.manage(&format!("/v1/mgmt/user/{path}"), nobody.clone()).await, 404, "E112102");
    }
    let loaded = descope.get_with("/v1/mgmt/user?userId=Unothing", &descope.app.secret).await;
    refused(&loaded, 404, "E112102");
    let weak = json!({ "loginId": ADA, "password": "short" });
    refused(&descope.manage("/v1/mgmt/user/password/set/active", weak).await, 400, "E062910");
    refused(&descope.manage("/v2/mgmt/user/search", json!({ "roleNames": ["admin"] })).await, 400, "E011004");
}

#[tokio::test]
async fn a_known_device_is_not_kept_out_by_strangers() {
    let descope = Descope::start().await;
    let device = descope.sign_in(ADA, PASSWORD).await.json["knownDeviceJwt"].as_str().unwrap().to_owned();
    for _ in 0..11 {
        refused(&descope.sign_in(ADA, "a guess of a stranger").await, 401, "E062903");
    }
    refused(&descope.sign_in(ADA, PASSWORD).await, 401, "E062903");
    let body = json!({ "loginId": ADA, "password": PASSWORD });
    let call = descope.app.post(SIGN_IN).bearer(&descope.project).header("x-descope-known-device-token", &device);
    let known = told(call.json(&body)).await;
    assert_eq!(known.status, 200, "{}", known.text());
}
