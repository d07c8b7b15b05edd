//! Wishes, pages and numbers out of their bounds.

use super::*;

#[rstest]
#[tokio::test]
async fn wishes_out_of_bounds_are_named(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let requests = |_: &TestApp| {
        let mut all = Vec::new();
        let by_password = json!({"email": "grace@example.com", "password": PASSWORD});
        let by_login = json!({"login_id": "grace@example.com", "password": PASSWORD});
        let verification = json!({"pending_authentication_token": "x", "code": "123456"});
        for ip in ["1.2.3", "1.2.3.4:80", "localhost", "[::1]", "::1%eth0", "1.2.3.4\0", &"1".repeat(60_000)] {
            let context = json!({"client_context": {"ip_address": ip}});
            let requests = [
                ("AuthenticatePassword", &by_password),
                ("SignIn", &by_login),
                ("AuthenticateEmailVerification", &verification),
                ("SignUp", &json!({"user": {"username": "new", "password": PASSWORD}})),
                ("ReplacePassword", &sign_ins()[2].1),
                ("StartPasswordReset", &json!({"email": "grace@example.com"})),
                ("CreatePasswordReset", &json!({"email": "grace@example.com"})),
                ("StartEmailVerification", &json!({"email": "grace@example.com", "refresh_token": "x"})),
                ("AuthenticateEmailCode", &json!({"login_id": "grace@example.com", "code": "123456"})),
                ("ResumeSession", &json!({"session_id": "session_01K0000000000000000000000Z"})),
                ("CompletePasswordReset", &json!({"password_reset_token": "x", "new_password": PASSWORD})),
            ];
            for (rpc, request) in requests {
                all.push(wrong(rpc, with(request, context.clone()), "client_context.ip_address"));
            }
        }
        for resource in
            ["api", "/api", "https://api.example/#a", "https://api.example/\0", &format!("a:{}", "a".repeat(511))]
        {
            let options = json!({"token_options": {"resource": resource}});
            all.push(wrong("AuthenticatePassword", with(&by_password, options.clone()), "token_options.resource"));
            all.push(wrong("ReplacePassword", with(&sign_ins()[2].1, options.clone()), "token_options.resource"));
            let options = with(&options, json!({"session_options": {}, "password_reset_token": "x"}));
            let reset = with(&options, json!({"new_password": PASSWORD}));
            all.push(wrong("CompletePasswordReset", reset, "token_options.resource"));
        }
        let mut claims = wrong_objects(4096);
        claims.extend([json!({"id_token": 3}), json!({"id_token": "email"}), json!({"id_token": ["email"]})]);
        for claims in claims {
            let request = with(&by_password, json!({"token_options": {"claims": claims}}));
            all.push(wrong("AuthenticatePassword", request, "token_options.claims"));
        }
        let mut custom = wrong_objects(4096);
        custom.extend([json!({"": 1}), json!({"n".repeat(61): 1}), json!({"é".repeat(61): 1})]);
        custom.push(Value::Object((0..101).map(|n| (n.to_string(), json!(1))).collect()));
        for claims in custom {
            let of_session = json!({"session_id": "session_01K0000000000000000000000Z", "custom_claims": claims});
            all.push(wrong("AuthenticateSession", of_session, "custom_claims"));
            let options = json!({"options": {"custom_claims": claims}});
            all.push(wrong("SignIn", with(&by_login, options.clone()), "options.custom_claims"));
            all.push(wrong("ReplacePassword", with(&sign_ins()[2].1, options), "options.custom_claims"));
            let claims = json!({"custom_claims": claims});
            all.push(wrong("AuthenticatePassword", with(&by_password, claims), "custom_claims"));
        }
        for locale in ["l".repeat(36), "e\0".into()] {
            all.push(wrong("SignIn", with(&by_login, json!({"options": {"locale": locale}})), "options.locale"));
            let reset = json!({"email": "grace@example.com", "locale": locale});
            all.push(wrong("StartPasswordReset", reset.clone(), "locale"));
            all.push(wrong("CreatePasswordReset", reset.clone(), "locale"));
            all.push(wrong("StartEmailVerification", with(&reset, json!({"refresh_token": "x"})), "locale"));
        }
        for duration in ["299s", "-300s", "31622401s", "300.5s", "0s"] {
            let options = json!({"session_options": {"duration": duration}});
            for (rpc, request) in sign_ins() {
                all.push(wrong(rpc, with(&request, options.clone()), "session_options.duration"));
            }
        }
        for method in [-1, 3, i32::MAX] {
            let reset = json!({"email": "grace@example.com", "method": method});
            all.push(wrong("StartPasswordReset", reset, "method"));
        }
        for method in [0, 1] {
            let reset = json!({"email": "grace@example.com", "method": method, "reset_url": "https://app.example/"});
            all.push(wrong("StartPasswordReset", reset, "reset_url"));
        }
        all
    };
    assert_refused(engine, requests).await;
}

#[rstest]
#[tokio::test]
async fn pages_and_masks_out_of_bounds_are_named(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let requests = |app: &TestApp| {
        let mut all = Vec::new();
        let project_id = app.fixture.project_id.to_string();
        let lists = [
            ("ListUsers", json!({})),
            ("ListProjects", json!({})),
            ("ListClients", json!({"project_id": project_id})),
            ("ListSessions", json!({"user_id": app.fixture.ada.to_string()})),
        ];
        for (rpc, request) in lists {
            for size in [-1, 101, i32::MIN, i32::MAX] {
                all.push(wrong(rpc, with(&request, json!({"page_size": size})), "page_size"));
            }
            for token in ["x", "====", "AAAA", "AAAAAAAAAAAAAAAAAAAAAA==", "\0", &"A".repeat(60_000)] {
                all.push(wrong(rpc, with(&request, json!({"page_token": token})), "page_token"));
            }
        }
        let long = format!("name,{}", "x".repeat(60_000));
        let user_id = app.fixture.ada.to_string();
        for mask in [
            "",
            "user",
            "userId",
            "password",
            "email.x",
            "user.email",
            "metadata.a",
            "status",
            "givenName,x",
            &long[5..],
        ] {
            let request = json!({"user_id": user_id, "user": {"given_name": "x"}, "update_mask": mask});
            all.push(wrong("UpdateUser", request, "update_mask"));
        }
        let bare = json!({"user_id": user_id, "user": {"given_name": "x"}});
        all.push(wrong("UpdateUser", bare, "update_mask"));
        let everything = json!({"user_id": user_id, "update_mask": "email,username,phoneNumber"});
        all.push(wrong("UpdateUser", everything, "update_mask"));
        for mask in ["", "settings", "settings.x", "settings.issuer.x", "projectId", "createdAt", &long] {
            let request = json!({"project_id": project_id, "name": "n", "update_mask": mask});
            all.push(wrong("UpdateProject", request, "update_mask"));
        }
        let mute = json!({"user_id": app.fixture.mute.to_string(), "user": {"email_verified": true}});
        let mask = |mask: &str| with(&mute, json!({"update_mask": mask}));
        all.push(wrong("UpdateUser", mask("emailVerified"), "user.email_verified"));
        all.push(wrong("UpdateUser", mask("phoneNumberVerified"), "user.phone_number_verified"));
        all
    };
    assert_refused(engine, requests).await;
}

#[rstest]
#[tokio::test]
async fn numbers_that_are_none_are_named(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    use prost_types::{Struct, Value, value::Kind};
    let Some(app) = TestApp::start(engine).await else { return };
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let value = Value { kind: Some(Kind::NumberValue(number)) };
        let object = Struct { fields: [("a".to_owned(), value)].into_iter().collect() };
        let request = CreateUserRequest { username: Some("new".into()), metadata: Some(object), ..Default::default() };
        let status = app.back_end().users.create_user(request).await.unwrap_err();
        assert_eq!(field_violations(&status), ["metadata"]);
    }
}

#[rstest]
#[tokio::test]
async fn what_is_well_formed_but_unknown_has_a_reason_of_its_own(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let id = |kind: &str| format!("{kind}_01K0000000000000000000000Z");
    let project_id = app.fixture.project_id.to_string();
    let client_id = crate::support::credentials(&app.fixture.confidential).0;
    let by_password = json!({"username": "ada", "password": PASSWORD});
    let resource = json!({"token_options": {"resource": "https://elsewhere.example/"}});
    let long = "A".repeat(60_000);
    let mut cases = vec![
        ("AuthenticatePassword", with(&by_password, resource), "RESOURCE_NOT_ALLOWED"),
        ("AuthenticateSession", json!({"session_id": id("session")}), "SESSION_NOT_ACTIVE"),
        ("AuthenticateSession", json!({"access_token": long}), "TOKEN_INVALID"),
        ("AuthenticateSession", json!({"refresh_token": long}), "TOKEN_INVALID"),
        ("GetUserInfo", json!({"access_token": long}), "TOKEN_INVALID"),
        ("ResumeSession", json!({"session_id": id("session")}), "SESSION_NOT_ACTIVE"),
        ("EndSession", json!({"session_id": id("session")}), "SESSION_NOT_FOUND"),
        ("SignOut", json!({"session_id": id("session"), "all_sessions": true}), "SESSION_NOT_ACTIVE"),
        ("SignOut", json!({"session_token": long}), "TOKEN_INVALID"),
        ("SignOut", json!({"access_token": "\0"}), "TOKEN_INVALID"),
        ("GetJsonWebKeySet", json!({"project_id": id("project")}), "PROJECT_NOT_FOUND"),
        ("GetJsonWebKeySet", json!({"client_id": id("client")}), "CLIENT_NOT_FOUND"),
        ("GetJsonWebKeySet", json!({}), "PROJECT_NOT_FOUND"),
        ("GetProviderMetadata", json!({"project_id": id("project")}), "PROJECT_NOT_FOUND"),
        ("GetProviderMetadata", json!({}), "PROJECT_NOT_FOUND"),
        ("GetProject", json!({"project_id": id("project")}), "PROJECT_NOT_FOUND"),
        (
            "UpdateProject",
            json!({"project_id": id("project"), "name": "n", "update_mask": "name"}),
            "PROJECT_NOT_FOUND",
        ),
        ("ListClients", json!({"project_id": id("project")}), "PROJECT_NOT_FOUND"),
        ("CreateClient", json!({"project_id": id("project"), "name": "n", "client_type": 1}), "PROJECT_NOT_FOUND"),
        ("DeleteClient", json!({"project_id": project_id, "client_id": id("client")}), "CLIENT_NOT_FOUND"),
        ("CreateClientSecret", json!({"project_id": project_id, "client_id": id("client")}), "CLIENT_NOT_FOUND"),
        (
            "DeleteClientSecret",
            json!({"project_id": project_id, "client_id": client_id, "client_secret_id": id("secret")}),
            "CLIENT_SECRET_NOT_FOUND",
        ),
    ];
    for token in ["x", "\0", "signet_pa_", &long] {
        let request = json!({"pending_authentication_token": token, "code": "123456"});
        cases.push(("AuthenticateEmailVerification", request, "PENDING_AUTHENTICATION_INVALID"));
    }
    for token in ["x", "\0", "signet_pr_", "signet_pa_", &long] {
        let request = json!({"password_reset_token": token, "new_password": PASSWORD});
        cases.push(("CompletePasswordReset", request, "PASSWORD_RESET_INVALID"));
    }
    for url in ["https://app.example/", "x", &long] {
        let request = json!({"email": "ada@example.com", "method": 2, "reset_url": url});
        cases.push(("StartPasswordReset", request, "PASSWORD_RESET_URL_NOT_ALLOWED"));
    }
    let of_user = json!({"user_id": id("user")});
    let update = with(&of_user, json!({"user": {"given_name": "x"}, "update_mask": "givenName"}));
    cases.push(("UpdateUser", update, "USER_NOT_FOUND"));
    cases.push(("SetPassword", with(&of_user, json!({"password": PASSWORD})), "USER_NOT_FOUND"));
    let unknown_user = ["GetUser", "DeleteUser", "DisableUser", "EnableUser", "SendEmailVerification"];
    for rpc in unknown_user.into_iter().chain(["ListSessions", "RevokeAllSessions"]) {
        cases.push((rpc, of_user.clone(), "USER_NOT_FOUND"));
    }
    for rpc in ["GetSession", "RevokeSession"] {
        cases.push((rpc, json!({"session_id": id("session")}), "SESSION_NOT_FOUND"));
    }
    cases.push(("ConfirmEmailVerification", with(&of_user, json!({"code": "123456"})), "USER_NOT_FOUND"));
    let (code_id, reset_id) = (id("email_verification"), id("password_reset"));
    cases.push(("GetEmailVerification", json!({"email_verification_id": code_id}), "EMAIL_VERIFICATION_NOT_FOUND"));
    cases.push(("GetPasswordReset", json!({"password_reset_id": reset_id}), "PASSWORD_RESET_NOT_FOUND"));
    let start = json!({"refresh_token": long, "email": "new@example.com"});
    cases.push(("StartEmailVerification", start, "TOKEN_INVALID"));
    let before = traces(&app).await;
    for (rpc, request, reason) in cases {
        assert_eq!(call(&app, rpc, &request).await.reason(), reason, "{rpc}");
    }
    assert_eq!(traces(&app).await, before);
}
