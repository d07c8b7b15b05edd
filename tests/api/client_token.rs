//! Tokens of clients: worth what the client's secret is, for an hour, in their own project, and nowhere else.

use chrono::Duration;
use http::HeaderValue;
use rstest::rstest;
use serde_json::{Value, json};
use signet::{
    crypto::jwt::{self, TokenKind},
    domain::id::ProjectId,
    proto::{
        CallerKind, DeleteClientRequest, IssueClientTokenRequest, IssueClientTokenResponse, ListUsersRequest,
        ProjectSettings, RPCS, TokenOptions,
    },
};
use tonic::{Status, service::Routes};

use crate::{
    forgery::{damaged, forged, signed_again},
    keys::{key_set, verify},
    projects::{project_with, quick, update},
    sign_in::{claims_of, email, with_password},
    support::{Caller, Engine, PASSWORD, RawCall, TestApp, credentials, field_violations, reason},
    worthless::all_secrets,
};

const RESOURCE: &str = "https://api.example/";

async fn issue(caller: &Caller, resource: &str) -> Result<IssueClientTokenResponse, Status> {
    let request = IssueClientTokenRequest { resource: resource.into() };
    caller.auth.clone().issue_client_token(request).await.map(tonic::Response::into_inner)
}

/// A token of the client that calls; without a resource it is for this service.
pub(crate) async fn client_token(caller: &Caller, resource: &str) -> String {
    issue(caller, resource).await.unwrap().access_token
}

/// Why the service refuses a call with that token; empty if it does not.
pub(crate) async fn refusal(routes: &Routes, token: &str) -> String {
    let mut caller = Caller::new(routes.clone(), Some(&format!("Bearer {token}")));
    let refused = caller.users.list_users(ListUsersRequest::default()).await.err();
    refused.map(|status| reason(&status)).unwrap_or_default()
}

const REFUSED: &str = "CALLER_UNAUTHENTICATED";

#[rstest]
#[tokio::test]
async fn a_client_token_names_the_client_and_verifies_with_the_key_set_alone(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
    #[values("", RESOURCE)] resource: &str,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let events = app.events().await;
    let answer = issue(&app.back_end(), resource).await.unwrap();
    assert_eq!((answer.expires_in_seconds, answer.token_type.as_str()), (3600, "Bearer"));
    let (project, client) = (app.fixture.project_id.to_string(), credentials(&app.fixture.confidential).0);
    let issuer = format!("https://auth.example/projects/{project}");
    let audience = if resource.is_empty() { &project } else { resource };
    let set = key_set(app.routes(), &project).await;
    let token = verify(&set, &answer.access_token, &issuer, audience).unwrap();
    assert_eq!(token.header.typ.as_deref(), Some("at+jwt"));
    let (mut claims, start) = (token.claims, crate::support::start().timestamp());
    assert!(!claims["jti"].take().as_str().unwrap().is_empty());
    let expected = json!({
        "iss": issuer, "aud": audience, "sub": client, "client_id": client, "jti": null, "token_kind": "client",
        "iat": start, "nbf": start, "exp": start + 3600,
    });
    assert_eq!(claims, expected, "nothing else");
    let second = client_token(&app.back_end(), resource).await;
    assert_ne!(claims_of(&second)["jti"], claims_of(&answer.access_token)["jti"]);
    assert_eq!(app.events().await, events, "nothing is written");
}

#[rstest]
#[tokio::test]
async fn a_client_token_costs_no_password_hash_and_writes_nothing(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let before = (app.contents().await, app.hashes());
    for _ in 0..3 {
        issue(&app.back_end(), "").await.unwrap();
        issue(&app.back_end(), "https://elsewhere.example/").await.unwrap_err();
    }
    assert_eq!((app.contents().await, app.hashes()), before);
    // Both would show.
    app.back_end().auth.authenticate_password(with_password(email("ada@example.com"), PASSWORD)).await.unwrap();
    assert_ne!(app.contents().await, before.0);
    assert_eq!(app.hashes(), before.1 + 1);
}

#[rstest]
#[tokio::test]
async fn a_resource_that_is_not_the_projects_is_refused_by_its_field(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let status = issue(&app.back_end(), "https://elsewhere.example/").await.unwrap_err();
    assert_eq!(reason(&status), "RESOURCE_NOT_ALLOWED");
    assert_eq!(field_violations(&status), ["resource"]);
    let status = issue(&app.back_end(), "no uri").await.unwrap_err();
    assert_eq!((reason(&status), field_violations(&status)), ("INVALID_FIELD".into(), vec!["resource".into()]));

    let mut sign_in = with_password(email("ada@example.com"), PASSWORD);
    let resource = "https://elsewhere.example/".into();
    sign_in.token_options = Some(TokenOptions { resource, ..Default::default() });
    let status = app.back_end().auth.authenticate_password(sign_in).await.unwrap_err();
    assert_eq!(field_violations(&status), ["token_options.resource"]);
}

#[rstest]
#[tokio::test]
async fn a_client_token_opens_what_the_secret_opens_on_every_replica(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
    #[values("Bearer ", "bearer ", "BEARER   ")] scheme: &str,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let authorization = format!("{scheme}{}", client_token(&app.back_end(), "").await);
    for routes in [app.routes(), app.replica().await] {
        for rpc in RPCS {
            let answer = RawCall::to(rpc.path).authorization(&authorization).send(&routes).await;
            let refused = if answer.reason().starts_with("CALLER_") { answer.reason() } else { String::new() };
            let is_closed = rpc.caller == CallerKind::Operator || rpc.path.ends_with("/IssueClientToken");
            assert_eq!(refused, if is_closed { "CALLER_NOT_PERMITTED" } else { "" }, "{}", rpc.path);
        }
    }
}

#[rstest]
#[tokio::test]
async fn a_client_token_lasts_for_an_hour_and_no_longer_than_its_client(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let replicas = [app.routes(), app.replica().await];
    let everywhere = async |token: &str| {
        let seen = [refusal(&replicas[0], token).await, refusal(&replicas[1], token).await];
        assert_eq!(seen[0], seen[1]);
        seen[0].clone()
    };
    let token = client_token(&app.back_end(), "").await;
    app.clock.advance(Duration::seconds(3599));
    assert_eq!(everywhere(&token).await, "");
    let next = client_token(&app.back_end(), "").await;
    app.clock.advance(Duration::seconds(1));
    assert_eq!(everywhere(&token).await, REFUSED);
    assert_eq!(everywhere(&next).await, "");

    let client_id = credentials(&app.fixture.confidential).0;
    let request = DeleteClientRequest { project_id: app.fixture.project_id.to_string(), client_id };
    app.operator().projects.delete_client(request).await.unwrap();
    assert_eq!(everywhere(&next).await, REFUSED);
}

/// The client's own claims with some of them replaced, signed by the key of that project.
async fn signed(app: &TestApp, project_id: ProjectId, claims: &Value, changes: &[(&str, Value)]) -> String {
    let mut claims = claims.clone();
    for (claim, value) in changes {
        claims[claim] = value.clone();
    }
    let now = app.services.clock.now();
    let keys = app.services.key_ring.keys(&app.services.store, project_id, now).await.unwrap();
    jwt::sign(keys.signer(now).unwrap(), TokenKind::Client, &claims).unwrap()
}

#[rstest]
#[tokio::test]
async fn a_token_of_another_project_client_or_use_opens_nothing(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (fixture, routes) = (&app.fixture, app.routes());
    let claims = claims_of(&client_token(&app.back_end(), "").await);
    let (own, other) = (fixture.project_id, fixture.other_project_id);
    let id = |authorization: &str| json!(credentials(authorization).0);
    let as_client = |id: Value| [("client_id", id.clone()), ("sub", id)];
    assert_eq!(refusal(&routes, &signed(&app, own, &claims, &[]).await).await, "", "signed again, it is as good");

    let strangers = claims_of(&client_token(&app.stranger(), "").await);
    let wrong = [
        ("a resource's", client_token(&app.back_end(), RESOURCE).await),
        ("signed by another project", signed(&app, other, &claims, &[]).await),
        ("a stranger's claims, our key", signed(&app, own, &strangers, &[]).await),
        ("a stranger's name, our key", signed(&app, own, &claims, &as_client(id(&fixture.stranger))).await),
        ("our name, their key and claims", {
            signed(&app, other, &strangers, &as_client(id(&fixture.confidential))).await
        }),
        ("an application's", signed(&app, own, &claims, &as_client(id(&fixture.public))).await),
        ("an operator's", signed(&app, own, &claims, &as_client(id(&fixture.operator))).await),
        ("another subject", signed(&app, own, &claims, &[("sub", id(&fixture.public))]).await),
    ];
    for (what, token) in wrong {
        assert_eq!(refusal(&routes, &token).await, REFUSED, "{what}");
    }
    for (kind, secret) in all_secrets(&app).await {
        // A secret may stand alone.
        let expected = if ["client_secret", "client_token"].contains(&kind) { "" } else { REFUSED };
        assert_eq!(refusal(&routes, &secret).await, expected, "a {kind} as Bearer");
    }
}

#[rstest]
#[tokio::test]
async fn what_was_given_to_a_resource_does_not_open_the_service_though_it_is_the_default_audience(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (project, caller) = project_with(&app, ProjectSettings { default_audience: "api".into(), ..quick() }).await;
    let token = client_token(&caller, "").await;
    assert_eq!((&claims_of(&token)["aud"], refusal(&app.routes(), &token).await), (&json!("api"), String::new()));

    let settings = ProjectSettings {
        default_audience: RESOURCE.into(),
        allowed_resources: vec![RESOURCE.into()],
        ..Default::default()
    };
    update(&app, &project.project_id, settings, &["default_audience", "allowed_resources"]).await.unwrap();
    let resources = client_token(&caller, RESOURCE).await;
    assert_eq!(refusal(&app.routes(), &resources).await, REFUSED);
    let own = client_token(&caller, "").await;
    assert_eq!(claims_of(&own)["aud"], json!(project.project_id));
    assert_eq!(refusal(&app.routes(), &own).await, "");
}

#[rstest]
#[tokio::test]
async fn a_client_token_cut_changed_or_forged_is_refused(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (routes, token) = (app.routes(), client_token(&app.back_end(), "").await);
    assert_eq!(refusal(&routes, &signed_again(&app, &token, TokenKind::Client).await).await, "");
    let more = [
        ("token_kind", json!("access")),
        ("client_id", json!(credentials(&app.fixture.stranger).0)),
        ("client_id", json!(7)),
        ("aud", json!(RESOURCE)),
    ];
    let step = if engine == Engine::Sqlite { 1 } else { 7 };
    let mut wrong = damaged(&token, step);
    wrong.extend(forged(&app, &token, TokenKind::Client, &more).await);
    wrong.push(("as an ID token".into(), signed_again(&app, &token, TokenKind::Id).await));
    wrong.push(("too long".into(), format!("{token}{}", "A".repeat(4096))));
    wrong.push(("nothing".into(), String::new()));
    let (mut tried, mut answers) = (0, std::collections::BTreeSet::new());
    for (what, token) in &wrong {
        // What cannot stand in a header is refused before.
        let authorization = format!("Bearer {token}");
        if HeaderValue::from_str(&authorization).is_err() {
            continue;
        }
        let call = RawCall::to("/auth.v1.UserService/ListUsers").authorization(&authorization);
        let answer = call.header("x-request-id", b"same").send(&routes).await;
        assert_eq!(answer.reason(), REFUSED, "{what}");
        answers.insert((answer.status.message().to_owned(), answer.status.details().to_vec()));
        tried += 1;
    }
    assert!(tried * 10 > wrong.len() * 9, "{tried} of {}", wrong.len());
    assert_eq!(answers.len(), 1, "one answer for everything that is wrong");
}
