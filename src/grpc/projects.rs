//! `ProjectService`.

use std::sync::Arc;

use secrecy::ExposeSecret as _;
use tonic::{Request, Response, Status};

use super::{
    convert::{client_message, id, page, project_message, secret_message, set_setting, settings_from, unknown_path},
    respond::{answer, open},
};
use crate::{
    domain::{
        client::{ClientType, RefreshTokenFormat, TokenDelivery, TokenProfile},
        id::{ClientId, ClientSecretId, ProjectId},
        project::Project,
    },
    proto::{
        self, CreateClientRequest, CreateClientResponse, CreateClientSecretRequest, CreateClientSecretResponse,
        CreateProjectRequest, CreateProjectResponse, DeleteClientRequest, DeleteClientResponse,
        DeleteClientSecretRequest, DeleteClientSecretResponse, GetProjectRequest, GetProjectResponse,
        ListClientsRequest, ListClientsResponse, ListProjectsRequest, ListProjectsResponse, ProjectSettings,
        UpdateProjectRequest, UpdateProjectResponse, project_service_server::ProjectService,
    },
    usecase::{Error, Services, clients, projects},
};

pub(super) struct ProjectApi(pub(super) Arc<Services>);

#[tonic::async_trait]
impl ProjectService for ProjectApi {
    async fn create_project(
        &self,
        request: Request<CreateProjectRequest>,
    ) -> Result<Response<CreateProjectResponse>, Status> {
        let (call, body) = open(request);
        let operation = async {
            let settings = settings_from(body.settings.as_ref())?;
            let project = projects::create_project(&self.0, &call, body.name, settings).await?;
            Ok(CreateProjectResponse { project: Some(project_message(project)) })
        };
        answer(&call, operation).await
    }

    async fn get_project(&self, request: Request<GetProjectRequest>) -> Result<Response<GetProjectResponse>, Status> {
        let (call, body) = open(request);
        let operation = async {
            let project = projects::get_project(&self.0, &call, project_id(&body.project_id)?).await?;
            Ok(GetProjectResponse { project: Some(project_message(project)) })
        };
        answer(&call, operation).await
    }

    async fn list_projects(
        &self,
        request: Request<ListProjectsRequest>,
    ) -> Result<Response<ListProjectsResponse>, Status> {
        let (call, body) = open(request);
        let operation = async {
            let page = page(body.page_size, &body.page_token)?;
            let listed = projects::list_projects(&self.0, &call, page).await?.map(project_message);
            Ok(ListProjectsResponse { projects: listed.items, next_page_token: listed.next_page_token })
        };
        answer(&call, operation).await
    }

    async fn update_project(
        &self,
        request: Request<UpdateProjectRequest>,
    ) -> Result<Response<UpdateProjectResponse>, Status> {
        let (call, body) = open(request);
        let operation = async {
            let paths = body.update_mask.unwrap_or_default().paths;
            let settings = body.settings.unwrap_or_default();
            let change = |project: &mut Project| change_project(project, &paths, &body.name, &settings);
            let id = project_id(&body.project_id)?;
            let project = projects::update_project(&self.0, &call, id, change).await?;
            Ok(UpdateProjectResponse { project: Some(project_message(project)) })
        };
        answer(&call, operation).await
    }

    async fn create_client(
        &self,
        request: Request<CreateClientRequest>,
    ) -> Result<Response<CreateClientResponse>, Status> {
        let (call, body) = open(request);
        let operation = async {
            let client_type = match proto::ClientType::try_from(body.client_type) {
                Ok(proto::ClientType::Confidential) => ClientType::Confidential,
                Ok(proto::ClientType::Public) => ClientType::Public,
                _ => return Err(Error::field("client_type", "must be CONFIDENTIAL or PUBLIC")),
            };
            let refresh_token_format = match proto::RefreshTokenFormat::try_from(body.refresh_token_format) {
                Ok(proto::RefreshTokenFormat::Unspecified) => RefreshTokenFormat::default(),
                Ok(proto::RefreshTokenFormat::Opaque) => RefreshTokenFormat::Opaque,
                Ok(proto::RefreshTokenFormat::Jwt) => RefreshTokenFormat::Jwt,
                Err(_) => return Err(Error::field("refresh_token_format", "must be OPAQUE or JWT")),
            };
            let token_profile = match proto::TokenProfile::try_from(body.token_profile) {
                Ok(proto::TokenProfile::Unspecified | proto::TokenProfile::Standard) => TokenProfile::Standard,
                Ok(proto::TokenProfile::Workos) => TokenProfile::WorkOs,
                Ok(proto::TokenProfile::Stytch) => TokenProfile::Stytch,
                Ok(proto::TokenProfile::Descope) => TokenProfile::Descope,
                Ok(proto::TokenProfile::Transmit) => TokenProfile::Transmit,
                Err(_) => return Err(Error::field("token_profile", "is not a value this version knows")),
            };
            let token_delivery = match proto::TokenDelivery::try_from(body.token_delivery) {
                Ok(proto::TokenDelivery::Unspecified | proto::TokenDelivery::Body) => TokenDelivery::Body,
                Ok(proto::TokenDelivery::Cookie) => TokenDelivery::Cookie,
                Err(_) => return Err(Error::field("token_delivery", "is not a value this version knows")),
            };
            let new = clients::NewClient {
                name: body.name,
                client_type,
                refresh_token_format,
                token_profile,
                token_delivery,
            };
            let id = project_id(&body.project_id)?;
            let (client, secret) = clients::create_client(&self.0, &call, id, new).await?;
            let secrets: Vec<_> = secret.iter().map(|new| new.secret).collect();
            Ok(CreateClientResponse {
                client: Some(client_message(client, &secrets)),
                client_secret: secret.map(|new| new.plain.expose_secret().into()),
            })
        };
        answer(&call, operation).await
    }

    async fn list_clients(
        &self,
        request: Request<ListClientsRequest>,
    ) -> Result<Response<ListClientsResponse>, Status> {
        let (call, body) = open(request);
        let operation = async {
            let (id, page) = (project_id(&body.project_id)?, page(body.page_size, &body.page_token)?);
            let listed = clients::list_clients(&self.0, &call, id, page).await?.map(Into::into);
            Ok(ListClientsResponse { clients: listed.items, next_page_token: listed.next_page_token })
        };
        answer(&call, operation).await
    }

    async fn delete_client(
        &self,
        request: Request<DeleteClientRequest>,
    ) -> Result<Response<DeleteClientResponse>, Status> {
        let (call, body) = open(request);
        let operation = async {
            let (project_id, id) = (project_id(&body.project_id)?, client_id(&body.client_id)?);
            clients::delete_client(&self.0, &call, project_id, id).await?;
            Ok(DeleteClientResponse {})
        };
        answer(&call, operation).await
    }

    async fn create_client_secret(
        &self,
        request: Request<CreateClientSecretRequest>,
    ) -> Result<Response<CreateClientSecretResponse>, Status> {
        let (call, body) = open(request);
        let operation = async {
            let (project_id, id) = (project_id(&body.project_id)?, client_id(&body.client_id)?);
            let new = clients::create_client_secret(&self.0, &call, project_id, id).await?;
            Ok(CreateClientSecretResponse {
                secret: Some(secret_message(&new.secret)),
                client_secret: new.plain.expose_secret().into(),
            })
        };
        answer(&call, operation).await
    }

    async fn delete_client_secret(
        &self,
        request: Request<DeleteClientSecretRequest>,
    ) -> Result<Response<DeleteClientSecretResponse>, Status> {
        let (call, body) = open(request);
        let operation = async {
            let (project_id, client_id) = (project_id(&body.project_id)?, client_id(&body.client_id)?);
            let secret_id = id("client_secret_id", &body.client_secret_id, ClientSecretId::parse)?;
            clients::delete_client_secret(&self.0, &call, project_id, client_id, secret_id).await?;
            Ok(DeleteClientSecretResponse {})
        };
        answer(&call, operation).await
    }
}

fn project_id(text: &str) -> Result<ProjectId, Error> {
    id("project_id", text, ProjectId::parse)
}

fn client_id(text: &str) -> Result<ClientId, Error> {
    id("client_id", text, ClientId::parse)
}

/// Applies what the mask names.
fn change_project(
    project: &mut Project,
    paths: &[String],
    name: &str,
    settings: &ProjectSettings,
) -> Result<(), Error> {
    if paths.is_empty() {
        return Err(Error::field("update_mask", "must name `name` or a setting such as `settings.issuer`"));
    }
    for path in paths {
        match path.split_once('.') {
            None if path == "name" => name.clone_into(&mut project.name),
            Some(("settings", setting)) => set_setting(&mut project.settings, setting, settings)?,
            _ => return Err(unknown_path("field of a project", path)),
        }
    }
    Ok(())
}
