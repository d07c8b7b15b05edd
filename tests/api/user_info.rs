//! What an access token says of its user.

use chrono::Duration;
use rstest::rstest;
use serde_json::json;
use signet::{
    crypto::jwt::TokenKind,
    proto::{DeleteUserRequest, DisableUserRequest, GetUserInfoRequest},
};
use tonic::Status;

use crate::{
    client_token::client_token,
    forgery::{damaged, forged},
    session_service::revoke,
    sessions::sign_in,
    sign_in::{email, with_password},
    support::{Caller, Engine, PASSWORD, TestApp, json_of, reason},
};

async fn ask(caller: &Caller, token: &str) -> Result<serde_json::Value, Status> {
    let request = GetUserInfoRequest { access_token: token.into() };
    Ok(json_of(&caller.auth.clone().get_user_info(request).await?.into_inner().claims.unwrap()))
}

async fn refused(app: &TestApp, token: &str) -> String {
    ask(&app.anonymous(), token).await.err().map(|status| reason(&status)).unwrap_or_default()
}

#[rstest]
#[tokio::test]
async fn the_token_is_the_only_credential(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let token = sign_in(&app).await.tokens.unwrap().access_token;
    let mut told = ask(&app.anonymous(), &token).await.unwrap();
    assert!(told.as_object_mut().unwrap().remove("updated_at").unwrap().is_number());
    let expected = json!({
        "sub": app.fixture.ada.to_string(), "email": "ada@example.com", "email_verified": true, "name": "Given",
        "given_name": "Given", "preferred_username": "ada", "phone_number": "+12025550123", "phone_number_verified": false,
    });
    assert_eq!(told, expected);
    assert!(ask(&app.stranger(), &token).await.is_ok(), "whoever holds it may ask");
}

#[rstest]
#[tokio::test]
async fn no_other_token_and_no_forged_one_is_taken(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let tokens = sign_in(&app).await.tokens.unwrap();
    let mut request = with_password(email("ada@example.com"), PASSWORD);
    request.token_options = Some(signet::proto::TokenOptions { include_id_token: true, ..Default::default() });
    let with_id = app.back_end().auth.authenticate_password(request).await.unwrap().into_inner().tokens.unwrap();
    let client = client_token(&app.back_end(), "").await;
    for other in [tokens.session_token.as_ref(), with_id.id_token.as_ref(), Some(&client), Some(&tokens.refresh_token)]
    {
        assert_eq!(refused(&app, other.unwrap()).await, "TOKEN_INVALID");
    }
    let token = tokens.access_token;
    let step = if engine == Engine::Sqlite { 3 } else { 29 };
    let forged = forged(&app, &token, TokenKind::Access, &[("client_id", json!("client_x"))]).await;
    for (what, wrong) in damaged(&token, step).into_iter().chain(forged) {
        assert_eq!(refused(&app, &wrong).await, "TOKEN_INVALID", "{what}");
    }
    let strangers = client_id_swapped(&app, &token).await;
    assert_eq!(refused(&app, &strangers).await, "TOKEN_INVALID", "it names the client of another project");
    assert_eq!(refused(&app, &token).await, "");
    app.clock.advance(Duration::hours(1));
    assert_eq!(refused(&app, &token).await, "TOKEN_INVALID", "its time is over");
}

/// The token, signed by its own key, but said to be of another project's client.
async fn client_id_swapped(app: &TestApp, token: &str) -> String {
    let mut claims = crate::sign_in::claims_of(token);
    claims["client_id"] = json!(crate::support::credentials(&app.fixture.stranger).0);
    let now = app.services.clock.now();
    let keys = app.services.key_ring.keys(&app.services.store, app.fixture.project_id, now).await.unwrap();
    signet::crypto::jwt::sign(keys.signer(now).unwrap(), TokenKind::Access, &claims).unwrap()
}

#[rstest]
#[case::revoked("revoked")]
#[case::disabled("disabled")]
#[case::deleted("deleted")]
#[tokio::test]
async fn a_session_that_is_over_tells_nothing(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
    #[case] how: &str,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let signed_in = sign_in(&app).await;
    let (token, user_id) = (signed_in.tokens.unwrap().access_token, app.fixture.ada.to_string());
    match how {
        "revoked" => drop(revoke(&app.back_end(), &signed_in.session.unwrap().session_id).await.unwrap()),
        "disabled" => drop(app.back_end().users.disable_user(DisableUserRequest { user_id }).await.unwrap()),
        _ => drop(app.back_end().users.delete_user(DeleteUserRequest { user_id }).await.unwrap()),
    }
    assert_eq!(refused(&app, &token).await, "SESSION_NOT_ACTIVE");
}
