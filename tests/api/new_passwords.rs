//! What has to be true of a new password, and what pages may know of that beforehand.

use rstest::rstest;
use signet::proto::{
    CheckNewPasswordRequest, GetSignInSettingsRequest, GetUserRequest, PasswordExpectation, PasswordPolicy,
    PasswordRule, PasswordViolation, ProjectSettings, SetPasswordRequest, TokenProfile,
};
use tonic::Code;
use tonic_types::pb::ErrorInfo;

use crate::{
    refresh::set,
    session_options::application,
    sign_in::{email, try_password},
    support::{ADA, Caller, Engine, TestApp, detail, field_violations, reason},
};

const NEW: &str = "an entirely new one";

#[rstest]
#[tokio::test]
async fn a_password_is_set_only_where_it_is_expected(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (ada, mute) = (app.fixture.ada.to_string(), app.fixture.mute.to_string());
    let request = |user_id: &str, expectation: PasswordExpectation| SetPasswordRequest {
        user_id: user_id.into(),
        password: NEW.into(),
        expectation: expectation.into(),
        ..Default::default()
    };
    let (before, hashes) = (app.contents().await, app.hashes());
    for (user_id, expectation, refused) in [
        (&ada, PasswordExpectation::None, "PASSWORD_ALREADY_SET"),
        (&mute, PasswordExpectation::One, "PASSWORD_MISSING"),
    ] {
        let status = app.back_end().users.set_password(request(user_id, expectation)).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, refused));
    }
    assert_eq!((app.contents().await, app.hashes()), (before, hashes), "nothing is changed, nor even hashed");
    app.back_end().users.set_password(request(&ada, PasswordExpectation::One)).await.unwrap();
    app.back_end().users.set_password(request(&mute, PasswordExpectation::None)).await.unwrap();
    try_password(&app.back_end(), email(ADA), NEW).await.unwrap();
}

/// What is expected is looked at again when the user's row is held.
#[rstest]
#[tokio::test]
async fn of_several_who_expect_no_password_one_sets_it(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let tasks: Vec<_> = (0..8)
        .map(|number| {
            let request = SetPasswordRequest {
                user_id: app.fixture.mute.to_string(),
                password: format!("{NEW} {number}"),
                expectation: PasswordExpectation::None.into(),
                ..Default::default()
            };
            let mut users = app.back_end().users;
            tokio::spawn(async move { users.set_password(request).await.map_err(|status| reason(&status)) })
        })
        .collect();
    let mut set = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => set += 1,
            Err(refused) => assert_eq!(refused, "PASSWORD_ALREADY_SET"),
        }
    }
    assert_eq!(set, 1);
}

#[rstest]
#[tokio::test]
async fn a_temporary_password_says_so_until_it_is_replaced(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let user_id = app.fixture.mute.to_string();
    for must_change in [true, false] {
        let request =
            SetPasswordRequest { user_id: user_id.clone(), password: NEW.into(), must_change, ..Default::default() };
        let set = app.back_end().users.set_password(request).await.unwrap().into_inner().user.unwrap();
        let request = GetUserRequest { user_id: user_id.clone() };
        let read = app.back_end().users.get_user(request).await.unwrap().into_inner().user.unwrap();
        assert_eq!((set.password_must_change, read.password_must_change), (must_change, must_change));
    }
}

#[rstest]
#[tokio::test]
async fn a_refused_password_names_its_rules_for_machines(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    for (password, rules) in
        [("seven77", "TOO_SHORT"), ("aaaa", "TOO_SHORT,TOO_COMMON"), ("ada@example.com", "RESEMBLES_IDENTIFIER")]
    {
        let request = SetPasswordRequest {
            user_id: app.fixture.ada.to_string(),
            password: password.into(),
            ..Default::default()
        };
        let status = app.back_end().users.set_password(request).await.unwrap_err();
        let info: ErrorInfo = detail(&status, "google.rpc.ErrorInfo").unwrap();
        assert_eq!((info.metadata["rules"].as_str(), info.metadata["length_min"].as_str()), (rules, "8"));
    }
}

#[rstest]
#[tokio::test]
async fn a_password_can_be_tried_before_it_is_set(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (too_long, longest) = ("p".repeat(1025), "pq".repeat(512));
    let cases: [(&str, &[PasswordRule]); 6] = [
        (NEW, &[]),
        (&longest, &[]),
        ("seven77", &[PasswordRule::TooShort]),
        ("aaaa", &[PasswordRule::TooShort, PasswordRule::TooCommon]),
        ("grace.hopper99", &[PasswordRule::ResemblesIdentifier]),
        (&too_long, &[PasswordRule::TooLong]),
    ];
    let before = app.contents().await;
    for (password, expected) in cases {
        let request = CheckNewPasswordRequest {
            password: password.into(),
            identifiers: vec!["Grace.Hopper@example.com".into(), "+12025550123".into()],
        };
        let violations = app.public().auth.check_new_password(request).await.unwrap().into_inner().violations;
        assert_eq!(violations.iter().map(PasswordViolation::rule).collect::<Vec<_>>(), expected, "{password}");
        assert!(violations.iter().all(|violation| !violation.description.is_empty()));
    }
    assert_eq!(app.contents().await, before);
    let many = CheckNewPasswordRequest { password: NEW.into(), identifiers: vec!["ada".into(); 6] };
    let none = CheckNewPasswordRequest { password: NEW.into(), identifiers: vec!["ada@".into()] };
    let empty = CheckNewPasswordRequest::default();
    for (request, field) in [(many, "identifiers"), (none, "identifiers"), (empty, "password")] {
        let status = app.public().auth.check_new_password(request).await.unwrap_err();
        assert_eq!(field_violations(&status), [field]);
    }
}

#[rstest]
#[tokio::test]
async fn a_sign_in_page_learns_what_holds_for_its_client(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let settings = async |caller: Caller| {
        caller.auth.clone().get_sign_in_settings(GetSignInSettingsRequest {}).await.unwrap().into_inner()
    };
    let known = settings(app.public()).await;
    assert_eq!((known.project_id, known.project_name.as_str()), (app.fixture.project_id.to_string(), "Example"));
    assert_eq!((known.password_length_min, known.password_length_max), (8, 1024));
    assert_eq!((known.allow_sign_up, known.require_email_verification), (false, true));

    let changed = ProjectSettings {
        allow_sign_up: Some(true),
        password_policy: PasswordPolicy::Nist80063b4.into(),
        ..Default::default()
    };
    set(&app, &["allow_sign_up", "password_policy"], changed).await;
    let known = settings(app.public()).await;
    assert_eq!((known.password_length_min, known.allow_sign_up), (15, true));

    for (profile, asks) in [
        (TokenProfile::Standard, true),
        (TokenProfile::Workos, true),
        (TokenProfile::Stytch, false),
        (TokenProfile::Descope, false),
        (TokenProfile::Transmit, false),
    ] {
        let client = application(&app, profile).await;
        assert_eq!(settings(client).await.require_email_verification, asks, "{profile:?}");
    }
    let off = ProjectSettings { require_email_verification: Some(false), ..Default::default() };
    set(&app, &["require_email_verification"], off).await;
    assert!(!settings(app.public()).await.require_email_verification);
}
