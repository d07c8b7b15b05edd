//! Who has an account does not show: neither in the answer nor in the work.

use serde_json::{Value, json};

use super::Descope;
use crate::support::{ADA, PASSWORD};

/// Each answers with the same bytes for an unknown user and for a wrong password, after one hash.
async fn answers_alike(path: &str, body: impl Fn(&str) -> Value) {
    let descope = Descope::start().await;
    let mut told = Vec::new();
    for login_id in [ADA, "nobody@example.com", "nobody", "+12025550199"] {
        let before = descope.app.hashes();
        let answer = descope.post(path, body(login_id)).await;
        let headers: Vec<_> = answer.headers.keys().map(ToString::to_string).collect();
        told.push((answer.status, answer.text().to_owned(), headers, descope.app.hashes() - before));
    }
    assert_eq!((told[0].0, told[0].3), (401, 1), "{told:?}");
    assert!(told[0].1.contains("E062903"), "{told:?}");
    assert!(told.iter().all(|other| *other == told[0]), "{told:?}");
}

#[tokio::test]
async fn sign_in_answers_alike() {
    answers_alike("/v1/auth/password/signin", |login_id| json!({ "loginId": login_id, "password": "wrong" })).await;
}

#[tokio::test]
async fn replace_answers_alike() {
    let body =
        |login_id: &str| json!({ "loginId": login_id, "oldPassword": "not the passphrase", "newPassword": PASSWORD });
    answers_alike("/v1/auth/password/replace", body).await;
}
