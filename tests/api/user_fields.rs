//! What an application tells about its users, beside what they are called.

use rstest::rstest;
use serde_json::{Value, json};
use signet::proto::{CreateUserRequest, GetUserRequest, UpdateUserRequest, User, UserUpdate};
use tonic::{Code, Status};

use crate::support::{Engine, PASSWORD, TestApp, field_violations, object, reason};

fn metadata(json: &Value) -> prost_types::Struct {
    object(json.as_object().unwrap())
}

async fn create(app: &TestApp, request: CreateUserRequest) -> Result<User, Status> {
    Ok(app.back_end().users.create_user(request).await?.into_inner().user.unwrap())
}

async fn get(app: &TestApp, user_id: &str) -> User {
    let request = GetUserRequest { user_id: user_id.into() };
    app.back_end().users.get_user(request).await.unwrap().into_inner().user.unwrap()
}

async fn update(app: &TestApp, user_id: &str, user: UserUpdate, paths: &[&str]) -> Result<User, Status> {
    let paths = paths.iter().map(|path| (*path).to_owned()).collect();
    let update_mask = Some(prost_types::FieldMask { paths });
    let request = UpdateUserRequest { user_id: user_id.into(), user: Some(user), update_mask };
    Ok(app.back_end().users.update_user(request).await?.into_inner().user.unwrap())
}

fn full() -> CreateUserRequest {
    CreateUserRequest {
        username: Some("mary".into()),
        password: Some(PASSWORD.into()),
        external_id: Some("crm|42".into()),
        display_name: Some("Mary W. Shelley".into()),
        middle_name: Some("Wollstonecraft".into()),
        picture_url: Some("https://pictures.example/mary.png".into()),
        metadata: Some(metadata(&json!({"plan": "gold"}))),
        untrusted_metadata: Some(metadata(&json!({"theme": "dark"}))),
        password_must_change: true,
        ..Default::default()
    }
}

#[rstest]
#[tokio::test]
async fn everything_told_at_creation_comes_back(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let created = create(&app, full()).await.unwrap();
    assert_eq!(get(&app, &created.user_id).await, created);
    let request = full();
    assert_eq!(
        (&created.external_id, &created.display_name, &created.middle_name, &created.picture_url),
        (&request.external_id, &request.display_name, &request.middle_name, &request.picture_url)
    );
    assert_eq!((created.metadata, created.untrusted_metadata), (request.metadata, request.untrusted_metadata));
    assert!(created.password_must_change && created.has_password);
    assert_eq!(created.password_updated_at, created.created_at);
}

#[rstest]
#[tokio::test]
async fn each_field_is_changed_and_cleared_by_its_path(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let id = create(&app, full()).await.unwrap().user_id;
    let new = UserUpdate {
        external_id: Some("crm|43".into()),
        display_name: Some("M. S.".into()),
        middle_name: Some("W.".into()),
        picture_url: Some("http://pictures.example/m.png".into()),
        untrusted_metadata: Some(metadata(&json!({"theme": "light"}))),
        ..Default::default()
    };
    let paths = ["external_id", "display_name", "middle_name", "picture_url", "untrusted_metadata"];
    let of = |user: &User| {
        let untrusted = user.untrusted_metadata.clone();
        let names = [&user.external_id, &user.display_name, &user.middle_name, &user.picture_url].map(Clone::clone);
        (names, untrusted.map(|object| object.fields.len()))
    };
    let before = of(&get(&app, &id).await);
    let untouched = update(&app, &id, new.clone(), &["given_name"]).await.unwrap();
    assert_eq!(of(&untouched), before, "the mask does not name them");
    let changed = update(&app, &id, new.clone(), &paths).await.unwrap();
    assert_eq!(of(&changed).0, [new.external_id, new.display_name, new.middle_name, new.picture_url]);
    assert_eq!(changed.untrusted_metadata, new.untrusted_metadata);
    let cleared = update(&app, &id, UserUpdate::default(), &paths).await.unwrap();
    assert_eq!(of(&cleared), ([None, None, None, None], Some(0)));
    assert_eq!(get(&app, &id).await, cleared);
}

#[rstest]
#[tokio::test]
async fn an_external_id_belongs_to_one_user_of_the_project(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let id = create(&app, full()).await.unwrap().user_id;
    let second =
        CreateUserRequest { username: Some("percy".into()), external_id: Some("crm|42".into()), ..Default::default() };
    let status = create(&app, second.clone()).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::AlreadyExists, "IDENTIFIER_TAKEN"));
    assert_eq!(field_violations(&status), ["external_id"]);
    let ada = app.fixture.ada.to_string();
    let taken = UserUpdate { external_id: Some("crm|42".into()), ..Default::default() };
    let status = update(&app, &ada, taken.clone(), &["external_id"]).await.unwrap_err();
    assert_eq!(
        (reason(&status), field_violations(&status)),
        ("IDENTIFIER_TAKEN".into(), vec!["user.external_id".into()])
    );
    // One's own is no conflict, another spelling is another id, and another project has its own.
    update(&app, &id, taken.clone(), &["external_id"]).await.unwrap();
    let upper = UserUpdate { external_id: Some("CRM|42".into()), ..Default::default() };
    update(&app, &ada, upper, &["external_id"]).await.unwrap();
    app.stranger().users.create_user(second).await.unwrap();
    // Given up, it is free.
    update(&app, &id, UserUpdate::default(), &["external_id"]).await.unwrap();
    update(&app, &ada, taken, &["external_id"]).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn members_are_merged_and_null_takes_one_away(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let start = json!({"kept": 1, "replaced": {"old": true}, "gone": "x"});
    let request = CreateUserRequest {
        username: Some("mary".into()),
        metadata: Some(metadata(&start)),
        untrusted_metadata: Some(metadata(&start)),
        ..Default::default()
    };
    let id = create(&app, request).await.unwrap().user_id;
    let merge = Some(metadata(&json!({"replaced": {"new": true}, "gone": null, "never": null, "added": [null]})));
    let expected = Some(metadata(&json!({"kept": 1, "replaced": {"new": true}, "added": [null]})));
    let user = UserUpdate { metadata_merge: merge.clone(), untrusted_metadata_merge: merge, ..Default::default() };
    let trusted = update(&app, &id, user.clone(), &["metadata_merge"]).await.unwrap();
    assert_eq!((trusted.metadata, trusted.untrusted_metadata), (expected.clone(), Some(metadata(&start))));
    let both = update(&app, &id, user.clone(), &["untrusted_metadata_merge"]).await.unwrap();
    assert_eq!((both.metadata, both.untrusted_metadata), (expected.clone(), expected));

    for paths in [["metadata", "metadata_merge"], ["untrusted_metadata_merge", "untrusted_metadata"]] {
        let status = update(&app, &id, user.clone(), &paths).await.unwrap_err();
        assert_eq!(field_violations(&status), ["update_mask"]);
    }
    // Each half is small enough, the whole is not.
    let half = |name: &str| Some(metadata(&json!({name: "x".repeat(9000)})));
    let first = UserUpdate { metadata_merge: half("a"), ..Default::default() };
    update(&app, &id, first, &["metadata_merge"]).await.unwrap();
    let second = UserUpdate { metadata_merge: half("b"), untrusted_metadata: half("u"), ..Default::default() };
    let status = update(&app, &id, second, &["untrusted_metadata", "metadata_merge"]).await.unwrap_err();
    assert_eq!(field_violations(&status), ["user.metadata_merge"]);
    assert!(!get(&app, &id).await.untrusted_metadata.unwrap().fields.contains_key("u"), "all or nothing");
}

#[rstest]
#[tokio::test]
async fn of_merges_at_once_none_is_lost(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let id = app.fixture.ada.to_string();
    let merges: Vec<_> = (0..10)
        .map(|number| {
            let user =
                UserUpdate { metadata_merge: Some(metadata(&json!({number.to_string(): true}))), ..Default::default() };
            let update_mask = Some(prost_types::FieldMask { paths: vec!["metadata_merge".into()] });
            let request = UpdateUserRequest { user_id: id.clone(), user: Some(user), update_mask };
            let mut users = app.back_end().users;
            tokio::spawn(async move { users.update_user(request).await.unwrap() })
        })
        .collect();
    for merge in merges {
        merge.await.unwrap();
    }
    assert_eq!(get(&app, &id).await.metadata.unwrap().fields.len(), 10);
}
