//! Ids, page tokens, tokens and keys of one project in another.

use super::*;

#[rstest]
#[tokio::test]
async fn a_page_token_opens_no_page_of_another_project(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let page =
        |page_token: &str| ListUsersRequest { page_size: 1, page_token: page_token.into(), ..Default::default() };
    let first = app.back_end().users.list_users(page("")).await.unwrap().into_inner();
    assert!(!first.next_page_token.is_empty());
    app.clock.advance(chrono::Duration::seconds(1));
    let mut own = Vec::new();
    for number in 0..3 {
        let new = CreateUserRequest { username: Some(format!("own{number}")), ..Default::default() };
        own.push(app.stranger().users.create_user(new).await.unwrap().into_inner().user.unwrap());
    }
    let mut seen: Vec<User> = Vec::new();
    let mut token = first.next_page_token;
    while !token.is_empty() {
        let next = app.stranger().users.list_users(page(&token)).await.unwrap().into_inner();
        seen.extend(next.users);
        token = next.next_page_token;
    }
    assert!(seen.iter().all(|user| own.contains(user)), "{seen:?}");
    assert_eq!(seen.len(), 3, "to the stranger it is a place in time, no more");
}

#[rstest]
#[tokio::test]
async fn a_user_id_in_another_project_is_as_unknown_as_one_that_never_was(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let get = |user_id: String| {
        let mut users = app.stranger().users;
        async move { Refused::from(&users.get_user(GetUserRequest { user_id }).await.unwrap_err()) }
    };
    let never = get("user_01K0000000000000000000000Z".into()).await;
    assert_eq!(get(app.fixture.ada.to_string()).await, never);
    // And a sign-in with the right password as one with an unknown name.
    let sign_in = |name: &'static str| {
        let mut auth = app.stranger().auth;
        async move { Refused::from(&auth.authenticate_password(with_password(email(name), PASSWORD)).await.unwrap_err()) }
    };
    assert_eq!(sign_in("ada@example.com").await, sign_in("nobody@example.com").await);
}

/// A project that says of itself what another one says, with a back end: its id and the back end's `authorization`.
async fn look_alike(app: &TestApp) -> (String, String) {
    let settings = ProjectSettings {
        signing_algorithm: SigningAlgorithm::Eddsa.into(),
        issuer: "https://same.example/".into(),
        default_audience: "https://api.example/".into(),
        allowed_resources: vec!["https://api.example/".into()],
        ..Default::default()
    };
    let request = CreateProjectRequest { name: "Look-alike".into(), settings: Some(settings) };
    let project = app.operator().projects.create_project(request).await.unwrap().into_inner().project.unwrap();
    let request = CreateClientRequest {
        project_id: project.project_id.clone(),
        name: "back end".into(),
        client_type: ClientType::Confidential.into(),
        ..Default::default()
    };
    let answer = app.operator().projects.create_client(request).await.unwrap().into_inner();
    let authorization = basic(&answer.client.unwrap().client_id, &answer.client_secret.unwrap().into());
    let new = CreateUserRequest {
        email: Some("ada@example.com".into()),
        email_verified: true,
        password: Some(PASSWORD.into()),
        ..Default::default()
    };
    app.caller(Some(&authorization)).users.create_user(new).await.unwrap();
    (project.project_id, authorization)
}

#[rstest]
#[tokio::test]
async fn a_token_is_good_in_its_own_project_only_though_another_says_the_same_of_itself(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (one, other) = (look_alike(&app).await.1, look_alike(&app).await.1);
    let login = SignInRequest { login_id: "ada@example.com".into(), password: PASSWORD.into(), ..Default::default() };
    let answer = app.caller(Some(&one)).auth.sign_in(login).await.unwrap().into_inner();
    let tokens = answer.tokens.unwrap();
    let (access, session) = (tokens.access_token, tokens.session_token.unwrap());
    for credential in [Credential::AccessToken(access), Credential::SessionToken(session)] {
        let sign_out = match credential.clone() {
            Credential::AccessToken(token) => sign_out_request::Credential::AccessToken(token),
            Credential::SessionToken(token) => sign_out_request::Credential::SessionToken(token),
            Credential::SessionId(id) => sign_out_request::Credential::SessionId(id),
            Credential::RefreshToken(token) => sign_out_request::Credential::RefreshToken(token),
        };
        let sign_out = SignOutRequest { credential: Some(sign_out), ..Default::default() };
        let request = AuthenticateSessionRequest { credential: Some(credential), ..Default::default() };
        let mut stranger = app.caller(Some(&other)).auth;
        assert_eq!(reason(&stranger.authenticate_session(request.clone()).await.unwrap_err()), "TOKEN_INVALID");
        assert_eq!(reason(&stranger.sign_out(sign_out).await.unwrap_err()), "TOKEN_INVALID");
        app.caller(Some(&one)).auth.authenticate_session(request).await.unwrap();
    }
}

#[rstest]
#[tokio::test]
async fn a_key_set_holds_no_key_of_another_project(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let mut projects = vec![app.fixture.project_id.to_string(), app.fixture.other_project_id.to_string()];
    projects.push(look_alike(&app).await.0);
    let mut seen = BTreeSet::new();
    for project_id in &projects {
        let id = ProjectId::parse(project_id).unwrap();
        rotate_signing_key(&app.services, &operator_call(), id, KeyPurpose::Tokens, Activation::AfterPublication)
            .await
            .unwrap();
    }
    for project_id in projects {
        let request = GetJsonWebKeySetRequest { project_id, ..Default::default() };
        let keys = app.anonymous().auth.get_json_web_key_set(request).await.unwrap().into_inner().keys;
        assert_eq!(keys.len(), 2);
        for key in keys {
            assert!(seen.insert(key.x.unwrap()) && seen.insert(key.kid), "a key is in two sets");
        }
    }
}
