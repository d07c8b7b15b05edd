//! How a session shall be opened: for how long, not at all, or by joining one that the user has.

use chrono::Duration;
use rstest::rstest;
use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};
use signet::proto::{
    AuthenticatePasswordRequest, AuthenticatePasswordResponse, ClientType, CreateClientRequest, ListSessionsRequest,
    ProjectSettings, RefreshTokensResponse, Session, SessionOptions, SignInOptions, SignInRequest, SignInResponse,
    TokenProfile, authenticate_session_request::Credential, session_options::ExistingSession,
};
use tonic::Status;

use crate::{
    email_verification::{pending, redeem},
    known_devices::known_but_unverified,
    refresh::{refresh, set, successor},
    session_service::revoke,
    sessions::{authenticate, refusal as session_refusal, sign_in},
    sign_in::{claims_of, email, session_is_live, try_password, with_password},
    support::{ADA, Caller, Engine, GRACE, PASSWORD, TestApp, basic, field_violations, object, reason},
};

const NOT_ACTIVE: &str = "SESSION_NOT_ACTIVE";

pub(crate) fn lasting(seconds: i64) -> SessionOptions {
    SessionOptions { duration: Some(prost_types::Duration { seconds, nanos: 0 }), ..Default::default() }
}

pub(crate) fn without() -> SessionOptions {
    SessionOptions { without_session: true, ..Default::default() }
}

pub(crate) fn joining(session: ExistingSession) -> SessionOptions {
    SessionOptions { existing_session: Some(session), ..Default::default() }
}

pub(crate) fn claims(claims: &Value) -> prost_types::Struct {
    object(claims.as_object().unwrap())
}

fn with(address: &str, options: SessionOptions) -> AuthenticatePasswordRequest {
    AuthenticatePasswordRequest { session_options: Some(options), ..with_password(email(address), PASSWORD) }
}

async fn authenticated(
    caller: &Caller,
    request: AuthenticatePasswordRequest,
) -> Result<AuthenticatePasswordResponse, Status> {
    caller.auth.clone().authenticate_password(request).await.map(tonic::Response::into_inner)
}

async fn login(caller: &Caller, login_id: &str, options: SessionOptions) -> Result<SignInResponse, Status> {
    let request = SignInRequest {
        login_id: login_id.into(),
        password: PASSWORD.into(),
        session_options: Some(options),
        ..Default::default()
    };
    caller.auth.clone().sign_in(request).await.map(tonic::Response::into_inner)
}

/// Why a sign-in that would join a session is refused.
async fn refusal(caller: &Caller, login_id: &str, session: ExistingSession) -> String {
    login(caller, login_id, joining(session)).await.err().map(|status| reason(&status)).unwrap_or_default()
}

/// Another application of the project, with that profile of tokens.
pub(crate) async fn application(app: &TestApp, token_profile: TokenProfile) -> Caller {
    let request = CreateClientRequest {
        project_id: app.fixture.project_id.to_string(),
        name: "another".into(),
        client_type: ClientType::Public.into(),
        ..Default::default()
    };
    let client = app.operator().projects.create_client(request).await.unwrap().into_inner().client.unwrap();
    // A project with RSA keys would take such a client at once; to make those takes long.
    let profile = token_profile.as_str_name().trim_start_matches("TOKEN_PROFILE_").to_lowercase();
    let change = format!("UPDATE clients SET token_profile = '{profile}' WHERE name = 'another'");
    app.database().await.execute_unprepared(&change).await.unwrap();
    app.caller(Some(&basic(&client.client_id, &String::new().into())))
}

async fn sessions_of_ada(app: &TestApp) -> Vec<Session> {
    let request = ListSessionsRequest { user_id: app.fixture.ada.to_string(), ..Default::default() };
    app.back_end().sessions.list_sessions(request).await.unwrap().into_inner().sessions
}

#[rstest]
#[tokio::test]
async fn a_session_lasts_as_long_as_was_asked_for_used_or_not(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let answer = login(&app.public(), "ada", lasting(900)).await.unwrap();
    let (session, tokens) = (answer.session.unwrap(), answer.tokens.unwrap());
    let end = (app.services.clock.now() + Duration::seconds(900)).timestamp();
    assert_eq!((session.idle_expires_at.unwrap().seconds, session.expires_at.unwrap().seconds), (end, end));
    assert_eq!((tokens.refresh_expires_in_seconds, tokens.expires_in_seconds), (900, 900));

    app.clock.advance(Duration::seconds(899));
    let RefreshTokensResponse { session: used, .. } = refresh(&app.public(), &tokens.refresh_token).await.unwrap();
    assert_eq!(used.unwrap().expires_at.unwrap().seconds, end, "use does not prolong it");
    app.clock.advance(Duration::seconds(1));
    assert_eq!(session_refusal(&app.back_end(), Credential::SessionId(session.session_id)).await, NOT_ACTIVE);

    let long = authenticated(&app.back_end(), with(ADA, lasting(366 * 86_400))).await.unwrap().session.unwrap();
    let end = (app.services.clock.now() + Duration::days(366)).timestamp();
    assert_eq!(long.idle_expires_at.unwrap().seconds, end, "also longer than sessions of the project last");
}

#[rstest]
#[tokio::test]
async fn without_a_session_the_password_is_checked_and_that_is_all(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    for _ in 0..10 {
        try_password(&app.back_end(), email(ADA), "wrong password").await.unwrap_err();
    }
    let answer = authenticated(&app.back_end(), with(ADA, without())).await.unwrap();
    assert_eq!((answer.session, answer.tokens, answer.first_seen), (None, None, true));
    assert_eq!(answer.user.unwrap().last_signed_in_at.unwrap().seconds, app.services.clock.now().timestamp());
    assert_eq!(sessions_of_ada(&app).await, []);
    assert!(app.events().await.contains(&"user.signed_in (without_session)".into()));
    let answer = login(&app.public(), "ada", without()).await.unwrap();
    assert_eq!((answer.session, answer.tokens, answer.refresh_token_cookie), (None, None, None));
    assert!(!answer.first_seen && !answer.device_token.is_empty());

    // Counted like any other: the right password has forgotten ten failures, and eleven more begin a delay.
    for _ in 0..11 {
        let wrong = AuthenticatePasswordRequest { password: "wrong password".into(), ..with(ADA, without()) };
        assert_eq!(reason(&authenticated(&app.back_end(), wrong).await.unwrap_err()), "INVALID_CREDENTIALS");
    }
    let status = authenticated(&app.back_end(), with(ADA, without())).await.unwrap_err();
    assert_eq!(reason(&status), "INVALID_CREDENTIALS", "slowed down");
}

#[rstest]
#[tokio::test]
async fn a_sign_in_joins_the_session_that_each_credential_stands_for(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let first = sign_in(&app).await;
    let (before, tokens) = (first.session.unwrap(), first.tokens.unwrap());
    let credentials = [
        (app.back_end(), ExistingSession::SessionId(before.session_id.clone())),
        (app.back_end(), ExistingSession::SessionToken(tokens.session_token.clone().unwrap())),
        (app.public(), ExistingSession::SessionToken(tokens.session_token.unwrap())),
        // The token of the sign-in before.
        (app.public(), ExistingSession::RefreshToken(String::new())),
    ];
    let mut current = tokens.refresh_token.clone();
    for (caller, credential) in credentials {
        let credential = match credential {
            ExistingSession::RefreshToken(_) => ExistingSession::RefreshToken(current.clone()),
            other => other,
        };
        app.clock.advance(Duration::seconds(60));
        let answer = login(&caller, ADA, joining(credential)).await.unwrap();
        let (session, new) = (answer.session.unwrap(), answer.tokens.unwrap());
        assert_eq!((&session.session_id, &session.client_id), (&before.session_id, &before.client_id));
        assert_eq!(session.authentication_methods, before.authentication_methods, "the same method counts once");
        assert_eq!(session.authenticated_at.unwrap().seconds, app.services.clock.now().timestamp());
        assert_eq!(session.expires_at, before.expires_at, "its end in any case stays");
        assert_ne!(new.refresh_token, current, "its refresh token is replaced");
        current = new.refresh_token;
        assert_eq!(claims_of(&new.access_token)["sid"], json!(before.session_id));
        let live = authenticate(&app.back_end(), Credential::AccessToken(new.access_token)).await.unwrap();
        assert_eq!(live.session.unwrap().authenticated_at, session.authenticated_at, "it is kept");
    }
    assert_eq!(sessions_of_ada(&app).await.len(), 1);
    let joined = app.events().await.iter().filter(|event| *event == "user.signed_in (joined)").count();
    assert_eq!(joined, 4);
    successor(&app.public(), &current).await;
    // One that was stolen before has gained nothing.
    let copy = refresh(&app.public(), &tokens.refresh_token).await.unwrap_err();
    assert_eq!(reason(&copy), "REFRESH_TOKEN_REUSED");
}

#[rstest]
#[tokio::test]
async fn a_joined_session_gets_a_new_end_and_merged_claims_if_they_are_given(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let mut request = with(ADA, lasting(600));
    request.custom_claims = Some(claims(&json!({"plan": {"name": "pro", "seats": 3}, "theme": "dark"})));
    let first = authenticated(&app.back_end(), request).await.unwrap();
    let (session, tokens) = (first.session.unwrap(), first.tokens.unwrap());
    let expected = json!({"plan": {"name": "pro", "seats": 3}, "theme": "dark"});
    assert_eq!(claims_of(&tokens.access_token)["custom_claims"], expected);

    app.clock.advance(Duration::seconds(60));
    let by_id = ExistingSession::SessionId(session.session_id);
    let mut request = with(ADA, SessionOptions { existing_session: Some(by_id.clone()), ..lasting(7200) });
    request.custom_claims = Some(claims(&json!({"plan": {"seats": 4}, "theme": null, "team": 7})));
    let second = authenticated(&app.back_end(), request).await.unwrap();
    let (session, tokens) = (second.session.unwrap(), second.tokens.unwrap());
    let end = (app.services.clock.now() + Duration::seconds(7200)).timestamp();
    assert_eq!((session.idle_expires_at.unwrap().seconds, session.expires_at.unwrap().seconds), (end, end));
    let expected = json!({"plan": {"name": "pro", "seats": 4}, "team": 7});
    assert_eq!(claims_of(&tokens.access_token)["custom_claims"], expected);
    let live = authenticate(&app.back_end(), Credential::SessionId(session.session_id.clone())).await.unwrap();
    assert_eq!(live.session.unwrap().custom_claims, Some(claims(&expected)), "kept on the session");

    // Each is within the bounds, both together are not; what is refused changes nothing.
    for (name, reason_of) in [("a", ""), ("b", "INVALID_FIELD")] {
        let mut request = with(ADA, joining(by_id.clone()));
        request.custom_claims = Some(claims(&json!({name: "x".repeat(3000)})));
        let refused = authenticated(&app.back_end(), request).await.err();
        assert_eq!(refused.as_ref().map(reason).unwrap_or_default(), reason_of);
        assert_eq!(refused.map(|status| field_violations(&status)).unwrap_or_default().len(), reason_of.len().min(1));
    }
}

#[rstest]
#[tokio::test]
async fn what_cannot_be_joined_is_refused_for_one_reason_and_after_the_password_only(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let by_id = |session: &Session| ExistingSession::SessionId(session.session_id.clone());
    let adas = sign_in(&app).await;
    let (session, tokens) = (adas.session.unwrap(), adas.tokens.unwrap());
    let revoked = sign_in(&app).await.session.unwrap();
    revoke(&app.back_end(), &revoked.session_id).await.unwrap();
    let graces = application(&app, TokenProfile::Stytch).await;
    let graces = login(&graces, GRACE, SessionOptions::default()).await.unwrap();
    let old = tokens.refresh_token.clone();
    let newest = successor(&app.public(), &old).await;
    app.clock.advance(Duration::seconds(31));

    let cases = [
        ExistingSession::SessionId("session_01K0000000000000000000000Z".into()),
        by_id(&revoked),
        by_id(graces.session.as_ref().unwrap()),
        ExistingSession::SessionToken(graces.tokens.as_ref().unwrap().session_token.clone().unwrap()),
        ExistingSession::RefreshToken(graces.tokens.unwrap().refresh_token),
        ExistingSession::SessionToken("not a token".into()),
        ExistingSession::SessionToken(tokens.access_token),
        ExistingSession::RefreshToken("signet_rt_x".into()),
        // It was replaced, and its grace period is over.
        ExistingSession::RefreshToken(old),
    ];
    let counted = async |event: &str| app.events().await.iter().filter(|said| *said == event).count();
    for credential in cases {
        assert_eq!(refusal(&app.back_end(), "ada", credential.clone()).await, NOT_ACTIVE, "{credential:?}");
        // Who does not know the password learns nothing of the session.
        assert_eq!(refusal(&app.back_end(), "nobody", credential.clone()).await, "INVALID_CREDENTIALS");
    }
    assert_eq!(counted("user.signed_in (joined)").await, 0);
    assert_eq!(counted("session.revoked (refresh_token_reuse)").await, 0, "only shown, not used");
    assert_eq!(refusal(&app.back_end(), "nobody", by_id(&session)).await, "INVALID_CREDENTIALS");

    // Another application has nothing to do with it, though it holds one of its tokens.
    let other = application(&app, TokenProfile::Standard).await;
    assert_eq!(refusal(&other, "ada", ExistingSession::RefreshToken(newest.clone())).await, NOT_ACTIVE);
    assert_eq!(refusal(&app.public(), "ada", ExistingSession::RefreshToken(newest)).await, "");
    // An id is no secret: whoever keeps none cannot name a session by it, and nothing is hashed for them.
    let before = app.hashes();
    assert_eq!(refusal(&app.public(), "ada", by_id(&session)).await, "CALLER_NOT_PERMITTED");
    assert_eq!(app.hashes(), before);
    app.clock.advance(Duration::days(29));
    assert_eq!(refusal(&app.back_end(), "ada", by_id(&session)).await, NOT_ACTIVE, "it is over");
}

#[rstest]
#[tokio::test]
async fn a_session_whose_resource_was_given_up_is_not_joined(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let mut request = with_password(email(ADA), PASSWORD);
    let resource = "https://api.example/".into();
    request.token_options = Some(signet::proto::TokenOptions { resource, ..Default::default() });
    let session = authenticated(&app.back_end(), request).await.unwrap().session.unwrap();
    let by_id = ExistingSession::SessionId(session.session_id);
    let joined = login(&app.back_end(), "ada", joining(by_id.clone())).await.unwrap();
    assert_eq!(claims_of(&joined.tokens.unwrap().access_token)["aud"], "https://api.example/");
    set(&app, &["allowed_resources"], ProjectSettings::default()).await;
    assert_eq!(refusal(&app.back_end(), "ada", by_id).await, NOT_ACTIVE);
}

#[rstest]
#[tokio::test]
async fn the_second_step_joins_what_the_first_one_named_if_it_still_lives(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    known_but_unverified(&app).await;
    let request = ListSessionsRequest { user_id: app.fixture.grace.to_string(), ..Default::default() };
    let session = app.back_end().sessions.list_sessions(request).await.unwrap().into_inner().sessions.pop().unwrap();
    let first = async |options: SessionOptions| {
        let status = authenticated(&app.back_end(), with(GRACE, options)).await.unwrap_err();
        assert_eq!(reason(&status), "EMAIL_VERIFICATION_REQUIRED");
        pending(&status).pending_authentication_token
    };
    let by_id = ExistingSession::SessionId(session.session_id.clone());
    let token = first(SessionOptions { existing_session: Some(by_id.clone()), ..lasting(3600) }).await;
    let code = app.last_code_to(GRACE).await;
    let unwanted = first(without()).await;
    app.clock.advance(Duration::seconds(10));
    let joined = redeem(&app.back_end(), &token, &code).await.unwrap().session.unwrap();
    assert_eq!((&joined.session_id, joined.authentication_methods.len()), (&session.session_id, 2));
    let end = (app.services.clock.now() + Duration::hours(1)).timestamp();
    assert_eq!(joined.expires_at.unwrap().seconds, end, "counted from the sign-in, not from its first step");
    redeem(&app.back_end(), &unwanted, &code).await.unwrap_err();

    known_again(&app).await;
    let token = first(joining(by_id)).await;
    let code = app.last_code_to(GRACE).await;
    revoke(&app.back_end(), &session.session_id).await.unwrap();
    let status = redeem(&app.back_end(), &token, &code).await.unwrap_err();
    assert_eq!(reason(&status), "PENDING_AUTHENTICATION_INVALID");
    // The code is still good for a sign-in that does not want that session.
    let answer = redeem(&app.back_end(), &first(without()).await, &code).await.unwrap();
    assert_eq!((answer.session, answer.tokens, answer.refresh_token_cookie), (None, None, None));
    assert!(answer.user.unwrap().email_verified);
}

/// Gives grace an address that has to be verified anew.
async fn known_again(app: &TestApp) {
    for address in ["hopper@example.com", GRACE] {
        let request = signet::proto::UpdateUserRequest {
            user_id: app.fixture.grace.to_string(),
            user: Some(signet::proto::UserUpdate { email: Some(address.into()), ..Default::default() }),
            update_mask: Some(prost_types::FieldMask { paths: vec!["email".into()] }),
        };
        app.back_end().users.update_user(request).await.unwrap();
    }
    app.clock.advance(Duration::minutes(1));
}

#[rstest]
#[tokio::test]
async fn a_joined_session_is_not_among_the_others_that_end(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (kept, other) = (sign_in(&app).await, sign_in(&app).await);
    let request = SignInRequest {
        login_id: "ada".into(),
        password: PASSWORD.into(),
        options: Some(SignInOptions { revoke_other_sessions: true, ..Default::default() }),
        session_options: Some(joining(ExistingSession::SessionId(kept.session.unwrap().session_id))),
        ..Default::default()
    };
    app.back_end().auth.sign_in(request).await.unwrap();
    assert!(session_is_live(&app.back_end(), &kept.tokens.unwrap().access_token).await);
    assert!(!session_is_live(&app.back_end(), &other.tokens.unwrap().access_token).await);
}

#[rstest]
#[case::too_short(lasting(299), "session_options.duration")]
#[case::too_long(lasting(366 * 86_400 + 1), "session_options.duration")]
#[case::an_id_of_another_kind(joining(ExistingSession::SessionId("user_x".into())), "session_options.session_id")]
#[case::no_session_token(joining(ExistingSession::SessionToken(String::new())), "session_options.session_token")]
#[case::no_refresh_token(joining(ExistingSession::RefreshToken(String::new())), "session_options.refresh_token")]
#[case::none_to_last(SessionOptions { without_session: true, ..lasting(300) }, "session_options.without_session")]
#[case::none_to_join(
    SessionOptions { without_session: true, ..joining(ExistingSession::SessionToken("x".into())) },
    "session_options.without_session"
)]
#[tokio::test]
async fn options_that_cannot_be_are_named(#[case] options: SessionOptions, #[case] field: &str) {
    let Some(app) = TestApp::start(Engine::Sqlite).await else { return };
    let by_password = authenticated(&app.back_end(), with(ADA, options.clone())).await.unwrap_err();
    let by_login = login(&app.back_end(), "ada", options).await.unwrap_err();
    for status in [by_password, by_login] {
        assert_eq!(
            (reason(&status).as_str(), field_violations(&status).as_slice()),
            ("INVALID_FIELD", &[field.into()][..])
        );
    }
    assert_eq!(app.hashes(), 0);
}

#[rstest]
#[tokio::test]
async fn invitations_and_organizations_are_refused_before_any_work(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let mut request = with_password(email(ADA), PASSWORD);
    request.invitation_token = "x".into();
    assert_eq!(reason(&authenticated(&app.back_end(), request).await.unwrap_err()), "INVITATION_INVALID");
    let mut request = with_password(email(ADA), PASSWORD);
    request.organization_id = "org".into();
    let status = authenticated(&app.back_end(), request).await.unwrap_err();
    assert_eq!(
        (reason(&status).as_str(), field_violations(&status)),
        ("NOT_SUPPORTED", vec!["organization_id".into()])
    );
    assert_eq!(app.hashes(), 0);
}

#[rstest]
#[case(TokenProfile::Standard, true)]
#[case(TokenProfile::Workos, true)]
#[case(TokenProfile::Descope, false)]
#[case(TokenProfile::Stytch, false)]
#[case(TokenProfile::Transmit, false)]
#[tokio::test]
async fn an_unverified_address_stops_only_applications_that_can_be_told_so(
    #[case] profile: TokenProfile,
    #[case] stops: bool,
) {
    let Some(app) = TestApp::start(Engine::Sqlite).await else { return };
    let caller = application(&app, profile).await;
    let answer = login(&caller, GRACE, SessionOptions::default()).await;
    match answer {
        Err(status) => {
            assert!(stops);
            assert_eq!(reason(&status), "EMAIL_VERIFICATION_REQUIRED");
            assert!(pending(&status).email_verification_id.starts_with("email_verification_"));
        }
        Ok(answer) => assert!(!stops && !answer.user.unwrap().email_verified),
    }
    set(
        &app,
        &["require_email_verification"],
        ProjectSettings { require_email_verification: Some(false), ..Default::default() },
    )
    .await;
    login(&caller, GRACE, SessionOptions::default()).await.unwrap();
}
