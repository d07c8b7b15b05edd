//! Keys change and nobody notices: at no moment does a replica, or a verifier with a cached key set, refuse a good token.

use std::{collections::BTreeSet, sync::Arc};

use axum::body::Body;
use chrono::Duration;
use http::{Request, header::CACHE_CONTROL};
use proptest::{prelude::*, test_runner::TestRunner};
use rstest::rstest;
use sea_orm::{ConnectionTrait as _, Statement};
use signet::{
    clock::Timestamp,
    domain::{
        id::ProjectId,
        project::SESSION_LIFETIME_MAX,
        signing_key::{KeyPurpose, KeyState, PUBLISH_LEAD, StoredKey},
    },
    proto::{
        AuthenticateSessionRequest, ClientType, CreateClientRequest, ProjectSettings, RefreshTokenFormat,
        SigningAlgorithm, authenticate_session_request::Credential,
    },
    random::Random,
    usecase::{
        key_rotation::rotate_keys_of_age,
        signing_keys::{Activation, list_signing_keys, rotate_signing_key},
    },
};
use tonic::{Code, service::Routes};
use tower::ServiceExt as _;

use crate::{
    client_token::client_token,
    keys::{access_token, key_set, kid_of, kids, verify},
    projects::{project_with, quick, seconds, update},
    sign_in::{claims_of, email, session_is_live, try_password},
    support::{Caller, Engine, PASSWORD, TestApp, operator_call, reason},
};

/// How long a verifier may keep a key set, by the answer of the REST API.
async fn cache_period(app: &TestApp, project_id: &str) -> Duration {
    let rest = signet::rest::router(
        signet::rest::upstream::in_process(app.routes()),
        Random::System,
        signet::rest::RestSettings::default(),
    );
    let request = Request::get(format!("/projects/{project_id}/.well-known/jwks.json")).body(Body::empty()).unwrap();
    let answer = rest.oneshot(request).await.unwrap();
    let header = answer.headers()[CACHE_CONTROL].to_str().unwrap().to_owned();
    let seconds = header.split(", ").find_map(|directive| directive.strip_prefix("max-age=")).unwrap();
    Duration::seconds(seconds.parse().unwrap())
}

async fn rotate(app: &TestApp, project: &str, purpose: KeyPurpose, activation: Activation) -> StoredKey {
    let id = ProjectId::parse(project).unwrap();
    rotate_signing_key(&app.services, &operator_call(), id, purpose, activation).await.unwrap()
}

async fn keys_of(app: &TestApp, project: &str, purpose: KeyPurpose) -> Vec<StoredKey> {
    let all = list_signing_keys(&app.services, &operator_call(), ProjectId::parse(project).unwrap()).await.unwrap();
    let mut keys: Vec<_> = all.into_iter().filter(|key| key.key_use.purpose() == purpose).collect();
    // Ids of the same millisecond have no order.
    keys.sort_by_key(|key| key.activates_at);
    keys
}

async fn execute(app: &TestApp, sql: &str) -> u64 {
    let database = app.database().await;
    let statement = Statement::from_string(database.get_database_backend(), sql);
    database.execute_raw(statement).await.unwrap().rows_affected()
}

/// Replicas of the service, each with its own idea of the keys, and what was seen of them.
struct Replicas {
    routes: Vec<Routes>,
    project_id: String,
    authorization: String,
    /// Each key set that a verifier may have fetched: when, and from whom it does not matter.
    fetched: Vec<(Timestamp, BTreeSet<String>)>,
    /// Tokens with their end.
    issued: Vec<(String, i64)>,
}

impl Replicas {
    fn caller(&self, replica: usize) -> Caller {
        Caller::new(self.routes[replica].clone(), Some(&self.authorization))
    }

    async fn fetch(&mut self, now: Timestamp) {
        for routes in &self.routes {
            let set = key_set(routes.clone(), &self.project_id).await;
            self.fetched.push((now, kids(&set).into_iter().collect()));
        }
    }

    /// A token of each replica. Whoever fetched the key set within `cached` before knows its key.
    async fn issue(&mut self, now: Timestamp, cached: Duration) {
        for replica in 0..self.routes.len() {
            let token = access_token(&self.caller(replica)).await;
            let kid = kid_of(&token);
            let known = self.fetched.iter().filter(|(at, _)| now - *at <= cached);
            assert!(known.clone().all(|(_, kids)| kids.contains(&kid)), "a key signs that was not published in time");
            let end = claims_of(&token)["exp"].as_i64().unwrap();
            self.issued.push((token, end));
        }
    }

    async fn check(&self, now: Timestamp) {
        for replica in 0..self.routes.len() {
            let caller = self.caller(replica);
            for (token, end) in &self.issued {
                let is_good = now.timestamp() < *end;
                assert_eq!(
                    session_is_live(&caller, token).await,
                    is_good,
                    "{} s before its end",
                    end - now.timestamp()
                );
            }
        }
        let (_, published) = self.fetched.last().unwrap();
        let good = self.issued.iter().filter(|(_, end)| now.timestamp() < *end);
        assert!(good.into_iter().all(|(token, _)| published.contains(&kid_of(token))), "its key is still published");
    }
}

/// A project with a back end known to several replicas.
async fn replicas(app: &TestApp, count: usize, settings: ProjectSettings) -> Replicas {
    let (project, _) = project_with(app, settings).await;
    let request = CreateClientRequest {
        project_id: project.project_id.clone(),
        name: "replicated".into(),
        client_type: ClientType::Confidential.into(),
        ..Default::default()
    };
    let answer = app.operator().projects.create_client(request).await.unwrap().into_inner();
    let authorization = crate::support::basic(&answer.client.unwrap().client_id, &answer.client_secret.unwrap().into());
    let mut routes = vec![app.routes()];
    for _ in 1..count {
        routes.push(app.replica().await);
    }
    Replicas { routes, project_id: project.project_id, authorization, fetched: Vec::new(), issued: Vec::new() }
}

#[rstest]
#[tokio::test]
async fn through_a_rotation_every_token_verifies_at_every_replica_until_its_own_end(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let mut all = replicas(&app, 3, ProjectSettings { access_token_lifetime: Some(seconds(900)), ..quick() }).await;
    let cached = cache_period(&app, &all.project_id).await;
    assert!(cached + Duration::seconds(5) <= PUBLISH_LEAD, "a new key is in every cache before it signs");
    let (mut elapsed, mut signers) = (0, BTreeSet::new());
    // Before, within the seconds in which a replica may not have seen the new key, around its first second, and until the last
    // token of the old one is over.
    for moment in [0, 1, 2, 4, 5, 6, 11, 120, 300, 599, 600, 601, 602, 603, 605, 606, 700, 1499, 1500, 1502, 1600] {
        app.clock.advance(Duration::seconds(moment - elapsed));
        elapsed = moment;
        let now = app.services.clock.now();
        if moment == 2 {
            rotate(&app, &all.project_id, KeyPurpose::Tokens, Activation::AfterPublication).await;
        }
        all.fetch(now).await;
        all.issue(now, if moment < 2 { Duration::zero() } else { cached }).await;
        all.check(now).await;
        signers.insert(kid_of(&all.issued.last().unwrap().0));
        assert_eq!(signers.len(), if moment < 602 { 1 } else { 2 }, "at {moment}");
    }
}

#[rstest]
#[tokio::test]
async fn a_token_of_a_key_that_signs_at_once_is_taken_by_a_replica_that_has_not_heard_of_it(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let all = replicas(&app, 2, quick()).await;
    let before = access_token(&all.caller(1)).await;
    rotate(&app, &all.project_id, KeyPurpose::Tokens, Activation::Now).await;
    let (first, second) = (access_token(&all.caller(0)).await, client_token(&all.caller(0), "").await);
    assert_ne!(kid_of(&first), kid_of(&before));
    // The clock stands still: what it knew a moment ago it still takes for fresh. Many come at once.
    let mut together = Vec::new();
    for _ in 0..20 {
        let (caller, token) = (all.caller(1), first.clone());
        together.push(tokio::spawn(async move { session_is_live(&caller, &token).await }));
    }
    for taken in together {
        assert!(taken.await.unwrap());
    }
    let by_token = Caller::new(all.routes[1].clone(), Some(&format!("Bearer {second}")));
    assert!(session_is_live(&by_token, &before).await);
}

#[rstest]
#[tokio::test]
async fn of_two_replicas_that_find_a_key_of_age_one_makes_its_successor(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (project, caller) = project_with(&app, quick()).await;
    let id = &project.project_id;
    let other = app.replica_services().await;
    let round = async || {
        let (one, two) = (Arc::clone(&app.services), Arc::clone(&other));
        let one = tokio::spawn(async move { rotate_keys_of_age(&one, None).await.unwrap() });
        let two = tokio::spawn(async move { rotate_keys_of_age(&two, None).await.unwrap() });
        one.await.unwrap().made + two.await.unwrap().made
    };
    app.clock.advance(Duration::days(400));
    assert_eq!(round().await, 0, "never, unless the project says so");
    let week = ProjectSettings { key_rotation_interval: Some(seconds(7 * 86_400)), ..Default::default() };
    update(&app, id, week, &["key_rotation_interval"]).await.unwrap();

    for generation in 2..5 {
        let old = access_token(&caller).await;
        assert_eq!(round().await, 2, "one key of each use");
        assert_eq!(round().await, 0, "the new one waits for its time");
        for purpose in KeyPurpose::ALL {
            let keys = keys_of(&app, id, purpose).await;
            assert_eq!(keys.len(), generation);
            let (newest, now) = (keys.last().unwrap(), app.services.clock.now());
            assert_eq!((newest.activates_at, newest.state_at(now)), (now + PUBLISH_LEAD, KeyState::Pending));
        }
        assert_eq!(kid_of(&access_token(&caller).await), kid_of(&old), "pending does not sign");
        app.clock.advance(PUBLISH_LEAD);
        assert_ne!(kid_of(&access_token(&caller).await), kid_of(&old));
        assert!(session_is_live(&caller, &old).await);
        app.clock.advance(Duration::days(7) - Duration::seconds(1));
        assert_eq!(round().await, 0, "not of age");
        app.clock.advance(Duration::seconds(1));
    }
    let events = app.services.store.view().events().kinds(ProjectId::parse(id).unwrap()).await.unwrap();
    let created = |cause: &str| events.iter().filter(|(_, word)| word.as_deref() == Some(cause)).count();
    assert_eq!((created("EdDSA"), created("HS256")), (4, 4), "as with the command");
}

#[rstest]
#[tokio::test]
async fn a_key_that_cannot_be_made_does_not_stop_the_others(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let settings = ProjectSettings { key_rotation_interval: Some(seconds(7 * 86_400)), ..quick() };
    let mut projects = Vec::new();
    for _ in 0..3 {
        projects.push(project_with(&app, settings.clone()).await.0.project_id);
        app.clock.advance(Duration::seconds(1));
    }
    app.clock.advance(Duration::days(8));
    // The keys of the second project make no sense.
    let second = uuid::Uuid::from(ProjectId::parse(&projects[1]).unwrap());
    let literal = match engine {
        Engine::Sqlite => format!("X'{}'", second.simple()),
        Engine::Postgres => format!("'{second}'"),
    };
    let sql = format!("UPDATE signing_keys SET key_use = 'odd' WHERE project_id = {literal}");
    assert_eq!(execute(&app, &sql).await, 2);
    assert_eq!(rotate_keys_of_age(&app.services, None).await.unwrap().made, 4, "two each for the first and the third");
}

#[rstest]
#[tokio::test]
async fn keys_are_kept_as_long_as_what_they_made_can_live(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
    #[values(false, true)] with_jwt_refresh_tokens: bool,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (project, _) = project_with(&app, quick()).await;
    let id = &project.project_id;
    // The successor is there already when the client comes whose refresh tokens the old key will sign.
    for purpose in KeyPurpose::ALL {
        rotate(&app, id, purpose, Activation::AfterPublication).await;
    }
    if with_jwt_refresh_tokens {
        let request = CreateClientRequest {
            project_id: id.clone(),
            name: "reads its refresh tokens".into(),
            client_type: ClientType::Public.into(),
            refresh_token_format: RefreshTokenFormat::Jwt.into(),
            ..Default::default()
        };
        app.operator().projects.create_client(request).await.unwrap();
    }
    rotate(&app, id, KeyPurpose::Tokens, Activation::AfterPublication).await;
    let (year, skew) = (SESSION_LIFETIME_MAX, Duration::minutes(5));
    let jwt = if with_jwt_refresh_tokens { year } else { Duration::hours(48) };
    for (purpose, kept_for) in [(KeyPurpose::Tokens, jwt), (KeyPurpose::RefreshTokens, year)] {
        for key in keys_of(&app, id, purpose).await.iter().filter(|key| key.replaced_at.is_some()) {
            let kept = key.retires_at.unwrap() - key.replaced_at.unwrap();
            assert_eq!(kept, kept_for + skew, "{purpose:?}");
        }
    }
    let old = keys_of(&app, id, KeyPurpose::Tokens).await[0].clone();
    app.clock.advance(old.retires_at.unwrap() - app.services.clock.now() - Duration::microseconds(1));
    assert!(kids(&key_set(app.routes(), id).await).contains(&old.id.to_string()), "published to the end");
    app.clock.advance(Duration::microseconds(1));
    assert!(!kids(&key_set(app.routes(), id).await).contains(&old.id.to_string()), "and then gone");
}

#[rstest]
#[tokio::test]
async fn a_project_that_lost_its_keys_is_repaired_at_once(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
    #[values("HS256", "EdDSA")] lost: &str,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (project, caller) = project_with(&app, quick()).await;
    assert!(execute(&app, &format!("DELETE FROM signing_keys WHERE key_use = '{lost}'")).await > 0);
    app.clock.advance(Duration::seconds(5));
    let status = try_password(&caller, email("ada@example.com"), PASSWORD).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Internal, "INTERNAL"));
    let purpose = if lost == "HS256" { KeyPurpose::RefreshTokens } else { KeyPurpose::Tokens };
    rotate(&app, &project.project_id, purpose, Activation::AfterPublication).await;
    try_password(&caller, email("ada@example.com"), PASSWORD).await.unwrap();
}

async fn make_unreadable(app: &TestApp, key: &StoredKey, engine: Engine) {
    let id = uuid::Uuid::from(key.id);
    let (id, nothing) = match engine {
        Engine::Sqlite => (format!("X'{}'", id.simple()), "X'00'"),
        Engine::Postgres => (format!("'{id}'"), "'\\x00'"),
    };
    let done = execute(app, &format!("UPDATE signing_keys SET sealed = {nothing} WHERE id = {id}")).await;
    assert_eq!(done, 1);
    app.clock.advance(Duration::seconds(5));
}

#[rstest]
#[tokio::test]
async fn a_key_that_cannot_be_read_spoils_nothing_but_what_it_made(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (project, caller) = project_with(&app, quick()).await;
    let id = &project.project_id;
    let first = access_token(&caller).await;
    app.clock.advance(Duration::seconds(1));
    let second = rotate(&app, id, KeyPurpose::Tokens, Activation::Now).await;
    let lost = access_token(&caller).await;
    assert_eq!(kid_of(&lost), second.id.to_string());
    let reason_for = async |token: &str| {
        let credential = Some(Credential::AccessToken(token.into()));
        let request = AuthenticateSessionRequest { credential, ..Default::default() };
        let refused = caller.auth.clone().authenticate_session(request).await.err();
        refused.map(|status| reason(&status)).unwrap_or_default()
    };

    make_unreadable(&app, &second, engine).await;
    assert_eq!(reason_for(&first).await, "");
    assert_eq!(reason_for(&lost).await, "INTERNAL", "a fault of ours does not make a token invalid");
    let meanwhile = access_token(&caller).await;
    assert_eq!(kid_of(&meanwhile), kid_of(&first), "the one before goes on signing");
    assert_eq!(kids(&key_set(app.routes(), id).await), [kid_of(&first)]);

    let third = rotate(&app, id, KeyPurpose::Tokens, Activation::Now).await;
    assert_eq!(kid_of(&access_token(&caller).await), third.id.to_string());
    assert_eq!(reason_for(&meanwhile).await, "");

    // Nothing can sign at all: sign-ins fail, everything else goes on.
    let all = keys_of(&app, id, KeyPurpose::Tokens).await;
    make_unreadable(&app, &third, engine).await;
    make_unreadable(&app, &all[0], engine).await;
    let status = try_password(&caller, email("ada@example.com"), PASSWORD).await.unwrap_err();
    assert_eq!(reason(&status), "INTERNAL");
    let session_id = claims_of(&first)["sid"].as_str().unwrap().to_owned();
    let request =
        AuthenticateSessionRequest { credential: Some(Credential::SessionId(session_id)), ..Default::default() };
    caller.auth.clone().authenticate_session(request).await.unwrap();
    rotate(&app, id, KeyPurpose::Tokens, Activation::Now).await;
    access_token(&caller).await;
}

/// What can happen to a project's keys.
#[derive(Clone, Debug)]
enum Step {
    Rotate(bool),
    ChangeAlgorithm(bool),
    Advance(i64),
    Issue(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => any::<bool>().prop_map(Step::Rotate),
        1 => any::<bool>().prop_map(Step::ChangeAlgorithm),
        4 => prop_oneof![1_i64..10, 290_i64..310, 590_i64..610, 3_590_i64..3_610, 86_000_i64..90_000].prop_map(Step::Advance),
        4 => (0_usize..2).prop_map(Step::Issue),
    ]
}

async fn walk(engine: Engine, steps: Vec<Step>) {
    let Some(app) = TestApp::start(engine).await else { return };
    let mut all = replicas(&app, 2, ProjectSettings { access_token_lifetime: Some(seconds(86_400)), ..quick() }).await;
    for step in steps {
        // Less than this apart a replica need not look for a second unknown key.
        app.clock.advance(Duration::seconds(1));
        match step {
            Step::Rotate(at_once) => {
                let activation = if at_once { Activation::Now } else { Activation::AfterPublication };
                rotate(&app, &all.project_id, KeyPurpose::Tokens, activation).await;
            }
            Step::ChangeAlgorithm(to_es256) => {
                let algorithm = if to_es256 { SigningAlgorithm::Es256 } else { SigningAlgorithm::Eddsa };
                let settings = ProjectSettings { signing_algorithm: algorithm.into(), ..Default::default() };
                update(&app, &all.project_id, settings, &["signing_algorithm"]).await.unwrap();
            }
            Step::Advance(seconds) => app.clock.advance(Duration::seconds(seconds)),
            Step::Issue(replica) => {
                let token = access_token(&all.caller(replica)).await;
                let end = claims_of(&token)["exp"].as_i64().unwrap();
                all.issued.push((token, end));
            }
        }
        let now = app.services.clock.now();
        // This replica makes the changes, so that its key set is always of today.
        let set = key_set(all.routes[0].clone(), &all.project_id).await;
        all.fetched = vec![(now, kids(&set).into_iter().collect())];
        all.check(now).await;
        for (token, _) in all.issued.iter().filter(|(_, end)| now.timestamp() < *end) {
            let issuer = format!("https://auth.example/projects/{}", all.project_id);
            verify(&set, token, &issuer, &all.project_id).unwrap();
        }
    }
}

#[rstest]
#[case(Engine::Sqlite, 24)]
#[case(Engine::Postgres, 4)]
fn whatever_is_done_to_the_keys_each_token_verifies_until_its_end(#[case] engine: Engine, #[case] cases: u32) {
    let mut runner = TestRunner::new(ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() });
    let walks = proptest::collection::vec(step(), 1..30);
    let outcome = runner.run(&walks, |steps| {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(walk(engine, steps));
        Ok(())
    });
    outcome.unwrap();
}
