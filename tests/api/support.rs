//! An app in a test: a database of its own, a clock that stands still, and callers with different rights.

mod answers;
mod callers;
mod contents;
mod fixture;
mod raw;
mod round_trips;

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use sea_orm::{Database, DatabaseConnection};
use secrecy::SecretBox;
use signet::{
    clock::{Clock, ManualClock, Timestamp},
    crypto::{
        argon2_kernel::Argon2Cost,
        hash_lane::{HashLane, LaneSettings},
        master_key::MasterKey,
    },
    domain::{caller::Caller as DomainCaller, limits::Limits},
    grpc::{Api, ApiSettings},
    mail::{
        mailbox::{KeptMail, Mailbox},
        transport::{TerminalTransport, Transport},
        worker::OutboxWorker,
    },
    metrics::Metrics,
    random::Random,
    store::{DatabaseSettings, Store},
    usecase::{
        Call, Services,
        gates::Gates,
        key_ring::KeyRing,
        shared_reads::SharedReads,
        watch_events::{Pace, Watches},
    },
};
use signet_test_support::TestDatabase;
use tonic::service::Routes;

pub(crate) use self::{
    answers::{Refused, detail, field_violations, reason},
    callers::Caller,
    fixture::{ADA, Fixture, GRACE, PASSWORD, basic, credentials},
    raw::{Answer, RawCall, contains, json_of, message, method, object},
    round_trips::RoundTrips,
};
pub(crate) use signet_test_support::Engine;

/// Hashing in tests costs microseconds; what it costs in earnest is the lane's own test.
pub(crate) const CHEAP: Argon2Cost = Argon2Cost { memory_kib: 64, iterations: 1, parallelism: 1 };

/// Every byte of the master key.
pub(crate) const MASTER_KEY: u8 = 7;

/// Connections to the database.
pub(crate) const CONNECTIONS: u32 = 4;

const SETTINGS: ApiSettings =
    ApiSettings { deadline_max: Duration::from_secs(30), message_bytes_max: 65536, reflection: true };

/// Watchers wait as little as possible.
const PACE: Pace = Pace {
    poll: Duration::from_millis(20),
    heartbeat: Duration::from_millis(200),
    recheck: Duration::from_millis(100),
};

/// The service with everything around it but sockets.
pub(crate) struct TestApp {
    pub(crate) clock: ManualClock,
    pub(crate) services: Arc<Services>,
    pub(crate) metrics: Metrics,
    pub(crate) fixture: Fixture,
    pub(crate) mailbox: Mailbox,
    pub(crate) api: Api,
    mail: OutboxWorker,
    /// Deleted with the app.
    database: TestDatabase,
}

impl TestApp {
    /// A fresh app; none where PostgreSQL cannot be had, which has been said loudly.
    pub(crate) async fn start(engine: Engine) -> Option<Self> {
        Self::start_with(engine, CHEAP).await
    }

    /// A fresh app whose new hashes have that cost.
    pub(crate) async fn start_with(engine: Engine, cost: Argon2Cost) -> Option<Self> {
        Self::start_bounded(engine, cost, Limits::default()).await
    }

    /// A fresh app with bounds other than the usual ones.
    pub(crate) async fn start_limited(engine: Engine, limits: Limits) -> Option<Self> {
        Self::start_bounded(engine, CHEAP, limits).await
    }

    async fn start_bounded(engine: Engine, cost: Argon2Cost, limits: Limits) -> Option<Self> {
        let database = TestDatabase::from_template(engine, fixture::prepare).await?;
        let metrics = Metrics::new();
        let clock = ManualClock::starting_at(start());
        let mut services = services(database.url(), cost, &metrics, &clock).await;
        Arc::get_mut(&mut services).expect("nobody else has them yet").limits = limits;
        let api = Api::new(Arc::clone(&services), metrics.clone(), &SETTINGS).await;
        let mailbox = Mailbox::default();
        let mail = OutboxWorker {
            store: services.store.clone(),
            master_key: Arc::clone(&services.master_key),
            transport: Transport::Terminal(TerminalTransport::with_sink(mailbox.clone(), std::io::sink())),
            clock: services.clock.clone(),
            random: services.random.clone(),
            mail_waits: Arc::clone(&services.mail_waits),
            observer: Arc::new(|_| ()),
        };
        let fixture = Fixture::of(&services).await;
        Some(Self { clock, services, metrics, fixture, mailbox, api, mail, database })
    }

    /// The API of another replica: the same database and time of day, nothing else in common.
    pub(crate) async fn replica(&self) -> Routes {
        self.replica_with(CONNECTIONS).await
    }

    /// What the use cases of another replica work with.
    pub(crate) async fn replica_services(&self) -> Arc<Services> {
        services(self.database.url(), CHEAP, &Metrics::new(), &self.clock).await
    }

    /// The same with as many connections to the database as wanted.
    pub(crate) async fn replica_with(&self, connections_max: u32) -> Routes {
        let metrics = Metrics::new();
        let services = services_with(self.database.url(), CHEAP, &metrics, &self.clock, connections_max).await;
        answers::checked(Api::new(services, metrics, &SETTINGS).await.routes)
    }

    /// Another replica that has these master keys: the first seals, the second only opens.
    pub(crate) async fn replica_under(&self, master_key: u8, previous: Option<u8>) -> (Arc<Services>, Routes) {
        let key = |byte: u8| SecretBox::new(Box::new([byte; 32]));
        let mut keys = MasterKey::new(&key(master_key));
        if let Some(previous) = previous {
            keys = keys.with_previous(&key(previous)).unwrap();
        }
        let services = services_of(self.database.url(), CHEAP, &Metrics::new(), &self.clock, (CONNECTIONS, keys)).await;
        let api = Api::new(Arc::clone(&services), Metrics::new(), &SETTINGS).await;
        (services, answers::checked(api.routes))
    }

    /// A back end of the project.
    pub(crate) fn back_end(&self) -> Caller {
        self.caller(Some(&self.fixture.confidential))
    }

    /// An application of the project that keeps no secret.
    pub(crate) fn public(&self) -> Caller {
        self.caller(Some(&self.fixture.public))
    }

    /// A back end of another project.
    pub(crate) fn stranger(&self) -> Caller {
        self.caller(Some(&self.fixture.stranger))
    }

    /// An operator.
    pub(crate) fn operator(&self) -> Caller {
        self.caller(Some(&self.fixture.operator))
    }

    /// Nobody in particular.
    pub(crate) fn anonymous(&self) -> Caller {
        self.caller(None)
    }

    /// Whoever presents that `authorization`.
    pub(crate) fn caller(&self, authorization: Option<&str>) -> Caller {
        Caller::new(self.routes(), authorization)
    }

    /// The API; every refusal is checked against what the RPC declares.
    pub(crate) fn routes(&self) -> Routes {
        answers::checked(self.api.routes.clone())
    }

    /// The database itself, for what no repository tells.
    pub(crate) async fn database(&self) -> DatabaseConnection {
        Database::connect(self.database.url()).await.unwrap()
    }

    /// Sends what is due; gives the last mail to that address.
    pub(crate) async fn last_mail_to(&self, address: &str) -> KeptMail {
        self.mail.run_once(self.services.clock.now()).await.unwrap();
        self.mailbox.last_to(address).unwrap_or_else(|| panic!("no mail to {address}"))
    }

    /// A replica sends what is due.
    pub(crate) async fn send_mails_by(&self, replica: &Services) {
        let worker = OutboxWorker { master_key: Arc::clone(&replica.master_key), ..self.mail.clone() };
        while worker.run_once(self.services.clock.now()).await.unwrap() > 0 {}
    }

    /// Every row of the database.
    pub(crate) async fn contents(&self) -> Vec<String> {
        contents::of(&self.database().await).await
    }

    /// How many passwords the lane has hashed.
    pub(crate) fn hashes(&self) -> u64 {
        let text = self.metrics.encode();
        let line = text.lines().find(|line| line.starts_with("signet_hash_duration_seconds_count")).unwrap_or("0");
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    /// The six digits that were mailed last to that address.
    pub(crate) async fn last_code_to(&self, address: &str) -> String {
        self.last_mail_to(address).await.code.expect("the mail holds a code")
    }

    /// How many mails wait to be sent.
    pub(crate) async fn mails_waiting(&self) -> u64 {
        self.services.store.view().outbox().waiting().await.unwrap()
    }

    /// What the audit trail of the project says, oldest first: `kind` or `kind (cause)`.
    pub(crate) async fn events(&self) -> Vec<String> {
        let kinds = self.services.store.view().events().kinds(self.fixture.project_id).await.unwrap();
        let word =
            |(kind, cause): (String, Option<String>)| cause.map_or(kind.clone(), |cause| format!("{kind} ({cause})"));
        kinds.into_iter().map(word).collect()
    }
}

/// The parts of a service over a database.
pub(crate) async fn services(url: &str, cost: Argon2Cost, metrics: &Metrics, clock: &ManualClock) -> Arc<Services> {
    services_with(url, cost, metrics, clock, CONNECTIONS).await
}

/// The same with as many connections as wanted.
pub(crate) async fn services_with(
    url: &str,
    cost: Argon2Cost,
    metrics: &Metrics,
    clock: &ManualClock,
    connections_max: u32,
) -> Arc<Services> {
    let master_key = MasterKey::new(&SecretBox::new(Box::new([MASTER_KEY; 32])));
    services_of(url, cost, metrics, clock, (connections_max, master_key)).await
}

async fn services_of(
    url: &str,
    cost: Argon2Cost,
    metrics: &Metrics,
    clock: &ManualClock,
    (connections_max, master_key): (u32, MasterKey),
) -> Arc<Services> {
    let settings = DatabaseSettings { url: url.into(), connections_max, acquire_timeout: Duration::from_secs(20) };
    let lane = LaneSettings { workers: NonZeroUsize::MIN, niceness: 10, queue_length_max: 64, cost };
    let master_key = Arc::new(master_key);
    let services = Services {
        store: Store::connect(&settings).await.unwrap(),
        callers: SharedReads::default(),
        lane: HashLane::start(&lane, Random::System, metrics.clone()).unwrap(),
        key_ring: KeyRing::new(Arc::clone(&master_key)),
        master_key,
        clock: Clock::Manual(clock.clone()),
        random: Random::System,
        mail_waits: Arc::default(),
        limits: Limits::default(),
        gates: Gates::default(),
        watches: Arc::new(Watches::at(PACE)),
        public_url: "https://auth.example".into(),
    };
    Arc::new(services)
}

/// When tests begin.
pub(crate) fn start() -> Timestamp {
    Timestamp::from_timestamp_secs(1_800_000_000).unwrap()
}

/// A call by an operator, for what is prepared behind the API.
pub(crate) fn operator_call() -> Call {
    Call {
        caller: DomainCaller::Operator(None),
        request_id: "test".into(),
        deadline: std::time::Instant::now() + Duration::from_secs(30),
    }
}
