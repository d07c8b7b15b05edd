//! Tokens in the forms of other vendors: good for what those of the standard form are good for, and nothing else.

use chrono::Duration;
use rstest::rstest;
use serde_json::json;
use signet::{
    domain::id::ProjectId,
    proto::{
        AuthenticateEmailCodeRequest, AuthenticateSessionRequest, ClientType, CompletePasswordResetRequest,
        CreateClientRequest, CreateClientResponse, CreateUserRequest, Project, ProjectSettings, RefreshTokensRequest,
        ReplacePasswordRequest, SessionOptions, SignInOptions, SignInRequest, SignOutRequest, SignUpRequest,
        SigningAlgorithm, TokenOptions, TokenProfile, TokenSet, authenticate_session_request::Credential,
        sign_out_request,
    },
};
use tonic::Status;

use crate::{
    client_token::{self, client_token},
    forgery::{forged_in, header_of},
    keys::{key_set, verify},
    projects::{create, quick, update},
    refresh,
    sessions::{self, sign_out},
    sign_in::claims_of,
    support::{Caller, Engine, PASSWORD, TestApp, basic, field_violations, object, reason},
};

const RESOURCE: &str = "https://api.example/";

/// A project, and a client of one profile that is both an application and a back end.
struct Shop {
    project: Project,
    app: Caller,
    back_end: Caller,
    client_id: String,
}

async fn new_client(
    app: &TestApp,
    project: &Project,
    client_type: ClientType,
    profile: TokenProfile,
) -> Result<CreateClientResponse, Status> {
    let request = CreateClientRequest {
        project_id: project.project_id.clone(),
        name: "Shop".into(),
        client_type: client_type.into(),
        token_profile: profile.into(),
        ..Default::default()
    };
    app.operator().projects.create_client(request).await.map(tonic::Response::into_inner)
}

impl Shop {
    async fn open(app: &TestApp, profile: TokenProfile) -> Self {
        let settings = ProjectSettings {
            signing_algorithm: SigningAlgorithm::Rs256.into(),
            allowed_resources: vec![RESOURCE.into()],
            allow_sign_up: Some(true),
            ..quick()
        };
        let project = create(app, "Shop", Some(settings)).await.unwrap();
        let public = new_client(app, &project, ClientType::Public, profile).await.unwrap().client.unwrap();
        let made = new_client(app, &project, ClientType::Confidential, profile).await.unwrap();
        let client_id = made.client.unwrap().client_id;
        let mut back_end = app.caller(Some(&basic(&client_id, &made.client_secret.unwrap().into())));
        let user = CreateUserRequest {
            email: Some("ada@example.com".into()),
            email_verified: true,
            username: Some("ada".into()),
            password: Some(PASSWORD.into()),
            ..Default::default()
        };
        back_end.users.create_user(user).await.unwrap();
        let authorization = basic(&public.client_id, &String::new().into());
        Self { project, app: app.caller(Some(&authorization)), back_end, client_id: public.client_id }
    }

    fn project_id(&self) -> ProjectId {
        ProjectId::parse(&self.project.project_id).unwrap()
    }

    async fn sign_in(&self) -> TokenSet {
        let request = SignInRequest { login_id: "ada".into(), password: PASSWORD.into(), ..Default::default() };
        self.app.auth.clone().sign_in(request).await.unwrap().into_inner().tokens.unwrap()
    }

    /// The ID token of the application, which its back end gets by refreshing for it.
    async fn id_token(&self) -> String {
        let request = RefreshTokensRequest {
            refresh_token: self.sign_in().await.refresh_token,
            token_options: Some(TokenOptions { include_id_token: true, ..Default::default() }),
            ..Default::default()
        };
        let tokens = self.back_end.auth.clone().refresh_tokens(request).await.unwrap().into_inner().tokens;
        tokens.unwrap().id_token.unwrap()
    }
}

/// Where a token can be shown, and what of it is said there; empty if it is taken.
async fn refusals(app: &TestApp, shop: &Shop, token: &str) -> [(&'static str, String); 7] {
    let caller = &shop.back_end;
    let text = || token.to_owned();
    let ending = async |credential| sign_out(caller, credential).await.err().map(|it| reason(&it)).unwrap_or_default();
    // What ends the session comes last.
    [
        ("client", client_token::refusal(&app.routes(), token).await),
        ("access", sessions::refusal(caller, Credential::AccessToken(text())).await),
        ("session", sessions::refusal(caller, Credential::SessionToken(text())).await),
        ("refresh", refresh::refusal(caller, token).await),
        ("access", ending(sign_out_request::Credential::AccessToken(text())).await),
        ("session", ending(sign_out_request::Credential::SessionToken(text())).await),
        ("refresh", ending(sign_out_request::Credential::RefreshToken(text())).await),
    ]
}

const PROFILES: [TokenProfile; 4] =
    [TokenProfile::Workos, TokenProfile::Stytch, TokenProfile::Descope, TokenProfile::Transmit];

#[rstest]
#[tokio::test]
async fn a_token_of_every_profile_is_taken_in_its_own_place_and_no_other(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let stranger = Shop::open(&app, TokenProfile::Standard).await;
    for profile in PROFILES {
        let shop = Shop::open(&app, profile).await;
        let client = client_token(&shop.back_end, "").await;
        for own in ["access", "session", "refresh", "id", "client"] {
            let tokens = shop.sign_in().await;
            let token = match own {
                "access" => tokens.access_token,
                "session" => tokens.session_token.unwrap(),
                "refresh" => tokens.refresh_token,
                "id" => shop.id_token().await,
                _ => client.clone(),
            };
            for (place, refused) in refusals(&app, &stranger, &token).await {
                let is_client = place == "client" && own == "client";
                assert_eq!(refused.is_empty(), is_client, "{profile:?}: a {own} token elsewhere as {place}");
            }
            for (place, refused) in refusals(&app, &shop, &token).await {
                assert_eq!(refused.is_empty(), place == own, "{profile:?}: a {own} token as {place}: {refused}");
            }
        }
    }
}

#[rstest]
#[case::workos(TokenProfile::Workos)]
#[case::stytch(TokenProfile::Stytch)]
#[case::descope(TokenProfile::Descope)]
#[case::transmit(TokenProfile::Transmit)]
#[tokio::test]
async fn a_forged_token_of_a_profile_is_refused(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
    #[case] profile: TokenProfile,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let shop = Shop::open(&app, profile).await;
    let tokens = shop.sign_in().await;
    let (more, token, place): (Vec<_>, _, _) = match profile {
        TokenProfile::Workos => (
            vec![("sid", json!("session_x")), ("client_id", json!("client_x")), ("client_id", json!(7))],
            tokens.access_token,
            "access",
        ),
        TokenProfile::Transmit => {
            (vec![("sid", json!("session_x")), ("tid", json!(7)), ("scope", json!(7))], tokens.access_token, "access")
        }
        TokenProfile::Stytch => {
            let named = |id: &str| ("https://stytch.com/session", json!({ "id": id }));
            let session = vec![named("session-live-x"), named(""), ("https://stytch.com/session", json!([]))];
            (session, tokens.session_token.unwrap(), "session")
        }
        _ => (vec![("sid", json!("session_x")), ("sid", json!(7))], tokens.session_token.unwrap(), "session"),
    };
    let now = app.services.clock.now().timestamp();
    let forged = forged_in(&app, shop.project_id(), &token, &more).await;
    assert!(forged.len() > 100);
    let credential = |token: String| match place {
        "access" => (Credential::AccessToken(token.clone()), sign_out_request::Credential::AccessToken(token)),
        _ => (Credential::SessionToken(token.clone()), sign_out_request::Credential::SessionToken(token)),
    };
    for (what, forged) in forged {
        let (show, end) = credential(forged);
        assert_eq!(sessions::refusal(&shop.back_end, show).await, "TOKEN_INVALID", "{profile:?}: {what}");
        // One that has just ended still ends its session, which is a test of its own.
        if what != format!("exp = {now}") {
            let refused = sign_out(&shop.back_end, end).await.err().map(|status| reason(&status));
            assert_eq!(refused.as_deref(), Some("TOKEN_INVALID"), "{profile:?}: {what}");
        }
    }
    assert_eq!(
        sessions::refusal(&shop.back_end, credential(token).0).await,
        "",
        "nothing was refused for another reason"
    );
}

#[rstest]
#[tokio::test]
async fn a_stock_library_verifies_the_tokens_with_the_key_set(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let shop = Shop::open(&app, TokenProfile::Stytch).await;
    let set = key_set(app.routes(), &shop.project.project_id).await;
    let token = shop.sign_in().await.session_token.unwrap();
    let claims = claims_of(&token);
    let (issuer, audience) = (claims["iss"].as_str().unwrap(), claims["aud"][0].as_str().unwrap());
    assert_eq!(issuer, format!("stytch.com/{audience}"));
    verify(&set, &token, issuer, audience).unwrap();
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 300);
    // Every replica publishes the same certificate.
    assert_eq!(set["keys"][0]["x5c"].as_array().unwrap().len(), 1);
    assert_eq!(set["keys"][0]["x5tS256"].as_str().map(str::len), Some(43));
    assert_eq!(key_set(app.replica().await, &shop.project.project_id).await, set);

    let shop = Shop::open(&app, TokenProfile::Transmit).await;
    let set = key_set(app.routes(), &shop.project.project_id).await;
    let issuer = format!("https://auth.example/projects/{}", shop.project.project_id);
    let tokens = shop.sign_in().await;
    verify(&set, &tokens.access_token, &issuer, "userid-api").unwrap();
    verify(&set, &shop.id_token().await, &issuer, &shop.client_id).unwrap();
    let client = client_token(&shop.back_end, "").await;
    let (claims, client_id) = (claims_of(&client), claims_of(&client)["client_id"].clone());
    verify(&set, &client, &issuer, "userid-api").unwrap();
    assert_eq!((&claims["sub"], &claims["scope"], &claims["app_name"]), (&client_id, &json!("openid"), &json!("Shop")));
    assert_eq!(header_of(&client)["typ"], "at+jwt");
    let for_resource = client_token(&shop.back_end, RESOURCE).await;
    verify(&set, &for_resource, &issuer, RESOURCE).unwrap();
    assert_eq!(client_token::refusal(&app.routes(), &for_resource).await, "CALLER_UNAUTHENTICATED");
}

#[rstest]
#[tokio::test]
async fn a_refresh_follows_the_profile(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    for profile in PROFILES {
        let shop = Shop::open(&app, profile).await;
        let first = shop.sign_in().await.refresh_token;
        assert_eq!(first.matches('.').count() == 2, profile == TokenProfile::Descope, "{profile:?}");
        app.clock.advance(Duration::seconds(1));
        // A back end refreshes for the application: the tokens stay those of the application.
        let request = RefreshTokensRequest { refresh_token: first.clone(), ..Default::default() };
        let tokens = shop.back_end.auth.clone().refresh_tokens(request).await.unwrap().into_inner().tokens.unwrap();
        assert_eq!(claims_of(&tokens.access_token)["client_id"], shop.client_id, "{profile:?}");
        assert_eq!(tokens.refresh_token == first, profile == TokenProfile::Stytch, "{profile:?}");
        app.clock.advance(Duration::minutes(5));
        let refused = refresh::refusal(&shop.app, &first).await;
        let expected = if profile == TokenProfile::Stytch { "" } else { "REFRESH_TOKEN_REUSED" };
        assert_eq!(refused, expected, "{profile:?}");
    }
}

#[rstest]
#[tokio::test]
async fn a_session_token_of_a_profile_is_renewed_in_its_form(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    for profile in PROFILES {
        let shop = Shop::open(&app, profile).await;
        let token = shop.sign_in().await.session_token.unwrap();
        app.clock.advance(Duration::hours(1));
        assert_eq!(sessions::refusal(&shop.back_end, Credential::SessionToken(token.clone())).await, "TOKEN_INVALID");
        let request = AuthenticateSessionRequest {
            credential: Some(Credential::SessionToken(token.clone())),
            renew_session_token: true,
            ..Default::default()
        };
        let renewed = shop.back_end.auth.clone().authenticate_session(request).await.unwrap().into_inner();
        let renewed = renewed.session_token.unwrap();
        let names = |token: &str| claims_of(token).as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&renewed), names(&token), "{profile:?}");
        assert_eq!(sessions::refusal(&shop.back_end, Credential::SessionToken(renewed)).await, "");
        let expired = sign_out_request::Credential::SessionToken(token);
        let request = SignOutRequest { credential: Some(expired), ..Default::default() };
        shop.app.auth.clone().sign_out(request).await.unwrap();
    }
}

#[rstest]
#[tokio::test]
async fn a_vendors_profile_needs_rs256_and_keeps_it(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let rs256 = || ProjectSettings { signing_algorithm: SigningAlgorithm::Rs256.into(), ..quick() };
    for profile in PROFILES {
        let other = create(&app, "Other", Some(quick())).await.unwrap();
        let status = new_client(&app, &other, ClientType::Public, profile).await.unwrap_err();
        assert_eq!(
            (reason(&status), field_violations(&status)),
            ("INVALID_FIELD".into(), vec!["token_profile".into()])
        );
        // A key of the former algorithm still signs.
        update(&app, &other.project_id, rs256(), &["signing_algorithm"]).await.unwrap();
        let status = new_client(&app, &other, ClientType::Public, profile).await.unwrap_err();
        assert_eq!(field_violations(&status), ["token_profile"]);
        app.clock.advance(Duration::minutes(10));
        new_client(&app, &other, ClientType::Public, profile).await.unwrap();
        let status = update(&app, &other.project_id, quick(), &["signing_algorithm"]).await.unwrap_err();
        assert_eq!(field_violations(&status), ["settings.signing_algorithm"]);
    }
    let standard = create(&app, "Standard", Some(rs256())).await.unwrap();
    new_client(&app, &standard, ClientType::Public, TokenProfile::Standard).await.unwrap();
    update(&app, &standard.project_id, quick(), &["signing_algorithm"]).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn custom_claims_that_do_not_fit_the_profile_are_refused(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let shop = Shop::open(&app, TokenProfile::Stytch).await;
    let text = |text: &str| prost_types::Value { kind: Some(prost_types::value::Kind::StringValue(text.into())) };
    let long = "x".repeat(1600);
    for (name, value, field) in [
        ("iss", "me", "options.custom_claims.iss"),
        ("token_kind", "access", "options.custom_claims.token_kind"),
        ("role", "admin", "options.custom_claims.role"),
        ("https://stytch.com/x", "y", "options.custom_claims.https://stytch.com/x"),
        ("long", long.as_str(), "options.custom_claims"),
    ] {
        let fields = [(name.to_owned(), text(value))].into_iter().collect();
        let options = SignInOptions { custom_claims: Some(prost_types::Struct { fields }), ..Default::default() };
        let request = SignInRequest {
            login_id: "ada".into(),
            password: PASSWORD.into(),
            options: Some(options),
            ..Default::default()
        };
        let status = shop.back_end.auth.clone().sign_in(request).await.unwrap_err();
        assert_eq!(field_violations(&status), [field], "{name}");
    }
}

fn sign_in_with_claims() -> SignInRequest {
    SignInRequest {
        login_id: "ada".into(),
        password: PASSWORD.into(),
        options: Some(with_claims()),
        ..Default::default()
    }
}

fn plan() -> Option<prost_types::Struct> {
    json!({"plan": "pro"}).as_object().map(object)
}

fn with_claims() -> SignInOptions {
    SignInOptions { custom_claims: plan(), ..Default::default() }
}

#[rstest]
#[tokio::test]
async fn an_application_gives_no_claims_where_they_would_pass_for_the_services_own(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let shop = Shop::open(&app, TokenProfile::Stytch).await;
    let signed_up = SignUpRequest {
        user: Some(CreateUserRequest {
            email: Some("eve@example.com".into()),
            password: Some(PASSWORD.into()),
            ..Default::default()
        }),
        options: Some(with_claims()),
        ..Default::default()
    };
    let replaced = ReplacePasswordRequest {
        login_id: "ada".into(),
        current_password: PASSWORD.into(),
        new_password: "another one of hers".into(),
        options: Some(with_claims()),
        ..Default::default()
    };
    let redeemed = AuthenticateEmailCodeRequest {
        login_id: "ada".into(),
        code: "123456".into(),
        options: Some(with_claims()),
        ..Default::default()
    };
    let reset = CompletePasswordResetRequest {
        password_reset_token: "signet_pr_x".into(),
        new_password: "another one of hers".into(),
        session_options: Some(SessionOptions::default()),
        custom_claims: plan(),
        ..Default::default()
    };
    let refresh_token = shop.sign_in().await.refresh_token;
    let changed = AuthenticateSessionRequest {
        credential: Some(Credential::RefreshToken(refresh_token.clone())),
        custom_claims: plan(),
        renew_session_token: true,
        ..Default::default()
    };
    let auth = || shop.app.auth.clone();
    let refused = [
        ("options.custom_claims", auth().sign_in(sign_in_with_claims()).await.map(drop)),
        ("options.custom_claims", auth().sign_up(signed_up).await.map(drop)),
        ("options.custom_claims", auth().replace_password(replaced).await.map(drop)),
        ("options.custom_claims", auth().authenticate_email_code(redeemed).await.map(drop)),
        ("custom_claims", auth().complete_password_reset(reset).await.map(drop)),
        ("custom_claims", auth().authenticate_session(changed.clone()).await.map(drop)),
    ];
    for (number, (field, answer)) in refused.into_iter().enumerate() {
        let status = answer.unwrap_err();
        assert_eq!(
            (reason(&status).as_str(), field_violations(&status)),
            ("INVALID_FIELD", vec![field.into()]),
            "{number}"
        );
    }
    // A back end may, also for a session of the application.
    let answer = shop.back_end.auth.clone().authenticate_session(changed).await.unwrap().into_inner();
    assert_eq!(claims_of(&answer.session_token.unwrap())["plan"], "pro");
    let answer = shop.back_end.auth.clone().sign_in(sign_in_with_claims()).await.unwrap().into_inner();
    assert_eq!(claims_of(&answer.tokens.unwrap().session_token.unwrap())["plan"], "pro");
    // Under a name of their own they pass for nothing.
    let shop = Shop::open(&app, TokenProfile::Descope).await;
    let answer = shop.app.auth.clone().sign_in(sign_in_with_claims()).await.unwrap().into_inner();
    assert_eq!(claims_of(&answer.tokens.unwrap().session_token.unwrap())["nsec"]["plan"], "pro");
}

#[rstest]
#[tokio::test]
async fn an_application_changes_sessions_of_its_own_and_by_their_refresh_token_alone(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let shop = Shop::open(&app, TokenProfile::Standard).await;
    let made = new_client(&app, &shop.project, ClientType::Public, TokenProfile::Standard).await.unwrap();
    let other = app.caller(Some(&basic(&made.client.unwrap().client_id, &String::new().into())));
    let tokens = shop.sign_in().await;
    let access = Credential::AccessToken(tokens.access_token.clone());
    let session = Credential::SessionToken(tokens.session_token.clone().unwrap());
    let refresh = Credential::RefreshToken(tokens.refresh_token.clone());
    let asked = async |caller: &Caller, credential: &Credential, request: AuthenticateSessionRequest| {
        let request = AuthenticateSessionRequest { credential: Some(credential.clone()), ..request };
        let answer = caller.auth.clone().authenticate_session(request).await;
        answer.err().map(|status| reason(&status)).unwrap_or_default()
    };
    let look = AuthenticateSessionRequest::default;
    let renew = || AuthenticateSessionRequest { renew_session_token: true, ..Default::default() };
    let prolong = || AuthenticateSessionRequest { session_duration: Some(refresh::seconds(600)), ..Default::default() };
    let claim = || AuthenticateSessionRequest { custom_claims: plan(), ..Default::default() };
    for shown in [&access, &session] {
        assert_eq!(asked(&shop.app, shown, look()).await, "");
        assert_eq!(asked(&shop.app, shown, renew()).await, "");
        assert_eq!(asked(&shop.app, shown, prolong()).await, "CALLER_NOT_PERMITTED");
        assert_eq!(asked(&shop.app, shown, claim()).await, "CALLER_NOT_PERMITTED");
        assert_eq!(asked(&other, shown, look()).await, "");
        assert_eq!(asked(&other, shown, renew()).await, "TOKEN_INVALID");
        for request in [renew(), prolong(), claim()] {
            assert_eq!(asked(&shop.back_end, shown, request).await, "");
        }
    }
    for request in [look(), renew(), prolong(), claim()] {
        assert_eq!(asked(&other, &refresh, request.clone()).await, "TOKEN_INVALID");
        assert_eq!(asked(&shop.app, &refresh, request).await, "");
    }
    // Nor does one application end everything by the refresh token of another.
    let everything = || SignOutRequest {
        credential: Some(sign_out_request::Credential::RefreshToken(tokens.refresh_token.clone())),
        all_sessions: true,
    };
    let status = other.auth.clone().sign_out(everything()).await.unwrap_err();
    assert_eq!(reason(&status), "TOKEN_INVALID");
    assert_eq!(shop.app.auth.clone().sign_out(everything()).await.unwrap().into_inner().revoked_sessions, 1);
}
