//! Calls over TCP, as a foreign client makes them.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use prost::Message as _;
use serde_json::Value;
use signet::proto::{
    AuthenticateEmailVerificationRequest, AuthenticateEmailVerificationResponse, AuthenticatePasswordRequest,
    AuthenticatePasswordResponse, AuthenticateSessionRequest, CreateUserRequest, GetEmailVerificationRequest,
    GetProviderMetadataRequest, GetProviderMetadataResponse, ListProjectsRequest, PendingAuthentication,
    RefreshTokensRequest, WatchEventsRequest, WatchEventsResponse, auth_service_client::AuthServiceClient,
    authenticate_password_request::Identifier, authenticate_session_request::Credential,
    event_service_client::EventServiceClient, project_service_client::ProjectServiceClient,
    user_service_client::UserServiceClient,
};
use tonic::{Request, Status, Streaming, transport::Channel};

use crate::process::PATIENCE;

/// A client of the API, with its credentials.
pub(crate) struct BackEnd {
    client: AuthServiceClient<Channel>,
    users: UserServiceClient<Channel>,
    projects: ProjectServiceClient<Channel>,
    events: EventServiceClient<Channel>,
    authorization: String,
}

impl BackEnd {
    pub(crate) async fn connect(address: &str, id: &str, secret: &str) -> Self {
        Self::with(address, format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))).await
    }

    /// With any `authorization`.
    pub(crate) async fn with(address: &str, authorization: String) -> Self {
        let channel = Channel::from_shared(format!("http://{address}")).unwrap().timeout(PATIENCE);
        let channel = channel.connect().await.unwrap();
        let (client, users) = (AuthServiceClient::new(channel.clone()), UserServiceClient::new(channel.clone()));
        let (projects, events) = (ProjectServiceClient::new(channel.clone()), EventServiceClient::new(channel));
        Self { client, users, projects, events, authorization }
    }

    /// Where the tokens of the only project come from.
    pub(crate) async fn provider_metadata(&mut self) -> GetProviderMetadataResponse {
        let request = self.request(GetProviderMetadataRequest::default());
        self.client.get_provider_metadata(request).await.unwrap().into_inner()
    }

    /// With what the line of `signet dev --json` says.
    pub(crate) async fn of_demo(ready: &Value) -> Self {
        let text = |name: &str| ready[name].as_str().unwrap();
        Self::connect(text("grpc"), text("client_id"), text("client_secret")).await
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.authorization.parse().unwrap());
        request
    }

    pub(crate) async fn authenticate_password(
        &mut self,
        email: &str,
        password: &str,
    ) -> Result<AuthenticatePasswordResponse, Box<Status>> {
        let request = self.request(AuthenticatePasswordRequest {
            identifier: Some(Identifier::Email(email.to_owned())),
            password: password.to_owned(),
            ..AuthenticatePasswordRequest::default()
        });
        self.client.authenticate_password(request).await.map(tonic::Response::into_inner).map_err(Box::new)
    }

    /// Signs in under that request id.
    pub(crate) async fn authenticate_as(
        &mut self,
        request_id: &str,
        email: &str,
        password: &str,
    ) -> Result<(), Box<Status>> {
        let mut request = self.request(AuthenticatePasswordRequest {
            identifier: Some(Identifier::Email(email.to_owned())),
            password: password.to_owned(),
            ..AuthenticatePasswordRequest::default()
        });
        request.metadata_mut().insert("x-request-id", request_id.parse().unwrap());
        self.client.authenticate_password(request).await.map(drop).map_err(Box::new)
    }

    /// Follows the audit trail from a cursor on.
    pub(crate) async fn watch_events(&mut self, cursor: &str) -> Streaming<WatchEventsResponse> {
        let request = WatchEventsRequest { cursor: cursor.to_owned(), ..WatchEventsRequest::default() };
        self.events.watch_events(self.request(request)).await.unwrap().into_inner()
    }

    /// The refresh token that follows.
    pub(crate) async fn refresh(&mut self, token: &str) -> Result<String, Box<Status>> {
        let refresh_token = token.to_owned();
        let request = self.request(RefreshTokensRequest { refresh_token, ..RefreshTokensRequest::default() });
        let answer = self.client.refresh_tokens(request).await.map_err(Box::new)?;
        Ok(answer.into_inner().tokens.unwrap().refresh_token)
    }

    pub(crate) async fn create_user(&mut self, username: &str) {
        let username = Some(username.to_owned());
        let request = self.request(CreateUserRequest { username, ..CreateUserRequest::default() });
        self.users.create_user(request).await.unwrap();
    }

    /// Whether a session is taken, by its id.
    pub(crate) async fn session_is_live(&mut self, session_id: &str) -> bool {
        let credential = Some(Credential::SessionId(session_id.to_owned()));
        let request = AuthenticateSessionRequest { credential, ..AuthenticateSessionRequest::default() };
        self.client.authenticate_session(self.request(request)).await.is_ok()
    }

    /// Whether an access token is taken.
    pub(crate) async fn token_is_good(&mut self, access_token: &str) -> bool {
        let credential = Some(Credential::AccessToken(access_token.to_owned()));
        let request = AuthenticateSessionRequest { credential, ..AuthenticateSessionRequest::default() };
        self.client.authenticate_session(self.request(request)).await.is_ok()
    }

    /// A code that is on its way, as a back end that mails it itself reads it.
    pub(crate) async fn code_on_its_way(&mut self, email_verification_id: &str) -> String {
        let email_verification_id = email_verification_id.to_owned();
        let request = self.request(GetEmailVerificationRequest { email_verification_id });
        self.users.get_email_verification(request).await.unwrap().into_inner().email_verification.unwrap().code
    }

    /// How many projects there are, as an operator may know.
    pub(crate) async fn list_projects(&mut self) -> Result<usize, Box<Status>> {
        let answer = self.projects.list_projects(self.request(ListProjectsRequest::default())).await;
        answer.map(|answer| answer.into_inner().projects.len()).map_err(Box::new)
    }

    pub(crate) async fn authenticate_email_verification(
        &mut self,
        token: &str,
        code: &str,
    ) -> Result<AuthenticateEmailVerificationResponse, Box<Status>> {
        let request = self.request(AuthenticateEmailVerificationRequest {
            pending_authentication_token: token.to_owned(),
            code: code.to_owned(),
            client_context: None,
        });
        self.client.authenticate_email_verification(request).await.map(tonic::Response::into_inner).map_err(Box::new)
    }
}

/// The detail of "right password, but not finished".
pub(crate) fn pending_authentication(status: &Status) -> PendingAuthentication {
    let details = tonic_types::pb::Status::decode(status.details()).unwrap().details;
    let pending = details.iter().find(|any| any.type_url.ends_with("/auth.v1.PendingAuthentication")).unwrap();
    PendingAuthentication::decode(pending.value.as_slice()).unwrap()
}

/// The status and the JSON body of a GET.
pub(crate) fn get(address: &str, path: &str) -> (u16, Value) {
    let mut connection = TcpStream::connect(address).unwrap();
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(connection, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), serde_json::from_str(body).unwrap_or_else(|_| panic!("no JSON: {answer}")))
}

/// The code in the last mail to an address, once it is there.
pub(crate) fn mailed_code(ops: &str, recipient: &str) -> String {
    for _ in 0..PATIENCE.as_millis() / 50 {
        let (status, mails) = get(ops, "/dev/mails");
        assert_eq!(status, 200);
        if let Some(mail) = mails.as_array().unwrap().iter().find(|mail| mail["to"] == recipient) {
            return mail["code"].as_str().unwrap().to_owned();
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("no mail to {recipient}");
}
