//! An app behind the REST router, and requests to it: no socket.
//!
//! ```ignore
//! let Some(app) = RestApp::start(Engine::Sqlite).await else { return };
//! let (id, secret) = app.client(ClientType::Confidential, TokenProfile::Stytch).await;
//! let answer = app.post("/v1/users").basic(&id, &secret).json(&json!({"email": "ada@example.com"})).await;
//! assert_eq!((answer.status, &answer.json["status_code"]), (200, &json!(200)));
//! ```

use std::{
    future::{Future, IntoFuture},
    ops::Deref,
    pin::Pin,
};

use axum::{Router, body::Body};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use http_body_util::BodyExt as _;
use secrecy::ExposeSecret as _;
use serde_json::Value;
use signet::{
    domain::{
        client::{ClientType, RefreshTokenFormat, TokenDelivery, TokenProfile},
        id::ProjectId,
    },
    random::Random,
    rest::{self, RestSettings},
    usecase::clients::{NewClient, create_client},
};
use tower::ServiceExt as _;

use crate::support::{Engine, TestApp, operator_call};

/// An app of the gRPC tests, with the REST router in front of it.
pub(crate) struct RestApp {
    behind: TestApp,
    pub(crate) router: Router,
}

impl RestApp {
    /// A fresh app; none where PostgreSQL cannot be had, which has been said loudly.
    pub(crate) async fn start(engine: Engine) -> Option<Self> {
        Some(Self::in_front_of(TestApp::start(engine).await?))
    }

    /// The router in front of an app.
    pub(crate) fn in_front_of(behind: TestApp) -> Self {
        let upstream = rest::upstream::in_process(behind.routes());
        let router = rest::router(upstream, Random::System, RestSettings::default());
        Self { behind, router }
    }

    /// The same app, with the keys of that project at the root.
    pub(crate) fn with_default_project(mut self, project: ProjectId) -> Self {
        let settings = RestSettings { default_project: project.to_string(), ..RestSettings::default() };
        self.router = rest::router(rest::upstream::in_process(self.behind.routes()), Random::System, settings);
        self
    }

    /// Makes a client of the project; gives its id, and its secret, which is empty for a public one.
    pub(crate) async fn client(&self, client_type: ClientType, token_profile: TokenProfile) -> (String, String) {
        let new = NewClient {
            name: "test".into(),
            client_type,
            refresh_token_format: RefreshTokenFormat::Opaque,
            token_profile,
            token_delivery: TokenDelivery::default(),
        };
        let project = self.behind.fixture.project_id;
        let (client, secret) = create_client(&self.behind.services, &operator_call(), project, new).await.unwrap();
        let secret = secret.map(|secret| secret.plain.expose_secret().to_owned()).unwrap_or_default();
        (client.id.to_string(), secret)
    }

    pub(crate) fn get(&self, path: &str) -> Call<'_> {
        self.request(Method::GET, path)
    }

    pub(crate) fn post(&self, path: &str) -> Call<'_> {
        self.request(Method::POST, path)
    }

    pub(crate) fn put(&self, path: &str) -> Call<'_> {
        self.request(Method::PUT, path)
    }

    pub(crate) fn patch(&self, path: &str) -> Call<'_> {
        self.request(Method::PATCH, path)
    }

    pub(crate) fn delete(&self, path: &str) -> Call<'_> {
        self.request(Method::DELETE, path)
    }

    /// A request to be completed and awaited.
    pub(crate) fn request(&self, method: Method, path: &str) -> Call<'_> {
        let mut request = Request::new(Vec::new());
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().unwrap();
        Call { router: &self.router, request }
    }
}

impl Deref for RestApp {
    type Target = TestApp;

    fn deref(&self) -> &TestApp {
        &self.behind
    }
}

/// A request on its way; await it.
#[must_use]
pub(crate) struct Call<'a> {
    router: &'a Router,
    request: Request<Vec<u8>>,
}

impl Call<'_> {
    /// One more header; a second one of the same name stands beside the first.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        self.request.headers_mut().append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        self
    }

    /// `authorization: Basic`.
    pub(crate) fn basic(self, id: &str, secret: &str) -> Self {
        self.header("authorization", &format!("Basic {}", STANDARD.encode(format!("{id}:{secret}"))))
    }

    /// `authorization: Bearer`.
    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// A JSON body.
    pub(crate) fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string())
    }

    /// The body of a form.
    pub(crate) fn form(self, pairs: &[(&str, &str)]) -> Self {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        self.header("content-type", "application/x-www-form-urlencoded").body(body)
    }

    /// Any body.
    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        *self.request.body_mut() = body.into();
        self
    }
}

impl<'a> IntoFuture for Call<'a> {
    type Output = Answer;
    type IntoFuture = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let response = self.router.clone().oneshot(self.request.map(Body::from)).await.unwrap();
            let (head, body) = response.into_parts();
            assert!(head.headers.contains_key("x-request-id"), "every answer has a request id");
            let body = body.collect().await.unwrap().to_bytes().to_vec();
            let json = serde_json::from_slice(&body).unwrap_or_default();
            Answer { status: head.status.as_u16(), headers: head.headers, body, json }
        })
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// The body as JSON; null if it is none.
    pub(crate) json: Value,
}

impl Answer {
    /// The value of a header; empty without one.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The body as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The `set-cookie` headers.
    pub(crate) fn cookies(&self) -> Vec<&str> {
        self.headers.get_all(header::SET_COOKIE).iter().map(|value| value.to_str().unwrap()).collect()
    }
}
