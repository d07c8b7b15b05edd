//! Who may call: credentials, kinds of callers, and what happens when credentials are taken away.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rstest::rstest;
use secrecy::{ExposeSecret as _, SecretString};
use signet::{
    domain::id::{ClientId, ProjectId},
    id_form,
    proto::{
        CallerKind, ClientType, CreateClientRequest, CreateClientSecretRequest, DeleteClientRequest,
        DeleteClientSecretRequest, IssueClientTokenRequest, ListClientsRequest, ListUsersRequest, ProjectSettings,
        RPCS, SignInRequest, SigningAlgorithm, TokenProfile,
    },
    random::Random,
};
use tonic::{Code, service::Routes};

use crate::{
    projects::{project_with, quick},
    sign_in::{email, session_is_live, try_password},
    support::{Caller, Engine, PASSWORD, RawCall, TestApp, basic, credentials, reason, start},
};

/// Credentials that are nobody's, each with a word for what is wrong with it.
fn wrong_credentials(app: &TestApp) -> Vec<(String, Vec<u8>)> {
    let fixture = &app.fixture;
    let (own, secret) = credentials(&fixture.confidential);
    let (stranger, strangers_secret) = credentials(&fixture.stranger);
    let (operator, operators_secret) = credentials(&fixture.operator);
    let (public, nothing) = credentials(&fixture.public);
    let unknown = ClientId::generate(start(), &Random::System).to_string();
    let unknown_project = ProjectId::generate(start(), &Random::System);
    let (project, other_project) = (fixture.project_id.to_string(), fixture.other_project_id);
    let descope = id_form::descope('P', fixture.project_id.into());
    let plain = secret.expose_secret();
    let changed = SecretString::from(format!("{}{}", &plain[..20], plain[20..].chars().rev().collect::<String>()));

    let mut wrong: Vec<(String, Vec<u8>)> = [
        ("an unknown client", &unknown, &secret),
        ("another secret", &own, &changed),
        ("no secret", &own, &nothing),
        ("a stranger's secret", &own, &strangers_secret),
        ("a stranger's id", &stranger, &secret),
        ("an operator's secret", &own, &operators_secret),
        ("an operator's id", &operator, &secret),
        ("an operator without a secret", &operator, &nothing),
        ("a secret for a client that keeps none", &public, &secret),
        ("the project's id", &fixture.project_id.to_string(), &secret),
        ("the id in lower case", &own.to_lowercase(), &secret),
    ]
    .into_iter()
    .map(|(what, id, secret)| (what.to_owned(), basic(id, secret).into_bytes()))
    .collect();
    for cut in (0..plain.len()).step_by(8).chain([plain.len() - 1]) {
        wrong.push((format!("the secret cut at {cut}"), basic(&own, &plain[..cut].into()).into_bytes()));
    }
    let encoded = fixture.confidential.strip_prefix("Basic ").unwrap();
    let spaces = " ".repeat(1100);
    for (what, value) in [
        ("an empty header", String::new()),
        ("only the scheme", "Basic".into()),
        ("another scheme", format!("Bearer {encoded}")),
        ("the id alone", format!("Bearer {own}")),
        ("an operator's secret alone", format!("Bearer {}", operators_secret.expose_secret())),
        ("a changed secret alone", format!("Bearer {}", changed.expose_secret())),
        ("a secret twice", format!("Bearer {plain}:{plain}")),
        ("an unknown project", format!("Bearer {unknown_project}")),
        ("an unknown project with a secret", format!("Bearer {unknown_project}:{plain}")),
        ("a project in lower case", format!("Bearer {}:{plain}", project.to_lowercase())),
        ("a stranger's secret for the project", format!("Bearer {project}:{}", strangers_secret.expose_secret())),
        ("the secret for another project", format!("Bearer {other_project}:{plain}")),
        ("an operator's secret for the project", format!("Bearer {project}:{}", operators_secret.expose_secret())),
        ("a changed secret for the project", format!("Bearer {project}:{}", changed.expose_secret())),
        ("a secret of the project and more", format!("Bearer {project}:{plain}:{plain}")),
        ("a colon more", format!("Bearer {project}::")),
        ("a space before the secret", format!("Bearer {project}: {plain}")),
        ("a project without an application of that form", format!("Bearer {descope}")),
        ("a stranger's secret in that form", format!("Bearer {descope}:{}", strangers_secret.expose_secret())),
        ("a project cut in that form", format!("Bearer {}:{plain}", &descope[..27])),
        ("no scheme", encoded.into()),
        ("not base64", "Basic \u{7e}\u{7e}\u{7e}".into()),
        ("no colon", format!("Basic {}", STANDARD.encode(&own))),
        ("not text", format!("Basic {}", STANDARD.encode([0xC3, 0x28, b':', 0xFF]))),
        ("too long", format!("Basic {spaces}{encoded}")),
        ("two in one", format!("{}, {}", fixture.confidential, fixture.confidential)),
    ] {
        wrong.push((what.into(), value.into_bytes()));
    }
    wrong.push(("not ASCII".into(), [fixture.confidential.as_bytes(), &[0xFF]].concat()));
    wrong
}

#[rstest]
#[tokio::test]
async fn wrong_credentials_open_nothing(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (routes, wrong) = (app.routes(), wrong_credentials(&app));
    for rpc in RPCS {
        let mut calls: Vec<_> = wrong
            .iter()
            .map(|(what, value)| (what.as_str(), RawCall::to(rpc.path).header("authorization", value)))
            .collect();
        let right = RawCall::to(rpc.path).authorization(&app.fixture.confidential);
        calls.push(("none", RawCall::to(rpc.path)));
        calls.push(("two headers", right.authorization(&app.fixture.confidential)));
        for (what, call) in calls {
            let answer = call.send(&routes).await;
            if rpc.caller == CallerKind::Anyone {
                assert_ne!(answer.reason(), "CALLER_UNAUTHENTICATED", "{} is open to anyone", rpc.path);
            } else {
                let seen = (answer.status.code(), answer.reason());
                assert_eq!(seen, (Code::Unauthenticated, "CALLER_UNAUTHENTICATED".into()), "{} with {what}", rpc.path);
            }
        }
    }
}

#[rstest]
#[tokio::test]
async fn a_secret_cut_or_changed_anywhere_is_refused(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (id, secret) = credentials(&app.fixture.confidential);
    let (secret, routes) = (secret.expose_secret().to_owned(), [app.routes()]);
    assert_eq!(refusal(&routes, &app.fixture.confidential).await, None);
    for at in 0..secret.len() {
        let mut bytes = secret.clone().into_bytes();
        bytes[at] ^= 1 << (at % 7);
        for wrong in [secret[..at].to_owned(), String::from_utf8(bytes).unwrap()] {
            let refused = refusal(&routes, &basic(&id, &wrong.into())).await;
            assert_eq!(refused.as_deref(), Some("CALLER_UNAUTHENTICATED"), "at {at}");
        }
    }
}

#[rstest]
#[tokio::test]
async fn each_rpc_takes_the_callers_it_declares_and_no_others(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let routes = app.routes();
    for rpc in RPCS {
        // Nobody, an application, a back end, an operator.
        let expected = match rpc.caller {
            CallerKind::Unspecified => panic!("{} says nothing of its callers", rpc.path),
            CallerKind::Anyone => ["", "", "", ""],
            CallerKind::PublicClient => ["CALLER_UNAUTHENTICATED", "", "", "CALLER_NOT_PERMITTED"],
            CallerKind::ConfidentialClient => {
                ["CALLER_UNAUTHENTICATED", "CALLER_NOT_PERMITTED", "", "CALLER_NOT_PERMITTED"]
            }
            CallerKind::ConfidentialClientOrOperator => ["CALLER_UNAUTHENTICATED", "CALLER_NOT_PERMITTED", "", ""],
            CallerKind::Operator => ["CALLER_UNAUTHENTICATED", "CALLER_NOT_PERMITTED", "CALLER_NOT_PERMITTED", ""],
        };
        let fixture = &app.fixture;
        let callers = [None, Some(&fixture.public), Some(&fixture.confidential), Some(&fixture.operator)];
        for (caller, expected) in callers.into_iter().zip(expected) {
            let call = RawCall::to(rpc.path);
            let call = caller.map_or_else(|| RawCall::to(rpc.path), |caller| call.authorization(caller));
            let answer = call.send(&routes).await;
            let refused = answer.reason().starts_with("CALLER_");
            // Past the authentication, an empty message is refused for what it lacks, or is fine.
            assert_eq!(if refused { answer.reason() } else { String::new() }, expected, "{}", rpc.path);
        }
    }
}

#[rstest]
#[case::lower_case("basic ")]
#[case::upper_case("BASIC ")]
#[case::more_space("Basic   ")]
#[tokio::test]
async fn the_name_of_the_scheme_has_no_case(#[case] scheme: &str) {
    let Some(app) = TestApp::start(Engine::Sqlite).await else { return };
    let authorization = app.fixture.confidential.replace("Basic ", scheme);
    app.caller(Some(&authorization)).users.list_users(ListUsersRequest::default()).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn a_back_end_is_known_by_its_secret_alone_or_with_its_project(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (_, secret) = credentials(&app.fixture.confidential);
    let secret = secret.expose_secret();
    let project = app.fixture.project_id;
    for authorization in [
        format!("Bearer {secret}"),
        format!("bearer  {secret}"),
        format!("Bearer {project}:{secret}"),
        format!("Bearer {}:{secret}", id_form::descope('P', project.into())),
    ] {
        let mut caller = app.caller(Some(&authorization));
        caller.users.list_users(ListUsersRequest::default()).await.unwrap();
        // It has been shown, so that it can be exchanged for a token.
        caller.auth.issue_client_token(IssueClientTokenRequest::default()).await.unwrap();
    }
}

#[rstest]
#[tokio::test]
async fn a_project_alone_is_its_oldest_application_of_the_profile(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let settings = ProjectSettings { signing_algorithm: SigningAlgorithm::Rs256.into(), ..quick() };
    let (project, _) = project_with(&app, settings).await;
    let project_id = project.project_id;
    let descope = id_form::descope('P', ProjectId::parse(&project_id).unwrap().into());
    let named = [format!("Bearer {project_id}"), format!("Bearer {project_id}:"), format!("Bearer {descope}:")];
    for authorization in &named {
        let refused = refusal(&[app.routes()], authorization).await;
        assert_eq!(refused.as_deref(), Some("CALLER_UNAUTHENTICATED"), "there is no application yet");
    }
    let mut made = Vec::new();
    for profile in [TokenProfile::Descope, TokenProfile::Standard, TokenProfile::Standard, TokenProfile::Descope] {
        app.clock.advance(chrono::Duration::seconds(1));
        let request = CreateClientRequest {
            project_id: project_id.clone(),
            name: "app".into(),
            client_type: ClientType::Public.into(),
            token_profile: profile.into(),
            ..Default::default()
        };
        let client = app.operator().projects.create_client(request).await.unwrap().into_inner().client;
        made.push(client.unwrap().client_id);
    }
    for (authorization, expected) in named.iter().zip([&made[1], &made[1], &made[0]]) {
        let caller = app.caller(Some(authorization));
        let request =
            SignInRequest { login_id: "ada@example.com".into(), password: PASSWORD.into(), ..Default::default() };
        let session = caller.auth.clone().sign_in(request).await.unwrap().into_inner().session.unwrap();
        assert_eq!(&session.client_id, expected, "{authorization}");
        let refused = refusal(&[app.routes()], authorization).await;
        assert_eq!(refused.as_deref(), Some("CALLER_NOT_PERMITTED"), "it keeps no secret");
    }
}

/// A new back end of the project: its id and its `authorization`.
async fn new_back_end(app: &TestApp) -> (String, String) {
    let request = CreateClientRequest {
        project_id: app.fixture.project_id.to_string(),
        name: "second".into(),
        client_type: ClientType::Confidential.into(),
        ..Default::default()
    };
    let answer = app.operator().projects.create_client(request).await.unwrap().into_inner();
    let id = answer.client.unwrap().client_id;
    let authorization = basic(&id, &answer.client_secret.unwrap().into());
    (id, authorization)
}

/// Why the replicas refuse those credentials, if they do; they must agree.
async fn refusal(replicas: &[Routes], authorization: &str) -> Option<String> {
    let mut refusals = Vec::new();
    for routes in replicas {
        let mut caller = Caller::new(routes.clone(), Some(authorization));
        refusals.push(caller.users.list_users(ListUsersRequest::default()).await.err().map(|status| reason(&status)));
    }
    assert!(refusals.iter().all(|refusal| *refusal == refusals[0]), "{refusals:?}");
    refusals.remove(0)
}

#[rstest]
#[tokio::test]
async fn a_deleted_client_is_refused_at_once_and_its_sessions_end(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (client_id, authorization) = new_back_end(&app).await;
    let replicas = [app.routes(), app.replica().await];
    assert_eq!(refusal(&replicas, &authorization).await, None);
    let own = try_password(&app.caller(Some(&authorization)), email("ada@example.com"), PASSWORD).await.unwrap();
    let other = try_password(&app.back_end(), email("ada@example.com"), PASSWORD).await.unwrap();

    let project_id = app.fixture.project_id.to_string();
    let elsewhere =
        DeleteClientRequest { project_id: app.fixture.other_project_id.to_string(), client_id: client_id.clone() };
    let status = app.operator().projects.delete_client(elsewhere).await.unwrap_err();
    assert_eq!(reason(&status), "CLIENT_NOT_FOUND", "a client is deleted in its own project only");
    let request = DeleteClientRequest { project_id, client_id };
    app.operator().projects.delete_client(request.clone()).await.unwrap();
    assert_eq!(refusal(&replicas, &authorization).await.as_deref(), Some("CALLER_UNAUTHENTICATED"));
    assert!(!session_is_live(&app.back_end(), &own.tokens.unwrap().access_token).await);
    assert!(session_is_live(&app.back_end(), &other.tokens.unwrap().access_token).await);

    let again = app.operator().projects.delete_client(request).await.unwrap_err();
    assert_eq!(reason(&again), "CLIENT_NOT_FOUND");
}

#[rstest]
#[case::that_opens_a_session("ada@example.com")]
#[case::that_needs_a_second_step("grace@example.com")]
#[tokio::test]
async fn a_client_that_is_deleted_during_a_sign_in_is_refused(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
    #[case] address: &'static str,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (client_id, authorization) = new_back_end(&app).await;
    // Whoever holds the user's row makes the sign-in wait right before it opens the session.
    let tx = app.services.store.begin().await.unwrap();
    for user in [app.fixture.ada, app.fixture.grace] {
        tx.users().lock(app.fixture.project_id, user).await.unwrap();
    }
    let caller = app.caller(Some(&authorization));
    let sign_in = tokio::spawn(async move { try_password(&caller, email(address), PASSWORD).await });
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    tx.clients().delete(app.fixture.project_id, ClientId::parse(&client_id).unwrap()).await.unwrap();
    tx.commit().await.unwrap();
    let status = sign_in.await.unwrap().unwrap_err();
    assert_eq!(reason(&status), "CALLER_UNAUTHENTICATED");
    assert!(!app.events().await.contains(&"user.signed_in".to_owned()));
    assert_eq!(app.mails_waiting().await, 0);
}

#[rstest]
#[tokio::test]
async fn a_client_that_is_being_deleted_gets_no_more_secrets(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (client_id, _) = new_back_end(&app).await;
    let tx = app.services.store.begin().await.unwrap();
    tx.clients().delete(app.fixture.project_id, ClientId::parse(&client_id).unwrap()).await.unwrap();
    let request = CreateClientSecretRequest { project_id: app.fixture.project_id.to_string(), client_id };
    let mut operator = app.operator().projects;
    let create = tokio::spawn(async move { operator.create_client_secret(request).await });
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    tx.commit().await.unwrap();
    assert_eq!(reason(&create.await.unwrap().unwrap_err()), "CLIENT_NOT_FOUND");
}

#[rstest]
#[tokio::test]
async fn secrets_change_without_a_gap(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let mut operator = app.operator().projects;
    let (client_id, old) = new_back_end(&app).await;
    let replicas = [app.routes(), app.replica().await];
    let project_id = app.fixture.project_id.to_string();

    app.clock.advance(chrono::Duration::seconds(1));
    let request = CreateClientSecretRequest { project_id: project_id.clone(), client_id: client_id.clone() };
    let answer = operator.create_client_secret(request).await.unwrap().into_inner();
    let new = basic(&client_id, &answer.client_secret.into());
    assert_eq!((refusal(&replicas, &old).await, refusal(&replicas, &new).await), (None, None));

    let request = ListClientsRequest { project_id: project_id.clone(), ..Default::default() };
    let clients = operator.list_clients(request).await.unwrap().into_inner().clients;
    let secrets = &clients.iter().find(|client| client.client_id == client_id).unwrap().secrets;
    assert_eq!(secrets.len(), 2);
    assert_eq!(secrets[1], answer.secret.unwrap(), "oldest first");

    let delete = |secret: &str| DeleteClientSecretRequest {
        project_id: project_id.clone(),
        client_id: client_id.clone(),
        client_secret_id: secret.into(),
    };
    let first = delete(&secrets[0].client_secret_id);
    operator.delete_client_secret(first.clone()).await.unwrap();
    assert_eq!(refusal(&replicas, &old).await.as_deref(), Some("CALLER_UNAUTHENTICATED"));
    assert_eq!(refusal(&replicas, &new).await, None);
    let again = operator.delete_client_secret(first).await.unwrap_err();
    assert_eq!(reason(&again), "CLIENT_SECRET_NOT_FOUND");
    operator.delete_client_secret(delete(&secrets[1].client_secret_id)).await.unwrap();
    assert_eq!(refusal(&replicas, &new).await.as_deref(), Some("CALLER_UNAUTHENTICATED"));
}

#[rstest]
#[tokio::test]
async fn an_application_that_keeps_no_secret_gets_none(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let project_id = app.fixture.project_id.to_string();
    let request = CreateClientRequest {
        project_id: project_id.clone(),
        name: "app".into(),
        client_type: ClientType::Public.into(),
        ..Default::default()
    };
    let answer = app.operator().projects.create_client(request).await.unwrap().into_inner();
    assert_eq!(answer.client_secret, None);
    let client_id = answer.client.unwrap().client_id;
    let request = CreateClientSecretRequest { project_id, client_id };
    let status = app.operator().projects.create_client_secret(request).await.unwrap_err();
    assert_eq!(reason(&status), "INVALID_FIELD");
}
