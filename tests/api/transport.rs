//! The listener itself, over real ports: in plain text, over TLS, with certificates of callers, and how it stops.

use std::{fs, net::SocketAddr, time::Duration};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rstest::rstest;
use signet::{
    config::{defaults, grpc::GrpcConfig},
    grpc::{ServeError, serve},
    proto::{
        AuthenticatePasswordRequest, CreateUserRequest, DisableUserRequest, UserStatus,
        auth_service_client::AuthServiceClient, user_service_client::UserServiceClient,
    },
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use tonic::{
    Code, Request, Status,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use crate::{
    email_verification::pending,
    sign_in::{email, with_password},
    support::{Engine, PASSWORD, TestApp, object},
};

/// A listener that runs.
struct Running {
    address: SocketAddr,
    stop: CancellationToken,
    ended: JoinHandle<Result<(), ServeError>>,
}

async fn run(app: &TestApp, config: GrpcConfig) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, stop, api) = (listener.local_addr().unwrap(), CancellationToken::new(), app.api.clone());
    let token = stop.clone();
    let ended = tokio::spawn(async move { serve(listener, api, &config, token).await });
    Running { address, stop, ended }
}

impl Running {
    async fn plain(&self) -> Channel {
        Endpoint::new(format!("http://{}", self.address)).unwrap().connect().await.unwrap()
    }

    /// A channel over TLS; the handshake may come to nothing only at the first call.
    async fn tls(&self, tls: ClientTlsConfig) -> Result<Channel, tonic::transport::Error> {
        let endpoint = Endpoint::new(format!("https://{}", self.address)).unwrap();
        endpoint.tls_config(tls.domain_name("localhost")).unwrap().connect().await
    }

    async fn stopped(self) {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(10), self.ended).await.expect("it stops").unwrap().unwrap();
    }
}

fn request<T>(app: &TestApp, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", app.fixture.confidential.parse().unwrap());
    request
}

/// Signs Ada in; that takes the whole way through listener, layers and database.
async fn sign_in(app: &TestApp, channel: Channel) -> Result<String, Status> {
    let request = request(app, with_password(email("ada@example.com"), PASSWORD));
    let answer = AuthServiceClient::new(channel).authenticate_password(request).await?;
    assert!(answer.metadata().contains_key("x-request-id"));
    Ok(answer.into_inner().user.unwrap().user_id)
}

#[rstest]
#[tokio::test]
async fn a_user_signs_in_over_a_real_port(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let running = run(&app, defaults()).await;
    assert_eq!(sign_in(&app, running.plain().await).await.unwrap(), app.fixture.ada.to_string());
    running.stopped().await;
}

#[rstest]
#[tokio::test]
async fn the_details_of_a_refusal_arrive_whatever_the_user_has(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let running = run(&app, defaults()).await;
    let metadata = serde_json::json!({"a": "x".repeat(16_000)});
    let new = CreateUserRequest {
        email: Some("large@example.com".into()),
        password: Some(PASSWORD.into()),
        metadata: Some(object(metadata.as_object().unwrap())),
        ..Default::default()
    };
    let channel = running.plain().await;
    UserServiceClient::new(channel.clone()).create_user(request(&app, new)).await.unwrap();
    let sign_in: AuthenticatePasswordRequest = with_password(email("large@example.com"), PASSWORD);
    let status = AuthServiceClient::new(channel).authenticate_password(request(&app, sign_in)).await.unwrap_err();
    assert_eq!(pending(&status).user.unwrap().email, "large@example.com");
    running.stopped().await;
}

#[rstest]
#[tokio::test]
async fn headers_and_messages_above_the_limits_are_refused_and_others_served_on(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let running = run(&app, defaults()).await;
    let channel = running.plain().await;
    let mut large = request(&app, with_password(email("ada@example.com"), PASSWORD));
    large.metadata_mut().insert("x-large", "x".repeat(20_000).parse().unwrap());
    AuthServiceClient::new(channel.clone()).authenticate_password(large).await.unwrap_err();
    let large = with_password(email("ada@example.com"), &"p".repeat(70_000));
    let status = AuthServiceClient::new(channel.clone()).authenticate_password(request(&app, large)).await;
    assert_eq!(status.unwrap_err().code(), Code::InvalidArgument);
    sign_in(&app, channel).await.unwrap();
    running.stopped().await;
}

/// An authority, and certificates of its own on disk.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { issuer, directory: tempfile::tempdir().unwrap() }
    }

    /// A certificate and its key, PEM.
    fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    /// Settings of a listener with a certificate for `localhost`.
    fn listener(&self) -> GrpcConfig {
        let (certificate, key) = self.issue("localhost");
        let [certificate_path, key_path] = ["certificate.pem", "key.pem"].map(|name| self.directory.path().join(name));
        fs::write(&certificate_path, certificate).unwrap();
        fs::write(&key_path, key).unwrap();
        GrpcConfig { tls_cert: Some(certificate_path), tls_key: Some(key_path), ..defaults() }
    }

    /// Settings of a caller that trusts the authority.
    fn trusted(&self) -> ClientTlsConfig {
        ClientTlsConfig::new().ca_certificate(Certificate::from_pem(self.issuer.pem()))
    }

    /// And shows a certificate made by `issuer`.
    fn shown(&self, issuer: &Self) -> ClientTlsConfig {
        let (certificate, key) = issuer.issue("caller");
        self.trusted().identity(Identity::from_pem(certificate, key))
    }
}

#[rstest]
#[tokio::test]
async fn over_tls_the_listener_proves_who_it_is(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let authority = Authority::new();
    let running = run(&app, authority.listener()).await;
    let channel = running.tls(authority.trusted()).await.unwrap();
    assert_eq!(sign_in(&app, channel).await.unwrap(), app.fixture.ada.to_string());

    assert!(running.tls(Authority::new().trusted()).await.is_err(), "another authority does not vouch for it");
    let plain = Endpoint::new(format!("http://{}", running.address)).unwrap().connect_lazy();
    sign_in(&app, plain).await.expect_err("no plain text on a listener with a certificate");
    running.stopped().await;
}

#[rstest]
#[tokio::test]
async fn with_an_authority_for_callers_only_theirs_are_served(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (authority, callers) = (Authority::new(), Authority::new());
    let callers_path = authority.directory.path().join("callers.pem");
    fs::write(&callers_path, callers.issuer.pem()).unwrap();
    let running = run(&app, GrpcConfig { client_ca: Some(callers_path), ..authority.listener() }).await;

    let channel = running.tls(authority.shown(&callers)).await.unwrap();
    assert_eq!(sign_in(&app, channel).await.unwrap(), app.fixture.ada.to_string());
    let strangers = [authority.trusted(), authority.shown(&authority), authority.shown(&Authority::new())];
    for stranger in strangers {
        // With TLS 1.3 a caller learns only from the first answer that it was not let in.
        if let Ok(channel) = running.tls(stranger).await {
            sign_in(&app, channel).await.expect_err("not a certificate of the callers' authority");
        }
    }
    running.stopped().await;
}

#[rstest]
#[tokio::test]
async fn a_stop_says_so_first_and_lets_running_calls_finish(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let running = run(&app, defaults()).await;
    let service = "auth.v1.UserService".to_owned();
    let mut health = HealthClient::new(running.plain().await);
    let mut watch = health.watch(HealthCheckRequest { service }).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving);

    // A call that cannot finish while somebody holds the user.
    let tx = app.services.store.begin().await.unwrap();
    tx.users().lock(app.fixture.project_id, app.fixture.ada).await.unwrap();
    let channel = running.plain().await;
    let disable = request(&app, DisableUserRequest { user_id: app.fixture.ada.to_string() });
    let call = tokio::spawn(async move { UserServiceClient::new(channel).disable_user(disable).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!call.is_finished());

    running.stop.cancel();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    drop((watch, health));
    let address = running.address;
    let refused = async || Endpoint::new(format!("http://{address}")).unwrap().connect().await.is_err();
    tokio::time::timeout(Duration::from_secs(5), async {
        while !refused().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("nobody new is let in");
    assert!(!call.is_finished() && !running.ended.is_finished(), "the call still runs, and is waited for");

    drop(tx);
    let user = call.await.unwrap().unwrap().into_inner().user.unwrap();
    assert_eq!(user.status(), UserStatus::Disabled);
    running.stopped().await;
}

/// Watching lasts for ever; it does not hold up a stop until its deadline.
#[tokio::test]
async fn a_stop_ends_what_watches_after_telling_it() {
    let Some(app) = TestApp::start(Engine::Sqlite).await else { return };
    let running = run(&app, defaults()).await;
    let mut health = HealthClient::new(running.plain().await);
    let mut watch = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    running.stop.cancel();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    tokio::time::timeout(Duration::from_secs(15), running.ended).await.expect("it stops").unwrap().unwrap();
    assert!(watch.message().await.is_err());
}

#[tokio::test]
async fn a_connection_that_is_too_old_is_ended_though_its_caller_does_nothing() {
    let Some(app) = TestApp::start(Engine::Sqlite).await else { return };
    let soon = Duration::from_millis(300);
    let running = run(&app, GrpcConfig { connection_age: soon, connection_grace: soon, ..defaults() }).await;
    let mut connection = tokio::net::TcpStream::connect(running.address).await.unwrap();
    // The preface and an empty SETTINGS frame (RFC 9113, section 3.4).
    connection.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut bytes = Vec::new();
    // Nothing else ends it so soon: the first question whether the caller is still there comes after a minute.
    tokio::time::timeout(Duration::from_secs(20), connection.read_to_end(&mut bytes)).await.unwrap().unwrap();
    assert!(!bytes.is_empty(), "it was a connection of HTTP/2 before");
    running.stopped().await;
}
