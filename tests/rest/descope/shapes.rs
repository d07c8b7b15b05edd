//! Every answer, pinned: which members there are, zero values included.

use insta::assert_json_snapshot;
use serde_json::json;

use super::{Descope, text};
use crate::{
    shape::shape,
    support::{ADA, PASSWORD},
};

const NEW_PASSWORD: &str = "quite another passphrase";

#[tokio::test]
async fn sign_up_and_sign_in_answer_with_tokens_and_the_user() {
    let descope = Descope::start().await;
    let user = json!({
        "name": "Eve Example", "givenName": "Eve", "middleName": "E.", "familyName": "Example", "phone": "+12025550123",
        "loginId": null, "picture": null,
    });
    let options =
        json!({ "customClaims": { "plan": "pro" }, "locale": "en", "templateId": "t", "templateOptions": {} });
    let body = json!({ "loginId": "eve@example.com", "password": PASSWORD, "user": user, "loginOptions": options });
    assert_json_snapshot!("sign_up", shape(&descope.post("/v1/auth/password/signup", body).await));
    assert_json_snapshot!("sign_in", shape(&descope.sign_in("eve@example.com", PASSWORD).await));
}

#[tokio::test]
async fn passwords_are_updated_and_replaced() {
    let descope = Descope::start().await;
    let policy = descope.get_with("/v1/auth/password/policy", "").await;
    assert_json_snapshot!("policy", shape(&policy));
    let tokens = descope.signed_in().await;
    let body = json!({ "loginId": ADA, "newPassword": NEW_PASSWORD });
    let updated = descope.post_with("/v1/auth/password/update", &tokens.refresh, body).await;
    assert_eq!((updated.status, updated.text()), (200, "{}"));
    let body =
        json!({ "loginId": ADA, "oldPassword": NEW_PASSWORD, "newPassword": PASSWORD, "revokeOtherSessions": true });
    assert_json_snapshot!("replace", shape(&descope.post("/v1/auth/password/replace", body).await));
}

#[tokio::test]
async fn a_session_is_refreshed_validated_and_ended() {
    let descope = Descope::start().await;
    let tokens = descope.signed_in().await;
    assert_json_snapshot!("me", shape(&descope.get_with("/v1/auth/me", &tokens.refresh).await));
    let validated = descope.post_with("/v1/auth/validate", &tokens.session, json!({})).await;
    assert_json_snapshot!("validate", shape(&validated));
    let refreshed = descope.post_with("/v1/auth/refresh", &tokens.refresh, json!({})).await;
    assert_json_snapshot!("refresh", shape(&refreshed));
    let tokens = descope.signed_in().await;
    let tried = descope.post_with("/v1/auth/try-refresh?dcs=t&dcr=t", &tokens.refresh, json!({})).await;
    assert_json_snapshot!("try_refresh", shape(&tried));
    let newest = Some(text(&tried, "refreshJwt")).filter(|token| !token.is_empty()).unwrap_or(tokens.refresh);
    assert_json_snapshot!("logout", shape(&descope.post_with("/v1/auth/logout", &newest, json!({})).await));
    let nothing = descope.post_with("/v1/auth/try-refresh", &newest, json!({})).await;
    assert_eq!((nothing.status, nothing.text()), (200, "{}"), "nobody is signed in, which is no error");
    let nothing = descope.post("/v1/auth/try-refresh", json!({})).await;
    assert_eq!((nothing.status, nothing.text()), (200, "{}"));
}

#[tokio::test]
async fn a_code_verifies_an_address() {
    let descope = Descope::start().await;
    let tokens = descope.signed_in().await;
    let body = json!({ "loginId": ADA, "email": ADA, "addToLoginIDs": false, "onMergeUseExisting": false });
    let sent = descope.post_with("/v1/auth/otp/update/email", &tokens.refresh, body).await;
    assert_json_snapshot!("otp_update_email", shape(&sent));
    let code = descope.app.last_code_to(ADA).await;
    let body = json!({ "loginId": ADA, "code": code });
    assert_json_snapshot!("otp_verify_email", shape(&descope.post("/v1/auth/otp/verify/email", body).await));
}

#[tokio::test]
async fn back_ends_manage_users() {
    let descope = Descope::start().await;
    let license = descope.get_with("/v1/mgmt/license", &descope.app.secret).await;
    assert_eq!((license.status, license.text()), (200, r#"{"rateLimitTier":"tier1"}"#));

    let body = json!({
        "loginId": "eve", "email": "eve@example.com", "verifiedEmail": true, "displayName": "Eve", "phone": null,
        "customAttributes": { "team": "red", "level": 3 }, "roleNames": [], "userTenants": [], "test": false,
        "additionalLoginIds": ["+12025550123"], "picture": "https://example.com/eve.png", "ssoAppIDs": null,
    });
    let created = descope.manage("/v1/mgmt/user/create", body).await;
    assert_json_snapshot!("user_create", shape(&created));
    let user = &created.json["user"];
    let user_id = user["userId"].as_str().unwrap();

    for query in [format!("userId={user_id}"), "loginId=eve".into(), "loginId=Eve%40example.com".into()] {
        let loaded = descope.get_with(&format!("/v1/mgmt/user?{query}"), &descope.app.secret).await;
        assert_eq!((loaded.status, &loaded.json["user"]), (200, user), "{query}");
    }
    let several = descope.manage("/v1/mgmt/users/load", json!({ "userIds": [user_id, "nobody"] })).await;
    assert_eq!(several.json, json!({ "users": [user], "total": 1 }));
    for version in ["v1", "v2"] {
        let body =
            json!({ "text": "EVE", "limit": 1, "roleNames": [], "sort": [{ "field": "createdTime", "desc": true }] });
        let found = descope.manage(&format!("/{version}/mgmt/user/search"), body).await;
        assert_eq!(found.json, json!({ "users": [user], "total": 1 }));
    }

    for path in ["set", "set/temporary", "set/active"] {
        let body = json!({ "loginId": "eve", "password": PASSWORD, "setActive": path == "set/active" });
        let set = descope.manage(&format!("/v1/mgmt/user/password/{path}"), body).await;
        assert_eq!((set.status, set.text()), (200, r#"{"cleartext":""}"#));
    }
    let status = json!({ "loginId": "eve", "status": "disabled" });
    let disabled = descope.manage("/v1/mgmt/user/update/status", status).await;
    assert_eq!(disabled.json["user"]["status"], "disabled");
    for path in ["logout", "delete"] {
        let done = descope.manage(&format!("/v1/mgmt/user/{path}"), json!({ "userId": user_id })).await;
        assert_eq!((done.status, done.text()), (200, "{}"));
    }
}

#[tokio::test]
async fn keys_are_published_in_two_forms() {
    let descope = Descope::start().await;
    let wrapped = descope.app.get(&format!("/v2/keys/{}", descope.project)).await;
    let bare = descope.app.get(&format!("//v1/keys/{}", descope.project)).bearer(&descope.project).await;
    assert_eq!((wrapped.status, bare.status), (200, 200));
    assert_eq!(wrapped.json["keys"], bare.json);
    assert!(!bare.json.as_array().unwrap().is_empty());
    for key in bare.json.as_array().unwrap() {
        let names: Vec<_> = key.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["alg", "e", "kid", "kty", "n", "use"]);
        assert_eq!((&key["kty"], &key["alg"], &key["use"]), (&json!("RSA"), &json!("RS256"), &json!("sig")));
    }
}
