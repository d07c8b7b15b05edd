//! The life of a user as a back end manages it.

use chrono::Duration;
use rstest::rstest;
use serde_json::json;
use signet::proto::{
    CreateUserRequest, DeleteUserRequest, DisableUserRequest, EnableUserRequest, GetUserRequest, ListUsersRequest,
    SendEmailVerificationRequest, SetPasswordRequest, UpdateUserRequest, User, UserStatus, UserUpdate,
    authenticate_password_request::Identifier, list_users_request,
};
use tonic::{Code, Status};
use tonic_types::pb::BadRequest;

use crate::{
    email_verification::{begin, redeem},
    sign_in::{email, session_is_live, try_password},
    support::{ADA, Engine, PASSWORD, TestApp, detail, object, reason},
};

async fn create(app: &TestApp, request: CreateUserRequest) -> Result<User, Status> {
    let answer = app.back_end().users.create_user(request).await;
    answer.map(|answer| answer.into_inner().user.unwrap())
}

async fn get(app: &TestApp, user_id: &str) -> Result<User, Status> {
    let answer = app.back_end().users.get_user(GetUserRequest { user_id: user_id.into() }).await;
    answer.map(|answer| answer.into_inner().user.unwrap())
}

async fn update(app: &TestApp, user_id: &str, user: UserUpdate, paths: &[&str]) -> Result<User, Status> {
    let paths = paths.iter().map(|path| (*path).to_owned()).collect();
    let update_mask = Some(prost_types::FieldMask { paths });
    let request = UpdateUserRequest { user_id: user_id.into(), user: Some(user), update_mask };
    app.back_end().users.update_user(request).await.map(|answer| answer.into_inner().user.unwrap())
}

fn full() -> CreateUserRequest {
    CreateUserRequest {
        email: Some("Mary@Example.com".into()),
        email_verified: true,
        username: Some("Mary".into()),
        phone_number: Some("+44 20 7946 0018".into()),
        phone_number_verified: true,
        password: Some(PASSWORD.into()),
        given_name: Some("Mary".into()),
        family_name: Some("Shelley".into()),
        locale: Some("en-GB".into()),
        metadata: Some(object(json!({"books": 7}).as_object().unwrap())),
        ..Default::default()
    }
}

#[rstest]
#[tokio::test]
async fn a_user_is_what_was_created(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let user = create(&app, full()).await.unwrap();
    let now = Some(prost_types::Timestamp { seconds: crate::support::start().timestamp(), nanos: 0 });
    let expected = User {
        user_id: user.user_id.clone(),
        email: Some("mary@example.com".into()),
        email_verified: true,
        username: Some("Mary".into()),
        phone_number: Some("+442079460018".into()),
        phone_number_verified: true,
        given_name: Some("Mary".into()),
        family_name: Some("Shelley".into()),
        locale: Some("en-GB".into()),
        metadata: full().metadata,
        status: UserStatus::Active.into(),
        has_password: true,
        created_at: now,
        updated_at: now,
        last_signed_in_at: None,
        password_updated_at: now,
        untrusted_metadata: Some(object(&serde_json::Map::new())),
        ..Default::default()
    };
    assert_eq!(user, expected);
    assert_eq!(get(&app, &user.user_id).await.unwrap(), expected);
    let answer = try_password(&app.back_end(), email("mary@example.com"), PASSWORD).await.unwrap();
    assert_eq!(answer.user.unwrap().last_signed_in_at, now);
    assert_eq!(get(&app, &user.user_id).await.unwrap().last_signed_in_at, now);
}

#[rstest]
#[tokio::test]
async fn a_user_without_a_password_signs_in_once_one_is_set(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let mute = app.fixture.mute.to_string();
    assert!(!get(&app, &mute).await.unwrap().has_password);
    let request = SetPasswordRequest { user_id: mute, password: PASSWORD.into(), ..Default::default() };
    let user = app.back_end().users.set_password(request).await.unwrap().into_inner().user.unwrap();
    assert!(user.has_password);
    try_password(&app.back_end(), Identifier::Username("mute".into()), PASSWORD).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn pages_hold_every_user_once_though_users_come_and_go_meanwhile(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let mut steady = vec![app.fixture.ada.to_string(), app.fixture.grace.to_string(), app.fixture.mute.to_string()];
    for number in 0..7 {
        app.clock.advance(Duration::milliseconds(1));
        let new = CreateUserRequest { username: Some(format!("user{number}")), ..Default::default() };
        steady.push(create(&app, new).await.unwrap().user_id);
    }
    let mut seen: Vec<User> = Vec::new();
    let mut token = String::new();
    for round in 0.. {
        let request = ListUsersRequest { page_size: 3, page_token: token, ..Default::default() };
        let page = app.back_end().users.list_users(request).await.unwrap().into_inner();
        assert!(page.users.len() <= 3);
        seen.extend(page.users);
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
        // One comes, and the one that the token stands for goes.
        app.clock.advance(Duration::milliseconds(1));
        if round < 3 {
            let new = CreateUserRequest { username: Some(format!("late{round}")), ..Default::default() };
            create(&app, new).await.unwrap();
        }
        let user_id = seen.last().unwrap().user_id.clone();
        app.back_end().users.delete_user(DeleteUserRequest { user_id }).await.unwrap();
    }
    let times: Vec<_> = seen.iter().map(|user| user.created_at.unwrap()).collect();
    assert!(times.is_sorted_by_key(|time| (time.seconds, time.nanos)), "oldest first");
    let mut seen: Vec<_> = seen.into_iter().map(|user| user.user_id).collect();
    let listed = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), listed, "nobody twice");
    assert!(steady.iter().all(|id| seen.contains(id)), "nobody left out");
}

#[rstest]
#[tokio::test]
async fn a_user_is_found_by_an_identifier_as_at_sign_in(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    use list_users_request::Identifier as By;
    let Some(app) = TestApp::start(engine).await else { return };
    let cases = [
        (By::Email(" ADA@example.com".into()), 1),
        (By::Username("ＡＤＡ".into()), 1),
        (By::PhoneNumber("+1-202-555-0123".into()), 1),
        (By::Username("ada@example.com".into()), 0),
        (By::Email("ad@example.com".into()), 0),
    ];
    for (identifier, found) in cases {
        let request = ListUsersRequest { identifier: Some(identifier.clone()), ..Default::default() };
        let answer = app.back_end().users.list_users(request).await.unwrap().into_inner();
        let ids: Vec<_> = answer.users.into_iter().map(|user| user.user_id).collect();
        assert_eq!(ids, vec![app.fixture.ada.to_string(); found], "{identifier:?}");
        assert!(answer.next_page_token.is_empty());
    }
}

/// A path of a mask, what changing and what clearing it does to a user.
type Change = (&'static str, Box<dyn Fn(&mut User)>, Box<dyn Fn(&mut User)>);

#[rstest]
#[tokio::test]
async fn an_update_changes_what_the_mask_names_and_nothing_else(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let before = create(&app, full()).await.unwrap();
    let metadata = Some(object(json!({"other": true}).as_object().unwrap()));
    let new = UserUpdate {
        email: Some("new@example.com".into()),
        email_verified: false,
        username: Some("new".into()),
        phone_number: Some("+442079460099".into()),
        phone_number_verified: false,
        given_name: Some("New".into()),
        family_name: Some("Name".into()),
        locale: Some("de".into()),
        metadata: metadata.clone(),
        ..Default::default()
    };
    let some = |text: &str| Some(text.to_owned());
    let unverified = |user: &mut User| user.email_verified = false;
    let changes: Vec<Change> = vec![
        (
            "email",
            Box::new(move |user| (user.email, user.email_verified) = (some("new@example.com"), false)),
            Box::new(|user| (user.email, user.email_verified) = (None, false)),
        ),
        ("username", Box::new(move |user| user.username = some("new")), Box::new(|user| user.username = None)),
        (
            "phone_number",
            Box::new(move |user| (user.phone_number, user.phone_number_verified) = (some("+442079460099"), false)),
            Box::new(|user| (user.phone_number, user.phone_number_verified) = (None, false)),
        ),
        ("email_verified", Box::new(unverified), Box::new(unverified)),
        ("given_name", Box::new(move |user| user.given_name = some("New")), Box::new(|user| user.given_name = None)),
        (
            "family_name",
            Box::new(move |user| user.family_name = some("Name")),
            Box::new(|user| user.family_name = None),
        ),
        ("locale", Box::new(move |user| user.locale = some("de")), Box::new(|user| user.locale = None)),
        (
            "metadata",
            Box::new(move |user| user.metadata.clone_from(&metadata)),
            Box::new(|user| user.metadata = Some(object(&serde_json::Map::new()))),
        ),
    ];
    let mut before = before;
    for (path, change, clear) in changes {
        for (update_with, expect) in [(new.clone(), &change), (UserUpdate::default(), &clear)] {
            app.clock.advance(Duration::seconds(1));
            let mut expected = before.clone();
            expect(&mut expected);
            expected.updated_at.as_mut().unwrap().seconds = app.services.clock.now().timestamp();
            let after = update(&app, &before.user_id, update_with, &[path]).await.unwrap();
            assert_eq!(after, expected, "{path}");
            assert_eq!(get(&app, &before.user_id).await.unwrap(), expected, "{path}");
            // Back to where it was.
            let restore = UserUpdate {
                email: before.email.clone(),
                email_verified: before.email_verified,
                username: before.username.clone(),
                phone_number: before.phone_number.clone(),
                phone_number_verified: before.phone_number_verified,
                given_name: before.given_name.clone(),
                family_name: before.family_name.clone(),
                locale: before.locale.clone(),
                metadata: before.metadata.clone(),
                ..Default::default()
            };
            let all = ["email", "email_verified", "username", "phone_number", "phone_number_verified"];
            let all = [&all[..], &["given_name", "family_name", "locale", "metadata"]].concat();
            let restored = update(&app, &before.user_id, restore, &all).await.unwrap();
            before.updated_at = restored.updated_at;
            assert_eq!(restored, before);
        }
    }
}

#[rstest]
#[tokio::test]
async fn a_changed_address_is_unverified_unless_the_back_end_vouches_for_it(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let ada = app.fixture.ada.to_string();
    let to = |address: &str, email_verified| UserUpdate {
        email: Some(address.into()),
        email_verified,
        ..Default::default()
    };
    let user = update(&app, &ada, to("a@example.com", true), &["email"]).await.unwrap();
    assert!(!user.email_verified, "the mask does not name it");
    let status = try_password(&app.back_end(), email("a@example.com"), PASSWORD).await.unwrap_err();
    assert_eq!(reason(&status), "EMAIL_VERIFICATION_REQUIRED");
    let user = update(&app, &ada, to("b@example.com", true), &["email", "email_verified"]).await.unwrap();
    assert!(user.email_verified);
    try_password(&app.back_end(), email("b@example.com"), PASSWORD).await.unwrap();
    try_password(&app.back_end(), email("a@example.com"), PASSWORD).await.expect_err("the old address is gone");
    let user = update(&app, &ada, to("", true), &["phone_number_verified"]).await.unwrap();
    assert!(!user.phone_number_verified && user.email_verified);
}

#[rstest]
#[tokio::test]
async fn a_deleted_user_is_gone_with_all_that_hung_on_them(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let ada = app.fixture.ada.to_string();
    let answer = try_password(&app.back_end(), email(ADA), PASSWORD).await.unwrap();
    let token = answer.tokens.unwrap().access_token;
    let pending = begin(&app.back_end()).await;
    let code = app.last_code_to("grace@example.com").await;
    for user_id in [ada.clone(), app.fixture.grace.to_string()] {
        app.back_end().users.delete_user(DeleteUserRequest { user_id }).await.unwrap();
    }
    assert!(!session_is_live(&app.back_end(), &token).await);
    let status = redeem(&app.back_end(), &pending, &code).await.unwrap_err();
    assert_eq!(reason(&status), "PENDING_AUTHENTICATION_INVALID");
    let status = try_password(&app.back_end(), email(ADA), PASSWORD).await.unwrap_err();
    assert_eq!(reason(&status), "INVALID_CREDENTIALS");
    assert_eq!(reason(&get(&app, &ada).await.unwrap_err()), "USER_NOT_FOUND");
    let again = app.back_end().users.delete_user(DeleteUserRequest { user_id: ada }).await.unwrap_err();
    assert_eq!(reason(&again), "USER_NOT_FOUND");

    // The identifiers are free, and whoever takes them starts anew.
    let new = CreateUserRequest {
        email: Some(ADA.into()),
        username: Some("ada".into()),
        phone_number: Some("+12025550123".into()),
        ..Default::default()
    };
    let user = create(&app, new).await.unwrap();
    assert!(!user.has_password && !user.email_verified && user.last_signed_in_at.is_none());
    try_password(&app.back_end(), email(ADA), PASSWORD).await.expect_err("the old password is gone");
    assert!(!session_is_live(&app.back_end(), &token).await);
}

#[rstest]
#[tokio::test]
async fn a_disabled_user_is_out_until_enabled_and_old_sessions_stay_ended(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let user_id = app.fixture.ada.to_string();
    let answer = try_password(&app.back_end(), email(ADA), PASSWORD).await.unwrap();
    let token = answer.tokens.unwrap().access_token;
    for _ in 0..2 {
        let request = DisableUserRequest { user_id: user_id.clone() };
        let user = app.back_end().users.disable_user(request).await.unwrap().into_inner().user.unwrap();
        assert_eq!(user.status(), UserStatus::Disabled);
        assert!(!session_is_live(&app.back_end(), &token).await);
        let status = try_password(&app.back_end(), email(ADA), PASSWORD).await.unwrap_err();
        assert_eq!(reason(&status), "INVALID_CREDENTIALS");
    }
    for _ in 0..2 {
        let request = EnableUserRequest { user_id: user_id.clone() };
        let user = app.back_end().users.enable_user(request).await.unwrap().into_inner().user.unwrap();
        assert_eq!(user.status(), UserStatus::Active);
    }
    assert!(!session_is_live(&app.back_end(), &token).await, "ended sessions stay ended");
    try_password(&app.back_end(), email(ADA), PASSWORD).await.unwrap();
    let events = app.events().await;
    let count = |wanted: &str| events.iter().filter(|event| *event == wanted).count();
    assert_eq!((count("user.disabled"), count("user.enabled")), (1, 1), "twice is no news");
}

#[rstest]
#[tokio::test]
async fn a_new_password_ends_sessions_and_the_old_password(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let answer = try_password(&app.back_end(), email(ADA), PASSWORD).await.unwrap();
    let token = answer.tokens.unwrap().access_token;
    // Failures of the old password do not slow the new one down.
    for _ in 0..11 {
        try_password(&app.back_end(), email(ADA), "wrong password").await.unwrap_err();
    }
    let request = SetPasswordRequest {
        user_id: app.fixture.ada.to_string(),
        password: "another long one".into(),
        ..Default::default()
    };
    app.back_end().users.set_password(request).await.unwrap();
    assert!(!session_is_live(&app.back_end(), &token).await);
    try_password(&app.back_end(), email(ADA), PASSWORD).await.unwrap_err();
    try_password(&app.back_end(), email(ADA), "another long one").await.unwrap();
}

#[rstest]
#[tokio::test]
async fn each_rule_that_a_new_password_breaks_is_listed(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (short, common) = ("must have at least 8 characters", "is one of the most common passwords");
    let similar = "is too similar to the email address, username or phone number";
    let cases: [(&str, &[&str]); 4] = [
        ("seven77", &[short]),
        ("Password123!", &[common]),
        ("Ada@Example.com", &[similar]),
        ("aaaa", &[short, common]),
    ];
    let before = app.events().await;
    for (password, rules) in cases {
        let request = SetPasswordRequest {
            user_id: app.fixture.ada.to_string(),
            password: password.into(),
            ..Default::default()
        };
        let set = app.back_end().users.set_password(request).await.unwrap_err();
        let new = CreateUserRequest { email: Some(ADA.into()), ..Default::default() };
        let created = create(&app, CreateUserRequest { password: Some(password.into()), ..new }).await.unwrap_err();
        for status in [set, created] {
            assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "PASSWORD_REJECTED"));
            let violations = detail::<BadRequest>(&status, "google.rpc.BadRequest").unwrap().field_violations;
            assert!(violations.iter().all(|violation| violation.field == "password"));
            assert_eq!(violations.iter().map(|violation| &violation.description).collect::<Vec<_>>(), rules);
            assert!(!status.message().contains(password), "a password is never repeated");
        }
    }
    assert_eq!(app.events().await, before);
    try_password(&app.back_end(), email(ADA), PASSWORD).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn a_code_is_sent_only_where_there_is_something_to_verify(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    for (user_id, expected) in [(app.fixture.ada, "EMAIL_ALREADY_VERIFIED"), (app.fixture.mute, "EMAIL_MISSING")] {
        let request = SendEmailVerificationRequest { user_id: user_id.to_string(), ..Default::default() };
        let status = app.back_end().users.send_email_verification(request).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, expected));
    }
    assert_eq!(app.mails_waiting().await, 0);
    let request = SendEmailVerificationRequest { user_id: app.fixture.grace.to_string(), ..Default::default() };
    let answer = app.back_end().users.send_email_verification(request).await.unwrap().into_inner();
    let expires_at = answer.code_expires_at.unwrap().seconds;
    assert_eq!(expires_at - app.services.clock.now().timestamp(), 600);
    assert_eq!(app.last_code_to("grace@example.com").await.len(), 6);
}
