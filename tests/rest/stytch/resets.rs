use insta::assert_json_snapshot;
use serde_json::{Value, json};
use url::Url;

use super::{Shop, assert_error};
use crate::{shape::shape, support::ADA};

const PAGE: &str = "https://app.example/reset";

/// The link of the last mail, once it is seen to say what it is for; its token.
async fn mailed_token(shop: &Shop) -> String {
    let link = shop.app.last_mail_to(ADA).await.link.expect("the mail holds a link");
    let link = Url::parse(&link).unwrap();
    assert!(link.as_str().starts_with(PAGE), "{link}");
    let value = |wanted: &str| link.query_pairs().find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned());
    assert_eq!(value("stytch_token_type").as_deref(), Some("reset_password"), "{link}");
    value("token").expect("the link holds a token")
}

#[tokio::test]
async fn a_mailed_link_sets_a_new_password() {
    let shop = Shop::start().await;
    let old = shop.sign_in().await;
    let start = json!({"email": ADA, "reset_password_redirect_url": PAGE, "reset_password_expiration_minutes": 30});
    let started = shop.post("/v1/passwords/email/reset/start", start).await;
    assert_json_snapshot!("passwords_email_reset_start", shape(&started));
    let reset = json!({
        "token": mailed_token(&shop).await, "password": "eleven little ducks", "session_duration_minutes": 60,
        "session_custom_claims": {"seat": 7},
    });
    let done = shop.post("/v1/passwords/email/reset", reset.clone()).await;
    assert_json_snapshot!("passwords_email_reset", shape(&done));
    assert_error(&shop.post("/v1/passwords/email/reset", reset).await, 401, "unable_to_auth_password_reset_token");
    let session = shop.post("/v1/sessions/authenticate", json!({"session_token": old["session_token"]})).await;
    assert_error(&session, 404, "session_not_found");
}

#[tokio::test]
async fn without_a_duration_a_reset_opens_no_session() {
    let shop = Shop::start().await;
    shop.post("/v1/passwords/email/reset/start", json!({"email": ADA, "reset_password_redirect_url": PAGE})).await;
    let reset = json!({"token": mailed_token(&shop).await, "password": "eleven little ducks"});
    let done = shop.post("/v1/passwords/email/reset", reset).await;
    let told = [&done.json["session"], &done.json["session_token"], &done.json["session_jwt"]];
    assert_eq!(told, [&Value::Null, &json!(""), &json!("")], "{}", done.text());
}

#[tokio::test]
async fn a_page_can_reset_a_password_and_does_not_learn_who_has_an_account() {
    let shop = Shop::start().await;
    let start = |email: &str| json!({"email": email, "reset_password_redirect_url": PAGE});
    let path = "/sdk/v1/passwords/email/reset/start";
    let mut answers = Vec::new();
    for email in [ADA, "nobody@example.com"] {
        let call = shop.page(http::Method::POST, path, None).header("x-request-id", "the-same");
        answers.push(call.json(&start(email)).await);
    }
    assert_eq!(answers[0].body, answers[1].body);
    assert_json_snapshot!("page_passwords_email_reset_start", shape(&answers[0]));
    let reset = json!({
        "token": mailed_token(&shop).await, "password": "eleven little ducks", "session_duration_minutes": 60,
    });
    let done = shop.post_from_page("/sdk/v1/passwords/email/reset", None, reset).await;
    assert_eq!((done.status, &done.json["data"]["user"]["emails"][0]["verified"]), (200, &json!(true)));
}

#[tokio::test]
async fn a_reset_is_refused_in_the_words_of_the_vendor() {
    let shop = Shop::start().await;
    let start = async |body: Value| shop.post("/v1/passwords/email/reset/start", body).await;
    let elsewhere = json!({"email": ADA, "reset_password_redirect_url": "https://evil.example/"});
    assert_error(&start(elsewhere).await, 400, "invalid_password_reset_redirect_url");
    assert_error(
        &start(json!({"email": "nobody@example.com", "reset_password_redirect_url": PAGE})).await,
        404,
        "email_not_found",
    );
    let long = json!({"email": ADA, "reset_password_redirect_url": PAGE, "reset_password_expiration_minutes": 4});
    assert_error(&start(long).await, 400, "invalid_expiration");
    let pkce = json!({"email": ADA, "reset_password_redirect_url": PAGE, "code_challenge": "x"});
    assert_error(&start(pkce).await, 400, "bad_request");
    let reset = async |body: Value| shop.post("/v1/passwords/email/reset", body).await;
    let pkce = json!({"token": "t", "password": "p", "code_verifier": "v"});
    assert_error(&reset(pkce).await, 400, "pkce_did_not_expect_code_verifier");
    let matching = json!({"token": "t", "password": "p", "options": {"ip_match_required": true}});
    assert_error(&reset(matching).await, 400, "bad_request");
}

#[tokio::test]
async fn too_many_mails_are_slowed_down() {
    let shop = Shop::start().await;
    let start = json!({"email": ADA, "reset_password_redirect_url": PAGE});
    for _ in 0..20 {
        let answer = shop.post("/v1/passwords/email/reset/start", start.clone()).await;
        if answer.status != 200 {
            assert_error(&answer, 429, "too_many_requests");
            assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0);
            return;
        }
    }
    panic!("twenty mails to one address");
}
