//! Calls over TCP, as a foreign client makes them.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use prost::Message as _;
use serde_json::Value;
use signet::proto::{
    AuthenticateEmailVerificationRequest, AuthenticatePasswordRequest, AuthenticatePasswordResponse,
    AuthenticateSessionRequest, CreateUserRequest, PendingAuthentication, RefreshTokensRequest, RevokeSessionRequest,
    auth_service_client::AuthServiceClient, authenticate_password_request::Identifier,
    authenticate_session_request::Credential, session_service_client::SessionServiceClient,
    user_service_client::UserServiceClient,
};
use signet_test_support::process::PATIENCE;
use tokio::{net::TcpStream, time::timeout};
use tonic::{
    Code, Request, Status,
    metadata::AsciiMetadataValue,
    transport::{Channel, Endpoint},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_types::StatusExt as _;

use crate::service::PASSWORD;

/// The deadline of every call: beyond those of the service, so that it is the service that answers.
pub(crate) const DEADLINE: Duration = Duration::from_secs(45);

/// A client of the API, with its credentials. It connects when it has to.
#[derive(Clone)]
pub(crate) struct BackEnd {
    channel: Channel,
    authorization: AsciiMetadataValue,
}

/// What a sign-in gave.
#[derive(Clone, Debug)]
pub(crate) struct SignedIn {
    pub(crate) session_id: String,
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
}

impl BackEnd {
    pub(crate) fn new(address: &str, id: &str, secret: &str) -> Self {
        let authorization = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}"))).parse().unwrap();
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap().timeout(DEADLINE);
        Self { channel: endpoint.connect_lazy(), authorization }
    }

    /// The same with another channel.
    pub(crate) fn over(&self, channel: Channel) -> Self {
        Self { channel, authorization: self.authorization.clone() }
    }

    pub(crate) fn authorization(&self) -> &str {
        self.authorization.to_str().unwrap()
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.authorization.clone());
        request
    }

    fn auth(&self) -> AuthServiceClient<Channel> {
        AuthServiceClient::new(self.channel.clone())
    }

    pub(crate) async fn authenticate_password(
        &self,
        email: &str,
        password: &str,
    ) -> Result<AuthenticatePasswordResponse, Status> {
        let request = self.request(AuthenticatePasswordRequest {
            identifier: Some(Identifier::Email(email.to_owned())),
            password: password.to_owned(),
            ..AuthenticatePasswordRequest::default()
        });
        Ok(self.auth().authenticate_password(request).await?.into_inner())
    }

    pub(crate) async fn sign_in(&self, email: &str) -> Result<SignedIn, Status> {
        let answer = self.authenticate_password(email, PASSWORD).await?;
        let tokens = answer.tokens.unwrap();
        let (access_token, refresh_token) = (tokens.access_token, tokens.refresh_token);
        Ok(SignedIn { session_id: answer.session.unwrap().session_id, access_token, refresh_token })
    }

    /// The refresh token that follows.
    pub(crate) async fn refresh(&self, token: &str) -> Result<String, Status> {
        let refresh_token = token.to_owned();
        let request = self.request(RefreshTokensRequest { refresh_token, ..RefreshTokensRequest::default() });
        Ok(self.auth().refresh_tokens(request).await?.into_inner().tokens.unwrap().refresh_token)
    }

    /// Whether a session is good, by its access token.
    pub(crate) async fn check(&self, access_token: &str) -> Result<(), Status> {
        self.authenticate_session(Credential::AccessToken(access_token.to_owned())).await
    }

    /// Whether a session is good, by its id.
    pub(crate) async fn check_session(&self, session_id: &str) -> Result<(), Status> {
        self.authenticate_session(Credential::SessionId(session_id.to_owned())).await
    }

    async fn authenticate_session(&self, credential: Credential) -> Result<(), Status> {
        let credential = Some(credential);
        let request = self.request(AuthenticateSessionRequest { credential, ..AuthenticateSessionRequest::default() });
        self.auth().authenticate_session(request).await.map(drop)
    }

    /// Creates a user without a password; gives its id.
    pub(crate) async fn create_user(&self, username: &str) -> Result<String, Status> {
        let username = Some(username.to_owned());
        let request = self.request(CreateUserRequest { username, ..CreateUserRequest::default() });
        let answer = UserServiceClient::new(self.channel.clone()).create_user(request).await?;
        Ok(answer.into_inner().user.unwrap().user_id)
    }

    pub(crate) async fn revoke_session(&self, session_id: &str) -> Result<(), Status> {
        let request = self.request(RevokeSessionRequest { session_id: session_id.to_owned() });
        SessionServiceClient::new(self.channel.clone()).revoke_session(request).await.map(drop)
    }

    /// Finishes a sign-in by the code of a mail.
    pub(crate) async fn redeem(&self, pending_token: &str, code: &str) -> Result<(), Status> {
        let request = self.request(AuthenticateEmailVerificationRequest {
            pending_authentication_token: pending_token.to_owned(),
            code: code.to_owned(),
            client_context: None,
        });
        self.auth().authenticate_email_verification(request).await.map(drop)
    }

    /// What the health check says.
    pub(crate) async fn health(&self) -> Result<i32, Status> {
        let answer = HealthClient::new(self.channel.clone()).check(HealthCheckRequest::default()).await?;
        Ok(answer.into_inner().status)
    }
}

/// The token of "right password, but not finished".
pub(crate) fn pending_token(status: &Status) -> String {
    assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
    let details = tonic_types::pb::Status::decode(status.details()).unwrap().details;
    let pending = details.iter().find(|any| any.type_url.ends_with("/auth.v1.PendingAuthentication")).unwrap();
    PendingAuthentication::decode(pending.value.as_slice()).unwrap().pending_authentication_token
}

/// Fails unless that is what the service says when it cannot answer now: try again, and when.
#[track_caller]
pub(crate) fn assert_try_again(status: &Status) {
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert!(status.get_details_retry_info().is_some(), "no answer of the service: {status:?}");
}

/// The status and the JSON body of a GET, over a connection of its own; `None` if there is none.
pub(crate) async fn get(address: &str, path: &str) -> Option<(u16, Value)> {
    get_as("", address, path).await
}

/// The same with an `authorization`.
pub(crate) async fn get_as(authorization: &str, address: &str, path: &str) -> Option<(u16, Value)> {
    let answered = async {
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(TcpStream::connect(address).await.ok()?)).await.ok()?;
        tokio::spawn(connection);
        let request = hyper::Request::get(path).header("host", address).header("authorization", authorization);
        let response = sender.send_request(request.body(Empty::<bytes::Bytes>::new()).unwrap()).await.ok()?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.ok()?.to_bytes();
        Some((status, serde_json::from_slice(&body).unwrap_or_default()))
    };
    timeout(PATIENCE, answered).await.expect("answers or hangs up")
}
