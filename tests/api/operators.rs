//! Operators: named in the audit trail, and nobody else may manage projects.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rstest::rstest;
use sea_orm::{ConnectionTrait as _, Statement};
use signet::{
    domain::{caller::Caller, id::ClientId, page::Page},
    proto::{CreateProjectRequest, DeleteClientRequest, ListClientsRequest},
    usecase::{
        Call, Error,
        clients::list_clients,
        operators::list_operators,
        projects::{get_project, list_projects},
        signing_keys::list_signing_keys,
    },
};
use uuid::Uuid;

use crate::support::{Engine, TestApp, operator_call};

/// Whom the audit trail of all projects names in a column for a kind of event, oldest first.
async fn named(app: &TestApp, column: &str, kind: &str) -> Vec<Option<Uuid>> {
    let database = app.database().await;
    let select = format!("SELECT {column} FROM events WHERE kind = '{kind}' ORDER BY id");
    let select = Statement::from_string(database.get_database_backend(), select);
    let rows = database.query_all_raw(select).await.unwrap();
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}

/// The id in an `authorization`.
fn id_in(authorization: &str) -> Uuid {
    let decoded = STANDARD.decode(authorization.trim_start_matches("Basic ")).unwrap();
    let (id, _) = std::str::from_utf8(&decoded).unwrap().split_once(':').unwrap();
    ClientId::parse(id).unwrap().into()
}

#[rstest]
#[tokio::test]
async fn the_audit_trail_names_the_operator(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    assert!(
        named(&app, "operator_id", "project.created").await.iter().all(Option::is_none),
        "made on the command line"
    );
    // Ids are in the order of time, and time stands still.
    app.clock.advance(chrono::Duration::seconds(1));
    let request = CreateProjectRequest { name: "By an operator".into(), settings: None };
    app.operator().projects.create_project(request).await.unwrap();
    let operator = id_in(&app.fixture.operator);
    assert_eq!(named(&app, "operator_id", "project.created").await.last(), Some(&Some(operator)));
    assert_eq!(named(&app, "operator_id", "signing_key.created").await.last(), Some(&Some(operator)));

    // What is about a client names that client, too.
    let project_id = app.fixture.project_id.to_string();
    let request = ListClientsRequest { project_id: project_id.clone(), ..Default::default() };
    let client_id =
        app.operator().projects.list_clients(request).await.unwrap().into_inner().clients[0].client_id.clone();
    let deleted = ClientId::parse(&client_id).unwrap().into();
    app.operator().projects.delete_client(DeleteClientRequest { project_id, client_id }).await.unwrap();
    assert_eq!(named(&app, "client_id", "client.deleted").await, [Some(deleted)]);
    assert_eq!(named(&app, "operator_id", "client.deleted").await, [Some(operator)]);
}

#[tokio::test]
async fn only_an_operator_reads_projects_clients_keys_and_operators() {
    let app = TestApp::start(Engine::Sqlite).await.unwrap();
    let (services, id, page) = (&app.services, app.fixture.project_id, Page { size: 20, after: None });
    let project = get_project(services, &operator_call(), id).await.unwrap();
    for (caller, refused) in [
        (Caller::Anonymous, "the caller's credentials are missing or wrong"),
        (Caller::OperatorOf(Box::new(project)), "the caller may not do this"),
    ] {
        let call = Call { caller, ..operator_call() };
        let errors: [Error; 5] = [
            get_project(services, &call, id).await.unwrap_err(),
            list_projects(services, &call, page).await.unwrap_err(),
            list_clients(services, &call, id, page).await.unwrap_err(),
            list_signing_keys(services, &call, id).await.unwrap_err(),
            list_operators(services, &call, page).await.unwrap_err(),
        ];
        assert_eq!(errors.map(|error| error.to_string()), [refused; 5]);
    }
}
