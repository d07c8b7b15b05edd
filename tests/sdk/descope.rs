//! Descope.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use signet::{
    config::keys::DEV_MASTER_KEY,
    id_form,
    proto::{
        ClientType, CreateClientRequest, CreateProjectRequest, ProjectSettings, TokenDelivery, TokenProfile,
        project_service_client::ProjectServiceClient,
    },
};
use signet_test_support::{
    node::chromium,
    process::{PATIENCE, run},
};
use tonic::transport::Channel;

use crate::{
    service::{Service, run_node, run_python},
    signet,
};

/// What the scripts need to know of the service.
fn task(service: &Service) -> Value {
    let ready = &service.ready;
    json!({
        "url": service.url(),
        "mails": format!("http://{}/dev/mails", ready["ops"].as_str().unwrap()),
        "projectId": ready["descope"]["project_id"],
        "managementKey": ready["descope"]["management_key"],
    })
}

/// One scenario of `tests/sdk/node/descope.mjs`.
fn node(scenario: &str) {
    let service = Service::start(&[]);
    let mut task = task(&service);
    task["scenario"] = scenario.into();
    run_node("descope.mjs", &task);
}

#[test]
fn node_signs_up_and_in_and_verifies_tokens_itself() {
    node("signIn");
}

#[test]
fn node_refreshes_and_logs_out() {
    node("sessions");
}

#[test]
fn node_revokes_other_sessions_and_keeps_custom_claims() {
    node("loginOptions");
}

#[test]
fn node_updates_and_replaces_passwords() {
    node("passwords");
}

#[test]
fn node_verifies_an_address_by_code_and_meets_the_rate_limit() {
    node("email");
}

#[test]
fn node_manages_users() {
    node("management");
}

#[test]
fn node_with_an_auth_management_key_sends_it_with_every_call() {
    node("authManagementKey");
}

#[test]
fn python_does_all_of_it() {
    let service = Service::start(&[]);
    run_python("descope", &task(&service));
}

#[test]
fn a_browser_signs_in_and_refreshes_with_tokens_in_the_page_and_in_cookies() {
    let Some(chromium) = chromium() else { return };
    let service = Service::start(&[]);
    let mut task = task(&service);
    task["chromium"] = chromium.to_str().unwrap().into();
    task["cookieProjectId"] = project_with_cookies(&service).into();
    run_node("descope_browser.mjs", &task);
}

/// A project whose applications want their tokens in cookies; its id in the form of the vendor.
fn project_with_cookies(service: &Service) -> String {
    let database = format!("sqlite://{}", service.directory().join("signet-dev.db").display());
    let mut command = signet(service.directory(), &["client", "create", "--operator", "--name", "Test", "--json"]);
    command.env("SIGNET_DATABASE_URL", database).env("SIGNET_MASTER_KEY", DEV_MASTER_KEY);
    let operator = run(command).json();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let address = service.ready["grpc"].as_str().unwrap();
    let project_id = runtime.block_on(make_project_with_cookies(address, &operator));
    id_form::descope('P', id_form::parse_canonical("project", &project_id).unwrap())
}

async fn make_project_with_cookies(address: &str, operator: &Value) -> String {
    let text = |name: &str| operator[name].as_str().unwrap();
    let credentials = STANDARD.encode(format!("{}:{}", text("client_id"), text("client_secret")));
    let channel = Channel::from_shared(format!("http://{address}")).unwrap().timeout(PATIENCE).connect().await.unwrap();
    let mut projects = ProjectServiceClient::with_interceptor(channel, move |mut request: tonic::Request<()>| {
        request.metadata_mut().insert("authorization", format!("Basic {credentials}").parse().unwrap());
        Ok(request)
    });
    let settings = ProjectSettings {
        allow_sign_up: Some(true),
        allowed_origins: vec!["http://127.0.0.1:*".into()],
        ..ProjectSettings::default()
    };
    let request = CreateProjectRequest { name: "Shop".into(), settings: Some(settings) };
    let project_id = projects.create_project(request).await.unwrap().into_inner().project.unwrap().project_id;
    let request = CreateClientRequest {
        project_id: project_id.clone(),
        name: "Shop app".into(),
        client_type: ClientType::Public.into(),
        token_profile: TokenProfile::Descope.into(),
        token_delivery: TokenDelivery::Cookie.into(),
        ..CreateClientRequest::default()
    };
    projects.create_client(request).await.unwrap();
    project_id
}
