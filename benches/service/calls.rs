//! The calls of a client process, as a back end makes them: over a few connections, with a deadline, with what it knows
//! of its user.

use std::{
    collections::VecDeque,
    net::Ipv4Addr,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use signet::proto::{
    AuthenticatePasswordRequest, AuthenticateSessionRequest, AuthenticateSessionResponse, ClientContext,
    CreateUserRequest, IssueClientTokenRequest, RefreshTokensRequest, ResumeSessionRequest,
    auth_service_client::AuthServiceClient, authenticate_password_request::Identifier,
    authenticate_session_request::Credential, user_service_client::UserServiceClient,
};
use tonic::{
    Request, Response, Status,
    transport::{Channel, Endpoint},
};

use crate::orders::{Kind, Target};

const PASSWORD: &str = "analytical engine 1843";
const USER_AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";

/// Somebody who calls the service.
pub(crate) struct BackEnd {
    target: Target,
    channels: Vec<Channel>,
    /// To the echo, as many.
    echoes: Vec<Channel>,
    calls: AtomicUsize,
    next_user: AtomicUsize,
    sessions: Mutex<VecDeque<OpenSession>>,
}

/// What a sign-in gave.
#[derive(Clone)]
struct OpenSession {
    access_token: String,
    refresh_token: String,
}

impl BackEnd {
    /// Connects.
    pub(crate) async fn connect(target: Target) -> Self {
        let channels = channels_to(&target.address, target.connections).await;
        let echoes = match &target.echo {
            Some(address) => channels_to(address, target.connections).await,
            None => Vec::new(),
        };
        let (calls, next_user) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { target, channels, echoes, calls, next_user, sessions: Mutex::default() }
    }

    pub(crate) const fn users(&self) -> usize {
        self.target.users
    }

    fn channel(&self) -> Channel {
        self.one_of(&self.channels)
    }

    fn one_of(&self, channels: &[Channel]) -> Channel {
        channels[self.calls.fetch_add(1, Ordering::Relaxed) % channels.len()].clone()
    }

    fn request<T>(&self, client: usize, deadline: Duration, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.target.clients[client].parse().unwrap());
        request.set_timeout(deadline);
        request
    }

    /// Creates a user who can sign in.
    pub(crate) async fn create_user(&self, number: usize) {
        let request = CreateUserRequest {
            email: Some(email(number)),
            email_verified: true,
            password: Some(PASSWORD.to_owned()),
            ..CreateUserRequest::default()
        };
        let request = self.request(0, Duration::from_mins(1), request);
        UserServiceClient::new(self.channel()).create_user(request).await.unwrap();
    }

    /// Signs a user in, and keeps the session for checks and refreshes.
    pub(crate) async fn open_session(&self) {
        let session = self.authenticate_password(0, Duration::from_secs(30)).await.unwrap();
        self.sessions.lock().unwrap().push_back(session);
    }

    /// Gets tokens for a session that is there, and keeps them for the same.
    pub(crate) async fn resume_session(&self, session_id: String) {
        let request = ResumeSessionRequest { session_id, ..ResumeSessionRequest::default() };
        let request = self.request(0, Duration::from_secs(30), request);
        let answer = AuthServiceClient::new(self.channel()).resume_session(request).await.unwrap().into_inner();
        let tokens = answer.tokens.unwrap();
        let session = OpenSession { access_token: tokens.access_token, refresh_token: tokens.refresh_token };
        self.sessions.lock().unwrap().push_back(session);
    }

    /// Makes one call.
    pub(crate) async fn call(&self, kind: Kind, client: usize, deadline: Duration) -> Result<(), Status> {
        match kind {
            Kind::SignIn => self.authenticate_password(client, deadline).await.map(drop),
            Kind::Check => self.answer_to_check(client, deadline).await.map(drop),
            Kind::ClientToken => self.client_token(client, deadline).await,
            Kind::Echo => self.check(self.one_of(&self.echoes), client, deadline).await.map(drop),
            Kind::Refresh => self.refresh(client, deadline).await,
        }
    }

    /// The users take turns, in an order that leads all over the tables; each comes from an address of their own.
    async fn authenticate_password(&self, client: usize, deadline: Duration) -> Result<OpenSession, Status> {
        let number = scattered(self.next_user.fetch_add(1, Ordering::Relaxed), self.target.users);
        let address = Ipv4Addr::from_bits(0x0a00_0000 + u32::try_from(number).unwrap());
        let request = AuthenticatePasswordRequest {
            identifier: Some(Identifier::Email(email(number))),
            password: PASSWORD.to_owned(),
            client_context: Some(ClientContext {
                ip_address: address.to_string(),
                user_agent: USER_AGENT.to_owned(),
                device_token: String::new(),
            }),
            ..AuthenticatePasswordRequest::default()
        };
        let request = self.request(client, deadline, request);
        let answer = AuthServiceClient::new(self.channel()).authenticate_password(request).await?.into_inner();
        // A sign-in counts only with what it is made for.
        assert!(answer.session.is_some());
        let tokens = answer.tokens.unwrap();
        Ok(OpenSession { access_token: tokens.access_token, refresh_token: tokens.refresh_token })
    }

    /// Checks the access token of a session, which take turns.
    pub(crate) async fn answer_to_check(
        &self,
        client: usize,
        deadline: Duration,
    ) -> Result<AuthenticateSessionResponse, Status> {
        self.check(self.channel(), client, deadline).await
    }

    async fn check(
        &self,
        channel: Channel,
        client: usize,
        deadline: Duration,
    ) -> Result<AuthenticateSessionResponse, Status> {
        let access_token = {
            let mut sessions = self.sessions.lock().unwrap();
            sessions.rotate_left(1);
            sessions.back().unwrap().access_token.clone()
        };
        let credential = Some(Credential::AccessToken(access_token));
        let request = AuthenticateSessionRequest { credential, ..AuthenticateSessionRequest::default() };
        let request = self.request(client, deadline, request);
        AuthServiceClient::new(channel).authenticate_session(request).await.map(Response::into_inner)
    }

    async fn client_token(&self, client: usize, deadline: Duration) -> Result<(), Status> {
        let request = self.request(client, deadline, IssueClientTokenRequest::default());
        AuthServiceClient::new(self.channel()).issue_client_token(request).await.map(drop)
    }

    /// Nobody else has the session meanwhile, as clients have to see to.
    async fn refresh(&self, client: usize, deadline: Duration) -> Result<(), Status> {
        let mut session = self.sessions.lock().unwrap().pop_front().expect("more sessions than refreshes under way");
        let refresh_token = session.refresh_token.clone();
        let request = RefreshTokensRequest { refresh_token, ..RefreshTokensRequest::default() };
        let request = self.request(client, deadline, request);
        let answer = AuthServiceClient::new(self.channel()).refresh_tokens(request).await;
        let refreshed = answer.map(|answer| {
            let tokens = answer.into_inner().tokens.unwrap();
            session = OpenSession { access_token: tokens.access_token, refresh_token: tokens.refresh_token };
        });
        self.sessions.lock().unwrap().push_back(session);
        refreshed
    }
}

async fn channels_to(address: &str, connections: usize) -> Vec<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap().tcp_nodelay(true);
    let mut channels = Vec::new();
    for _ in 0..connections {
        channels.push(endpoint.connect().await.unwrap());
    }
    channels
}

/// The user whose turn it is: each once, before anyone comes again, and neighbours seldom after each other.
const fn scattered(turn: usize, users: usize) -> usize {
    // A prime that is greater than the number of users shares no factor with it.
    turn % users * 2_654_435_761 % users
}

fn email(number: usize) -> String {
    format!("user{number}@example.com")
}
