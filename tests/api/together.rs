//! Calls that arrive together.

use chrono::Duration;
use rstest::rstest;
use tokio::task::JoinSet;

use crate::{
    sign_in::{email, try_password},
    support::{Engine, PASSWORD, TestApp},
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
