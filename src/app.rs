//! Builds the parts of the service from its settings, and runs them until told to stop.

mod await_database;
mod certificate;
mod cgroup;
mod clock_check;
mod error;
mod gateway;
mod limits;
mod listeners;
mod master_key;
mod open_files;
mod upkeep;

use std::{fmt, num::NonZeroUsize, sync::Arc, thread, time::Duration};

use axum::{Json, Router, routing::get};
use tokio::sync::Notify;
use tonic::service::Routes;

use self::upkeep::Upkeep;
pub use self::{
    cgroup::{arenas_max, memory_left},
    error::BuildError,
    gateway::Gateway,
    limits::delays,
    listeners::{Addresses, Listeners},
};
use crate::{
    clock::Clock,
    config::{
        ServeConfig, database::DatabaseConfig, grpc::GrpcConfig, keys::KeyConfig, passwords::PasswordConfig,
        rest::RestConfig,
    },
    crypto::{
        argon2_kernel::Argon2Cost,
        hash_lane::{HashLane, LaneSettings},
        master_key::MasterKey,
    },
    domain::limits::Limits,
    grpc::{self, Api, ApiSettings},
    lifecycle::{Ended, Shutdown},
    listener::{self, Stop},
    mail::{
        mailbox::Mailbox,
        smtp::{SmtpSettings, SmtpTransport},
        transport::{TerminalTransport, Transport},
        worker::OutboxWorker,
    },
    metrics::Metrics,
    ops::{self, Readiness},
    random::Random,
    rest,
    store::{DatabaseSettings, Store},
    usecase::{Services, gates::Gates, key_ring::KeyRing, shared_reads::SharedReads},
};

/// What the service takes from its surroundings, beside its settings.
#[derive(Clone, Default)]
pub struct Surroundings {
    /// Time of day.
    pub clock: Clock,
    /// Randomness.
    pub random: Random,
    /// Where mails go.
    pub mail: MailRoute,
}

/// Where mails go.
#[derive(Clone, Default)]
pub enum MailRoute {
    /// Where the settings say.
    #[default]
    Configured,
    /// To a terminal. The last ones can be read at `/dev/mails` on the operations listener: for development only.
    Shown {
        /// The terminal. It keeps its mails in `mailbox`.
        terminal: TerminalTransport,
        /// The last mails.
        mailbox: Mailbox,
    },
}

/// The service, ready to run.
pub struct App {
    services: Arc<Services>,
    api: Api,
    worker: OutboxWorker,
    upkeep: Upkeep,
    metrics: Metrics,
    listeners: Listeners,
    /// Served on the operations listener beside health and metrics.
    dev_routes: Router,
    grpc: GrpcConfig,
    rest: RestConfig,
    drain_timeout: Duration,
}

impl App {
    /// Connects the database, for which it waits as long as the settings say, refuses one that this binary or master
    /// key does not fit, binds the ports and puts the parts together. Nothing is answered before [`Self::run`]. The
    /// settings have been validated.
    pub async fn build(config: &ServeConfig, surroundings: Surroundings) -> Result<Self, BuildError> {
        let Surroundings { clock, random, mail } = surroundings;
        random.prepare();
        let metrics = Metrics::new();
        let parts = Parts { clock: clock.clone(), random: random.clone(), metrics: metrics.clone() };
        let (transport, dev_routes) = mail_route(config, mail)?;
        open_files::allow(connections(config));
        let lane = lane_settings(&config.passwords);
        cgroup::warn_if_short(lane.workers, lane.cost.memory_kib);
        let connect = async || parts.connect(&config.database, &config.keys).await;
        let base = await_database::within(config.database_start.timeout, connect).await?;
        let listeners = Listeners::bind(&config.listen).await?;
        let public_url = config.listen.public_url(listeners.addresses().rest);
        let services =
            Arc::new(parts.services(base, &config.passwords, limits::limits(config), public_url.as_str())?);

        let settings = ApiSettings {
            deadline_max: config.grpc.deadline,
            message_bytes_max: usize::try_from(config.grpc.message_bytes).unwrap_or(usize::MAX),
            reflection: config.grpc.reflection,
        };
        let api = Api::new(Arc::clone(&services), metrics.clone(), &settings).await;
        let chain = config.grpc.tls()?.map(|pem| pem.cert);
        if let Some(expiry) = chain.and_then(|pem| certificate::expiry(&pem)) {
            metrics.certificate_expiry(expiry);
        }
        let observer = metrics.clone();
        let worker = OutboxWorker {
            store: services.store.clone(),
            master_key: Arc::clone(&services.master_key),
            transport,
            clock,
            random,
            mail_waits: Arc::clone(&services.mail_waits),
            observer: Arc::new(move |outcome| observer.mail_finished(outcome.as_str())),
        };
        let upkeep = Upkeep::new(Arc::clone(&services));
        upkeep.refresh_metrics(&metrics);
        Ok(Self {
            services,
            api,
            worker,
            upkeep,
            metrics,
            listeners,
            dev_routes,
            grpc: config.grpc.clone(),
            rest: config.rest.clone(),
            drain_timeout: config.listen.edge.drain_timeout,
        })
    }

    /// Where the listeners listen.
    pub const fn addresses(&self) -> Addresses {
        self.listeners.addresses()
    }

    /// What the use cases work with.
    pub const fn services(&self) -> &Arc<Services> {
        &self.services
    }

    /// The gRPC API with all of its layers, to be called in process.
    pub fn routes(&self) -> Routes {
        self.api.routes.clone()
    }

    /// What the service counts.
    pub const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Serves until `shutdown` says stop; tells how that went.
    pub async fn run(self, shutdown: Shutdown) -> Ended {
        let stop = Stop { leaving: shutdown.leaving(), stop: shutdown.token() };
        let (grpc, rest, operations) = self.listeners.into_parts();

        let store = self.services.store.clone();
        let readiness = Readiness::new(shutdown.leaving(), move || {
            let store = store.clone();
            async move { store.ping().await }
        });
        let shown = readiness.clone().show_in(self.metrics.clone(), shutdown.last_token());
        shutdown.spawn_last("what shows readiness", endless(shown));
        let settings = gateway::rest_settings(&self.rest, self.metrics.clone());
        let router = ops::router(self.metrics, readiness, self.dev_routes);
        shutdown.spawn_last("the operations listener", endless(ops::serve(operations, router, shutdown.last_token())));

        let random = self.services.random.clone();
        let upstream = rest::upstream::in_process(self.api.routes.clone());
        let router = rest::router(upstream, random, settings);
        shutdown.spawn(
            "the REST listener",
            endless(listener::serve(rest, router, gateway::listener_settings(&self.rest), stop.clone())),
        );

        let (api, config) = (self.api, self.grpc);
        shutdown.spawn("the gRPC listener", async move { grpc::serve(grpc, api, &config, stop).await });
        shutdown.spawn("the outbox worker", endless(self.worker.run(shutdown.token())));
        shutdown.spawn("the upkeep", endless(self.upkeep.run(shutdown.token())));

        let store = self.services.store.clone();
        drop(self.services);
        let ended = shutdown.finish(self.drain_timeout).await;
        if let Err(error) = store.close().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the connections to the database did not close");
        }
        ended
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("addresses", &self.addresses()).finish_non_exhaustive()
    }
}

/// The use cases without any listener, for the command line.
pub async fn services(
    database: &DatabaseConfig,
    keys: &KeyConfig,
    passwords: &PasswordConfig,
) -> Result<Services, BuildError> {
    let parts = Parts { clock: Clock::System, random: Random::System, metrics: Metrics::new() };
    let base = parts.connect(database, keys).await?;
    // Only tokens name an issuer, and commands mint none. Nor do they check secrets or send codes.
    parts.services(base, passwords, Limits::default(), "")
}

/// A database that fits, and the key to what is encrypted in it.
struct Base {
    store: Store,
    master_key: MasterKey,
}

struct Parts {
    clock: Clock,
    random: Random,
    metrics: Metrics,
}

impl Parts {
    async fn connect(&self, database: &DatabaseConfig, keys: &KeyConfig) -> Result<Base, BuildError> {
        let (settings, master_key) = (database_settings(database)?, master_key::of(keys)?);
        let store = Store::connect(&settings).await.map_err(BuildError::Connect)?.counting_into(&self.metrics);
        let pending = store.pending_migrations().await.map_err(BuildError::Connect)?;
        if !pending.is_empty() {
            return Err(BuildError::NotMigrated { pending });
        }
        master_key::check(&store, &master_key).await?;
        Ok(Base { store, master_key })
    }

    fn services(
        self,
        base: Base,
        passwords: &PasswordConfig,
        limits: Limits,
        public_url: &str,
    ) -> Result<Services, BuildError> {
        let master_key = Arc::new(base.master_key);
        let lane = HashLane::start(&lane_settings(passwords), self.random.clone(), self.metrics);
        Ok(Services {
            store: base.store,
            callers: SharedReads::default(),
            lane: lane.map_err(BuildError::Threads)?,
            key_ring: KeyRing::new(Arc::clone(&master_key)),
            master_key,
            clock: self.clock,
            random: self.random,
            mail_waits: Arc::new(Notify::new()),
            limits,
            gates: Gates::default(),
            watches: Arc::default(),
            public_url: public_url.to_owned(),
        })
    }
}

/// How the store takes the settings of the database.
pub fn database_settings(config: &DatabaseConfig) -> Result<DatabaseSettings, BuildError> {
    Ok(DatabaseSettings {
        url: config.url()?.secret().clone(),
        connections_max: config.connections,
        acquire_timeout: config.acquire_timeout,
    })
}

/// How the hash lane is laid out on this machine.
pub fn lane_settings(config: &PasswordConfig) -> LaneSettings {
    let cost =
        Argon2Cost { memory_kib: config.memory_kib, iterations: config.iterations, parallelism: config.parallelism };
    let workers = NonZeroUsize::new(config.workers.into()).unwrap_or_else(|| {
        // By the affinity of the process, and by the CPU quota of its control group and of those above it (cgroup v1
        // and v2), rounded down: more would use the quota up, and then everything in the group stands still, whatever
        // its priority.
        let processors = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        cgroup::workers_that_fit(processors, cost.memory_kib, arenas_max())
    });
    let queue_length_max = usize::try_from(config.queue).unwrap_or(usize::MAX);
    LaneSettings { workers, niceness: config.niceness, queue_length_max, cost }
}

/// How many connections there may be at the same time, in all.
fn connections(config: &ServeConfig) -> u64 {
    [config.grpc.connections, config.rest.connections, config.database.connections, ops::CONNECTIONS_MAX]
        .into_iter()
        .map(u64::from)
        .sum()
}

/// How mails go out, and the page that shows them if they go to a terminal.
fn mail_route(config: &ServeConfig, route: MailRoute) -> Result<(Transport, Router), BuildError> {
    match route {
        MailRoute::Shown { terminal, mailbox } => {
            let page = Router::new().route("/dev/mails", get(async move || Json(mailbox.recent())));
            Ok((Transport::Terminal(terminal), page))
        }
        MailRoute::Configured => {
            let transport = match config.mail.smtp_url()? {
                None => Transport::None,
                Some(url) => {
                    let mut settings = SmtpSettings::new(url, config.mail.from());
                    settings.extra_ca_pem = config.mail.extra_ca_pem()?;
                    Transport::Smtp(SmtpTransport::new(&settings)?)
                }
            };
            Ok((transport, Router::new()))
        }
    }
}

/// A part that has no way to fail.
async fn endless(part: impl Future<Output = ()>) -> Result<(), std::convert::Infallible> {
    part.await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, Command, FromArgMatches as _};

    use super::*;
    use crate::crypto::argon2_kernel::{ITERATIONS_MAX, MEMORY_KIB_MAX, PARALLELISM_MAX};

    fn passwords(flags: [String; 3]) -> Option<PasswordConfig> {
        let command = PasswordConfig::augment_args(Command::new("passwords"));
        let matches = command.try_get_matches_from(["passwords".to_owned()].into_iter().chain(flags)).ok()?;
        PasswordConfig::from_arg_matches(&matches).ok()
    }

    #[test]
    fn the_settings_of_argon2_end_where_the_kernel_does() {
        let flags = |memory: u32, iterations: u32, parallelism: u32| {
            [
                format!("--argon2-memory-kib={memory}"),
                format!("--argon2-iterations={iterations}"),
                format!("--argon2-parallelism={parallelism}"),
            ]
        };
        let most = (MEMORY_KIB_MAX, ITERATIONS_MAX, PARALLELISM_MAX);
        let cost = lane_settings(&passwords(flags(most.0, most.1, most.2)).unwrap()).cost;
        assert_eq!((cost.memory_kib, cost.iterations, cost.parallelism), most);
        for beyond in [flags(most.0 + 1, 2, 1), flags(19_456, most.1 + 1, 1), flags(19_456, 2, most.2 + 1)] {
            assert!(passwords(beyond).is_none());
        }
    }
}
