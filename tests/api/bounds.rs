//! What is just within the bounds is taken, kept whole and given back.

use rstest::rstest;
use serde_json::{Map, Value, json};
use signet::proto::{
    ClientContext, CreateUserRequest, GetUserRequest, ListUsersRequest, SignInOptions, SignInRequest, TokenOptions,
    User, authenticate_password_request::Identifier, authenticate_session_request::Credential,
};

use crate::{
    email_verification::pending,
    sessions::authenticate,
    sign_in::{claims_of, email, try_password, with_password},
    support::{Engine, PASSWORD, TestApp, object},
};

/// An object that is exactly so many bytes of JSON.
fn of_bytes(bytes: usize) -> Map<String, Value> {
    let rest = bytes - json!({"a": ""}).to_string().len();
    let Value::Object(object) = json!({"a": "x".repeat(rest)}) else { unreachable!("an object literal") };
    assert_eq!(json!(object).to_string().len(), bytes);
    object
}

async fn create(app: &TestApp, request: CreateUserRequest) -> User {
    app.back_end().users.create_user(request).await.unwrap().into_inner().user.unwrap()
}

#[rstest]
#[tokio::test]
async fn the_longest_names_and_passwords_sign_in(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let long_email = format!("{}@{}.{}.example", "l".repeat(64), "d".repeat(63), "e".repeat(63));
    // Compatibility folding makes this one five times as long inside.
    let swelling = "㌫".repeat(106);
    let names = ["u".repeat(320), "é".repeat(160), "🐢".repeat(80), swelling];
    // A password of 1024 bytes, and one that only canonical composition brings to that.
    for (number, username) in names.into_iter().enumerate() {
        let password = if number == 0 { "p".repeat(1023) + "q" } else { "é ".repeat(341) + "q" };
        let request = CreateUserRequest {
            username: Some(username.clone()),
            email: (number == 0).then(|| long_email.clone()),
            email_verified: number == 0,
            password: Some(password.clone()),
            ..Default::default()
        };
        assert_eq!(create(&app, request).await.username.as_ref(), Some(&username));
        let answer = try_password(&app.back_end(), Identifier::Username(username.clone()), &password).await.unwrap();
        assert_eq!(answer.user.unwrap().username.as_ref(), Some(&username));
        let request = SignInRequest { login_id: username.clone(), password: password.clone(), ..Default::default() };
        app.public().auth.sign_in(request).await.unwrap();
        let cut = &password[..password.len() - 1];
        try_password(&app.back_end(), Identifier::Username(username), cut).await.expect_err("every byte counts");
        if number == 0 {
            try_password(&app.back_end(), email(&long_email), &password).await.unwrap();
        }
    }
}

#[rstest]
#[tokio::test]
async fn the_largest_profile_comes_back_whole(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let request = CreateUserRequest {
        username: Some("large".into()),
        given_name: Some("n".repeat(200)),
        family_name: Some("é".repeat(100)),
        locale: Some("de-12345678-12345678-12345678-12345".into()),
        metadata: Some(object(&of_bytes(16 * 1024))),
        ..Default::default()
    };
    let created = create(&app, request.clone()).await;
    let request_id = GetUserRequest { user_id: created.user_id.clone() };
    let read = app.back_end().users.get_user(request_id).await.unwrap().into_inner().user.unwrap();
    assert_eq!(read, created);
    assert_eq!((read.given_name, read.family_name), (request.given_name, request.family_name));
    assert_eq!((read.locale, read.metadata), (request.locale, request.metadata));
}

#[rstest]
#[tokio::test]
async fn the_largest_user_can_take_the_first_step_of_two(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let long_email = format!("{}@{}.{}.{}.example", "l".repeat(64), "d".repeat(63), "e".repeat(63), "f".repeat(55));
    let request = CreateUserRequest {
        email: Some(long_email.clone()),
        username: Some("u".repeat(320)),
        phone_number: Some("+12025550199".into()),
        password: Some(PASSWORD.into()),
        given_name: Some("n".repeat(200)),
        family_name: Some("n".repeat(200)),
        metadata: Some(object(&of_bytes(16 * 1024))),
        ..Default::default()
    };
    let created = create(&app, request).await;
    // The user travels in the details of the status, that is in headers, which are short: see `support::answers`.
    let status = try_password(&app.back_end(), email(&long_email), PASSWORD).await.unwrap_err();
    let user = pending(&status).user.unwrap();
    assert_eq!((user.user_id, Some(user.email)), (created.user_id, created.email));
}

#[rstest]
#[tokio::test]
async fn every_kind_of_value_survives_in_metadata(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let Value::Object(metadata) = json!({
        "": "an empty name", "text": "\u{1}\u{7f}\u{2028}🐢\"\\ ", "null": null, "bool": true, "list": [[], {}, [1, "a"]],
        "integers": [0, -1, 9_007_199_254_740_992.0, -9_007_199_254_740_992.0],
        "numbers": [0.1, -1.5e-300, 1e22, 1.5e300, 123_456.789, f64::MAX, f64::MIN_POSITIVE, 5e-324, f64::EPSILON],
    }) else {
        unreachable!("an object literal")
    };
    let request =
        CreateUserRequest { username: Some("values".into()), metadata: Some(object(&metadata)), ..Default::default() };
    let created = create(&app, request.clone()).await;
    let read = app.back_end().users.get_user(GetUserRequest { user_id: created.user_id }).await.unwrap();
    assert_eq!(read.into_inner().user.unwrap().metadata, request.metadata);
}

#[rstest]
#[tokio::test]
async fn the_largest_wishes_are_honoured(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let mut many: Map<String, Value> = (0..99).map(|number| (format!("{number}"), json!(number))).collect();
    many.insert("é".repeat(60), json!("x"));
    for claims in [many, of_bytes(4096)] {
        let options = SignInOptions { custom_claims: Some(object(&claims)), ..Default::default() };
        let request = SignInRequest {
            login_id: "ada".into(),
            password: PASSWORD.into(),
            options: Some(options),
            client_context: Some(ClientContext {
                ip_address: String::new(),
                user_agent: "é".repeat(10_000),
                ..Default::default()
            }),
            ..Default::default()
        };
        let answer = app.public().auth.sign_in(request).await.unwrap().into_inner();
        let tokens = answer.tokens.unwrap();
        assert_eq!(claims_of(&tokens.access_token)["custom_claims"], json!(claims));
        // The token is long, but not too long to be shown again.
        let live = authenticate(&app.back_end(), Credential::AccessToken(tokens.access_token)).await.unwrap();
        let session = live.session.unwrap();
        assert_eq!(session.custom_claims, Some(object(&claims)));
        assert_eq!(session.client_context.unwrap().user_agent, "é".repeat(256), "longer than 512 bytes is cut");
    }
    let mut request = with_password(email("ada@example.com"), PASSWORD);
    let claims = Some(object(&of_bytes(4096)));
    request.token_options = Some(TokenOptions { include_id_token: true, claims, ..Default::default() });
    app.back_end().auth.authenticate_password(request).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn the_largest_page_is_a_hundred(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    for number in 0..100 {
        create(&app, CreateUserRequest { username: Some(format!("user{number}")), ..Default::default() }).await;
    }
    for (page_size, expected) in [(100, 100), (1, 1), (0, 20)] {
        let request = ListUsersRequest { page_size, ..Default::default() };
        let page = app.back_end().users.list_users(request).await.unwrap().into_inner();
        assert_eq!(page.users.len(), expected);
        assert!(!page.next_page_token.is_empty());
    }
}
