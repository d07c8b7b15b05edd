//! `AuthenticateSession` with its two wishes: a new end of the session, and a fresh session token.

use chrono::Duration;
use rstest::rstest;
use serde_json::json;
use signet::{
    domain::signing_key::KeyPurpose,
    proto::{
        AuthenticateSessionRequest, AuthenticateSessionResponse, DisableUserRequest, EnableUserRequest, Session,
        SignOutRequest, authenticate_session_request::Credential, sign_out_request,
    },
    usecase::signing_keys::{Activation, rotate_signing_key},
};
use tonic::Status;

use crate::{
    session_service::{get, revoke},
    sessions::{refusal, sign_in},
    sign_in::claims_of,
    support::{Caller, Engine, TestApp, field_violations, operator_call, reason},
};

const DAY: i64 = 86_400;

/// Wishes: seconds that the session shall last, and whether a session token is wanted.
type Wishes = (Option<i64>, bool);

async fn ask(
    caller: &Caller,
    credential: Credential,
    (seconds, renew_session_token): Wishes,
) -> Result<AuthenticateSessionResponse, Status> {
    let session_duration = seconds.map(|seconds| prost_types::Duration { seconds, nanos: 0 });
    let request = AuthenticateSessionRequest {
        credential: Some(credential),
        session_duration,
        renew_session_token,
        ..Default::default()
    };
    caller.auth.clone().authenticate_session(request).await.map(tonic::Response::into_inner)
}

/// Why wishes are refused; empty if they are not.
async fn asked_in_vain(caller: &Caller, credential: Credential, wishes: Wishes) -> String {
    ask(caller, credential, wishes).await.err().map(|status| reason(&status)).unwrap_or_default()
}

fn id(session: &Session) -> Credential {
    Credential::SessionId(session.session_id.clone())
}

#[rstest]
#[case::shortest(300)]
#[case::shorter_than_it_was(DAY)]
#[case::longer_than_it_was(100 * DAY)]
#[case::longest(366 * DAY)]
#[tokio::test]
async fn an_extension_moves_the_end_of_the_session_and_nothing_else(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
    #[case] seconds: i64,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let replica = Caller::new(app.replica().await, Some(&app.fixture.confidential));
    let session = sign_in(&app).await.session.unwrap();
    app.clock.advance(Duration::minutes(1));
    let answer = ask(&app.back_end(), id(&session), (Some(seconds), false)).await.unwrap();
    let now = prost_types::Timestamp { seconds: app.services.clock.now().timestamp(), nanos: 0 };
    let end = prost_types::Timestamp { seconds: now.seconds + seconds, nanos: 0 };
    let moved = Session { idle_expires_at: Some(end), expires_at: Some(end), ..session.clone() };
    let expected = Session { last_used_at: Some(now), ..moved };
    assert_eq!((answer.session.as_ref(), answer.session_token), (Some(&expected), None));
    assert_eq!(get(&replica, &session.session_id).await.unwrap(), expected);

    app.clock.advance(Duration::seconds(seconds - 1));
    assert_eq!(refusal(&replica, id(&session)).await, "", "it does not idle away before");
    app.clock.advance(Duration::seconds(1));
    assert_eq!(refusal(&replica, id(&session)).await, "SESSION_NOT_ACTIVE");
    assert_eq!(asked_in_vain(&replica, id(&session), (Some(seconds), false)).await, "SESSION_NOT_ACTIVE");
}

#[rstest]
#[tokio::test]
async fn a_duration_out_of_bounds_is_named_and_changes_nothing(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let session = sign_in(&app).await.session.unwrap();
    for (seconds, nanos) in
        [(0, 0), (299, 0), (299, 999_999_999), (300, 1), (366 * DAY + 1, 0), (-300, 0), (i64::MAX, 0), (i64::MIN, -1)]
    {
        let request = AuthenticateSessionRequest {
            credential: Some(id(&session)),
            session_duration: Some(prost_types::Duration { seconds, nanos }),
            renew_session_token: true,
            ..Default::default()
        };
        let status = app.back_end().auth.authenticate_session(request).await.unwrap_err();
        assert_eq!(
            (reason(&status).as_str(), field_violations(&status)),
            ("INVALID_FIELD", vec!["session_duration".to_owned()])
        );
    }
    assert_eq!(get(&app.back_end(), &session.session_id).await.unwrap(), session);
}

#[rstest]
#[tokio::test]
async fn a_renewed_session_token_is_good_for_its_own_time_and_can_be_renewed_after_it(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let replica = Caller::new(app.replica().await, Some(&app.fixture.confidential));
    let signed_in = sign_in(&app).await;
    let (session, tokens) = (signed_in.session.unwrap(), signed_in.tokens.unwrap());
    let (access, first) = (Credential::AccessToken(tokens.access_token.clone()), tokens.session_token.unwrap());
    let session_token = |token: &str| Credential::SessionToken(token.to_owned());

    // With each credential, as long as it is good.
    app.clock.advance(Duration::minutes(9));
    for (credential, left) in [(access.clone(), Some(51 * 60)), (session_token(&first), Some(60)), (id(&session), None)]
    {
        let answer = ask(&app.back_end(), credential, (None, true)).await.unwrap();
        assert_eq!(answer.token_expires_in.map(|left| left.seconds), left);
        assert_eq!((answer.session.as_ref(), answer.session_token_expires_in_seconds), (Some(&session), 600));
        let fresh = answer.session_token.unwrap();
        let (mut was, mut is) = (claims_of(&first), claims_of(&fresh));
        assert_ne!(was["jti"], is["jti"]);
        for moved in ["iat", "nbf", "exp"] {
            assert_eq!(is[moved].as_i64().unwrap() - was[moved].as_i64().unwrap(), 540, "{moved}");
        }
        for claim in ["iat", "nbf", "exp", "jti"] {
            (was[claim], is[claim]) = (json!(null), json!(null));
        }
        assert_eq!(is, was, "it says the same");
    }
    let fresh = ask(&app.back_end(), session_token(&first), (None, true)).await.unwrap().session_token.unwrap();
    app.clock.advance(Duration::minutes(10) - Duration::seconds(1));
    assert_eq!(refusal(&replica, session_token(&fresh)).await, "");
    app.clock.advance(Duration::seconds(1));
    assert_eq!(refusal(&replica, session_token(&fresh)).await, "TOKEN_INVALID", "its time is over");
    let extend = (Some(3600), false);
    assert_eq!(asked_in_vain(&replica, session_token(&fresh), extend).await, "TOKEN_INVALID");

    app.clock.advance(Duration::hours(10));
    for expired in [&first, &fresh] {
        let answer = ask(&replica, session_token(expired), (None, true)).await.unwrap();
        assert_eq!(answer.token_expires_in.unwrap().seconds, 0);
        assert_eq!(refusal(&replica, session_token(&answer.session_token.unwrap())).await, "");
    }
    assert_eq!(
        asked_in_vain(&replica, access, (None, true)).await,
        "TOKEN_INVALID",
        "an access token is another thing"
    );
    assert_eq!(get(&replica, &session.session_id).await.unwrap(), session, "a token alone writes nothing");
    let mut changed = fresh;
    changed.pop();
    assert_eq!(asked_in_vain(&replica, session_token(&changed), (None, true)).await, "TOKEN_INVALID");
}

/// However often keys are rotated in between, and no longer if they are not.
#[rstest]
#[tokio::test]
async fn an_expired_token_stands_for_its_session_for_a_day(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
    #[values(false, true)] rotated: bool,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let tokens = sign_in(&app).await.tokens.unwrap();
    let (token, access) = (Credential::SessionToken(tokens.session_token.unwrap()), tokens.access_token);
    if rotated {
        let (id, purpose) = (app.fixture.project_id, KeyPurpose::Tokens);
        rotate_signing_key(&app.services, &operator_call(), id, purpose, Activation::Now).await.unwrap();
    }
    app.clock.advance(Duration::minutes(10) + Duration::hours(24) - Duration::seconds(1));
    ask(&app.back_end(), token.clone(), (None, true)).await.unwrap();
    app.clock.advance(Duration::seconds(1));
    assert_eq!(asked_in_vain(&app.back_end(), token, (None, true)).await, "TOKEN_INVALID");
    // The access token lives fifty minutes longer, and so can be signed out with that much longer.
    let request =
        SignOutRequest { credential: Some(sign_out_request::Credential::AccessToken(access)), ..Default::default() };
    app.clock.advance(Duration::minutes(50) - Duration::seconds(1));
    app.public().auth.sign_out(request.clone()).await.unwrap();
    app.clock.advance(Duration::seconds(1));
    assert_eq!(reason(&app.public().auth.sign_out(request).await.unwrap_err()), "TOKEN_INVALID");
}

#[rstest]
#[tokio::test]
async fn a_renewed_session_token_never_outlives_its_session(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let session = sign_in(&app).await.session.unwrap();
    let answer = ask(&app.back_end(), id(&session), (Some(300), true)).await.unwrap();
    assert_eq!(answer.session_token_expires_in_seconds, 300, "of ten minutes");
    let exp = claims_of(&answer.session_token.unwrap())["exp"].as_i64().unwrap();
    assert_eq!(exp, answer.session.unwrap().expires_at.unwrap().seconds);
}

#[rstest]
#[case::revoked("revoked")]
#[case::over("over")]
#[case::disabled("disabled")]
#[case::disabled_and_enabled_again("enabled")]
#[tokio::test]
async fn a_session_that_is_over_is_neither_extended_nor_renewed(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
    #[case] how: &str,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let replica = Caller::new(app.replica().await, Some(&app.fixture.confidential));
    let signed_in = sign_in(&app).await;
    let session = signed_in.session.unwrap();
    let token = Credential::SessionToken(signed_in.tokens.unwrap().session_token.unwrap());
    let user_id = session.user_id.clone();
    match how {
        "revoked" => drop(revoke(&app.back_end(), &session.session_id).await.unwrap()),
        "over" => app.clock.advance(Duration::days(14)),
        _ => {
            let request = DisableUserRequest { user_id: user_id.clone() };
            app.back_end().users.disable_user(request).await.unwrap();
        }
    }
    if how == "enabled" {
        app.back_end().users.enable_user(EnableUserRequest { user_id }).await.unwrap();
    }
    let before = (get(&replica, &session.session_id).await.unwrap(), app.events().await);
    for caller in [app.back_end(), replica.clone()] {
        for credential in [token.clone(), id(&session)] {
            for wishes in [(Some(3600), true), (Some(3600), false), (None, true)] {
                // The token has expired, too, and long ago.
                let is_expired = how == "over" && credential == token;
                let expected = if is_expired { "TOKEN_INVALID" } else { "SESSION_NOT_ACTIVE" };
                assert_eq!(asked_in_vain(&caller, credential.clone(), wishes).await, expected, "{wishes:?}");
            }
        }
    }
    assert_eq!((get(&replica, &session.session_id).await.unwrap(), app.events().await), before);
}
