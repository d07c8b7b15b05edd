//! Signing keys: what a verifier that knows nothing but the key set makes of our tokens, and how keys change.

use std::sync::Arc;

use chrono::Duration;
use jsonwebtoken::{DecodingKey, TokenData, Validation, jwk::JwkSet};
use prost_reflect::{DynamicMessage, ReflectMessage as _};
use rstest::rstest;
use serde_json::Value;
use signet::{
    domain::{
        id::ProjectId,
        signing_key::{KeyPurpose, KeyUse},
    },
    proto::{
        AuthenticatePasswordResponse, GetJsonWebKeySetRequest, ProjectSettings, SigningAlgorithm, TokenOptions,
        auth_service_client::AuthServiceClient,
    },
    usecase::signing_keys::{Activation, list_signing_keys, rotate_signing_key},
};
use tonic::service::Routes;

use crate::{
    projects::{project_with, quick, seconds, update},
    sign_in::{claims_of, email, session_is_live, try_password, with_password},
    support::{ADA, Caller, Engine, PASSWORD, TestApp, method, operator_call},
};

/// The key set of a project as JSON: all that a verifier gets to see.
pub(crate) async fn key_set(routes: Routes, project_id: &str) -> Value {
    let request = GetJsonWebKeySetRequest { project_id: project_id.into(), ..Default::default() };
    let answer = AuthServiceClient::new(routes).get_json_web_key_set(request).await.unwrap().into_inner();
    let descriptor = method("/auth.v1.AuthService/GetJsonWebKeySet").output();
    let mut message = DynamicMessage::new(descriptor);
    message.transcode_from(&answer).unwrap();
    assert_eq!(message.descriptor().name(), "GetJsonWebKeySetResponse");
    serde_json::to_value(message).unwrap()
}

pub(crate) fn kids(key_set: &Value) -> Vec<String> {
    key_set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

pub(crate) fn kid_of(token: &str) -> String {
    jsonwebtoken::decode_header(token).unwrap().kid.unwrap()
}

/// Checks a token the way any back end would, with a stock library.
pub(crate) fn verify(
    key_set: &Value,
    token: &str,
    issuer: &str,
    audience: &str,
) -> Result<TokenData<Value>, jsonwebtoken::errors::Error> {
    let set: JwkSet = serde_json::from_value(key_set.clone()).unwrap();
    let key = set.find(&kid_of(token)).expect("the key is in the set");
    let algorithm = key.common.key_algorithm.unwrap().to_string().parse().unwrap();
    let mut validation = Validation::new(algorithm);
    validation.set_issuer(&[issuer]);
    validation.set_audience(&[audience]);
    validation.set_required_spec_claims(&["iss", "aud", "exp", "sub"]);
    // The library's clock is the machine's, which stands before ours.
    validation.validate_nbf = false;
    jsonwebtoken::decode(token, &DecodingKey::from_jwk(key)?, &validation)
}

async fn sign_in(caller: &Caller) -> AuthenticatePasswordResponse {
    try_password(caller, email(ADA), PASSWORD).await.unwrap()
}

pub(crate) async fn access_token(caller: &Caller) -> String {
    sign_in(caller).await.tokens.unwrap().access_token
}

#[rstest]
#[case(SigningAlgorithm::Rs256, "RS256", "RSA", &["e", "n", "x5c", "x5tS256"])]
#[case(SigningAlgorithm::Es256, "ES256", "EC", &["crv", "x", "y"])]
#[case(SigningAlgorithm::Eddsa, "EdDSA", "OKP", &["crv", "x"])]
#[tokio::test]
async fn tokens_verify_with_the_key_set_alone(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
    #[case] signing_algorithm: SigningAlgorithm,
    #[case] alg: &str,
    #[case] kty: &str,
    #[case] members: &[&str],
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let settings = ProjectSettings {
        signing_algorithm: signing_algorithm.into(),
        allowed_resources: vec!["https://api.example/".into()],
        ..quick()
    };
    let (project, mut caller) = project_with(&app, settings).await;
    let mut request = with_password(email(ADA), PASSWORD);
    let resource = "https://api.example/".to_owned();
    request.token_options = Some(TokenOptions { include_id_token: true, resource, claims: None });
    let answer = caller.auth.authenticate_password(request).await.unwrap().into_inner();
    let (tokens, session) = (answer.tokens.unwrap(), answer.session.unwrap());

    let set = key_set(app.routes(), &project.project_id).await;
    let key = &set["keys"].as_array().unwrap()[0];
    let mut expected: Vec<_> = ["alg", "kid", "kty", "use"].iter().chain(members).copied().collect();
    expected.sort_unstable();
    assert_eq!(key.as_object().unwrap().keys().collect::<Vec<_>>(), expected, "nothing private, nothing superfluous");
    assert_eq!((key["alg"].as_str(), key["kty"].as_str(), key["use"].as_str()), (Some(alg), Some(kty), Some("sig")));

    let issuer = format!("https://auth.example/projects/{}", project.project_id);
    let access = verify(&set, &tokens.access_token, &issuer, "https://api.example/").unwrap();
    assert_eq!(access.header.typ.as_deref(), Some("at+jwt"));
    let id_token = tokens.id_token.unwrap();
    let id = verify(&set, &id_token, &issuer, &session.client_id).unwrap();
    for claims in [&access.claims, &id.claims] {
        let start = crate::support::start().timestamp();
        assert_eq!((claims["iat"].as_i64(), claims["exp"].as_i64()), (Some(start), Some(start + 3600)));
        assert_eq!(claims["sub"], answer.user.as_ref().unwrap().user_id);
        assert_eq!(claims["sid"], session.session_id);
        assert!(claims.as_object().unwrap().values().all(|claim| !claim.is_null()), "absent, never null");
    }
    for wrong in [("https://other.example/", "https://api.example/"), (&issuer, "other")] {
        assert!(verify(&set, &tokens.access_token, wrong.0, wrong.1).is_err());
    }
    let other = key_set(app.routes(), &app.fixture.project_id.to_string()).await;
    let mut swapped = other["keys"][0].clone();
    swapped["kid"] = key["kid"].clone();
    let forged = serde_json::json!({"keys": [swapped]});
    assert!(verify(&forged, &tokens.access_token, &issuer, "https://api.example/").is_err(), "another key");
}

#[rstest]
#[tokio::test]
async fn issuer_and_audience_are_what_the_project_says(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let settings =
        ProjectSettings { issuer: "https://login.example/".into(), default_audience: "api".into(), ..quick() };
    let (project, caller) = project_with(&app, settings).await;
    let token = access_token(&caller).await;
    let set = key_set(app.routes(), &project.project_id).await;
    verify(&set, &token, "https://login.example/", "api").unwrap();
    assert!(session_is_live(&caller, &token).await);
}

#[rstest]
#[tokio::test]
async fn a_new_key_is_published_before_it_signs_and_the_old_one_until_its_last_token_has_expired(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (project, caller) = project_with(&app, quick()).await;
    let id = ProjectId::parse(&project.project_id).unwrap();
    let replicas = [app.routes(), app.replica().await];
    let published = async || {
        let mut sets = Vec::new();
        for routes in &replicas {
            let mut kids = kids(&key_set(routes.clone(), &project.project_id).await);
            kids.sort();
            sets.push(kids);
        }
        assert_eq!(sets[0], sets[1]);
        sets.remove(0)
    };
    let old = published().await;
    let new = rotate_signing_key(&app.services, &operator_call(), id, KeyPurpose::Tokens, Activation::AfterPublication)
        .await
        .unwrap();
    let (old, new) = (old[0].clone(), new.id.to_string());
    let mut both = vec![old.clone(), new.clone()];
    both.sort();

    // Another replica keeps keys for five seconds.
    app.clock.advance(Duration::seconds(5));
    assert_eq!(published().await, both, "published at once");
    assert_eq!(kid_of(&access_token(&caller).await), old, "but not used yet");
    app.clock.advance(Duration::seconds(600 - 5 - 1));
    let last = access_token(&caller).await;
    assert_eq!(kid_of(&last), old);
    app.clock.advance(Duration::seconds(1));
    let first = access_token(&caller).await;
    assert_eq!(kid_of(&first), new, "signs after ten minutes");

    app.clock.advance(Duration::seconds(3600 - 2));
    assert_eq!(published().await, both);
    assert!(session_is_live(&caller, &last).await, "the old key's last token is good to its end");
    app.clock.advance(Duration::seconds(1));
    assert!(!session_is_live(&caller, &last).await);
    assert!(session_is_live(&caller, &first).await);
    assert_eq!(published().await, both, "verifiers whose clocks run late still want the old one");
    app.clock.advance(Duration::hours(23 + 24));
    assert_eq!(published().await, both, "as long as any setting lets tokens live, and late ones are taken");
    app.clock.advance(Duration::seconds(301));
    assert_eq!(published().await, std::slice::from_ref(&new), "and then it is gone");
    assert_eq!(kid_of(&access_token(&caller).await), new);
}

#[rstest]
#[tokio::test]
async fn a_key_can_be_replaced_at_once(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (project, caller) = project_with(&app, quick()).await;
    let id = ProjectId::parse(&project.project_id).unwrap();
    let before = access_token(&caller).await;
    // Even while another one waits for its time.
    rotate_signing_key(&app.services, &operator_call(), id, KeyPurpose::Tokens, Activation::AfterPublication)
        .await
        .unwrap();
    let new =
        rotate_signing_key(&app.services, &operator_call(), id, KeyPurpose::Tokens, Activation::Now).await.unwrap();
    for minutes in [0, 5, 10] {
        app.clock.advance(Duration::minutes(minutes));
        assert_eq!(kid_of(&access_token(&caller).await), new.id.to_string());
        assert!(session_is_live(&caller, &before).await);
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn of_keys_that_are_made_together_one_is_the_last(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let id = app.fixture.project_id;
    let rotations = (0..24).map(|_| {
        let services = Arc::clone(&app.services);
        let call = operator_call();
        tokio::spawn(async move {
            rotate_signing_key(&services, &call, id, KeyPurpose::Tokens, Activation::AfterPublication).await.unwrap()
        })
    });
    for rotation in rotations.collect::<Vec<_>>() {
        rotation.await.unwrap();
    }
    let keys = list_signing_keys(&app.services, &operator_call(), id).await.unwrap();
    let endless = keys.iter().filter(|key| matches!(key.key_use, KeyUse::Jwt(_)) && key.replaced_at.is_none());
    assert_eq!(endless.count(), 1, "every other one has an end");
}

#[rstest]
#[tokio::test]
async fn a_new_algorithm_comes_with_a_key_of_its_own(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (project, caller) = project_with(&app, quick()).await;
    let before = access_token(&caller).await;
    let settings = ProjectSettings { signing_algorithm: SigningAlgorithm::Es256.into(), ..Default::default() };
    update(&app, &project.project_id, settings, &["signing_algorithm"]).await.unwrap();
    assert_eq!(kids(&key_set(app.routes(), &project.project_id).await).len(), 2);
    assert_eq!(kid_of(&access_token(&caller).await), kid_of(&before), "verifiers have to see the new key first");
    app.clock.advance(Duration::minutes(10));
    let after = access_token(&caller).await;
    assert_eq!(jsonwebtoken::decode_header(&after).unwrap().alg, jsonwebtoken::Algorithm::ES256);
    let set = key_set(app.routes(), &project.project_id).await;
    let issuer = claims_of(&after)["iss"].as_str().unwrap().to_owned();
    for token in [&before, &after] {
        verify(&set, token, &issuer, &project.project_id).unwrap();
        assert!(session_is_live(&caller, token).await);
    }
}

#[rstest]
#[tokio::test]
async fn a_longer_lifetime_keeps_a_key_that_is_about_to_be_replaced(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (project, caller) = project_with(&app, quick()).await;
    let id = ProjectId::parse(&project.project_id).unwrap();
    rotate_signing_key(&app.services, &operator_call(), id, KeyPurpose::Tokens, Activation::AfterPublication)
        .await
        .unwrap();
    let longer = ProjectSettings { access_token_lifetime: Some(seconds(86_400)), ..Default::default() };
    update(&app, &project.project_id, longer, &["access_token_lifetime"]).await.unwrap();
    app.clock.advance(Duration::minutes(9));
    let token = access_token(&caller).await;
    app.clock.advance(Duration::hours(24) - Duration::seconds(1));
    assert!(session_is_live(&caller, &token).await, "signed by the old key with a day to live");
    assert!(kids(&key_set(app.routes(), &project.project_id).await).contains(&kid_of(&token)));
}
