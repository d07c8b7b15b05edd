//! Calls that arrive together.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use chrono::Duration;
use rstest::rstest;
use signet::proto::{CreateClientSecretRequest, DeleteClientSecretRequest, ListUsersRequest};
use tokio::task::JoinSet;

use crate::{
    sign_in::{email, try_password},
    support::{Engine, PASSWORD, RoundTrips, TestApp, basic, credentials, reason},
};

/// Four connections, and keys that have to be read anew: a sign-in that held one connection and waited for a second would wait
/// for the others, which wait for it.
#[rstest]
#[tokio::test]
async fn many_right_passwords_all_succeed_with_few_connections(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    for _ in 0..3 {
        app.clock.advance(Duration::minutes(1));
        let mut calls = JoinSet::new();
        for _ in 0..20 {
            let caller = app.back_end();
            calls.spawn(async move { try_password(&caller, email("ada@example.com"), PASSWORD).await });
        }
        for answer in calls.join_all().await {
            answer.unwrap();
        }
    }
}

/// Each asks for the client that it is of, which is looked up for several at once.
#[rstest]
#[tokio::test]
async fn a_crowd_of_one_client_looks_it_up_a_few_times(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    const CROWD: usize = 40;
    let Some(app) = TestApp::start(engine).await else { return };
    let (trips, _guard) = RoundTrips::counted();
    let mut calls = JoinSet::new();
    for _ in 0..CROWD {
        let mut caller = app.back_end();
        calls.spawn(async move { caller.users.list_users(ListUsersRequest::default()).await });
    }
    for answer in calls.join_all().await {
        answer.unwrap();
    }
    // What is read for several is in the trace of none of them.
    let alone = trips.count("SELECT clients");
    assert!((1..CROWD / 2).contains(&alone), "{alone}");
}

/// Whoever calls after that must not be told what was read before it.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beside_a_crowd_a_deleted_secret_is_refused_at_once(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let mut operator = app.operator().projects;
    let (project_id, client_id) = (app.fixture.project_id.to_string(), credentials(&app.fixture.confidential).0);
    let is_over = Arc::new(AtomicBool::new(false));
    let mut crowd = JoinSet::new();
    for _ in 0..16 {
        let (mut users, is_over) = (app.back_end().users, Arc::clone(&is_over));
        crowd.spawn(async move {
            let mut answered = 0;
            while !is_over.load(Ordering::Relaxed) {
                answered += u32::from(users.list_users(ListUsersRequest::default()).await.is_ok());
            }
            answered
        });
    }
    for _ in 0..20 {
        let request = CreateClientSecretRequest { project_id: project_id.clone(), client_id: client_id.clone() };
        let created = operator.create_client_secret(request).await.unwrap().into_inner();
        let authorization = basic(&client_id, &created.client_secret.into());
        let mut users: Vec<_> = (0..8).map(|_| app.caller(Some(&authorization)).users).collect();
        let mut own = JoinSet::new();
        for mut users in users.clone() {
            own.spawn(async move { while users.list_users(ListUsersRequest::default()).await.is_ok() {} });
        }
        users[0].list_users(ListUsersRequest::default()).await.unwrap();
        let delete = DeleteClientSecretRequest {
            project_id: project_id.clone(),
            client_id: client_id.clone(),
            client_secret_id: created.secret.unwrap().client_secret_id,
        };
        operator.delete_client_secret(delete).await.unwrap();
        for users in &mut users {
            let refused = users.list_users(ListUsersRequest::default()).await.unwrap_err();
            assert_eq!(reason(&refused), "CALLER_UNAUTHENTICATED");
        }
        own.join_all().await;
    }
    is_over.store(true, Ordering::Relaxed);
    assert!(crowd.join_all().await.into_iter().all(|answered| answered > 0));
}
