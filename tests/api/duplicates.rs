//! One identifier, one user: also when many ask for it at the same time.

use rstest::rstest;
use signet::proto::{CreateUserRequest, ListUsersRequest, UpdateUserRequest, User, UserUpdate};
use tonic::{Code, Status};

use crate::support::{Engine, PASSWORD, TestApp, field_violations, reason};

fn assert_taken(status: &Status, field: &str) {
    assert_eq!((status.code(), reason(status).as_str()), (Code::AlreadyExists, "IDENTIFIER_TAKEN"), "{status:?}");
    assert_eq!(field_violations(status), [field]);
}

async fn all_users(app: &TestApp) -> Vec<User> {
    let request = ListUsersRequest { page_size: 100, ..Default::default() };
    app.back_end().users.list_users(request).await.unwrap().into_inner().users
}

fn update(user_id: &str, user: UserUpdate, paths: &[&str]) -> UpdateUserRequest {
    let paths = paths.iter().map(|path| (*path).to_owned()).collect();
    UpdateUserRequest { user_id: user_id.into(), user: Some(user), update_mask: Some(prost_types::FieldMask { paths }) }
}

#[rstest]
#[case("email", "ADA@Example.COM")]
#[case("username", "Ａda")]
#[case("phone_number", "+1 (202) 555-0123")]
#[tokio::test]
async fn an_identifier_that_somebody_has_is_taken_in_any_spelling(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
    #[case] field: &str,
    #[case] spelling: &str,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let before = (all_users(&app).await, app.events().await);
    let given = |wanted| (wanted == field).then(|| spelling.to_owned());
    let new = CreateUserRequest {
        email: Some(given("email").unwrap_or("new@example.com".into())),
        username: Some(given("username").unwrap_or("new".into())),
        phone_number: Some(given("phone_number").unwrap_or("+12025550199".into())),
        password: Some(PASSWORD.into()),
        ..Default::default()
    };
    assert_taken(&app.back_end().users.create_user(new).await.unwrap_err(), field);

    let user = UserUpdate {
        email: Some(given("email").unwrap_or("new@example.com".into())),
        username: Some(given("username").unwrap_or("new".into())),
        phone_number: Some(given("phone_number").unwrap_or("+12025550199".into())),
        given_name: Some("New".into()),
        ..Default::default()
    };
    let paths = ["email", "username", "phone_number", "given_name"];
    let request = update(&app.fixture.grace.to_string(), user, &paths);
    let status = app.back_end().users.update_user(request).await.unwrap_err();
    assert_taken(&status, &format!("user.{field}"));
    assert_eq!((all_users(&app).await, app.events().await), before, "nothing half-written");
}

#[rstest]
#[tokio::test]
async fn another_project_may_have_the_same_identifiers(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let new = CreateUserRequest {
        email: Some("ada@example.com".into()),
        username: Some("ada".into()),
        phone_number: Some("+12025550123".into()),
        ..Default::default()
    };
    app.stranger().users.create_user(new).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn a_user_may_respell_an_identifier_of_their_own(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let user = UserUpdate { email: Some("Ada@Example.com".into()), ..Default::default() };
    let request = update(&app.fixture.ada.to_string(), user, &["email"]);
    let user = app.back_end().users.update_user(request).await.unwrap().into_inner().user.unwrap();
    assert_eq!(user.email.as_deref(), Some("Ada@Example.com"));
    assert!(user.email_verified, "it is the same address");
}

/// How many of the calls won; the others must have been told that the identifier is taken.
async fn winners<T: Send + 'static>(
    calls: impl Iterator<Item = impl Future<Output = Result<T, Status>> + Send + 'static>,
    field: &str,
) -> usize {
    let calls: Vec<_> = calls.map(tokio::spawn).collect();
    let mut won = 0;
    for call in calls {
        match call.await.unwrap() {
            Ok(_) => won += 1,
            Err(status) => assert_taken(&status, field),
        }
    }
    won
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_who_create_one_email_at_once_one_wins(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let before = all_users(&app).await.len();
    let calls = (0..20).map(|number| {
        let mut users = app.back_end().users;
        let email = if number % 2 == 0 { "new@example.com" } else { "NEW@example.com" };
        // Each has a name of its own, which must not stay behind.
        let new = CreateUserRequest {
            email: Some(email.into()),
            username: Some(format!("new{number}")),
            password: Some(PASSWORD.into()),
            ..Default::default()
        };
        async move { users.create_user(new).await }
    });
    assert_eq!(winners(calls, "email").await, 1);
    assert_eq!(all_users(&app).await.len(), before + 1);
    for number in 0..20 {
        let new = CreateUserRequest { username: Some(format!("new{number}")), ..Default::default() };
        // All but the winner's name are free.
        app.back_end().users.create_user(new).await.ok();
    }
    assert_eq!(all_users(&app).await.len(), before + 20);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn of_ten_who_change_to_one_name_at_once_one_wins(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let mut ids = Vec::new();
    for number in 0..10 {
        let new = CreateUserRequest { username: Some(format!("old{number}")), ..Default::default() };
        ids.push(app.back_end().users.create_user(new).await.unwrap().into_inner().user.unwrap().user_id);
    }
    let calls = ids.into_iter().map(|id| {
        let mut users = app.back_end().users;
        let user = UserUpdate { username: Some("wanted".into()), ..Default::default() };
        async move { users.update_user(update(&id, user, &["username"])).await }
    });
    assert_eq!(winners(calls, "user.username").await, 1);
    let kept = all_users(&app).await.into_iter().filter(|user| user.username().starts_with("old")).count();
    assert_eq!(kept, 9, "whoever lost keeps the old name");
}
