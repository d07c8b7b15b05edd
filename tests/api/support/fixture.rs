//! What every test's database holds: made once per engine, then copied.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret as _, SecretString};
use signet::{
    clock::ManualClock,
    domain::{
        caller::{Caller, ClientCaller, ClientProof},
        client::{Client, ClientType, RefreshTokenFormat, TokenDelivery, TokenProfile},
        id::{ProjectId, UserId},
        identifier::{Identifier, IdentifierKind},
        page::Page,
        password::Password,
        project::{Project, ProjectSettings},
        user::Profile,
    },
    metrics::Metrics,
    proto::CallerKind,
    store::{DatabaseSettings, Store},
    usecase::{
        Call, Services,
        clients::{NewClient, create_client},
        operators::create_operator,
        projects::create_project,
        users::{NewUser, VouchedIdentifier, create_user},
    },
};
use std::{collections::HashMap, sync::Mutex, time::Duration};

use super::{CHEAP, operator_call, services, start};

/// Password of every user of the fixture.
pub(crate) const PASSWORD: &str = "a horse, a lamp";

/// Address of a user of the fixture, verified.
pub(crate) const ADA: &str = "ada@example.com";

/// Address of another, not verified.
pub(crate) const GRACE: &str = "grace@example.com";

/// A project with a back end, an application and three users; another project; an operator.
#[derive(Clone, Debug)]
pub(crate) struct Fixture {
    pub(crate) project_id: ProjectId,
    /// `authorization` of a confidential client.
    pub(crate) confidential: String,
    /// `authorization` of a public client.
    pub(crate) public: String,
    pub(crate) other_project_id: ProjectId,
    /// `authorization` of a confidential client of the other project.
    pub(crate) stranger: String,
    /// `authorization` of an operator.
    pub(crate) operator: String,
    /// `ada@example.com`, verified, also `ada` and `+12025550123`.
    pub(crate) ada: UserId,
    /// `grace@example.com`, not verified.
    pub(crate) grace: UserId,
    /// `mute`, without a password.
    pub(crate) mute: UserId,
}

/// Secrets are shown once, when they are made: here they are kept for the copies, by the id of the project.
static MADE: Mutex<Option<HashMap<ProjectId, Fixture>>> = Mutex::new(None);

/// Fills a template.
pub(crate) async fn prepare(url: String) {
    let settings =
        DatabaseSettings { url: url.as_str().into(), connections_max: 2, acquire_timeout: Duration::from_secs(20) };
    Store::migrate(&settings).await.unwrap();
    let clock = ManualClock::starting_at(start());
    let services = services(&url, CHEAP, &Metrics::new(), &clock).await;
    let fixture = make(&services).await;
    MADE.lock().unwrap().get_or_insert_default().insert(fixture.project_id, fixture);
    services.store.clone().close().await.unwrap();
}

impl Fixture {
    /// The fixture that a copy was made from.
    pub(crate) async fn of(services: &Services) -> Self {
        // Which of the two projects comes first is chance: they are made in the same millisecond.
        let page = Page { size: 2, after: None };
        let projects = services.store.view().projects().list(page).await.unwrap().items;
        let made = MADE.lock().unwrap();
        let made = made.as_ref().unwrap();
        projects.iter().find_map(|project| made.get(&project.id)).expect("the project of the template").clone()
    }

    /// `authorization` of a caller to whom an RPC of that kind is open.
    pub(crate) fn entitled(&self, kind: CallerKind) -> &str {
        if kind == CallerKind::Operator { &self.operator } else { &self.confidential }
    }
}

async fn make(services: &Services) -> Fixture {
    let project = new_project(services, "Example").await;
    let (back_end, confidential) = new_client(services, &project, ClientType::Confidential).await;
    let (_, public) = new_client(services, &project, ClientType::Public).await;
    let other = new_project(services, "Other").await;
    let (_, stranger) = new_client(services, &other, ClientType::Confidential).await;
    let (operator_id, operator_secret) = create_operator(services, &operator_call(), "test".into()).await.unwrap();

    let client = ClientCaller { client: back_end, project: project.clone(), proof: ClientProof::Secret };
    let caller = Caller::Client(Box::new(client));
    let call = Call { caller, ..operator_call() };
    let user = async |identifiers: &[(IdentifierKind, &str, bool)], password: Option<&str>| {
        let vouched = |(kind, text, verified): &(IdentifierKind, &str, bool)| VouchedIdentifier {
            identifier: Identifier::parse(*kind, text).unwrap(),
            verified: *verified,
        };
        let new = NewUser {
            identifiers: identifiers.iter().map(vouched).collect(),
            password: password.map(|text| Password::parse(text).unwrap()),
            password_must_change: false,
            external_id: None,
            profile: Profile { given_name: Some("Given".into()), ..Profile::default() },
        };
        create_user(services, &call, new).await.unwrap().id
    };
    let ada = [
        (IdentifierKind::Email, "ada@example.com", true),
        (IdentifierKind::Username, "ada", false),
        (IdentifierKind::Phone, "+12025550123", false),
    ];
    Fixture {
        ada: user(&ada, Some(PASSWORD)).await,
        grace: user(&[(IdentifierKind::Email, "grace@example.com", false)], Some(PASSWORD)).await,
        mute: user(&[(IdentifierKind::Username, "mute", false)], None).await,
        project_id: project.id,
        confidential,
        public,
        other_project_id: other.id,
        stranger,
        operator: basic(&operator_id.to_string(), &operator_secret),
    }
}

async fn new_project(services: &Services, name: &str) -> Project {
    let settings = ProjectSettings {
        // RSA keys take long to make; the tests of tokens try every algorithm.
        signing_algorithm: signet::domain::signing_key::SigningAlgorithm::EdDsa,
        allowed_resources: vec!["https://api.example/".into()],
        ..ProjectSettings::default()
    };
    create_project(services, &operator_call(), name.into(), settings).await.unwrap()
}

async fn new_client(services: &Services, project: &Project, client_type: ClientType) -> (Client, String) {
    let new = NewClient {
        name: "test".into(),
        client_type,
        refresh_token_format: RefreshTokenFormat::Opaque,
        token_profile: TokenProfile::default(),
        token_delivery: TokenDelivery::default(),
    };
    let (client, secret) = create_client(services, &operator_call(), project.id, new).await.unwrap();
    let secret = secret.map_or_else(SecretString::default, |secret| secret.plain);
    let authorization = basic(&client.id.to_string(), &secret);
    (client, authorization)
}

/// Id and secret in an `authorization`.
pub(crate) fn credentials(authorization: &str) -> (String, SecretString) {
    let encoded = authorization.strip_prefix("Basic ").unwrap();
    let decoded = String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap();
    let (id, secret) = decoded.split_once(':').unwrap();
    (id.to_owned(), secret.into())
}

/// `authorization` of a client.
pub(crate) fn basic(id: &str, secret: &SecretString) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{}", secret.expose_secret())))
}
