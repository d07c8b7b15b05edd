//! Signing in with a password.

use chrono::Duration;
use prost_types::Struct;
use rstest::rstest;
use signet::proto::{
    AuthenticatePasswordRequest, AuthenticatePasswordResponse, AuthenticateSessionRequest, ClientContext,
    DisableUserRequest, SignInOptions, SignInRequest, TokenOptions, authenticate_password_request::Identifier,
    authenticate_session_request::Credential,
};
use tonic::{Code, Status};

use crate::{
    sessions::authenticate,
    support::{CHEAP, Caller, Engine, PASSWORD, Refused, TestApp, field_violations, reason},
};

pub(crate) fn with_password(identifier: Identifier, password: &str) -> AuthenticatePasswordRequest {
    AuthenticatePasswordRequest { identifier: Some(identifier), password: password.into(), ..Default::default() }
}

pub(crate) fn email(address: &str) -> Identifier {
    Identifier::Email(address.into())
}

fn login(login_id: &str) -> SignInRequest {
    SignInRequest { login_id: login_id.into(), password: PASSWORD.into(), ..Default::default() }
}

pub(crate) async fn try_password(
    caller: &Caller,
    identifier: Identifier,
    password: &str,
) -> Result<AuthenticatePasswordResponse, Status> {
    let response = caller.auth.clone().authenticate_password(with_password(identifier, password)).await;
    response.map(tonic::Response::into_inner)
}

pub(crate) async fn session_is_live(caller: &Caller, access_token: &str) -> bool {
    let credential = Some(Credential::AccessToken(access_token.into()));
    caller
        .auth
        .clone()
        .authenticate_session(AuthenticateSessionRequest { credential, ..Default::default() })
        .await
        .is_ok()
}

#[rstest]
#[tokio::test]
async fn every_kind_of_identifier_signs_its_user_in(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let identifiers = [
        email("ada@example.com"),
        email(" Ada@EXAMPLE.com"),
        Identifier::Username("ADA".into()),
        Identifier::PhoneNumber("+1 202 555 0123".into()),
    ];
    for identifier in identifiers {
        let answer = try_password(&app.back_end(), identifier, PASSWORD).await.unwrap();
        assert_eq!(answer.user.unwrap().user_id, app.fixture.ada.to_string());
        assert!(session_is_live(&app.back_end(), &answer.tokens.unwrap().access_token).await);
    }
}

#[rstest]
#[tokio::test]
async fn one_kind_of_identifier_is_never_taken_for_another(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let wrong_kind = Identifier::Username("ada@example.com".into());
    let status = try_password(&app.back_end(), wrong_kind, PASSWORD).await.unwrap_err();
    assert_eq!(reason(&status), "INVALID_CREDENTIALS");
}

#[rstest]
#[tokio::test]
async fn whoever_cannot_sign_in_gets_the_same_answer_for_the_same_work(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let disabled = DisableUserRequest { user_id: app.fixture.grace.to_string() };
    app.back_end().users.disable_user(disabled).await.unwrap();
    let cases = [
        (email("ada@example.com"), "wrong password"),
        (email("nobody@example.com"), PASSWORD),
        (Identifier::Username("mute".into()), PASSWORD),
        (email("grace@example.com"), PASSWORD),
    ];
    let mut answers = Vec::new();
    for (identifier, password) in cases {
        let before = app.hashes();
        let status = try_password(&app.back_end(), identifier, password).await.unwrap_err();
        answers.push((Refused::from(&status), app.hashes() - before));
    }
    assert_eq!((answers[0].0.code, answers[0].0.reason.as_str()), (Code::Unauthenticated, "INVALID_CREDENTIALS"));
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    assert_eq!(answers[0].1, 1, "one hash each");
}

#[rstest]
#[tokio::test]
async fn all_spellings_of_a_user_share_one_counter(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let spellings = [
        email("ada@example.com"),
        email("ADA@example.com"),
        email(" ada@EXAMPLE.COM "),
        email("ａｄａ@example.com"),
        Identifier::Username("ada".into()),
        Identifier::Username("ADA".into()),
        Identifier::Username(" Ａda".into()),
        Identifier::PhoneNumber("+12025550123".into()),
        Identifier::PhoneNumber("+1 (202) 555-0123".into()),
    ];
    // Ten failures are free; the eleventh, by whatever spelling, slows all spellings down.
    for attempt in 0..11 {
        let spelling = spellings[attempt % spellings.len()].clone();
        try_password(&app.back_end(), spelling, "wrong password").await.unwrap_err();
    }
    for spelling in spellings {
        let status = try_password(&app.back_end(), spelling, PASSWORD).await.unwrap_err();
        assert_eq!(reason(&status), "INVALID_CREDENTIALS");
    }
    assert!(app.events().await.contains(&"throttle.tripped (authenticate_password)".to_owned()));

    // What came in meanwhile did not prolong it, and it ends by itself.
    app.clock.advance(Duration::seconds(31));
    try_password(&app.back_end(), email("ada@example.com"), PASSWORD).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn an_unknown_identifier_is_slowed_down_like_a_known_one(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let mut answers = Vec::new();
    for attempt in 0..12 {
        let known = try_password(&app.back_end(), email("ada@example.com"), "wrong password").await.unwrap_err();
        let spelling = if attempt % 2 == 0 { "Nobody@example.com" } else { "nobody@example.com" };
        let unknown = try_password(&app.back_end(), email(spelling), "wrong password").await.unwrap_err();
        answers.extend([Refused::from(&known), Refused::from(&unknown)]);
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]));
}

#[rstest]
#[tokio::test]
async fn a_right_password_forgets_the_failures(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    for _ in 0..3 {
        for _ in 0..10 {
            try_password(&app.back_end(), email("ada@example.com"), "wrong password").await.unwrap_err();
        }
        try_password(&app.back_end(), email("ada@example.com"), PASSWORD).await.unwrap();
    }
}

#[rstest]
#[tokio::test]
async fn the_end_users_connection_is_recorded_on_the_session(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let context =
        ClientContext { ip_address: "2001:db8::1".into(), user_agent: "Browser/1.0".into(), ..Default::default() };
    let mut request = with_password(email("ada@example.com"), PASSWORD);
    request.client_context = Some(context.clone());
    let answer = app.back_end().auth.authenticate_password(request).await.unwrap().into_inner();
    let live = authenticate(&app.back_end(), Credential::SessionId(answer.session.unwrap().session_id)).await.unwrap();
    assert_eq!(live.session.unwrap().client_context, Some(context));
}

#[rstest]
#[tokio::test]
async fn a_sign_in_by_an_application_honours_its_options(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let first = app.public().auth.sign_in(login("ada@example.com")).await.unwrap().into_inner();
    assert!(first.first_seen);
    let first_token = first.tokens.unwrap().access_token;

    let claims = Struct { fields: [("plan".to_owned(), text("pro"))].into_iter().collect() };
    let options = SignInOptions { custom_claims: Some(claims), revoke_other_sessions: true, ..Default::default() };
    let second = app.public().auth.sign_in(SignInRequest { options: Some(options), ..login("ada") }).await.unwrap();
    let second = second.into_inner();
    assert!(!second.first_seen);
    let tokens = second.tokens.unwrap();
    let claims = claims_of(tokens.session_token.as_ref().unwrap());
    assert_eq!(claims["custom_claims"]["plan"], "pro");
    assert!(claims.get("plan").is_none(), "the application's claims never stand beside ours");
    assert_eq!(second.refresh_token_cookie.unwrap().max_age_seconds, tokens.refresh_expires_in_seconds);

    assert!(!session_is_live(&app.back_end(), &first_token).await, "the other session has ended");
    assert!(session_is_live(&app.back_end(), &tokens.access_token).await);
}

fn text(text: &str) -> prost_types::Value {
    prost_types::Value { kind: Some(prost_types::value::Kind::StringValue(text.into())) }
}

pub(crate) fn claims_of(token: &str) -> serde_json::Value {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let body = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&body).unwrap()
}

#[rstest]
#[case::step_up(SignInOptions { step_up: true, ..Default::default() }, "options.step_up")]
#[case::factor(SignInOptions { additional_factor: true, ..Default::default() }, "options.additional_factor")]
#[case::tenant(SignInOptions { organization_id: "org".into(), ..Default::default() }, "options.organization_id")]
#[tokio::test]
async fn what_cannot_be_done_yet_is_refused_and_named(#[case] options: SignInOptions, #[case] field: &str) {
    let Some(app) = TestApp::start(Engine::Sqlite).await else { return };
    let request = SignInRequest { options: Some(options), ..login("ada") };
    let status = app.public().auth.sign_in(request).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unimplemented, "NOT_SUPPORTED"));
    assert_eq!(field_violations(&status), [field]);
    assert!(!app.events().await.iter().any(|event| event == "user.signed_in"));
}

#[rstest]
#[tokio::test]
async fn tokens_are_for_the_resource_and_with_the_claims_that_were_asked_for(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let wanted = ["email", "email_verified", "given_name", "zodiac"];
    let wanted = wanted.map(|name| (name.to_owned(), prost_types::Value { kind: None }));
    let id_token = prost_types::value::Kind::StructValue(Struct { fields: wanted.into_iter().collect() });
    let claims = [("id_token".to_owned(), prost_types::Value { kind: Some(id_token) })];
    let options = TokenOptions {
        include_id_token: true,
        resource: "https://api.example/".into(),
        claims: Some(Struct { fields: claims.into_iter().collect() }),
    };
    let mut request = with_password(email("ada@example.com"), PASSWORD);
    request.token_options = Some(options);
    let answer = app.back_end().auth.authenticate_password(request.clone()).await.unwrap().into_inner();
    let tokens = answer.tokens.unwrap();
    assert_eq!(claims_of(&tokens.access_token)["aud"], "https://api.example/");
    let id = claims_of(&tokens.id_token.unwrap());
    assert_eq!(id["email"], "ada@example.com");
    assert_eq!(id["email_verified"], true);
    assert_eq!(id["given_name"], "Given");
    assert_eq!(id["amr"], serde_json::json!(["pwd"]));
    assert!(id.get("zodiac").is_none(), "an unknown claim is left out");

    request.token_options.as_mut().unwrap().resource = "https://elsewhere.example/".into();
    let status = app.back_end().auth.authenticate_password(request).await.unwrap_err();
    assert_eq!(reason(&status), "RESOURCE_NOT_ALLOWED");
}

#[rstest]
#[tokio::test]
async fn a_hash_below_todays_cost_is_made_anew(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let mut risen = CHEAP;
    risen.memory_kib *= 2;
    let Some(app) = TestApp::start_with(engine, risen).await else { return };
    for _ in 0..2 {
        try_password(&app.back_end(), email("ada@example.com"), PASSWORD).await.unwrap();
    }
    let rehashed = app.events().await.iter().filter(|event| *event == "password.rehashed").count();
    assert_eq!(rehashed, 1, "the second sign-in finds a hash of today's cost");
}

#[rstest]
#[tokio::test]
async fn a_session_ends_when_its_time_is_over(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let answer = try_password(&app.back_end(), email("ada@example.com"), PASSWORD).await.unwrap();
    let session_id = answer.session.unwrap().session_id;
    let by_id = || AuthenticateSessionRequest {
        credential: Some(Credential::SessionId(session_id.clone())),
        ..Default::default()
    };
    app.clock.advance(Duration::hours(1));
    assert!(!session_is_live(&app.back_end(), &answer.tokens.unwrap().access_token).await, "the token has expired");
    app.back_end().auth.authenticate_session(by_id()).await.unwrap();
    app.clock.advance(Duration::days(14));
    let status = app.back_end().auth.authenticate_session(by_id()).await.unwrap_err();
    assert_eq!(reason(&status), "SESSION_NOT_ACTIVE");
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn right_passwords_that_arrive_together_need_no_more_than_one_connection(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    // Its keys are not ready yet either: the first sign-in has to fetch them.
    let caller = Caller::new(app.replica_with(1).await, Some(&app.fixture.confidential));
    let sign_ins: Vec<_> = (0..20)
        .map(|_| {
            let caller = caller.clone();
            tokio::spawn(async move { try_password(&caller, email("ada@example.com"), PASSWORD).await.unwrap() })
        })
        .collect();
    for sign_in in sign_ins {
        sign_in.await.unwrap();
    }
}
