//! Signing out everywhere, and by a link.

use chrono::Duration;
use rstest::rstest;
use sea_orm::ConnectionTrait as _;
use signet::proto::{
    EndSessionRequest, ProjectSettings, SignOutRequest, authenticate_session_request::Credential,
    sign_out_request::Credential as Ending,
};
use tonic::Status;

use crate::{
    refresh::{self, set, successor},
    sessions::{refusal, sign_in},
    support::{Caller, Engine, TestApp, reason},
};

async fn everywhere(caller: &Caller, credential: Ending) -> Result<i32, Status> {
    let request = SignOutRequest { credential: Some(credential), all_sessions: true };
    Ok(caller.auth.clone().sign_out(request).await?.into_inner().revoked_sessions)
}

#[rstest]
#[case::access_token(|tokens: &signet::proto::TokenSet, _: &str| Ending::AccessToken(tokens.access_token.clone()))]
#[case::session_token(|tokens: &signet::proto::TokenSet, _: &str| Ending::SessionToken(tokens.session_token.clone().unwrap()))]
#[case::refresh_token(|tokens: &signet::proto::TokenSet, _: &str| Ending::RefreshToken(tokens.refresh_token.clone()))]
#[case::id(|_: &signet::proto::TokenSet, id: &str| Ending::SessionId(id.to_owned()))]
#[tokio::test]
async fn all_sessions_end_and_are_counted(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
    #[case] credential: fn(&signet::proto::TokenSet, &str) -> Ending,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (first, second) = (sign_in(&app).await, sign_in(&app).await);
    let session_id = first.session.unwrap().session_id;
    let credential = credential(&first.tokens.unwrap(), &session_id);
    let is_id = matches!(credential, Ending::SessionId(_));
    if is_id {
        let status = everywhere(&app.public(), credential.clone()).await.unwrap_err();
        assert_eq!(reason(&status), "CALLER_NOT_PERMITTED");
    }
    let caller = if is_id { app.back_end() } else { app.public() };
    assert_eq!(everywhere(&caller, credential.clone()).await.unwrap(), 2);
    for id in [session_id, second.session.unwrap().session_id] {
        assert_eq!(refusal(&app.back_end(), Credential::SessionId(id)).await, "SESSION_NOT_ACTIVE");
    }
    let third = sign_in(&app).await.session.unwrap().session_id;
    let again = everywhere(&caller, credential).await.unwrap_err();
    assert_eq!(reason(&again), "SESSION_NOT_ACTIVE", "what is over ends nothing that came after it");
    assert_eq!(refusal(&app.back_end(), Credential::SessionId(third)).await, "");
    let told = app.events().await.iter().filter(|event| *event == "session.revoked (sign_out)").count();
    assert_eq!(told, 2);
}

#[rstest]
#[tokio::test]
async fn one_session_is_counted_once(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (tokens, other) = (sign_in(&app).await.tokens.unwrap(), sign_in(&app).await.tokens.unwrap());
    for expected in [1, 0] {
        let credential = Some(Ending::AccessToken(tokens.access_token.clone()));
        let request = SignOutRequest { credential, all_sessions: false };
        assert_eq!(app.public().auth.sign_out(request).await.unwrap().into_inner().revoked_sessions, expected);
    }
    assert_eq!(refusal(&app.back_end(), Credential::AccessToken(other.access_token)).await, "");
}

#[rstest]
#[tokio::test]
async fn signing_out_everywhere_takes_no_token_that_is_over_nor_one_that_is_forged(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let tokens = sign_in(&app).await.tokens.unwrap();
    let second = successor(&app.public(), &tokens.refresh_token).await;
    app.clock.advance(Duration::hours(2));
    let refused = async |credential| reason(&everywhere(&app.public(), credential).await.unwrap_err());
    assert_eq!(refused(Ending::AccessToken(tokens.access_token)).await, "TOKEN_INVALID", "its time is over");
    let mut forged = second.clone();
    forged.truncate(forged.len() - 1);
    assert_eq!(refused(Ending::RefreshToken(forged)).await, "TOKEN_INVALID");
    assert_eq!(refused(Ending::RefreshToken(tokens.refresh_token)).await, "TOKEN_INVALID", "it has been replaced");
    assert_eq!(refresh::refusal(&app.public(), &second).await, "");
}

const PAGES: [&str; 2] = ["https://app.example/bye", "https://app.example/other"];

/// Makes all sessions those of an application that signs out by a link.
async fn of_app_with_link(app: &TestApp) {
    app.database().await.execute_unprepared("UPDATE sessions SET token_profile = 'workos'").await.unwrap();
}

async fn follow(app: &TestApp, session_id: &str, return_to: &str) -> Result<String, Status> {
    let request = EndSessionRequest { session_id: session_id.into(), return_to: return_to.into() };
    Ok(app.anonymous().auth.end_session(request).await?.into_inner().redirect_url)
}

#[rstest]
#[tokio::test]
async fn a_link_ends_the_session_and_leads_to_a_page_of_the_project(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let id = sign_in(&app).await.session.unwrap().session_id;
    let other = sign_in(&app).await.session.unwrap().session_id;
    of_app_with_link(&app).await;
    let live = async |id: &str| refusal(&app.back_end(), Credential::SessionId(id.to_owned())).await.is_empty();

    let refused = reason(&follow(&app, &id, PAGES[0]).await.unwrap_err());
    assert_eq!(refused, "SIGN_OUT_URL_NOT_ALLOWED", "the project has no page");
    let settings = ProjectSettings { sign_out_urls: PAGES.map(str::to_owned).to_vec(), ..Default::default() };
    set(&app, &["sign_out_urls"], settings).await;
    for page in ["https://evil.example/", "https://app.example/bye/", "https://app.example/bye?x", "//app.example/bye"]
    {
        assert_eq!(reason(&follow(&app, &id, page).await.unwrap_err()), "SIGN_OUT_URL_NOT_ALLOWED", "{page}");
    }
    assert!(live(&id).await, "nothing ends with a link that leads elsewhere");

    assert_eq!(follow(&app, &id, PAGES[1]).await.unwrap(), PAGES[1]);
    assert!(!live(&id).await && live(&other).await);
    assert_eq!(follow(&app, &id, "").await.unwrap(), PAGES[0], "what has ended still leads on");
    let told = app.events().await.iter().filter(|event| *event == "session.revoked (link)").count();
    assert_eq!(told, 1);
    set(&app, &["sign_out_urls"], ProjectSettings::default()).await;
    assert_eq!(follow(&app, &other, "").await.unwrap(), "");
    assert!(!live(&other).await);
}

#[rstest]
#[tokio::test]
async fn sessions_of_clients_without_such_a_link_are_not_found(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let id = sign_in(&app).await.session.unwrap().session_id;
    for id in [id.as_str(), "session_01K0000000000000000000000Z"] {
        assert_eq!(reason(&follow(&app, id, "").await.unwrap_err()), "SESSION_NOT_FOUND");
    }
    assert_eq!(refusal(&app.back_end(), Credential::SessionId(id)).await, "");
}
