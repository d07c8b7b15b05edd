//! Sessions, and the tokens that stand for them: taken whole, in their own place, and only as long as the session lives.

use chrono::Duration;
use prost_reflect::Kind;
use rstest::rstest;
use serde_json::json;
use signet::{
    crypto::jwt::TokenKind,
    proto::{
        AuthenticateSessionRequest, AuthenticateSessionResponse, DeleteUserRequest, DisableUserRequest, RPCS,
        RevokeAllSessionsRequest, RevokeSessionRequest, SetPasswordRequest, SignInRequest, SignInResponse,
        SignOutRequest, TokenOptions, authenticate_session_request::Credential, sign_out_request,
    },
};
use tonic::Status;

use crate::{
    client_token::client_token,
    email_verification::begin,
    forgery::{damaged, forged, signed_again},
    password_reset::start_by_code,
    sign_in::{email, with_password},
    support::{Caller, Engine, PASSWORD, RawCall, TestApp, credentials, message, method, reason},
};

pub(crate) async fn sign_in(app: &TestApp) -> SignInResponse {
    let request = SignInRequest { login_id: "ada".into(), password: PASSWORD.into(), ..Default::default() };
    app.public().auth.sign_in(request).await.unwrap().into_inner()
}

async fn authenticate(caller: &Caller, credential: Credential) -> Result<AuthenticateSessionResponse, Status> {
    let request = AuthenticateSessionRequest { credential: Some(credential), ..Default::default() };
    caller.auth.clone().authenticate_session(request).await.map(tonic::Response::into_inner)
}

/// Why a credential is refused; empty if it is not.
pub(crate) async fn refusal(caller: &Caller, credential: Credential) -> String {
    authenticate(caller, credential).await.err().map(|status| reason(&status)).unwrap_or_default()
}

async fn sign_out(caller: &Caller, credential: sign_out_request::Credential) -> Result<(), Status> {
    let request = SignOutRequest { credential: Some(credential) };
    caller.auth.clone().sign_out(request).await.map(drop)
}

#[rstest]
#[tokio::test]
async fn each_credential_stands_for_the_session_it_came_with(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let signed_in = sign_in(&app).await;
    let (session, tokens) = (signed_in.session.unwrap(), signed_in.tokens.unwrap());
    app.clock.advance(Duration::seconds(100));
    let cases = [
        (Credential::AccessToken(tokens.access_token), Some(3500)),
        (Credential::SessionToken(tokens.session_token.unwrap()), Some(500)),
        (Credential::SessionId(session.session_id.clone()), None),
    ];
    for (credential, expires_in) in cases {
        let live = authenticate(&app.back_end(), credential).await.unwrap();
        assert_eq!(live.session.as_ref(), Some(&session));
        assert_eq!(live.user.unwrap().user_id, app.fixture.ada.to_string());
        assert_eq!(live.token_expires_in.map(|left| left.seconds), expires_in);
    }
}

/// Everything secret that the service gives out, by the name of the field it belongs into.
pub(crate) async fn all_secrets(app: &TestApp) -> Vec<(&'static str, String)> {
    let signed_in = sign_in(app).await;
    let tokens = signed_in.tokens.unwrap();
    let mut request = with_password(email("ada@example.com"), PASSWORD);
    request.token_options = Some(TokenOptions { include_id_token: true, ..Default::default() });
    let with_id = app.back_end().auth.authenticate_password(request).await.unwrap().into_inner();
    let pending = begin(&app.back_end()).await;
    let code = app.last_code_to("grace@example.com").await;
    let (reset_token, reset_code) = start_by_code(app, "grace@example.com").await;
    let secret = |authorization| secrecy::ExposeSecret::expose_secret(&credentials(authorization).1).to_owned();
    vec![
        ("access_token", tokens.access_token),
        ("session_token", tokens.session_token.unwrap()),
        ("id_token", with_id.tokens.unwrap().id_token.unwrap()),
        ("refresh_token", tokens.refresh_token),
        ("device_token", signed_in.device_token),
        ("session_id", signed_in.session.unwrap().session_id),
        ("pending_authentication_token", pending),
        ("code", code),
        ("password_reset_token", reset_token),
        ("reset_code", reset_code),
        ("client_secret", secret(&app.fixture.confidential)),
        ("operator_secret", secret(&app.fixture.operator)),
        ("client_token", client_token(&app.back_end(), "").await),
        ("password", PASSWORD.into()),
    ]
}

#[rstest]
#[tokio::test]
async fn a_secret_of_each_kind_is_worthless_in_every_place_but_its_own(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let secrets = all_secrets(&app).await;
    // Two RPCs call different things a code.
    let own_kind = |rpc: &str, field: &str| match field {
        "code" if rpc.ends_with("CompletePasswordReset") => "reset_code".to_owned(),
        _ => field.to_owned(),
    };
    let own = |kind: &str| secrets.iter().find(|(known, _)| *known == kind).unwrap().1.clone();
    let is_place = |name: &str| name.ends_with("_token") || secrets.iter().any(|(kind, _)| *kind == name);
    let before = app.events().await;
    let (mut pairs, mut good) = (0, Vec::new());
    for rpc in RPCS {
        let fields: Vec<_> = method(rpc.path).input().fields().filter(|field| field.kind() == Kind::String).collect();
        for place in fields.iter().filter(|field| is_place(field.name())) {
            for (kind, secret) in &secrets {
                // The rest of the request is as right as can be.
                let mut request = json!({});
                for field in fields.iter().filter(|field| field.containing_oneof().is_none()) {
                    request[field.name()] = match field.name() {
                        "code" | "password" | "password_reset_token" | "pending_authentication_token" => {
                            json!(own(&own_kind(rpc.path, field.name())))
                        }
                        "new_password" => json!("an entirely new one"),
                        "login_id" => json!("ada"),
                        "user_id" => json!(app.fixture.ada.to_string()),
                        "page_token" => json!(""),
                        _ => continue,
                    };
                }
                if rpc.path.ends_with("AuthenticatePassword") {
                    request["username"] = json!("ada");
                }
                request[place.name()] = json!(secret);
                if *kind == own_kind(rpc.path, place.name()) {
                    good.push((rpc.path, request));
                    continue;
                }
                // Whatever is long enough may become somebody's new password.
                if matches!(method(rpc.path).name(), "CreateUser" | "SetPassword") {
                    continue;
                }
                pairs += 1;
                let call = RawCall::to(rpc.path).authorization(app.fixture.entitled(rpc.caller));
                let answer = call.message(&message(rpc.path, request)).send(&app.routes()).await;
                assert!(!answer.is_ok(), "{} takes a {kind} as {}", rpc.path, place.name());
            }
        }
    }
    assert!(pairs > 80, "only {pairs} pairs");
    let done = app.events().await;
    let changes = ["session.revoked", "user.signed_in", "email.verified", "password.set"];
    let done = done.iter().filter(|event| changes.iter().any(|change| event.starts_with(change))).count();
    let had = before.iter().filter(|event| changes.iter().any(|change| event.starts_with(change))).count();
    assert_eq!(done, had);
    // In its own place each one works, so nothing above was refused for another reason.
    app.clock.advance(Duration::seconds(31));
    for (path, request) in good {
        if path.contains("UserService") || ["SignOut", "RevokeSession"].iter().any(|rpc| path.ends_with(rpc)) {
            continue;
        }
        let rpc = RPCS.iter().find(|rpc| rpc.path == path).unwrap();
        let call = RawCall::to(path).authorization(app.fixture.entitled(rpc.caller));
        let answer = call.message(&message(path, request)).send(&app.routes()).await;
        // What works once has been used by the request for the other of its two fields.
        let used = ["PENDING_AUTHENTICATION_INVALID", "PASSWORD_RESET_INVALID"].contains(&answer.reason().as_str());
        assert!(answer.is_ok() || used, "{path}: {:?}", answer.status);
    }
}

#[rstest]
#[tokio::test]
async fn a_token_cut_or_changed_anywhere_is_refused(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let tokens = sign_in(&app).await.tokens.unwrap();
    let caller = app.back_end();
    // Both are read by the same function, which asks no database: elsewhere than here every seventh place will do.
    let first = if engine == Engine::Sqlite { 1 } else { 7 };
    for (token, step, is_access) in [(tokens.access_token, first, true), (tokens.session_token.unwrap(), 7, false)] {
        let credential = if is_access { Credential::AccessToken } else { Credential::SessionToken };
        assert_eq!(refusal(&caller, credential(token.clone())).await, "");
        for (what, wrong) in damaged(&token, step) {
            assert_eq!(refusal(&caller, credential(wrong)).await, "TOKEN_INVALID", "{what}");
        }
        assert_eq!(refusal(&caller, credential(format!(" {token}"))).await, "TOKEN_INVALID");
    }
}

#[rstest]
#[tokio::test]
async fn a_forged_token_is_refused(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let signed_in = sign_in(&app).await;
    let token = signed_in.tokens.unwrap().access_token;
    let (caller, now) = (app.back_end(), app.services.clock.now());
    let again = signed_again(&app, &token, TokenKind::Access).await;
    assert_eq!(refusal(&caller, Credential::AccessToken(again)).await, "", "signed again, it is as good");
    let more = [("token_kind", json!("client")), ("sid", json!(app.fixture.ada.to_string())), ("sid", json!(""))];
    let forged = forged(&app, &token, TokenKind::Access, &more).await;
    for (what, token) in forged {
        assert_eq!(refusal(&caller, Credential::AccessToken(token.clone())).await, "TOKEN_INVALID", "{what}");
        // An expired token may still end its session, which is a test of its own; and whose it is does not matter then.
        if what != format!("exp = {}", now.timestamp()) && !what.starts_with("sub = \"user_0") {
            let status = sign_out(&caller, sign_out_request::Credential::AccessToken(token)).await.unwrap_err();
            assert_eq!(reason(&status), "TOKEN_INVALID", "{what}");
        }
    }
}

/// The ways in which a back end ends a session of Ada's.
async fn manage(app: &TestApp, how: &str, session_id: String, other: String) {
    let (user_id, mut caller) = (app.fixture.ada.to_string(), app.back_end());
    match how {
        "revoked" => drop(caller.sessions.revoke_session(RevokeSessionRequest { session_id }).await.unwrap()),
        "all_revoked" => {
            let request = RevokeAllSessionsRequest { user_id, except_session_id: other };
            caller.sessions.revoke_all_sessions(request).await.unwrap();
        }
        "password" => {
            let request = SetPasswordRequest { user_id, password: PASSWORD.into(), except_session_id: other };
            caller.users.set_password(request).await.unwrap();
        }
        "disabled" => drop(caller.users.disable_user(DisableUserRequest { user_id }).await.unwrap()),
        "deleted" => drop(caller.users.delete_user(DeleteUserRequest { user_id }).await.unwrap()),
        _ => panic!("{how}?"),
    }
}

#[rstest]
#[case::access_token("access")]
#[case::session_token("session")]
#[case::id("id")]
#[case::revoked("revoked")]
#[case::all_revoked("all_revoked")]
#[case::password("password")]
#[case::disabled("disabled")]
#[case::deleted("deleted")]
#[tokio::test]
async fn an_ended_session_is_refused_at_once_on_every_replica(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
    #[case] how: &str,
) {
    use sign_out_request::Credential as Ending;
    let Some(app) = TestApp::start(engine).await else { return };
    let other_replica = Caller::new(app.replica().await, Some(&app.fixture.confidential));
    let (ended, other) = (sign_in(&app).await, sign_in(&app).await);
    let (session_id, tokens) = (ended.session.unwrap().session_id, ended.tokens.unwrap());
    let all = [
        Credential::AccessToken(tokens.access_token.clone()),
        Credential::SessionToken(tokens.session_token.clone().unwrap()),
        Credential::SessionId(session_id.clone()),
    ];
    for credential in &all {
        assert_eq!(refusal(&other_replica, credential.clone()).await, "", "warm on the other replica");
    }
    match how {
        "access" => sign_out(&app.public(), Ending::AccessToken(tokens.access_token)).await.unwrap(),
        "session" => sign_out(&app.public(), Ending::SessionToken(tokens.session_token.unwrap())).await.unwrap(),
        "id" => sign_out(&app.back_end(), Ending::SessionId(session_id)).await.unwrap(),
        how => manage(&app, how, session_id, other.session.as_ref().unwrap().session_id.clone()).await,
    }
    for caller in [&app.back_end(), &other_replica] {
        for credential in &all {
            assert_eq!(refusal(caller, credential.clone()).await, "SESSION_NOT_ACTIVE");
        }
        let other = Credential::SessionId(other.session.as_ref().unwrap().session_id.clone());
        assert_eq!(
            refusal(caller, other).await.is_empty(),
            !matches!(how, "disabled" | "deleted"),
            "the user's other session"
        );
    }
}

#[rstest]
#[tokio::test]
async fn signing_out_needs_a_token_or_a_secret_and_can_be_repeated(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    use sign_out_request::Credential as Ending;
    let Some(app) = TestApp::start(engine).await else { return };
    let signed_in = sign_in(&app).await;
    let (session_id, tokens) = (signed_in.session.unwrap().session_id, signed_in.tokens.unwrap());
    let status = sign_out(&app.public(), Ending::SessionId(session_id.clone())).await.unwrap_err();
    assert_eq!(reason(&status), "CALLER_NOT_PERMITTED", "an id is no secret");
    assert_eq!(refusal(&app.back_end(), Credential::SessionId(session_id.clone())).await, "");

    // Whoever has an expired token may still sign out with it.
    app.clock.advance(Duration::hours(2));
    assert_eq!(refusal(&app.back_end(), Credential::AccessToken(tokens.access_token.clone())).await, "TOKEN_INVALID");
    for _ in 0..2 {
        sign_out(&app.public(), Ending::AccessToken(tokens.access_token.clone())).await.unwrap();
        sign_out(&app.back_end(), Ending::SessionId(session_id.clone())).await.unwrap();
    }
    assert_eq!(refusal(&app.back_end(), Credential::SessionId(session_id)).await, "SESSION_NOT_ACTIVE");
    let never = Ending::SessionId("session_01K0000000000000000000000Z".into());
    sign_out(&app.back_end(), never).await.unwrap();
    let revoked = app.events().await.iter().filter(|event| *event == "session.revoked (sign_out)").count();
    assert_eq!(revoked, 1, "ending what has ended is no news");
}
