//! Projects as an operator manages them, and what their settings do.

use chrono::Duration;
use rstest::rstest;
use signet::proto::{
    ClientType, CreateClientRequest, CreateProjectRequest, CreateUserRequest, GetProjectRequest, ListProjectsRequest,
    PasswordPolicy, Project, ProjectSettings, SetPasswordRequest, SignInRequest, SigningAlgorithm,
    UpdateProjectRequest,
};
use tonic::{Code, Status};

use crate::{
    sign_in::{claims_of, email, session_is_live, try_password},
    support::{Caller, Engine, PASSWORD, TestApp, basic, field_violations, reason},
};

pub(crate) fn seconds(seconds: i64) -> prost_types::Duration {
    prost_types::Duration { seconds, nanos: 0 }
}

/// What a project is without wishes of its own.
fn defaults() -> ProjectSettings {
    ProjectSettings {
        signing_algorithm: SigningAlgorithm::Rs256.into(),
        password_policy: PasswordPolicy::Compatible.into(),
        require_email_verification: Some(true),
        access_token_lifetime: Some(seconds(3600)),
        session_token_lifetime: Some(seconds(600)),
        session_idle_lifetime: Some(seconds(14 * 86_400)),
        session_absolute_lifetime: Some(seconds(28 * 86_400)),
        default_audience: String::new(),
        allowed_resources: Vec::new(),
        issuer: String::new(),
        rotate_refresh_tokens: Some(true),
        refresh_grace_period: Some(seconds(30)),
        key_rotation_interval: Some(seconds(0)),
        password_reset_urls: Vec::new(),
        allowed_origins: Vec::new(),
        allow_sign_up: Some(false),
        sign_out_urls: Vec::new(),
        application_sends_mail: Some(false),
    }
}

/// Something else than the default in every setting.
fn wishes() -> ProjectSettings {
    ProjectSettings {
        signing_algorithm: SigningAlgorithm::Eddsa.into(),
        password_policy: PasswordPolicy::Nist80063b4.into(),
        require_email_verification: Some(false),
        access_token_lifetime: Some(seconds(86_400)),
        session_token_lifetime: Some(seconds(60)),
        session_idle_lifetime: Some(seconds(300)),
        session_absolute_lifetime: Some(seconds(366 * 86_400)),
        default_audience: "api".into(),
        allowed_resources: vec!["https://a.example/".into(), "urn:b".into()],
        issuer: "https://login.example/".into(),
        rotate_refresh_tokens: Some(false),
        refresh_grace_period: Some(seconds(0)),
        key_rotation_interval: Some(seconds(30 * 86_400)),
        password_reset_urls: vec!["https://app.example/reset".into()],
        allowed_origins: vec!["https://app.example".into()],
        allow_sign_up: Some(true),
        sign_out_urls: vec!["https://app.example/bye".into()],
        application_sends_mail: Some(true),
    }
}

const SETTINGS: [&str; 18] = [
    "signing_algorithm",
    "password_policy",
    "require_email_verification",
    "access_token_lifetime",
    "session_token_lifetime",
    "session_idle_lifetime",
    "session_absolute_lifetime",
    "default_audience",
    "allowed_resources",
    "issuer",
    "rotate_refresh_tokens",
    "refresh_grace_period",
    "key_rotation_interval",
    "password_reset_urls",
    "allowed_origins",
    "allow_sign_up",
    "sign_out_urls",
    "application_sends_mail",
];

/// `settings` with one setting taken from `other`.
fn with_one(settings: &ProjectSettings, name: &str, other: &ProjectSettings) -> ProjectSettings {
    let (mut settings, other) = (settings.clone(), other.clone());
    match name {
        "signing_algorithm" => settings.signing_algorithm = other.signing_algorithm,
        "password_policy" => settings.password_policy = other.password_policy,
        "require_email_verification" => settings.require_email_verification = other.require_email_verification,
        "access_token_lifetime" => settings.access_token_lifetime = other.access_token_lifetime,
        "session_token_lifetime" => settings.session_token_lifetime = other.session_token_lifetime,
        "session_idle_lifetime" => settings.session_idle_lifetime = other.session_idle_lifetime,
        "session_absolute_lifetime" => settings.session_absolute_lifetime = other.session_absolute_lifetime,
        "default_audience" => settings.default_audience = other.default_audience,
        "allowed_resources" => settings.allowed_resources = other.allowed_resources,
        "issuer" => settings.issuer = other.issuer,
        "rotate_refresh_tokens" => settings.rotate_refresh_tokens = other.rotate_refresh_tokens,
        "refresh_grace_period" => settings.refresh_grace_period = other.refresh_grace_period,
        "key_rotation_interval" => settings.key_rotation_interval = other.key_rotation_interval,
        "password_reset_urls" => settings.password_reset_urls = other.password_reset_urls,
        "allowed_origins" => settings.allowed_origins = other.allowed_origins,
        "allow_sign_up" => settings.allow_sign_up = other.allow_sign_up,
        "sign_out_urls" => settings.sign_out_urls = other.sign_out_urls,
        "application_sends_mail" => settings.application_sends_mail = other.application_sends_mail,
        _ => panic!("{name} is no setting"),
    }
    settings
}

pub(crate) async fn create(app: &TestApp, name: &str, settings: Option<ProjectSettings>) -> Result<Project, Status> {
    let request = CreateProjectRequest { name: name.into(), settings };
    app.operator().projects.create_project(request).await.map(|answer| answer.into_inner().project.unwrap())
}

async fn get(app: &TestApp, project_id: &str) -> Project {
    let request = GetProjectRequest { project_id: project_id.into() };
    app.operator().projects.get_project(request).await.unwrap().into_inner().project.unwrap()
}

pub(crate) async fn update(
    app: &TestApp,
    project_id: &str,
    settings: ProjectSettings,
    paths: &[&str],
) -> Result<Project, Status> {
    let update_mask =
        Some(prost_types::FieldMask { paths: paths.iter().map(|path| format!("settings.{path}")).collect() });
    let request = UpdateProjectRequest {
        project_id: project_id.into(),
        name: String::new(),
        settings: Some(settings),
        update_mask,
    };
    app.operator().projects.update_project(request).await.map(|answer| answer.into_inner().project.unwrap())
}

/// A project with those settings, its back end, and `ada@example.com`, unverified.
pub(crate) async fn project_with(app: &TestApp, settings: ProjectSettings) -> (Project, Caller) {
    let project = create(app, "Settings", Some(settings)).await.unwrap();
    let request = CreateClientRequest {
        project_id: project.project_id.clone(),
        name: "back end".into(),
        client_type: ClientType::Confidential.into(),
        ..Default::default()
    };
    let answer = app.operator().projects.create_client(request).await.unwrap().into_inner();
    let authorization = basic(&answer.client.unwrap().client_id, &answer.client_secret.unwrap().into());
    let mut caller = app.caller(Some(&authorization));
    let new = CreateUserRequest {
        email: Some("ada@example.com".into()),
        password: Some(PASSWORD.into()),
        ..Default::default()
    };
    caller.users.create_user(new).await.unwrap();
    (project, caller)
}

/// Settings of most tests below: keys that are made fast, and no second step.
pub(crate) fn quick() -> ProjectSettings {
    ProjectSettings {
        signing_algorithm: SigningAlgorithm::Eddsa.into(),
        require_email_verification: Some(false),
        ..Default::default()
    }
}

#[rstest]
#[tokio::test]
async fn a_project_has_the_defaults_or_what_was_wished(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let cases = [
        (None, defaults()),
        (Some(ProjectSettings::default()), defaults()),
        (Some(ProjectSettings { access_token_lifetime: Some(seconds(0)), ..Default::default() }), defaults()),
        (Some(wishes()), wishes()),
    ];
    for (given, expected) in cases {
        let project = create(&app, "Some project", given).await.unwrap();
        assert_eq!(project.settings, Some(expected));
        assert_eq!(project.name, "Some project");
        assert_eq!((project.created_at, project.updated_at), (project.updated_at, project.created_at));
        assert_eq!(get(&app, &project.project_id).await, project);
    }
}

#[rstest]
#[tokio::test]
async fn an_update_changes_the_settings_the_mask_names_and_no_others(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let id = create(&app, "Some project", Some(wishes())).await.unwrap().project_id;
    for name in SETTINGS {
        app.clock.advance(Duration::seconds(1));
        // An unset one goes back to its default.
        let cleared = update(&app, &id, ProjectSettings::default(), &[name]).await.unwrap();
        assert_eq!(cleared.settings, Some(with_one(&wishes(), name, &defaults())), "{name}");
        assert_eq!(cleared.updated_at.unwrap().seconds, app.services.clock.now().timestamp());
        let restored = update(&app, &id, wishes(), &[name]).await.unwrap();
        assert_eq!(restored.settings, Some(wishes()), "{name}");
        assert_eq!(get(&app, &id).await, restored);
    }
    let paths = ["name".to_owned(), "settings.issuer".to_owned()].to_vec();
    let request = UpdateProjectRequest {
        project_id: id.clone(),
        name: "Another name".into(),
        settings: None,
        update_mask: Some(prost_types::FieldMask { paths }),
    };
    let project = app.operator().projects.update_project(request).await.unwrap().into_inner().project.unwrap();
    assert_eq!(project.name, "Another name");
    assert_eq!(project.settings, Some(ProjectSettings { issuer: String::new(), ..wishes() }));
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn updates_that_arrive_together_do_not_undo_each_other(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let app = std::sync::Arc::new(app);
    let id = create(&app, "Some project", Some(quick())).await.unwrap().project_id;
    // All but the algorithm, for which both have the same wish.
    let updates = SETTINGS[1..].iter().map(|name| {
        let (app, id) = (std::sync::Arc::clone(&app), id.clone());
        tokio::spawn(async move { update(&app, &id, wishes(), &[name]).await.unwrap() })
    });
    let updates: Vec<_> = updates.collect();
    let rename = UpdateProjectRequest {
        project_id: id.clone(),
        name: "Renamed".into(),
        settings: None,
        update_mask: Some(prost_types::FieldMask { paths: vec!["name".into()] }),
    };
    app.operator().projects.update_project(rename).await.unwrap();
    for update in updates {
        update.await.unwrap();
    }
    let project = get(&app, &id).await;
    assert_eq!((project.name.as_str(), project.settings), ("Renamed", Some(wishes())));
}

#[rstest]
#[tokio::test]
async fn settings_out_of_bounds_are_named(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let duration = |seconds, nanos| Some(prost_types::Duration { seconds, nanos });
    let mut bad: Vec<(&str, ProjectSettings)> = Vec::new();
    for wrong in [duration(59, 0), duration(86_401, 0), duration(-1, 0), duration(i64::MAX, 0), duration(60, 1)] {
        let access = ProjectSettings { access_token_lifetime: wrong, ..Default::default() };
        let session = ProjectSettings { session_token_lifetime: wrong, ..Default::default() };
        bad.extend([("access_token_lifetime", access), ("session_token_lifetime", session)]);
    }
    for wrong in [duration(299, 0), duration(366 * 86_400 + 1, 0), duration(i64::MIN, -1), duration(0, 300)] {
        bad.push(("session_idle_lifetime", ProjectSettings { session_idle_lifetime: wrong, ..Default::default() }));
        let absolute = ProjectSettings { session_absolute_lifetime: wrong, ..Default::default() };
        bad.push(("session_absolute_lifetime", absolute));
    }
    bad.push(("signing_algorithm", ProjectSettings { signing_algorithm: 4, ..Default::default() }));
    bad.push(("signing_algorithm", ProjectSettings { signing_algorithm: -1, ..Default::default() }));
    bad.push(("password_policy", ProjectSettings { password_policy: 99, ..Default::default() }));
    for text in ["a\0b", "a\nb", &"a".repeat(513)] {
        bad.push(("default_audience", ProjectSettings { default_audience: text.into(), ..Default::default() }));
    }
    let long = format!("https://a.example/{}", "a".repeat(512));
    for text in ["api", "/api", "https://a.example/#a", "https://a.example/\0", " https://a.example/", &long] {
        bad.push(("issuer", ProjectSettings { issuer: text.into(), ..Default::default() }));
        let allowed_resources = vec!["https://a.example/".into(), text.into()];
        bad.push(("allowed_resources", ProjectSettings { allowed_resources, ..Default::default() }));
    }
    let allowed_resources = (0..51).map(|number| format!("urn:{number}")).collect();
    bad.push(("allowed_resources", ProjectSettings { allowed_resources, ..Default::default() }));

    let before = get(&app, &app.fixture.project_id.to_string()).await;
    for (name, settings) in bad {
        let shown = format!("{settings:?}");
        let created = create(&app, "Some project", Some(settings.clone())).await.unwrap_err();
        let updated = update(&app, &before.project_id, settings, &[name]).await.unwrap_err();
        for status in [created, updated] {
            assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "INVALID_FIELD"), "{shown}");
            assert_eq!(field_violations(&status), [format!("settings.{name}")], "{shown}");
        }
    }
    for name in ["", " ", "a\0b", "a\nb", &"n".repeat(201)] {
        let status = create(&app, name, None).await.unwrap_err();
        assert_eq!(field_violations(&status), ["name"]);
        let update_mask = Some(prost_types::FieldMask { paths: vec!["name".into()] });
        let request = UpdateProjectRequest {
            project_id: before.project_id.clone(),
            name: name.into(),
            settings: None,
            update_mask,
        };
        let status = app.operator().projects.update_project(request).await.unwrap_err();
        assert_eq!(field_violations(&status), ["name"]);
    }
    assert_eq!(get(&app, &before.project_id).await, before);
    let all = app.operator().projects.list_projects(ListProjectsRequest::default()).await.unwrap().into_inner();
    assert_eq!(all.projects.len(), 2, "nothing half-written");
}

#[rstest]
#[tokio::test]
async fn all_wrong_settings_are_named_at_once(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let settings = ProjectSettings {
        access_token_lifetime: Some(seconds(1)),
        session_idle_lifetime: Some(seconds(1)),
        issuer: "nowhere".into(),
        ..Default::default()
    };
    let status = create(&app, "", Some(settings)).await.unwrap_err();
    let expected = ["settings.access_token_lifetime", "settings.session_idle_lifetime", "settings.issuer", "name"];
    assert_eq!(field_violations(&status), expected);
}

#[rstest]
#[tokio::test]
async fn pages_hold_every_project_once(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let mut expected = vec![app.fixture.project_id.to_string(), app.fixture.other_project_id.to_string()];
    for number in 0..3 {
        app.clock.advance(Duration::milliseconds(1));
        expected.push(create(&app, &format!("{number}"), Some(quick())).await.unwrap().project_id);
    }
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let request = ListProjectsRequest { page_size: 2, page_token: token };
        let page = app.operator().projects.list_projects(request).await.unwrap().into_inner();
        seen.extend(page.projects.into_iter().map(|project| project.project_id));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen[2..], expected[2..]);
    seen.sort();
    expected.sort();
    assert_eq!(seen, expected);
}

#[rstest]
#[tokio::test]
async fn a_project_may_let_unverified_users_in(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (project, caller) = project_with(&app, quick()).await;
    let answer = try_password(&caller, email("ada@example.com"), PASSWORD).await.unwrap();
    assert!(!answer.user.unwrap().email_verified);
    let strict = ProjectSettings { require_email_verification: Some(true), ..Default::default() };
    update(&app, &project.project_id, strict, &["require_email_verification"]).await.unwrap();
    let status = try_password(&caller, email("ada@example.com"), PASSWORD).await.unwrap_err();
    assert_eq!(reason(&status), "EMAIL_VERIFICATION_REQUIRED");
}

#[rstest]
#[tokio::test]
async fn the_password_policy_is_the_projects(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (project, mut caller) = project_with(&app, quick()).await;
    let answer = try_password(&caller, email("ada@example.com"), PASSWORD).await.unwrap();
    let user_id = answer.user.unwrap().user_id;
    let strict = ProjectSettings { password_policy: PasswordPolicy::Nist80063b4.into(), ..Default::default() };
    update(&app, &project.project_id, strict, &["password_policy"]).await.unwrap();
    for (password, fine) in [("fourteen chars", false), ("fifteen letters", true)] {
        let request = SetPasswordRequest { user_id: user_id.clone(), password: password.into(), ..Default::default() };
        assert_eq!(caller.users.set_password(request).await.is_ok(), fine);
    }
}

#[rstest]
#[tokio::test]
async fn lifetimes_are_honoured_and_no_token_outlives_its_session(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let lifetimes = |access, session, idle, absolute| ProjectSettings {
        access_token_lifetime: Some(seconds(access)),
        session_token_lifetime: Some(seconds(session)),
        session_idle_lifetime: Some(seconds(idle)),
        session_absolute_lifetime: Some(seconds(absolute)),
        ..quick()
    };
    for (settings, access, session, refresh) in [
        (lifetimes(120, 60, 600, 1200), 120, 60, 600),
        (lifetimes(120, 60, 1200, 600), 120, 60, 600),
        (lifetimes(86_400, 86_400, 300, 600), 300, 300, 300),
        (lifetimes(86_400, 86_400, 600, 300), 300, 300, 300),
    ] {
        let (_, mut caller) = project_with(&app, settings).await;
        let login =
            SignInRequest { login_id: "ada@example.com".into(), password: PASSWORD.into(), ..Default::default() };
        let answer = caller.auth.sign_in(login).await.unwrap().into_inner();
        let tokens = answer.tokens.unwrap();
        assert_eq!(i64::from(tokens.expires_in_seconds), access);
        assert_eq!(i64::from(tokens.session_token_expires_in_seconds), session);
        assert_eq!(i64::from(tokens.refresh_expires_in_seconds), refresh);
        for (token, lifetime) in [(&tokens.access_token, access), (tokens.session_token.as_ref().unwrap(), session)] {
            let claims = claims_of(token);
            assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), lifetime);
        }
        app.clock.advance(Duration::seconds(access - 1));
        assert!(session_is_live(&caller, &tokens.access_token).await);
        app.clock.advance(Duration::seconds(1));
        assert!(!session_is_live(&caller, &tokens.access_token).await);
    }
}
