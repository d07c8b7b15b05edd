//! A refresh that has to wait for its turn to write.

use chrono::Duration;

use crate::{
    refresh::{first_token, refresh},
    sign_in::claims_of,
    support::{Engine, TestApp},
};

/// Without that, a repetition could come after a grace period that was over before it was written.
#[tokio::test]
async fn one_that_waits_too_long_is_decided_anew_with_another_time() {
    let Some(app) = TestApp::start(Engine::Sqlite).await else { return };
    let token = first_token(&app.public()).await;
    let (store, caller) = (&app.services.store, app.public());
    let writing = store.begin().await.unwrap();
    let mut ahead = Vec::new();
    for _ in 0..4 {
        ahead.push(store.alone().await.unwrap());
    }
    let waits = tokio::spawn(async move { refresh(&caller, &token).await });
    // It waits for five seconds to write what it has read.
    tokio::time::sleep(std::time::Duration::from_secs(7)).await;
    app.clock.advance(Duration::seconds(25));
    drop((writing, ahead));
    let tokens = waits.await.unwrap().unwrap().tokens.unwrap();
    assert_eq!(claims_of(&tokens.access_token)["iat"], app.services.clock.now().timestamp());
}
