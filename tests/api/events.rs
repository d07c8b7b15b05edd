//! The audit trail as a list: who reads what, in which order, and from where on.

use chrono::Duration;
use rstest::rstest;
use sea_orm::ConnectionTrait as _;
use signet::{
    domain::limits::Limits,
    proto::{ClientContext, CreateUserRequest, Event, ListEventsRequest, ListEventsResponse, UpdateProjectRequest},
    usecase::sweep::sweep,
};
use tonic::{Code, Request, Status};

use crate::{
    email_verification::{begin, redeem},
    sign_in::{email, try_password, with_password},
    support::{Caller, Engine, PASSWORD, TestApp, field_violations, reason},
};

pub(crate) async fn list(caller: &Caller, cursor: &str, page_size: i32) -> Result<ListEventsResponse, Status> {
    let request = ListEventsRequest { cursor: cursor.into(), page_size, ..Default::default() };
    caller.events.clone().list_events(request).await.map(tonic::Response::into_inner)
}

/// All events behind a cursor, and the cursor behind them.
pub(crate) async fn all(caller: &Caller, cursor: &str) -> (Vec<Event>, String) {
    let (mut events, mut cursor) = (Vec::new(), cursor.to_owned());
    loop {
        let page = list(caller, &cursor, 3).await.unwrap();
        assert!(page.events.len() <= 3 && (!page.more || page.events.len() == 3));
        (events, cursor) = ([events, page.events].concat(), page.cursor);
        if !page.more {
            return (events, cursor);
        }
    }
}

async fn all_of(caller: &Caller, project_id: &str) -> Result<Vec<Event>, Status> {
    let request = ListEventsRequest { page_size: 100, project_id: project_id.into(), ..Default::default() };
    Ok(caller.events.clone().list_events(request).await?.into_inner().events)
}

pub(crate) fn words(events: &[Event]) -> Vec<String> {
    let word = |event: &Event| match event.cause.as_str() {
        "" => event.kind.clone(),
        cause => format!("{} ({cause})", event.kind),
    };
    events.iter().map(word).collect()
}

/// Makes something happen in the project: a sign-in that fails.
pub(crate) async fn happen(app: &TestApp) {
    try_password(&app.back_end(), email("ada@example.com"), "wrong password").await.unwrap_err();
}

/// The same in the other project.
async fn happen_elsewhere(app: &TestApp, username: &str) {
    let request = CreateUserRequest { username: Some(username.into()), ..Default::default() };
    app.stranger().users.create_user(request).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn a_back_end_reads_what_happened_to_whom_and_why(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (_, cursor) = all(&app.back_end(), "").await;
    app.clock.advance(Duration::seconds(1));
    let mut request = with_password(email("ada@example.com"), "wrong password");
    request.client_context = Some(ClientContext { ip_address: "192.0.2.7".into(), ..Default::default() });
    let mut request = Request::new(request);
    request.metadata_mut().insert("x-request-id", "sign-in-1".parse().unwrap());
    app.back_end().auth.authenticate_password(request).await.unwrap_err();
    let failed_at = app.services.clock.now().timestamp();
    // Events of one millisecond come in any order.
    app.clock.advance(Duration::seconds(1));
    let signed_in = try_password(&app.back_end(), email("ada@example.com"), PASSWORD).await.unwrap();
    app.clock.advance(Duration::seconds(1));
    try_password(&app.back_end(), email("nobody@example.com"), PASSWORD).await.unwrap_err();

    let (events, cursor) = all(&app.back_end(), &cursor).await;
    assert_eq!(
        words(&events),
        ["password.failed (wrong_password)", "user.signed_in", "password.failed (unknown_user)"]
    );
    let [failed, opened, unknown] = &events[..] else { panic!("three events") };
    assert!(failed.event_id.starts_with("event_") && failed.client_id.starts_with("client_"));
    assert_eq!(failed.project_id, app.fixture.project_id.to_string());
    assert_eq!((failed.user_id.as_str(), unknown.user_id.as_str()), (app.fixture.ada.to_string().as_str(), ""));
    assert_eq!((failed.request_id.as_str(), failed.ip_address.as_str()), ("sign-in-1", "192.0.2.7"));
    assert_eq!(failed.created_at.unwrap().seconds, failed_at);
    assert_eq!(opened.session_id, signed_in.session.unwrap().session_id);
    assert_eq!((failed.session_id.as_str(), failed.operator_id.as_str()), ("", ""));
    // Nothing is new, and the cursor goes on from here all the same.
    let (none, cursor) = all(&app.back_end(), &cursor).await;
    assert_eq!(none, []);
    happen(&app).await;
    assert_eq!(words(&all(&app.back_end(), &cursor).await.0), ["password.failed (wrong_password)"]);
}

#[rstest]
#[tokio::test]
async fn each_reads_the_events_of_its_project_and_an_operator_those_of_all(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    happen(&app).await;
    happen_elsewhere(&app, "edith").await;
    let (own, other) = (app.fixture.project_id.to_string(), app.fixture.other_project_id.to_string());
    let of = |events: &[Event], project: &str| events.iter().filter(|event| event.project_id == project).count();
    let mine = all_of(&app.back_end(), "").await.unwrap();
    let theirs = all_of(&app.stranger(), "").await.unwrap();
    assert!(of(&mine, &own) > 3 && of(&mine, &own) == mine.len());
    assert!(of(&theirs, &other) > 1 && of(&theirs, &other) == theirs.len());
    assert_eq!(all_of(&app.back_end(), &own).await.unwrap(), mine);
    let everything = all_of(&app.operator(), "").await.unwrap();
    assert_eq!(everything.len(), mine.len() + theirs.len());
    assert_eq!(all_of(&app.operator(), &own).await.unwrap(), mine);
    assert_eq!(all_of(&app.operator(), &other).await.unwrap(), theirs);

    let nowhere = signet::domain::id::ProjectId::from(uuid::Uuid::from_u128(7)).to_string();
    for (caller, project) in [(app.stranger(), &own), (app.back_end(), &other), (app.operator(), &nowhere)] {
        let refused = all_of(&caller, project).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "PROJECT_NOT_FOUND"));
    }
    let refused = all_of(&app.public(), "").await.unwrap_err();
    assert_eq!(reason(&refused), "CALLER_NOT_PERMITTED");
}

#[rstest]
#[tokio::test]
async fn an_operator_is_named_as_one(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (_, cursor) = all(&app.back_end(), "").await;
    let request = UpdateProjectRequest {
        project_id: app.fixture.project_id.to_string(),
        name: "Renamed".into(),
        update_mask: Some(prost_types::FieldMask { paths: vec!["name".into()] }),
        ..Default::default()
    };
    app.operator().projects.update_project(request).await.unwrap();
    let (events, _) = all(&app.back_end(), &cursor).await;
    assert_eq!(words(&events), ["project.updated"]);
    assert!(events[0].operator_id.starts_with("client_") && events[0].client_id.is_empty(), "{events:?}");
}

async fn assert_expired(caller: &Caller, cursor: &str) {
    let refused = list(caller, cursor, 0).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::OutOfRange, "EVENT_CURSOR_EXPIRED"));
}

#[rstest]
#[tokio::test]
async fn a_cursor_is_good_for_whose_events_it_was_given_and_on_every_replica(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let page = list(&app.back_end(), "", 2).await.unwrap();
    for caller in [app.stranger(), app.operator()] {
        assert_expired(&caller, &page.cursor).await;
    }
    for wrong in ["x", "not a cursor", &"A".repeat(32)[1..], &format!("{}AA", page.cursor)] {
        let refused = list(&app.back_end(), wrong, 0).await.unwrap_err();
        assert_eq!(
            (refused.code(), field_violations(&refused)),
            (Code::InvalidArgument, vec!["cursor".into()]),
            "{wrong}"
        );
    }
    assert_expired(&app.back_end(), &"A".repeat(32)).await;
    let replica = Caller::new(app.replica().await, Some(&app.fixture.confidential));
    let (rest, _) = all(&replica, &page.cursor).await;
    assert_eq!([page.events, rest].concat(), all(&app.back_end(), "").await.0);
}

#[rstest]
#[tokio::test]
async fn who_stays_away_for_longer_than_events_are_kept_is_told_so(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let retention = app.services.limits.event_retention.unwrap();
    let first = list(&app.back_end(), "", 1).await.unwrap();
    let (before, last) = all(&app.back_end(), "").await;
    let (_, operators) = all(&app.operator(), "").await;
    // It is not the events of the project that count: who has read everything has done so up to here.
    app.clock.advance(retention - Duration::hours(1));
    happen_elsewhere(&app, "edith").await;
    let (none, fresh) = all(&app.back_end(), &last).await;
    assert_eq!(none, []);
    app.clock.advance(Duration::hours(1) - Duration::seconds(1));
    sweep(&app.services).await.unwrap();
    assert_eq!(all(&app.back_end(), "").await.0, before, "kept until then");

    app.clock.advance(Duration::seconds(2));
    sweep(&app.services).await.unwrap();
    assert_eq!(all(&app.back_end(), "").await.0, []);
    for (caller, cursor) in [(app.back_end(), first.cursor), (app.back_end(), last), (app.operator(), operators)] {
        assert_expired(&caller, &cursor).await;
    }
    assert_eq!(all(&app.back_end(), &fresh).await.0, []);
    happen(&app).await;
    assert_eq!(words(&all(&app.back_end(), &fresh).await.0), ["password.failed (wrong_password)"]);
}

#[tokio::test]
async fn events_are_kept_for_ever_if_that_is_set() {
    let limits = Limits { event_retention: None, ..Limits::default() };
    let Some(app) = TestApp::start_limited(Engine::Sqlite, limits).await else { return };
    let (before, _) = all(&app.back_end(), "").await;
    app.clock.advance(Duration::days(4000));
    sweep(&app.services).await.unwrap();
    assert_eq!(all(&app.back_end(), "").await.0, before);
}

/// What a restored backup looks like: the last events are gone, and new ones stand where they stood.
#[rstest]
#[tokio::test]
async fn a_reader_is_told_that_the_database_was_set_back(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (_, kept) = all(&app.back_end(), "").await;
    for _ in 0..2 {
        happen(&app).await;
    }
    let one_more = list(&app.back_end(), &kept, 1).await.unwrap().cursor;
    let (_, last) = all(&app.back_end(), &kept).await;
    let database = app.database().await;
    for statement in [
        "DELETE FROM events WHERE position > (SELECT last_position - 2 FROM event_stream)",
        "UPDATE event_stream SET last_position = last_position - 2",
    ] {
        database.execute_unprepared(statement).await.unwrap();
    }
    assert_expired(&app.back_end(), &one_more).await;
    assert_expired(&app.back_end(), &last).await;
    happen(&app).await;
    happen(&app).await;
    assert_eq!(all(&app.back_end(), &kept).await.0.len(), 2);
    assert_expired(&app.back_end(), &one_more).await;
    assert_expired(&app.back_end(), &last).await;
}

#[rstest]
#[tokio::test]
async fn the_second_step_of_a_sign_in_is_not_refused_in_silence(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let token = begin(&app.back_end()).await;
    let code = app.last_code_to("grace@example.com").await;
    let (_, mut cursor) = all(&app.back_end(), "").await;
    let wrong = if code == "000000" { "000001" } else { "000000" };
    // A wrong one five times, then the right one, in vain; the same when its time is over, and that of the whole step.
    let minute = Duration::minutes(1);
    for (times, code, later, told) in [
        (5, wrong, Duration::zero(), "email_code.failed"),
        (1, &code, minute, "email_code.failed (attempts_exhausted)"),
        (1, &code, app.services.limits.pending_authentication_lifetime, "pending_authentication.failed (expired)"),
    ] {
        app.clock.advance(later);
        for _ in 0..times {
            redeem(&app.back_end(), &token, code).await.unwrap_err();
        }
        let (events, next) = all(&app.back_end(), &cursor).await;
        assert_eq!(words(&events), vec![told; times]);
        assert!(events.iter().all(|event| event.user_id == app.fixture.grace.to_string()));
        cursor = next;
    }
    // A token that was made up leaves nothing.
    redeem(&app.back_end(), &token.replace(&token[20..24], "0000"), &code).await.unwrap_err();
    assert_eq!(all(&app.back_end(), &cursor).await.0, []);
}
