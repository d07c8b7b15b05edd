//! Sessions, and the tokens that stand for them: taken whole, in their own place, and only as long as the session lives.

use chrono::Duration;
use rstest::rstest;
use signet::proto::{
    AuthenticateSessionRequest, AuthenticateSessionResponse, DeleteUserRequest, DisableUserRequest,
    RevokeAllSessionsRequest, RevokeSessionRequest, SetPasswordRequest, SignInRequest, SignInResponse, SignOutRequest,
    authenticate_session_request::Credential, sign_out_request,
};
use tonic::Status;

use crate::{
    forgery::damaged,
    support::{Caller, Engine, PASSWORD, TestApp, reason},
};

pub(crate) async fn sign_in(app: &TestApp) -> SignInResponse {
    let request = SignInRequest { login_id: "ada".into(), password: PASSWORD.into(), ..Default::default() };
    app.public().auth.sign_in(request).await.unwrap().into_inner()
}

pub(crate) async fn authenticate(
    caller: &Caller,
    credential: Credential,
) -> Result<AuthenticateSessionResponse, Status> {
    let request = AuthenticateSessionRequest { credential: Some(credential), ..Default::default() };
    caller.auth.clone().authenticate_session(request).await.map(tonic::Response::into_inner)
}

/// Why a credential is refused; empty if it is not.
pub(crate) async fn refusal(caller: &Caller, credential: Credential) -> String {
    authenticate(caller, credential).await.err().map(|status| reason(&status)).unwrap_or_default()
}

pub(crate) async fn sign_out(caller: &Caller, credential: sign_out_request::Credential) -> Result<(), Status> {
    let request = SignOutRequest { credential: Some(credential), ..Default::default() };
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
            let request = SetPasswordRequest {
                user_id,
                password: PASSWORD.into(),
                except_session_id: other,
                ..Default::default()
            };
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
