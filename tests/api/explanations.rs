//! What `signet explain` finds out about a request, behind its words.

use rstest::rstest;
use signet::{
    proto::DeleteUserRequest,
    usecase::{
        Error,
        explain_request::{ExplainedEvent, explain_request},
    },
};
use tonic::Request;

use crate::{
    sign_in::{email, with_password},
    support::{Engine, GRACE, PASSWORD, TestApp, operator_call},
};

async fn explained(app: &TestApp, request_id: &str) -> Vec<ExplainedEvent> {
    let mut explained = explain_request(&app.services, &operator_call(), request_id).await.unwrap();
    // Both are of the same moment.
    explained.sort_by(|one, other| one.event.kind.cmp(&other.event.kind));
    explained
}

#[rstest]
#[tokio::test]
async fn it_follows_the_mail_and_the_user_until_they_are_gone(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let mut request = Request::new(with_password(email(GRACE), PASSWORD));
    request.metadata_mut().insert("x-request-id", "first-step".parse().unwrap());
    app.back_end().auth.authenticate_password(request).await.unwrap_err();

    let [sent, started] = &explained(&app, "first-step").await[..] else { panic!("two events") };
    assert_eq!(
        (sent.event.kind.as_str(), started.event.kind.as_str()),
        ("email_code.sent", "pending_authentication.started")
    );
    assert_eq!(sent.user.as_ref().unwrap().id, app.fixture.grace);
    let mail = sent.mail.as_ref().unwrap();
    assert_eq!((mail.recipient.as_str(), mail.attempts, mail.sent_at), (GRACE, 0, None));
    assert!(mail.next_attempt_at.is_some() && started.mail.is_none());

    app.last_code_to(GRACE).await;
    let mail = explained(&app, "first-step").await.remove(0).mail.unwrap();
    assert_eq!((mail.attempts, mail.sent_at, mail.next_attempt_at), (1, Some(app.services.clock.now()), None));

    app.back_end().users.delete_user(DeleteUserRequest { user_id: app.fixture.grace.to_string() }).await.unwrap();
    let gone = explained(&app, "first-step").await.remove(0);
    assert_eq!((gone.event.user_id, gone.user.is_none(), gone.mail), (Some(app.fixture.grace), true, None));
    assert_eq!(explained(&app, "another").await.len(), 0);
}

#[tokio::test]
async fn only_an_operator_is_told() {
    let Some(app) = TestApp::start(Engine::Sqlite).await else { return };
    let mut call = operator_call();
    call.caller = signet::domain::caller::Caller::Anonymous;
    let refused = explain_request(&app.services, &call, "test").await.unwrap_err();
    assert!(matches!(refused, Error::CallerUnauthenticated), "{refused:?}");
}
